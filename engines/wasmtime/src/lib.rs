//! Starts the linear memories of [wasmtime]'s instances from images, and resets them.
//!
//! wasmtime maps new memory for each instance, with an image of the data where that is static by
//! its rule, and copies the data elsewhere; its pooling allocator reuses memory. With this crate,
//! the data of any module becomes an image once; an instance maps it copy-on-write, and its memory
//! returns to a pool, which restores only the pages that were written. One engine serves any number
//! of modules.
//!
//! ```
//! use core::num::NonZeroUsize;
//! use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, Prepared};
//! use wasmtime::{Config, Linker, Store};
//!
//! # fn main() -> wasmtime::Result<()> {
//! # let wasm = wat::parse_str(
//! #     r#"(module
//! #          (memory (export "memory") 1)
//! #          (data (i32.const 8) "\2a")
//! #          (func (export "run") (result i32) (i32.load8_u (i32.const 8))))"#,
//! # )?;
//! // Once: at most 100 memories in use at a time.
//! let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::new(100).expect("not 0")));
//! let engine = memories.engine(&mut Config::new())?;
//! // Once for each module.
//! let prepared = Prepared::new(&engine, &wasm, &Options::new())?;
//! let linker = Linker::new(&engine);
//! // Once for each request.
//! let mut store = Store::new(&engine, ());
//! let instance = prepared.instantiate(&mut store, &linker)?;
//! let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
//! assert_eq!(run.call(&mut store, ())?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/engines/wasmtime.md)
//! has a page about this package.
//!
//! # What happens to each memory
//!
//! | memory | |
//! |---|---|
//! | that a [prepared](Prepared) module defines | starts from its image; wasmtime writes the data whose address is not known ahead of time. Several memories, 64-bit memories, shared ones and those with custom page sizes included |
//! | that it imports | comes from the linker, and wasmtime writes its data; or becomes [the module's own](MemoryImports::Provide), and an export |
//! | of an instance that is not prepared | zeroed, from the pool; wasmtime writes its data |
//! | heap for garbage-collected objects | zeroed, from the pool |
//! | `Memory::new`, `SharedMemory::new` | wasmtime's own: it does not ask for these |
//!
//! Modules without memories can be prepared too. A memory returns to the pool when wasmtime drops
//! it, which it does with the store (or with the last handle of a shared memory), on any
//! thread. It is reset before it is used again, however its instance ended.
//!
//! # Platforms
//!
//! Linux and other Unix. Compiled code relies on guards, and on memories that never move; where
//! memories cannot be mapped, such as on Windows, [`Memories::engine`] returns
//! [`MemoryError::NoGuards`].
//!
//! # Failed instantiations
//!
//! The contents of memories are those that the specification requires, since they can still be
//! observed through an imported table: if an element segment traps, memories are zeroed, because
//! no data segment was applied; if a data segment traps, the earlier ones were applied. A module
//! whose start function could hide an element segment's trap has no images: wasmtime writes its
//! data. These modules are rare: their element segments have offsets or tables that are imported.
//!
//! If all memories are in use, the instantiation fails with a [`MemoryError`], and can be
//! repeated later. See also [`MemoriesConfig::with_wait`].
//!
//! # How memories find their images
//!
//! wasmtime does not tell the creator of memories which module a memory is for. So
//! [`Prepared::instantiate`] records it, for its own thread and the duration of the call, and
//! `instantiate_async` for the duration of each poll. Modules that host functions instantiate
//! meanwhile are not affected: in a component, core modules that are instantiated after a start
//! function has run have no images. Each memory's type is compared, and after the call, the number
//! of memories. One rule remains: a resource limiter or an epoch callback that itself instantiates
//! modules (in another store) must do so in [`Memories::zeroed`], or prepare them.
//!
//! # Ahead of time
//!
//! [`Prepared::precompile`] returns compiled code and images in one file, which
//! [`Prepared::deserialize`] loads without parsing or compiling anything. `PreparedComponent` has
//! the same two functions.
//!
//! # Crate features
//!
//! * **`compile`** (default): prepares modules from wasm, with cranelift. A program that only
//!   deserialises does without.
//! * **`async`**: [`Prepared`]`::instantiate_async`.
//! * **`component-model`**: `PreparedComponent`; includes `compile`.
//!
//! Features of wasmtime, such as garbage collection and threads, are enabled by depending on it.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;

#[cfg(feature = "component-model")]
mod component;
#[cfg(feature = "component-model")]
mod component_file;
mod config;
mod configure;
mod contract;
mod engine;
mod envelope;
mod error;
mod file;
mod frame;
mod list;
mod memories;
mod options;
mod pool;
#[cfg(feature = "compile")]
mod prepare;
#[cfg(feature = "component-model")]
mod prepare_component;
mod prepared;
mod started;

pub use wasm_meminit_analysis as analysis;
pub use wasm_meminit_apply as apply;
pub use wasm_meminit_image_builder as image_builder;
pub use wasmtime;

// What a host needs to name in order to use this crate.
#[doc(no_inline)]
pub use wasm_meminit_analysis::Policy;
#[doc(no_inline)]
pub use wasm_meminit_apply::{AcquireError, PoolStats, PreparedMemory, SlotError, Strategy};

#[cfg(feature = "component-model")]
pub use crate::component::{ComponentInstancePre, PreparedComponent};
pub use crate::config::MemoriesConfig;
pub use crate::engine::Engine;
pub use crate::error::{EngineMismatch, LoadError, MemoryError};
pub use crate::memories::Memories;
pub use crate::options::{MemoryImports, Options};
#[cfg(feature = "compile")]
pub use crate::prepare::PrepareError;
pub use crate::prepared::{InstancePre, Prepared};
