//! Starts the linear memories of [wasmer]'s instances from images, and resets them.
//!
//! wasmer copies a module's data into new memory for each instance, and unmaps that memory
//! afterwards. With this crate, the data of a module becomes an image once; an instance maps it
//! copy-on-write, and its memory returns to a pool, which restores only the pages that were
//! written. One engine serves any number of modules.
//!
//! ```
//! use core::num::NonZeroUsize;
//! use wasm_meminit_wasmer::{Memories, MemoriesConfig, Options, Prepared};
//! use wasmer::sys::engine::default_engine;
//! use wasmer::{Imports, Store};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # let wasm = wat::parse_str(
//! #     r#"(module
//! #          (memory (export "memory") 1)
//! #          (data (i32.const 8) "\2a")
//! #          (func (export "run") (result i32) (i32.load8_u (i32.const 8))))"#,
//! # )?;
//! // Once: at most 100 memories in use at a time.
//! let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::new(100).expect("not 0")));
//! let engine = memories.engine(default_engine())?;
//! // Once for each module.
//! let prepared = Prepared::new(&engine, &wasm, &Options::new())?;
//! let imports = Imports::new();
//! // Once for each request.
//! let mut store = Store::new(&engine);
//! let instance = prepared.instantiate(&mut store, &imports)?;
//! let run = instance.exports.get_typed_function::<(), i32>(&store, "run")?;
//! assert_eq!(run.call(&mut store)?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/engines/wasmer.md)
//! has a page about this package.
//!
//! # What happens to each memory
//!
//! | memory | |
//! |---|---|
//! | that a [prepared](Prepared) module defines | starts from its image; wasmer writes the data whose address is not known ahead of time. Several memories included |
//! | that it imports | comes from the imports, and wasmer writes its data; or becomes [the module's own](MemoryImports::Provide), and an export |
//! | of an instance that is not prepared | zeroed, from the pool; wasmer writes its data |
//! | `Memory::new` | zeroed, from the pool |
//! | shared | wasmer's own, and does not count; wasmer writes all data of a module that defines one |
//! | 64-bit, or with custom page sizes | the module is refused: [`PrepareError::Unsupported`]. wasmer does not implement these, and panics on 64-bit ones |
//!
//! Modules without memories can be prepared too. A memory returns to the pool when its store is
//! dropped. It is reset before it is used again, by any thread, however its instance ended.
//! It grows in place, up to its own maximum. What it grew to stays resident for the next one.
//! `Memory::reset` returns an error: in wasmer, it sets the size to zero, but keeps the contents.
//!
//! # Bounds
//!
//! Code that wasmer compiles for [`MemoryStyle::Static`](wasmer::MemoryStyle::Static) checks no
//! bounds: it relies on 4 GiB that belong to the memory, and a little more than that after it,
//! all inaccessible except the memory itself. The slots of the pool always have both, which
//! cannot be configured, and all modules of the engine are compiled in this style. Instances of
//! code that was compiled in another style, by another engine, are refused.
//!
//! # Platforms
//!
//! Linux and other Unix. Where memories cannot be mapped, such as on Windows, there are no guards:
//! [`Memories::engine`] returns [`MemoryError::NoGuards`].
//!
//! # Failed instantiations
//!
//! The contents of memories are those that the specification requires, since they can still be
//! observed through an imported table: if an element segment traps, no data segment was applied;
//! if a data segment traps, the earlier ones were. A module whose element segments may trap has
//! no images: wasmer writes its data. These modules are rare: their element segments have offsets
//! or tables that are imported. As with wasmer itself, what was created until the failure stays in
//! the store.
//!
//! If all memories are in use, the instantiation fails with a [`MemoryError`], and can be
//! repeated later. See also [`MemoriesConfig::with_wait`].
//!
//! # How memories find their images
//!
//! wasmer does not tell its tunables which module a memory is for. So
//! [`Prepared::instantiate`] records it, for its own thread and the duration of the call. wasmer
//! creates all memories of the module before anything else happens; modules that host functions
//! instantiate while a start function runs are not affected. Each memory's type is compared, and
//! after the call, the number of memories.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;

mod config;
mod configure;
mod contract;
mod engine;
mod error;
mod frame;
mod list;
mod memories;
mod options;
mod pool;
mod prepare;
mod prepared;
mod started;

pub use wasm_meminit_analysis as analysis;
pub use wasm_meminit_apply as apply;
pub use wasm_meminit_image_builder as image_builder;
pub use wasmer;

// What a host needs to name in order to use this crate.
#[doc(no_inline)]
pub use wasm_meminit_analysis::Policy;
#[doc(no_inline)]
pub use wasm_meminit_apply::{AcquireError, PoolStats, PreparedMemory, SlotError, Strategy};

pub use crate::config::MemoriesConfig;
pub use crate::engine::Engine;
pub use crate::error::{InstantiateError, MemoryError, PrepareError, Unsupported};
pub use crate::memories::Memories;
pub use crate::options::{MemoryImports, Options};
pub use crate::prepared::Prepared;
