//! Rewrites modules: the same program with different data segments or imports.
//!
//! Everything else is unchanged, byte for byte, and keeps its offset where possible:
//! sections are copied verbatim, and indices in function bodies are replaced in place, so
//! that source maps and debug information remain valid.
//!
//! | function | change | for |
//! |---|---|---|
//! | [`strip`] | baked segments become empty | engines that start from an image |
//! | [`strip_renumbered`] | baked segments are removed | the same |
//! | [`externalize`] | defined memories become imports | hosts that own the memory |
//! | [`internalize`] | imported memories become the module's own | engines that create the memory |
//! | [`pack`] | the best list of active segments | all engines, unmodified |
//! | [`pack_memory`] | a captured memory becomes the initial contents | snapshot tools |
//!
//! Each function takes a [`Module`](wasm_meminit_analysis::Module) that was parsed from bytes
//! and returns new bytes, so they can be chained. [`map_modules`] applies them to the core
//! modules of a component.
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
mod internalize;
mod join;
mod limit;
mod names;
mod optimum;
mod options;
mod original;
mod pack;
mod packed;
mod section;
mod snapshot;
mod span;
mod start;
mod strip;
#[cfg(test)]
mod tests;

pub use self::component::map_modules;
pub use self::error::RewriteError;
pub use self::externalize::{DEFAULT_IMPORT_MODULE, externalize};
pub use self::internalize::internalize;
pub use self::options::{PackFor, PackOptions};
pub use self::pack::pack;
pub use self::packed::{DataSize, Packed};
pub use self::snapshot::pack_memory;
pub use self::strip::{strip, strip_renumbered};
