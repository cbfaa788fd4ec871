//! Prepares components.

use alloc::sync::Arc;

use wasm_meminit_apply::{PreparedMemory, PreparedModule};
use wasm_meminit_image_builder::Artifact;
use wasm_meminit_image_builder::rewrite::map_modules;
use wasmtime_environ::component::{
    ComponentTypesBuilder, GlobalInitializer, InstantiateModule, Translator,
};
use wasmtime_environ::wasmparser::{Validator, WasmFeatures};
use wasmtime_environ::{ScopeVec, Tunables};

use crate::component::PreparedComponent;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::list::{AfterLast, MemoryList, check_sizes};
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
        let options = options.with_memory_imports(MemoryImports::Link);
        let mut modules = Vec::new();
        let stripped = map_modules(wasm, &mut |module| {
            let parts = Parts::build(module, &options, false)?;
            modules.push(memories(&parts, engine)?);
            Ok::<_, PrepareError>(parts.stripped)
        })?;
        let component = wasmtime::component::Component::new(engine, &stripped);
        let component = component.map_err(PrepareError::Compile)?;
        let mut all = Vec::new();
        for module in instantiated(&stripped)? {
            let memories = modules.get(module).ok_or(LoadError::Inconsistent)?;
            all.extend_from_slice(memories);
        }
        let pool = Arc::clone(&engine.memories().pool);
        // Start functions of core modules may call host functions.
        let list = MemoryList::new(pool, all, AfterLast::Zeroed);
        Ok(Self::from_parts(engine, component, list))
    }
}

/// Returns the memories that a core module defines.
fn memories(parts: &Parts, engine: &Engine) -> Result<Vec<PreparedMemory>, LoadError> {
    let artifact = Artifact::decode(&parts.artifact).map_err(LoadError::Artifact)?;
    let prepared = PreparedModule::new(&artifact).map_err(LoadError::Images)?;
    check_sizes(prepared.memories(), &engine.memories().pool)?;
    let memories = prepared.memories().iter();
    Ok(memories.filter(|it| !it.is_imported()).cloned().collect())
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
