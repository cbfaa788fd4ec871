//! Prepares components.

use wasm_meminit_image_builder::rewrite::map_modules;
use wasmtime::component::Component;
use wasmtime_environ::component::{
    ComponentTypesBuilder, GlobalInitializer, InstantiateModule, Translator,
};
use wasmtime_environ::wasmparser::{Validator, WasmFeatures};
use wasmtime_environ::{ScopeVec, Tunables};

use crate::component::PreparedComponent;
use crate::component_file::ComponentFile;
use crate::engine::Engine;
use crate::options::{MemoryImports, Options};
use crate::prepare::{Parts, PrepareError};

impl PreparedComponent {
    /// Prepares a binary component: builds the images of its core modules, removes their data,
    /// and compiles it.
    ///
    /// [`MemoryImports::Provide`] has no effect: the memories that core modules import come from
    /// other core modules.
    ///
    /// # Errors
    ///
    /// [`PrepareError`]; [`PrepareError::ImportsModules`] for a component that imports core
    /// modules, since their memories are not known.
    pub fn new(engine: &Engine, wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let (stripped, artifacts) = strip(wasm, options)?;
        let component = Component::new(engine, &stripped).map_err(PrepareError::Compile)?;
        let instantiated = instantiated(&stripped)?;
        let artifacts = artifacts.iter().map(Vec::as_slice);
        let prepared = Self::from_parts(engine, component, artifacts, &instantiated);
        Ok(prepared?)
    }

    /// Prepares a binary component, and returns it as bytes for
    /// [`deserialize`](Self::deserialize): compiled code and images in one file.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn precompile(
        engine: &Engine,
        wasm: &[u8],
        options: &Options,
    ) -> Result<Vec<u8>, PrepareError> {
        let (stripped, artifacts) = strip(wasm, options)?;
        let code = engine.precompile_component(&stripped);
        let file = ComponentFile {
            code: &code.map_err(PrepareError::Compile)?,
            artifacts: artifacts.iter().map(Vec::as_slice).collect(),
            instantiated: instantiated(&stripped)?,
        };
        Ok(file.encode())
    }
}

/// Returns the component without the data that is in the artifacts of its core modules, and
/// these.
fn strip(wasm: &[u8], options: &Options) -> Result<(Vec<u8>, Vec<Vec<u8>>), PrepareError> {
    let options = options.with_memory_imports(MemoryImports::Link);
    let mut artifacts = Vec::new();
    let stripped = map_modules(wasm, &mut |module| {
        let parts = Parts::build(module, &options, false)?;
        artifacts.push(parts.artifact);
        Ok::<_, PrepareError>(parts.stripped)
    })?;
    Ok((stripped, artifacts))
}

/// Returns which of its core modules a component instantiates, in order. They are numbered by
/// their positions in the file.
///
/// The order is wasmtime's own: its translation resolves nested components and aliases.
fn instantiated(wasm: &[u8]) -> Result<Vec<usize>, PrepareError> {
    let tunables = Tunables::default_host();
    // What the engine supports was checked when it compiled the component.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut types = ComponentTypesBuilder::new(&validator);
    let scope = ScopeVec::new();
    let translator = Translator::new(&tunables, &mut validator, &mut types, &scope);
    let (translation, modules) = translator.translate(wasm).map_err(PrepareError::Compile)?;

    // Modules that wasmtime adds connect component instances; they are not part of the file, and
    // define no memories.
    let file = wasm.as_ptr_range();
    let mut offsets: Vec<_> = modules
        .values()
        .filter(|module| file.contains(&module.wasm.as_ptr()))
        .map(|module| module.wasm.as_ptr())
        .collect();
    offsets.sort_unstable();
    let mut order = Vec::new();
    for initializer in &translation.component.initializers {
        match initializer {
            GlobalInitializer::InstantiateModule(InstantiateModule::Static(module, _), _) => {
                order.extend(offsets.binary_search(&modules[*module].wasm.as_ptr()));
            }
            GlobalInitializer::InstantiateModule(InstantiateModule::Import(..), _) => {
                return Err(PrepareError::ImportsModules);
            }
            _ => {}
        }
    }
    Ok(order)
}
