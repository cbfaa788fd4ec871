//! A module rewritten: the same program, with other data segments or other imports.
//!
//! Whatever is not named here stays as it is, byte for byte and at its offset where
//! that can be: sections are copied raw, and indices in function bodies are replaced
//! in place, so that source maps and debug information stay right.
//!
//! | function | what changes | for |
//! |---|---|---|
//! | [`strip`] | what a plan bakes is emptied | engines that start from our image |
//! | [`strip_renumbered`] | and left out | the same |
//! | [`externalize`] | defined memories become imports | hosts that own the memory |
//! | [`pack`] | the best list of active segments | every engine, unchanged |
//! | [`pack_memory`] | a captured memory becomes the module's own | snapshot tools |
//!
//! Each takes a [`Module`](wasm_meminit_analysis::Module) that was read from bytes and
//! gives new bytes, so they can follow one another. [`map_modules`] does the same to
//! the core modules inside a component.
//!
//! ```
//! use wasm_meminit_analysis::{Module, Plan, Policy};
//! use wasm_meminit_image_builder::rewrite::{DEFAULT_IMPORT_MODULE, externalize, strip};
//!
//! let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "hello"))"#)?;
//! let module = Module::parse(&wasm)?;
//! let plan = Plan::new(&module, &Policy::default());
//! let stripped = strip(&module, &plan)?;
//!
//! let module = Module::parse(&stripped)?;
//! let wasm = externalize(&module, DEFAULT_IMPORT_MODULE, &|nth| format!("memory{}", nth.as_u32()))?;
//! let module = Module::parse(&wasm)?;
//! let memory = module.memories().values().next().expect("one memory");
//! assert_eq!(memory.import.expect("imported").name, "memory0");
//! assert!(module.segments().values().all(|it| it.data.is_empty()));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod assemble;
mod choose;
mod code;
mod component;
mod cover;
mod data;
mod deflate;
mod error;
mod externalize;
mod join;
mod names;
mod options;
mod original;
mod pack;
mod section;
mod snapshot;
mod start;
mod strip;

pub use self::component::map_modules;
pub use self::error::RewriteError;
pub use self::externalize::{DEFAULT_IMPORT_MODULE, externalize};
pub use self::options::{PackFor, PackOptions};
pub use self::pack::{DataSize, Packed, pack};
pub use self::snapshot::pack_memory;
pub use self::strip::{strip, strip_renumbered};
