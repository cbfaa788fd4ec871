//! Builds the initial contents of WebAssembly linear memories, ahead of time.
//!
//! A [`ModuleImage`] is built from a module and a [`Plan`](wasm_meminit_analysis::Plan). It
//! consists of an [`Image`] of page-aligned runs for each memory, and the segments that must
//! still be replayed. Its encoded form is an *artifact*: a file that can be mapped, and that
//! is validated when it is loaded, either the header alone or as a whole. The artifact lists
//! its assumptions about the host ([`Artifact::assumptions`]).
//!
//! ```
//! use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy, Run};
//! use wasm_meminit_image_builder::{Artifact, ModuleImage};
//!
//! let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 4096) "hello"))"#)?;
//! let module = Module::parse(&wasm)?;
//! let plan = Plan::new(&module, &Policy::default());
//! let bytes = ModuleImage::build(&module, &plan)?.encode()?; // to be written to a file
//! let artifact = Artifact::decode(&bytes)?;
//! let image = artifact.image(MemoryIndex::from_u32(0)).expect("one memory");
//! assert_eq!(image.layout(), [Run { addr: 4096, len: 4096 }]); // bytes: one host page
//! # assert_eq!(image.runs().next().unwrap().data[..5], *b"hello");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # The guide
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/README.md)
//! explains the whole project; [The artifact, byte by byte][page] is
//! the page about this crate.
//!
//! [page]: https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/artifact.md
//!
//! # What this crate does not do
//!
//! * It maps no memory, opens no file and calls no OS: see `wasm-meminit-apply`.
//! * It does not decide what is baked: the plan does.
//! * Its checksums detect damage, not forgery: trust an artifact only as far as its source.
//!
//! # Crate features
//!
//! * **`std`** (default): links the standard library, and computes checksums with CPU
//!   instructions where available. Without it, the crate is `no_std` and requires `alloc`.
//! * **`rewrite`**: rewrites modules with their segments stripped or packed, or with their
//!   memories imported. Adds a wasm parser and an encoder.
//! * **`verify`**: compares an artifact with its module, byte by byte.

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

mod artifact;
mod image;
mod length;
#[cfg(feature = "rewrite")]
pub mod rewrite;
#[cfg(feature = "verify")]
pub mod verify;

pub use wasm_meminit_analysis as analysis;

pub use crate::artifact::bundle::{
    BUNDLE_MAGIC, BUNDLE_VERSION, Bundle, BundleError, BundleHead, MAX_BUNDLED,
};
pub use crate::artifact::encode::EncodedArtifact;
pub use crate::artifact::error::{DecodeError, EncodeError, Part};
pub use crate::artifact::file::{Artifact, ModuleRole};
pub use crate::artifact::head::{ArtifactHead, ArtifactMemory};
pub use crate::artifact::preamble::{FORMAT_VERSION, MAGIC};
pub use crate::image::baked_start::BakedStart;
pub use crate::image::error::BuildError;
pub use crate::image::memory::{Image, ImageRef};
pub use crate::image::module::{ModuleImage, try_static_init};
pub use crate::image::provenance::{SourceHash, Tool};

/// Compiles and runs the README's example.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
