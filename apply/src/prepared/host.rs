//! What a host supplies to a module's imports, and the check against an artifact's
//! assumptions.

use alloc::string::String;
use alloc::vec::Vec;

use wasm_meminit_image_builder::ArtifactHead;
use wasm_meminit_image_builder::analysis::{Assumption, StartFunction, Value};

use super::error::{HostHas, PrepareError};

/// What a host supplies to the imports of a module.
///
/// [`PreparedModule::for_host`](crate::PreparedModule::for_host) compares it with the
/// assumptions that an artifact was built on.
///
/// A host need not list imports on which no artifact of its modules depends.
///
/// ```
/// use wasm_meminit_analysis::{Module, Plan, Policy};
/// use wasm_meminit_apply::{Artifact, GlobalIndex, Host, PrepareError, PreparedModule, Value};
/// use wasm_meminit_image_builder::ModuleImage;
///
/// let wasm = wat::parse_str(
///     r#"(module
///          (import "env" "__memory_base" (global $base i32))
///          (memory 32)
///          (data (global.get $base) "position-independent"))"#,
/// )?;
/// // Built for a host that puts it at 1 MiB.
/// let base = GlobalIndex::from_u32(0);
/// let module = Module::parse(&wasm)?.with_global(base, Value::I32(1 << 20))?;
/// let plan = Plan::new(&module, &Policy::default());
/// let artifact = ModuleImage::build(&module, &plan)?.encode()?;
/// let artifact = Artifact::decode(&artifact)?;
///
/// let host = |base| Host::new().with_global("env", "__memory_base", Value::I32(base));
/// assert!(PreparedModule::for_host(&artifact, &host(1 << 20)).is_ok());
/// // At any other address, the image would be wrong.
/// let refused = PreparedModule::for_host(&artifact, &host(2 << 20));
/// assert!(matches!(refused, Err(PrepareError::Assumption { .. })));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Host {
    globals: Vec<(Import, Value)>,
    memories: Vec<(Import, HostMemory)>,
    start_function: Option<StartFunction>,
}

/// Module and name of an import.
type Import = (String, String);

#[derive(Clone, Copy, Debug)]
struct HostMemory {
    bytes: u64,
    is_fresh: bool,
}

impl Host {
    /// Creates a host that declares nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares the value of an imported global.
    ///
    /// If an import is declared twice, the first value counts.
    #[must_use]
    pub fn with_global(mut self, module: &str, name: &str, value: Value) -> Self {
        self.globals.push(((module.into(), name.into()), value));
        self
    }

    /// Declares an imported memory of at least this many bytes at the start, with any
    /// contents.
    #[must_use]
    pub fn with_memory(self, module: &str, name: &str, bytes: u64) -> Self {
        self.with_import(module, name, bytes, false)
    }

    /// Declares an imported memory of at least this many bytes at the start, and promises
    /// for each instance that it is zero, and that the instance imports it under no other
    /// name.
    #[must_use]
    pub fn with_fresh_memory(self, module: &str, name: &str, bytes: u64) -> Self {
        self.with_import(module, name, bytes, true)
    }

    fn with_import(mut self, module: &str, name: &str, bytes: u64, is_fresh: bool) -> Self {
        let import = (module.into(), name.into());
        self.memories.push((import, HostMemory { bytes, is_fresh }));
        self
    }

    /// Promises to treat a start function this way; see [`StartFunction`].
    ///
    /// An artifact that depends on such a promise ([`StartFunction::AlreadyInitializedTls`])
    /// is refused without it. If the host says nothing, other artifacts are accepted.
    #[must_use]
    pub const fn with_start_function(mut self, treatment: StartFunction) -> Self {
        self.start_function = Some(treatment);
        self
    }

    /// Checks every assumption that an artifact was built on. Returns
    /// [`PrepareError::Assumption`] for the first that does not hold.
    pub(super) fn check(&self, artifact: &ArtifactHead<'_>) -> Result<(), PrepareError> {
        for assumed in artifact.assumptions() {
            if let Err(found) = self.satisfies(&assumed) {
                return Err(PrepareError::Assumption { assumed, found });
            }
        }
        Ok(())
    }

    fn satisfies(&self, assumed: &Assumption) -> Result<(), HostHas> {
        let memory = |module: &str, name: &str| {
            let found = find(&self.memories, module, name).copied();
            found.ok_or(HostHas::Unstated)
        };
        match assumed {
            Assumption::GlobalValue {
                module,
                name,
                value,
                ..
            } => match find(&self.globals, module, name) {
                Some(found) if found == value => Ok(()),
                Some(found) => Err(HostHas::Value(*found)),
                None => Err(HostHas::Unstated),
            },
            Assumption::ZeroedMemory { module, name, .. } => {
                let memory = memory(module, name)?;
                memory.is_fresh.then_some(()).ok_or(memory.into())
            }
            Assumption::MemorySize {
                module,
                name,
                bytes,
                ..
            } => {
                let memory = memory(module, name)?;
                (*bytes <= memory.bytes).then_some(()).ok_or(memory.into())
            }
            Assumption::StartFunction { treatment, .. } => match self.start_function {
                Some(found) if found == *treatment => Ok(()),
                Some(found) => Err(HostHas::StartFunction(found)),
                None if *treatment == StartFunction::AlreadyInitializedTls => {
                    Err(HostHas::Unstated)
                }
                None => Ok(()),
            },
            // An assumption of a later version, which cannot be checked here.
            _ => Err(HostHas::Unstated),
        }
    }
}

impl From<HostMemory> for HostHas {
    fn from(memory: HostMemory) -> Self {
        let bytes = memory.bytes;
        if memory.is_fresh {
            Self::FreshMemory { bytes }
        } else {
            Self::Memory { bytes }
        }
    }
}

fn find<'a, T>(list: &'a [(Import, T)], module: &str, name: &str) -> Option<&'a T> {
    list.iter()
        .find(|((its_module, its_name), _)| its_module == module && its_name == name)
        .map(|(_, it)| it)
}
