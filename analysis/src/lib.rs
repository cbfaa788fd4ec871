//! Determines which bytes a WebAssembly module writes into its linear memories before it
//! runs.
//!
//! An engine replays a module's *active data segments* at every instantiation.
//! [`Module::parse`] reads them once, without instantiating anything. A [`Plan`] states,
//! for each linear memory, which bytes are known ahead of time (its [`Extent`] and
//! [`Run`]s) and, for every segment that must be replayed, the [`Reason`].
//!
#![cfg_attr(feature = "parse", doc = "```")]
#![cfg_attr(not(feature = "parse"), doc = "```ignore")]
//! use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy, Run};
//!
//! let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 4096) "hello"))"#)?;
//! let module = Module::parse(&wasm)?;
//! let plan = Plan::new(&module, &Policy::default());
//!
//! let memory = &plan.memories()[MemoryIndex::from_u32(0)];
//! assert_eq!(memory.runs(), [Run { addr: 4096, len: 4096 }]); // bytes: one host page
//! assert!(plan.reasons().is_empty()); // nothing is left to replay
//! # assert_eq!(memory.extent().unwrap().addresses(), 4096..4101);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # The guide
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/README.md)
//! explains the whole project; [Why is my module not static?][page] is
//! the page about this crate.
//!
//! [page]: https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/not-static.md
//!
//! # What this crate does not do
//!
//! * It builds no image: see `wasm-meminit-image-builder`.
//! * It maps no memory and calls no OS: see `wasm-meminit-apply`.
//! * It does not validate function bodies, types or exports: the engine does.
//!
//! # Crate features
//!
//! * **`parse`** (default): parses binary modules with wasmparser. Without it, build a
//!   [`Module`] with [`ModuleBuilder`].
//! * **`serde`**: plans, initialisations and reasons implement `Serialize` and `Deserialize`.
//!   Deserialised values are checked, and borrow their bytes where the format allows it.
//! * **`std`** (default): links the standard library. Without it, the crate is `no_std`
//!   and requires `alloc`. The API is the same either way.

#![no_std]
#![forbid(unsafe_code)]
// No input may make this crate panic, so operations that can panic are denied.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod address;
mod decide;
mod expr;
mod index;
mod initialization;
pub mod limits;
mod memory_type;
mod page;
mod read;
mod reader;
#[cfg(feature = "serde")]
mod serialized;
mod start;
mod tagged;

pub use cranelift_entity as entity;
#[cfg(feature = "parse")]
pub use wasmparser;

pub use crate::decide::assumption::Assumption;
pub use crate::decide::extent::Extent;
pub use crate::decide::plan::{Decision, MemoryPlan, Plan};
pub use crate::decide::policy::Policy;
pub use crate::decide::reason::{Reason, SegmentReason};
pub use crate::decide::runs::Run;
pub use crate::expr::const_expr::EvalError;
pub use crate::expr::offset_expr::{ExprBytes, OffsetExpr};
pub use crate::expr::value::{Value, ValueType};
pub use crate::index::{
    DataIndex, DefinedMemoryIndex, FuncIndex, GlobalIndex, MemoryIndex, NotAnIndex,
};
pub use crate::initialization::{
    InitError, InitErrorKind, InitMemory, MemoryInitialization, MemoryInitializer, SizeOverflow,
    StaticMemoryInitializer,
};
pub use crate::memory_type::{IndexType, MemoryType, WasmPageSize};
pub use crate::page::{HostPageSize, NotAPageSize};
pub use crate::read::builder::ModuleBuilder;
pub use crate::read::error::{Limited, ParseError, ParseErrorKind};
pub use crate::read::inline::ResolvedOffset;
pub use crate::read::items::{Global, ImportName, Memory, Segment, SegmentMode};
pub use crate::read::module::Module;
pub use crate::read::supplied::{GlobalError, MemorySizeError};
pub use crate::start::{ReachedBy, StartFunction, StartInit, StartReason, ThreadLocal};

/// Compiles and runs the README's example.
#[cfg(all(doctest, feature = "parse", feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
