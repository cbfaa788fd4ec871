//! Verifies that an artifact initialises a module's memories exactly as replaying the module
//! does, at every moment at which a program could observe a difference.
//!
//! [`verify`] compares three moments, with a naive model that shares no code with the builder.
//! The first is the image alone: a program observes it if a replayed segment traps, so it must
//! hold what may be baked and nothing else. The second is after the replay of all segments.
//! The third, if the image replaces the work of a start function, is after that function has
//! returned. What only the host knows, such as a segment at an unknown address, must be in
//! the replay list exactly as in the module, and then has the same effect on both sides.
//!
//! The result is the first difference, as data: a [`Finding`].
//!
//! ```
//! use wasm_meminit_analysis::{Module, Plan, Policy};
//! use wasm_meminit_image_builder::verify::{Finding, verify};
//! use wasm_meminit_image_builder::{Artifact, ModuleImage, SourceHash};
//!
//! let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "hello"))"#)?;
//! let other = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "jello"))"#)?;
//! let module = Module::parse(&wasm)?;
//! let plan = Plan::new(&module, &Policy::default());
//! let bytes = ModuleImage::build(&module, &plan)?.encode()?;
//! let artifact = Artifact::decode(&bytes)?;
//!
//! let hash = SourceHash([0; 32]); // of the module; not compared if the artifact has none
//! assert_eq!(verify(module, hash, &artifact)?.data_bytes, 5);
//! let found = verify(Module::parse(&other)?, hash, &artifact);
//! assert!(matches!(found, Err(Finding::Byte { byte, .. }) if byte.addr == 8));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod assume;
mod compare;
mod finding;
mod head;
#[cfg(all(test, feature = "std"))]
mod independence;
mod overlay;
mod sides;
mod start;
mod stripped;
mod verified;

pub use self::compare::verify;
pub use self::finding::{ByteDifference, Finding, HostFact, Moment, MustReplay, StartDifference};
pub use self::stripped::verify_stripped;
pub use self::verified::Verified;
