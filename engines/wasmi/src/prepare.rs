//! Prepares modules: makes their memories their own, and packs their data into few segments.

use alloc::borrow::Cow;

use wasm_meminit_analysis::Module;
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, Packed, internalize, pack};

use crate::error::PrepareError;
use crate::options::{MemoryImports, Options};

/// Packs a module's data for the fastest start.
pub(crate) fn prepare(wasm: &[u8], options: &Options) -> Result<Packed, PrepareError> {
    let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
    let wasm = match options.memory_imports() {
        MemoryImports::Link => Cow::Borrowed(wasm),
        MemoryImports::Provide => Cow::Owned(internalize(&module).map_err(PrepareError::Rewrite)?),
    };
    let module = Module::parse(&wasm).map_err(PrepareError::Parse)?;
    let options = PackOptions::default().with_objective(PackFor::Start);
    pack(&module, &options).map_err(PrepareError::Rewrite)
}
