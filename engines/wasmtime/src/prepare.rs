//! Prepares modules: analyses them, builds their images and compiles the rest.

use core::error::Error;
use core::fmt;
use std::collections::HashSet;

use wasm_meminit_analysis::{IndexType, Module, ParseError, ParseErrorKind, Plan, WasmPageSize};
use wasm_meminit_image_builder::rewrite::{RewriteError, strip_renumbered};
use wasm_meminit_image_builder::{BuildError, EncodeError, ModuleImage};

use crate::engine::Engine;
use crate::error::LoadError;
use crate::file::PreparedFile;
use crate::options::{MemoryImports, Options};
use crate::prepared::Prepared;

/// Why a module could not be prepared.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module is malformed.
    Parse(ParseError),
    /// An image is too large.
    Build(BuildError),
    /// The images cannot be encoded.
    Encode(EncodeError),
    /// The module's data cannot be removed.
    Rewrite(RewriteError),
    /// The module imports a memory twice, so it cannot be [provided](MemoryImports::Provide):
    /// both would have to be the same.
    DuplicateImport {
        /// The module that it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// The component imports core modules.
    ImportsModules,
    /// wasmtime rejected the module.
    Compile(wasmtime::Error),
    /// The images could not be made, or a memory is too large.
    Load(LoadError),
}

const USE_PREPARED_COMPONENT: &str =
    "\nhint: use `PreparedComponent`, of the feature `component-model`";
const CONVERT_TEXT: &str =
    "\nhint: the text format must be converted first, for instance by `wat::parse_str`";

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(err) => {
                err.fmt(f)?;
                match err.kind() {
                    ParseErrorKind::Component => f.write_str(USE_PREPARED_COMPONENT),
                    ParseErrorKind::Malformed if err.offset() == 0 => f.write_str(CONVERT_TEXT),
                    _ => Ok(()),
                }
            }
            Self::Build(err) => err.fmt(f),
            Self::Encode(err) => err.fmt(f),
            Self::Rewrite(err) => {
                err.fmt(f)?;
                match err {
                    RewriteError::Malformed { offset: 0 } => f.write_str(CONVERT_TEXT),
                    _ => Ok(()),
                }
            }
            Self::DuplicateImport { module, name } => {
                write!(f, "memory `{module}` `{name}` is imported twice")
            }
            Self::ImportsModules => f.write_str("the component imports core modules"),
            Self::Compile(err) => write!(f, "{err:#}"),
            Self::Load(err) => err.fmt(f),
        }
    }
}

impl Error for PrepareError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Parse(err) => err.source(),
            Self::Build(err) => err.source(),
            Self::Encode(err) => err.source(),
            Self::Rewrite(err) => err.source(),
            Self::Load(err) => err.source(),
            Self::DuplicateImport { .. } | Self::ImportsModules | Self::Compile(_) => None,
        }
    }
}

impl From<RewriteError> for PrepareError {
    fn from(err: RewriteError) -> Self {
        Self::Rewrite(err)
    }
}

impl From<LoadError> for PrepareError {
    fn from(err: LoadError) -> Self {
        Self::Load(err)
    }
}

impl Prepared {
    /// Prepares a binary module: builds its images, removes its data, and compiles it.
    ///
    /// # Errors
    ///
    /// [`PrepareError`].
    pub fn new(engine: &Engine, wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
        let parts = Parts::build(&module, options, true)?;
        let compile = |wasm| wasmtime::Module::new(engine, wasm).map_err(PrepareError::Compile);
        let module = compile(&parts.stripped)?;
        let owners = parts.owners.iter().map(compile).collect::<Result<_, _>>()?;
        let prepared = Self::from_parts(engine, module, owners, &parts.artifact, parts.has_start);
        Ok(prepared?)
    }

    /// Prepares a binary module, and returns it as bytes for
    /// [`deserialize`](Self::deserialize): compiled code and images in one file.
    ///
    /// # Errors
    ///
    /// [`PrepareError`].
    pub fn precompile(
        engine: &Engine,
        wasm: &[u8],
        options: &Options,
    ) -> Result<Vec<u8>, PrepareError> {
        let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
        let parts = Parts::build(&module, options, true)?;
        let compile = |wasm: &Vec<u8>| {
            engine
                .precompile_module(wasm)
                .map_err(PrepareError::Compile)
        };
        let code = compile(&parts.stripped)?;
        let owners: Vec<_> = parts.owners.iter().map(compile).collect::<Result<_, _>>()?;
        let owner = |nth: usize| owners.get(nth).map_or(&[][..], Vec::as_slice);
        let file = PreparedFile {
            artifact: &parts.artifact,
            code: &code,
            owners: [owner(0), owner(1)],
            has_start: parts.has_start,
        };
        Ok(file.encode())
    }
}

/// What is built from a module.
pub(crate) struct Parts {
    pub(crate) artifact: Vec<u8>,
    /// The module without the data that is in the artifact.
    pub(crate) stripped: Vec<u8>,
    /// Modules that define the memories that this one imports: at most two.
    owners: Vec<Vec<u8>>,
    /// Whether a start function runs at the end of the instantiation.
    has_start: bool,
}

impl Parts {
    /// `zeroes`: whether memories are zeroed if an element segment traps.
    pub(crate) fn build(
        module: &Module<'_>,
        options: &Options,
        zeroes: bool,
    ) -> Result<Self, PrepareError> {
        let has_start = module.start().is_some();
        let provides =
            options.memory_imports() == MemoryImports::Provide && module.n_imported_memories() != 0;
        let mut policy = options.policy().with_zeroed_imports(provides);
        // An element segment that traps must leave memories without data. They can be zeroed
        // afterwards, unless a start function's trap could be mistaken for one, or the host has
        // a memory.
        if module.elements_may_trap() && (has_start || provides || !zeroes) {
            policy = policy.with_max_image_size(0);
        }
        let plan = Plan::new(module, &policy);
        let image = ModuleImage::build(module, &plan).map_err(PrepareError::Build)?;
        Ok(Self {
            artifact: image.encode().map_err(PrepareError::Encode)?,
            stripped: strip_renumbered(module, &plan).map_err(PrepareError::Rewrite)?,
            owners: match provides {
                true => owners(module)?,
                false => Vec::new(),
            },
            has_start,
        })
    }
}

/// Returns modules that define the memories that `module` imports, and export each under its
/// index: one for shared memories and one for others. (`Memory::new` would not ask the memory
/// creator.)
fn owners(module: &Module<'_>) -> Result<Vec<Vec<u8>>, PrepareError> {
    let mut names = HashSet::new();
    let mut owners = Vec::new();
    for shared in [false, true] {
        let mut memories = wasm_encoder::MemorySection::new();
        let mut exports = wasm_encoder::ExportSection::new();
        for (index, memory) in module.memories() {
            let Some(import) = memory.import.filter(|_| memory.ty.shared == shared) else {
                continue;
            };
            if !names.insert((import.module, import.name)) {
                return Err(PrepareError::DuplicateImport {
                    module: import.module.into(),
                    name: import.name.into(),
                });
            }
            let name = index.as_u32().to_string();
            exports.export(&name, wasm_encoder::ExportKind::Memory, memories.len());
            memories.memory(wasm_encoder::MemoryType {
                minimum: memory.ty.min,
                maximum: memory.ty.max,
                memory64: memory.ty.index_type == IndexType::I64,
                shared,
                page_size_log2: (memory.ty.page_size == WasmPageSize::One).then_some(0),
            });
        }
        if !memories.is_empty() {
            let mut owner = wasm_encoder::Module::new();
            owner.section(&memories).section(&exports);
            owners.push(owner.finish());
        }
    }
    Ok(owners)
}
