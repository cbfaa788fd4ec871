//! The functions of the header, and all that reads or writes through a caller's pointer.
//!
//! All `unsafe` operations are in `pointer.rs`; the other files contain only the declarations of
//! exported functions (`tests/header.rs`).
//!
//! # What the caller guarantees
//!
//! Every function relies on these rules, which the header states:
//!
//! 1. A pointer to an opaque type is null, or was returned by this library and has not been
//!    freed. No other call uses it while it is freed. (The kind of object is checked.)
//! 2. A pointer with a length is valid for that many bytes during the call, and no other thread
//!    writes to them; a pointer to text is null or ends with a NUL.
//! 3. A pointer to a structure is null, or valid for `struct_size` bytes, which it begins with.
//! 4. A pointer to a result is null or valid for writes.
//!
//! Null, misaligned pointers, unknown numbers and sizes are errors.

#![allow(unsafe_code, reason = "C passes pointers; see the rules above")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the rules above hold for all functions"
)]

#[macro_use]
mod pointer;

mod general;
mod instance;
mod module;
mod pool;
mod slot;

pub use self::general::*;
pub use self::instance::*;
pub use self::module::*;
pub use self::pool::*;
pub use self::slot::*;
