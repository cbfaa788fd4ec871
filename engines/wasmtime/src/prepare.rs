//! Prepares modules: analyses them, builds their images and compiles the rest.

use alloc::borrow::Cow;
use core::error::Error;
use core::fmt;

use wasm_meminit_analysis::{Module, ParseError, ParseErrorKind, Plan};
use wasm_meminit_image_builder::rewrite::{RewriteError, internalize, strip_renumbered};
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
    /// The module's data cannot be removed, or its memories cannot be
    /// [provided](MemoryImports::Provide).
    Rewrite(RewriteError),
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
            Self::ImportsModules | Self::Compile(_) => None,
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
        let wasm = with_own_memories(wasm, options)?;
        let module = Module::parse(&wasm).map_err(PrepareError::Parse)?;
        let parts = Parts::build(&module, options, true)?;
        let module = wasmtime::Module::new(engine, &parts.stripped);
        let module = module.map_err(PrepareError::Compile)?;
        Ok(Self::from_parts(
            engine,
            module,
            &parts.artifact,
            parts.has_start,
        )?)
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
        let wasm = with_own_memories(wasm, options)?;
        let module = Module::parse(&wasm).map_err(PrepareError::Parse)?;
        let parts = Parts::build(&module, options, true)?;
        let code = engine.precompile_module(&parts.stripped);
        let code = code.map_err(PrepareError::Compile)?;
        let file = PreparedFile {
            artifact: &parts.artifact,
            code: &code,
            has_start: parts.has_start,
        };
        Ok(file.encode())
    }
}

/// Makes the memories that a module imports its own, if they are not the linker's.
fn with_own_memories<'a>(wasm: &'a [u8], options: &Options) -> Result<Cow<'a, [u8]>, PrepareError> {
    match options.memory_imports() {
        MemoryImports::Link => Ok(Cow::Borrowed(wasm)),
        MemoryImports::Provide => {
            let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
            Ok(Cow::Owned(internalize(&module)?))
        }
    }
}

/// What is built from a module.
pub(crate) struct Parts {
    pub(crate) artifact: Vec<u8>,
    /// The module without the data that is in the artifact.
    pub(crate) stripped: Vec<u8>,
    /// Whether a start function runs at the end of the instantiation.
    pub(crate) has_start: bool,
}

impl Parts {
    /// `zeroes`: whether memories are zeroed if an element segment traps.
    pub(crate) fn build(
        module: &Module<'_>,
        options: &Options,
        zeroes: bool,
    ) -> Result<Self, PrepareError> {
        let has_start = module.start().is_some();
        let mut policy = options.policy().with_zeroed_imports(false);
        // An element segment that traps must leave memories without data. They can be zeroed
        // afterwards, unless a start function's trap could be mistaken for one.
        if module.elements_may_trap() && (has_start || !zeroes) {
            policy = policy.with_max_image_size(0);
        }
        let plan = Plan::new(module, &policy);
        let image = ModuleImage::build(module, &plan).map_err(PrepareError::Build)?;
        Ok(Self {
            artifact: image.encode().map_err(PrepareError::Encode)?,
            stripped: strip_renumbered(module, &plan).map_err(PrepareError::Rewrite)?,
            has_start,
        })
    }
}
