//! The C API of wasm-meminit.
//!
//! C programs include `wasm_meminit.h`, which is written from [`ffi`] and [`types`]; the README
//! has a program. This crate is also a Rust library so that its tests can call the exported
//! functions.
//!
//! [`ffi`] has the exported functions, and all that touches a pointer of the caller: nothing else
//! contains `unsafe` code. What it calls is safe: `object` (what an opaque pointer refers to),
//! `error` (the result of a call, and the last error of a thread), `module`, `slot`, `pool`,
//! `instance` and `builder`.
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/engines/c.md)
//! has a page about this package.

#![doc(test(attr(deny(warnings))))]

extern crate alloc;

mod builder;
mod error;
pub mod ffi;
mod instance;
mod lock;
mod module;
mod object;
pub mod opaque;
mod pool;
mod slot;
pub mod types;
