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
        let built = Built::new(wasm, options)?;
        let component = Component::new(engine, &built.stripped).map_err(PrepareError::Compile)?;
        Ok(Self::from_parts(engine, component, &built.order())?)
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
        let built = Built::new(wasm, options)?;
        let code = engine.precompile_component(&built.stripped);
        let code = &code.map_err(PrepareError::Compile)?;
        let file = ComponentFile {
            code,
            ..built.order()
        };
        Ok(file.encode())
    }
}

/// What is built from a component.
struct Built {
    /// The component without the data that is in the artifacts of its core modules.
    stripped: Vec<u8>,
    modules: Vec<Parts>,
    /// Which of its core modules it instantiates, in order.
    instantiated: Vec<usize>,
    /// How many of these are created before any start function can have called the host.
    n_before_code: usize,
}

impl Built {
    fn new(wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let none = options.policy().with_max_image_size(0);
        let none = options.with_policy(none);
        let (stripped, modules) = strip(wasm, |_| options)?;
        let instantiated = instantiated(&stripped)?;
        // From the first start function on, the host may instantiate other modules, whose memories
        // cannot be told from those of the component. So these have no images.
        let starts = |module: &usize| modules.get(*module).is_some_and(|it| it.has_start);
        let first = instantiated.iter().position(starts);
        let n_before_code = first.map_or(instantiated.len(), |first| first + 1);
        let later = &instantiated[n_before_code..];
        let (stripped, modules) = match later.is_empty() {
            true => (stripped, modules),
            false => strip(wasm, |nth| match later.contains(&nth) {
                true => &none,
                false => options,
            })?,
        };
        Ok(Self {
            stripped,
            modules,
            instantiated,
            n_before_code,
        })
    }

    /// Returns the images, and the order in which they are used.
    fn order(&self) -> ComponentFile<'_> {
        ComponentFile {
            code: &[],
            artifacts: self.modules.iter().map(|it| &*it.artifact).collect(),
            instantiated: self.instantiated.clone(),
            n_before_code: self.n_before_code,
        }
    }
}

/// Returns the component without the data that is in the artifacts of its core modules, and
/// what is built from these, each with its options.
fn strip<'a>(
    wasm: &[u8],
    options: impl Fn(usize) -> &'a Options,
) -> Result<(Vec<u8>, Vec<Parts>), PrepareError> {
    let mut modules = Vec::new();
    let stripped = map_modules(wasm, &mut |module| {
        let options = options(modules.len()).with_memory_imports(MemoryImports::Link);
        let mut parts = Parts::build(module, &options, false)?;
        let stripped = core::mem::take(&mut parts.stripped);
        modules.push(parts);
        Ok::<_, PrepareError>(stripped)
    })?;
    Ok((stripped, modules))
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
