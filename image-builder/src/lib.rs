//! Builds the initial contents of WebAssembly linear memories, once, ahead of time.
//!
//! From a module and a [`Plan`](wasm_meminit_analysis::Plan) comes a
//! [`ModuleImage`]: for each memory an [`Image`] of page-aligned runs, and the
//! list of segments that must still be replayed. Encoded, it is an *artifact*: a
//! file that is checked when it is read, as a whole or its header alone, and that can be
//! mapped. It says what it takes for granted about the host ([`Artifact::assumptions`]).
//!
//! ```
//! use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
//! use wasm_meminit_image_builder::{Artifact, ModuleImage};
//!
//! let wasm = wat::parse_str(
//!     r#"(module
//!          (memory 1)
//!          (data (i32.const 4096) "hello"))"#,
//! )?;
//! let module = Module::parse(&wasm)?;
//! let plan = Plan::new(&module, &Policy::default());
//! let bytes = ModuleImage::build(&module, &plan)?.encode()?;
//!
//! let artifact = Artifact::decode(&bytes)?;
//! let image = artifact.image(MemoryIndex::from_u32(0)).expect("one memory");
//! let run = image.runs().next().expect("one run");
//! assert_eq!(run.offset, 4096);
//! assert_eq!(run.data[..5], *b"hello");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What this crate does not do
//!
//! * It maps no memory, opens no file and calls no OS: see `wasm-meminit-apply`.
//! * It decides nothing about what may be baked: that is the plan.
//! * Its checksums find damage, not forgery: an artifact is as trusted as its source.
//!
//! # Crate features
//!
//! * **`std`** (default): links the standard library; checksums then use what the
//!   processor offers. Without it the crate is `no_std` and needs `alloc`.
//! * **`rewrite`**: the same module with its segments emptied or packed, or with its
//!   memories imported; brings a parser of modules.

#![no_std]
#![forbid(unsafe_code)]
// No input may make this crate panic, so what can panic does not compile.
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

mod artifact;
mod blocks;
mod build;
mod capture;
mod decode;
mod encode;
mod error;
mod image;
mod provenance;
#[cfg(feature = "rewrite")]
pub mod rewrite;
mod splice;
mod start;
mod wire;

pub use wasm_meminit_analysis as analysis;

pub use crate::artifact::{Artifact, FORMAT_VERSION, MAGIC};
pub use crate::build::{ModuleImage, SourceHash, try_static_init};
pub use crate::decode::{ArtifactHead, ArtifactMemory};
pub use crate::encode::EncodedArtifact;
pub use crate::error::{BuildError, DecodeError, EncodeError, Part};
pub use crate::image::{Image, ImageRef};
pub use crate::provenance::{ModuleRole, Tool};
pub use crate::start::BakedStart;
