//! What a host supplies to a module, compared with what its artifact was built for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_image_builder::ArtifactHead;
use wasm_meminit_image_builder::analysis::{Assumption, StartFunction, Value};

use super::error::PrepareError;

/// What a host supplies to the imports of a module: what
/// [`PreparedModule::for_host`](crate::PreparedModule::for_host) compares with the
/// assumptions that an artifact was built on.
///
/// A host need not mention what no artifact of its modules rests on.
///
/// ```
/// use wasm_meminit_analysis::{GlobalIndex, Module, Plan, Policy, Value};
/// use wasm_meminit_apply::{Host, PrepareError, PreparedModule};
/// use wasm_meminit_image_builder::{Artifact, ModuleImage};
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
/// let host = |base| Host::new().global("env", "__memory_base", Value::I32(base));
/// assert!(PreparedModule::for_host(&artifact, &host(1 << 20)).is_ok());
/// // Anywhere else it would be wrong.
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

/// What a [`Host`] has where an artifact assumes something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostHas {
    /// It did not say.
    Unstated,
    /// A global of this value.
    Value(Value),
    /// A memory of this size, with any contents.
    Memory {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A fresh memory of this size.
    FreshMemory {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A start function that it treats so.
    StartFunction(StartFunction),
}

impl fmt::Display for HostHas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstated => f.write_str("does not say"),
            Self::Value(value) => write!(f, "has {value}"),
            Self::Memory { bytes } => write!(f, "has {bytes} bytes of any contents"),
            Self::FreshMemory { bytes } => write!(f, "has {bytes} bytes of zeros"),
            Self::StartFunction(start) => write!(f, "says that {start}"),
        }
    }
}

impl Host {
    /// A host that has said nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Supplies an imported global with this value. Of two values for one import, the
    /// first counts.
    #[must_use]
    pub fn global(mut self, module: &str, name: &str, value: Value) -> Self {
        self.globals.push(((module.into(), name.into()), value));
        self
    }

    /// Supplies an imported memory of at least this many bytes at the start, which may hold
    /// anything.
    #[must_use]
    pub fn memory(self, module: &str, name: &str, bytes: u64) -> Self {
        self.with_memory(module, name, bytes, false)
    }

    /// Supplies an imported memory of at least this many bytes at the start, and promises
    /// for each instance that it is zero, and imported by the instance under no other name.
    #[must_use]
    pub fn fresh_memory(self, module: &str, name: &str, bytes: u64) -> Self {
        self.with_memory(module, name, bytes, true)
    }

    fn with_memory(mut self, module: &str, name: &str, bytes: u64, is_fresh: bool) -> Self {
        let import = (module.into(), name.into());
        self.memories.push((import, HostMemory { bytes, is_fresh }));
        self
    }

    /// Keeps the terms of this treatment of a start function; see [`StartFunction`].
    ///
    /// An artifact that needs a promise is refused without it
    /// ([`StartFunction::FindsDoneAsThread`]). Where the host says nothing, others are
    /// accepted.
    #[must_use]
    pub const fn start_function(mut self, treatment: StartFunction) -> Self {
        self.start_function = Some(treatment);
        self
    }

    /// Compares with everything that an artifact was built on.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Assumption`], the first that does not hold.
    pub fn check(&self, artifact: &ArtifactHead<'_>) -> Result<(), PrepareError> {
        for assumed in artifact.assumptions() {
            if let Err(found) = self.keeps(&assumed) {
                return Err(PrepareError::Assumption { assumed, found });
            }
        }
        Ok(())
    }

    fn keeps(&self, assumed: &Assumption) -> Result<(), HostHas> {
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
                None if *treatment == StartFunction::FindsDoneAsThread => Err(HostHas::Unstated),
                None => Ok(()),
            },
            // An assumption of a later version, which nobody here can know to hold.
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
