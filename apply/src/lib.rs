//! Initialises the linear memories of WebAssembly modules at run time, and resets them.
//!
//! ```
//! # use wasm_meminit_analysis::{Module, Plan, Policy};
//! # use wasm_meminit_image_builder::ModuleImage;
//! # // Ahead of time, perhaps on another machine. Only the host knows the second address.
//! # let wasm = wat::parse_str(
//! #     r#"(module
//! #          (import "env" "base" (global $base i32))
//! #          (memory 1)
//! #          (data (i32.const 0x1000) "baked")
//! #          (data (global.get $base) "replayed"))"#,
//! # )?;
//! # let module = Module::parse(&wasm)?;
//! # let plan = Plan::new(&module, &Policy::default());
//! # let artifact = ModuleImage::build(&module, &plan)?.encode()?;
//! use wasm_meminit_apply::{Artifact, MemorySlot, PreparedModule, SlotConfig, Value};
//!
//! let module = PreparedModule::new(&Artifact::decode(&artifact)?)?; // once for each module
//! let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
//! for _ in 0..3 {
//!     // Once for each instance: maps the image, then replays what could not be baked.
//!     module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(0x100)))?;
//!     assert_eq!(slot.as_slice()[0x100..0x108], *b"replayed");
//! #     assert_eq!(slot.as_slice()[0x1000..0x1005], *b"baked");
//! #     assert!(slot.as_slice()[..0x100].iter().all(|byte| *byte == 0));
//! #     slot.as_mut_slice()[..0x1002].fill(1);
//!     slot.reset()?; // the next instance sees nothing of what this one wrote
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! A [`PreparedModule`] is made once for each module, from the artifact that
//! `wasm-meminit-image-builder` wrote. For each instance,
//! [`instantiate`](PreparedModule::instantiate) initialises all memories of the module:
//! it maps each [`MemoryImage`] copy-on-write into a [`MemorySlot`], so that a start
//! costs a few system calls and a page of memory only where the program writes, and
//! replays the data segments that could not be baked. Its last argument returns the
//! values of the globals that the addresses of those segments refer to.
//!
//! The parts also work on their own: [`replay`] replays data segments,
//! [`copy_into_zeroed`] copies an image into a slice, and [`MemorySlot::instantiate`]
//! starts one memory from one image.
//!
//! [`MemorySlot::reset`] resets a slot by the cheapest [`Strategy`]: by default it finds
//! the pages that were written and copies their initial contents over them.
//! [`reset_many`] resets many slots in few system calls. A [`SlotPool`] shares slots
//! between threads and resets them when they are returned. A [`WorkingSet`] saves a fresh
//! slot the page faults of its first use. [`Capabilities`] reports what the system supports
//! and which fallback is used.
//!
//! # A slot's address space
//!
//! ```text
//!             as_ptr()                      size        limit
//!                 │                           │            │
//!  ┌ guard before ┼─── image ───┬─── zero ────┼─ no access ┼─ guard after ─┐
//!  │  no access   │ read, write │ read, write │            │   no access   │
//!  └──────────────┼─────────────┼─────────────┼────────────┼───────────────┘
//!                 │   private   │  anonymous  │
//!                 │ mapping of  │   memory    │  `grow` opens it; a smaller
//!                 │  a memory   │             │  next memory closes it again
//!                 │    file     │             │
//! ```
//!
//! # The guide
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/README.md)
//! explains the whole project; [Choosing a reset strategy][page] is
//! the page about this crate.
//!
//! [page]: https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/reset-strategy.md
//!
//! # What this crate does not do
//!
//! * It does not parse wasm: it takes what `wasm-meminit-image-builder` built.
//! * It does not handle faults: an access outside a memory raises the host's signal, and
//!   the engine turns that into a trap.
//!
//! # Crate features
//!
//! * **`std`** (default): links the standard library and uses the operating system's
//!   mappings. Without it the crate needs only `alloc`, and images are copied.
//! * `fault-injection`, `test-portable`, `test-unix`: for this project's own tests, without
//!   any guarantee of stability.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod bytes;
mod capabilities;
mod copy;
mod error;
mod fault;
mod host_page;
mod image;
mod os;
#[cfg(feature = "std")]
mod pool;
mod prepared;
mod replay;
mod slot;
mod sys;

/// For this project's own tests: no stability guarantees.
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub mod testing {
    pub use crate::fault::{Plan, n_calls, set};
}

pub use wasm_meminit_image_builder as image_builder;
// What a host needs to name in order to use this crate, so that it need not depend on the
// crates in which these are defined.
#[doc(no_inline)]
pub use wasm_meminit_image_builder::analysis::{
    Assumption, DataIndex, EvalError, GlobalIndex, IndexType, InitError, InitErrorKind, InitMemory,
    MemoryIndex, MemoryInitialization, MemoryType, OffsetExpr, SizeOverflow, StartFunction,
    StaticMemoryInitializer, Value,
};
#[doc(no_inline)]
pub use wasm_meminit_image_builder::{Artifact, BakedStart, DecodeError, ImageRef};

pub use crate::capabilities::Capabilities;
pub use crate::copy::{copy_into_zeroed, copy_over};
pub use crate::error::{ImageError, MemoryTooSmall, SlotError};
pub use crate::image::{ImageSource, MemoryImage};
pub use crate::os::{Call, OsError, Support};
#[cfg(feature = "std")]
pub use crate::pool::{AcquireError, PoolConfig, PoolStats, PooledSlot, ResetOn, SlotPool};
pub use crate::prepared::{
    Host, HostHas, InstanceMemory, InstantiateError, PrepareError, PreparedMemory, PreparedModule,
};
pub use crate::replay::replay;
pub use crate::slot::{
    BatchReport, MemorySlot, ResetReport, SlotConfig, Strategy, WorkingSet, reset_many,
};
