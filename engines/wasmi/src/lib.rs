//! Starts the linear memories of [wasmi]'s instances from images.
//!
//! wasmi copies a module's data segments into each instance's new memory, one by one, after it
//! has checked each. With this crate, the data of a module becomes an image once, and an
//! instance gets a memory into which the image's few runs are copied.
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
//! let mut ready = prepared.instantiate_pre(&Linker::new(&engine))?;
//! // Once for each request.
//! let mut store = Store::new(&engine, ());
//! let instance = ready.instantiate(&mut store)?;
//! let run = instance.get_typed_func::<(), i32>(&store, "run")?;
//! assert_eq!(run.call(&mut store, ())?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to each memory
//!
//! | memory | |
//! |---|---|
//! | that a module defines | starts from its image; wasmi writes the data whose address is not known ahead of time. Several memories, 64-bit memories and those with custom page sizes included |
//! | that it imports | comes from the linker, and wasmi writes its data; or the adapter [provides](MemoryImports::Provide) it, from an image |
//!
//! Memories are wasmi's own: they count towards its limits, grow as usual, and are freed with
//! their store. In the compiled module, the memories that it defines are imports; its exports
//! are unchanged.
//!
//! # What wasmi does not allow
//!
//! wasmi zeroes the whole of each new memory, also one in a buffer of the host. So an image
//! cannot be mapped, and its runs are copied. There is nothing to reset either: a memory cannot
//! be taken out of its store. What remains is gained where a module has many segments.
//!
//! # Failed instantiations
//!
//! If an element segment traps, no data may have been written, since the memory can still be
//! observed through an imported table. So a module whose element segments may trap has no
//! images, and wasmi writes its data: these have an offset or a table that is imported.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;

mod error;
mod options;
mod prepare;
mod prepared;

pub use wasm_meminit_analysis as analysis;
pub use wasm_meminit_apply as apply;
pub use wasm_meminit_image_builder as image_builder;
pub use wasmi;

// What a host needs to name in order to use this crate.
#[doc(no_inline)]
pub use wasm_meminit_analysis::Policy;

pub use crate::error::{InstantiateError, PrepareError};
pub use crate::options::{MemoryImports, Options};
pub use crate::prepared::{InstancePre, Prepared, ProvidedMemories};
