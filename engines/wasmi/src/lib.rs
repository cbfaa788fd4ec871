//! Starts the linear memories of [wasmi]'s instances with few copies.
//!
//! wasmi writes a module's data segments into each instance's new memory, one by one, after it
//! has checked each. With this crate, the segments whose addresses are known are replaced once
//! by the few that the memory's initial contents need.
//!
//! ```
//! use wasm_meminit_wasmi::{Options, Prepared};
//! use wasmi::{Engine, Linker, Store};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # let wasm = wat::parse_str(
//! #     r#"(module
//! #          (memory (export "memory") 1)
//! #          (data (i32.const 8) "\2a")
//! #          (func (export "run") (result i32) (i32.load8_u (i32.const 8))))"#,
//! # )?;
//! let engine = Engine::default();
//! // Once for each module.
//! let prepared = Prepared::new(&engine, &wasm, &Options::new())?;
//! let linker = Linker::new(&engine);
//! // Once for each request.
//! let mut store = Store::new(&engine, ());
//! let instance = prepared.instantiate(&mut store, &linker)?;
//! let run = instance.get_typed_func::<(), i32>(&store, "run")?;
//! assert_eq!(run.call(&mut store, ())?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/engines/wasmi.md)
//! has a page about this package.
//!
//! # What happens to each memory
//!
//! | memory | |
//! |---|---|
//! | that a module defines | starts with the same contents, from few segments. Several memories, 64-bit memories and those with custom page sizes included |
//! | that it imports | comes from the linker; or becomes [the module's own](MemoryImports::Provide), and an export |
//!
//! Memories are wasmi's own: they count towards its limits, grow as usual, and are freed with
//! their store. Segments whose addresses only the host knows, those that may trap, and those
//! after them stay as they are: all failures are wasmi's, and leave what they would leave.
//!
//! # What wasmi does not allow
//!
//! wasmi zeroes the whole of each new memory, also one in a buffer of the host. So an image
//! cannot be mapped, and there is nothing to reset: a memory cannot be taken out of its store.
//! So starts are faster only where a module has many segments.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;

mod error;
mod options;
mod prepare;
mod prepared;

pub use wasm_meminit_analysis as analysis;
pub use wasm_meminit_image_builder as image_builder;
pub use wasmi;

// What a host needs to name in order to use this crate.
#[doc(no_inline)]
pub use wasm_meminit_image_builder::rewrite::DataSize;

pub use crate::error::PrepareError;
pub use crate::options::{MemoryImports, Options};
pub use crate::prepared::Prepared;
