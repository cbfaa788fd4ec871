//! Calls the exported functions as C does: in odd orders, and with hostile arguments.

#![allow(unsafe_code, reason = "the functions of a C API are unsafe")]

extern crate alloc;

/// Calls an exported function. The tests obey the rules of the header, or violate only those
/// whose violation it calls an error.
macro_rules! c {
    ($name:ident($($arg:expr),* $(,)?)) => {
        // SAFETY: see above.
        unsafe { wasm_meminit_c::ffi::$name($($arg),*) }
    };
}

mod errors;
mod lifetimes;
mod misaligned;
mod no_alloc;
mod sequences;
mod support;
mod threads;
mod versions;
