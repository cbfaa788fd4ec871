//! What a module says about its linear memories.

use alloc::vec::Vec;

use cranelift_entity::{EntityRef, PrimaryMap};

use crate::const_expr::{self, OffsetExpr, Value};
use crate::elements::Elements;
use crate::{
    DataIndex, DefinedMemoryIndex, FuncIndex, GlobalIndex, MemoryIndex, MemoryInitialization,
    MemoryInitializer, MemoryType, StartInit, StartReason,
};

/// What a module says about its linear memories: their types, the data segments,
/// and the globals that the segments' addresses may depend on.
///
/// Borrows the module's bytes; no segment is copied.
#[derive(Clone, Debug, Default)]
pub struct Module<'a> {
    pub(crate) memories: PrimaryMap<MemoryIndex, Memory<'a>>,
    pub(crate) n_imported_memories: usize,
    pub(crate) globals: PrimaryMap<GlobalIndex, Global>,
    pub(crate) global_imports: PrimaryMap<GlobalIndex, ImportName<'a>>,
    /// Initialisers of defined globals that name a global without a known value.
    pub(crate) deferred_globals: Vec<(GlobalIndex, &'a [u8])>,
    pub(crate) segments: PrimaryMap<DataIndex, Segment<'a>>,
    pub(crate) data_count: Option<u32>,
    pub(crate) n_imported_functions: u32,
    pub(crate) start: Option<FuncIndex>,
    #[cfg(feature = "parse")]
    pub(crate) code: Code<'a>,
    pub(crate) elements: Elements<'a>,
    #[cfg(feature = "parse")]
    pub(crate) name_section: Option<&'a [u8]>,
    pub(crate) binary: Option<&'a [u8]>,
}

/// Function bodies, not yet looked at.
#[cfg(feature = "parse")]
#[derive(Clone, Debug, Default)]
pub(crate) enum Code<'a> {
    #[default]
    None,
    /// The code section behind its count.
    Section(&'a [u8]),
    /// Bodies that were handed over one by one.
    Bodies(Vec<&'a [u8]>),
}

/// One linear memory of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// Its type. For an imported memory, the least that the import must have.
    pub ty: MemoryType,
    /// Under which name it is imported; `None` where the module defines it.
    pub import: Option<ImportName<'a>>,
}

/// The two-level name of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImportName<'a> {
    /// The module it is imported from.
    pub module: &'a str,
    /// Its name in that module.
    pub name: &'a str,
}

/// One global, as far as an offset expression can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// An immutable integer whose value is certain before instantiation.
    Known(Value),
    /// An immutable integer without a certain value, of this type.
    Unknown(ValueType),
    /// Mutable, or not an integer: no offset expression may name it.
    Unusable,
}

/// The type of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

impl Value {
    /// The type of the value.
    pub const fn ty(self) -> ValueType {
        match self {
            Self::I32(_) => ValueType::I32,
            Self::I64(_) => ValueType::I64,
        }
    }
}

/// One data segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its bytes, borrowed from the module.
    pub data: &'a [u8],
    /// When they are written, and where.
    pub mode: SegmentMode<'a>,
}

/// When a data segment is written, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentMode<'a> {
    /// At instantiation, by the engine.
    Active {
        /// Into this memory,
        memory_index: MemoryIndex,
        /// from this address on.
        offset: OffsetExpr<'a>,
    },
    /// By the program, with `memory.init`.
    Passive,
}

/// Why [`Module::with_global`] refused a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GlobalError {
    /// The module has no such global.
    Unknown(GlobalIndex),
    /// The module defines that global itself.
    Defined(GlobalIndex),
    /// The global is mutable or not an integer: its value decides no address.
    Unusable(GlobalIndex),
    /// The value has another type than the global.
    Type(GlobalIndex),
}

impl core::fmt::Display for GlobalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown(global) => write!(f, "there is no global {}", global.as_u32()),
            Self::Defined(global) => write!(f, "global {} is not imported", global.as_u32()),
            Self::Unusable(global) => {
                write!(f, "global {} is mutable or not an integer", global.as_u32())
            }
            Self::Type(global) => write!(
                f,
                "the value of global {} has another type",
                global.as_u32()
            ),
        }
    }
}

impl core::error::Error for GlobalError {}

impl<'a> Module<'a> {
    /// All memories, imported ones first.
    pub const fn memories(&self) -> &PrimaryMap<MemoryIndex, Memory<'a>> {
        &self.memories
    }

    /// How many of the memories are imported.
    pub const fn n_imported_memories(&self) -> usize {
        self.n_imported_memories
    }

    /// The position among defined memories, or `None` for an imported one.
    pub fn defined_memory_index(&self, memory: MemoryIndex) -> Option<DefinedMemoryIndex> {
        (memory.index() < self.memories.len())
            .then(|| memory.index().checked_sub(self.n_imported_memories))
            .flatten()
            .map(DefinedMemoryIndex::new)
    }

    /// All data segments, active and passive, in module order.
    pub const fn segments(&self) -> &PrimaryMap<DataIndex, Segment<'a>> {
        &self.segments
    }

    /// All globals, imported ones first.
    pub const fn globals(&self) -> &PrimaryMap<GlobalIndex, Global> {
        &self.globals
    }

    /// The import names of the imported globals, which come first.
    pub const fn global_imports(&self) -> &PrimaryMap<GlobalIndex, ImportName<'a>> {
        &self.global_imports
    }

    /// The imported global of that name.
    pub fn imported_global(&self, module: &str, name: &str) -> Option<GlobalIndex> {
        self.global_imports
            .iter()
            .find_map(|(index, import)| (*import == ImportName { module, name }).then_some(index))
    }

    /// What the data count section says, where there is one.
    pub const fn data_count(&self) -> Option<u32> {
        self.data_count
    }

    /// The start function: it runs after all active segments.
    pub const fn start(&self) -> Option<FuncIndex> {
        self.start
    }

    /// What the start function does to a memory that is zero, where it is the one that
    /// wasm-ld writes for threaded modules. Reads the function's body, and no other than
    /// those it calls.
    ///
    /// # Errors
    ///
    /// [`StartReason`] says why it is not; nothing has failed.
    pub fn start_init(&self) -> Result<StartInit, StartReason> {
        #[cfg(feature = "parse")]
        let init = crate::wasm_ld::recognize(self);
        // Without a parser there are no bodies.
        #[cfg(not(feature = "parse"))]
        let init = Err(StartReason::NoBody);
        init
    }

    /// The bytes that it was read from, to be hashed say; for a module nested in a
    /// component, its own. `None` for one that was fed to a
    /// [`ModuleBuilder`](crate::ModuleBuilder) piece by piece.
    pub const fn binary(&self) -> Option<&'a [u8]> {
        self.binary
    }

    /// How many functions are imported; they come first in the index space.
    pub const fn n_imported_functions(&self) -> u32 {
        self.n_imported_functions
    }

    /// Whether an active element segment may trap.
    ///
    /// Elements run before data, so a trap there leaves all memories zero. Unless
    /// this is `false`, an engine that lets a trapped instance be seen makes an
    /// image visible only after the elements succeeded.
    pub fn elements_may_trap(&self) -> bool {
        self.elements.may_trap(&|global| self.global_value(global))
    }

    /// The value of a global, where it is certain.
    pub fn global_value(&self, global: GlobalIndex) -> Option<Value> {
        match self.globals.get(global)? {
            Global::Known(value) => Some(*value),
            _ => None,
        }
    }

    /// The same module with the value of an imported immutable global known.
    ///
    /// Segments whose addresses depend on it become certain, as do globals that
    /// are defined by it.
    ///
    /// # Errors
    ///
    /// [`GlobalError`] where no offset could depend on such a value.
    pub fn with_global(mut self, global: GlobalIndex, value: Value) -> Result<Self, GlobalError> {
        let slot = self
            .globals
            .get_mut(global)
            .ok_or(GlobalError::Unknown(global))?;
        if self.global_imports.len() <= global.index() {
            return Err(GlobalError::Defined(global));
        }
        let ty = match slot {
            Global::Known(value) => value.ty(),
            Global::Unknown(ty) => *ty,
            Global::Unusable => return Err(GlobalError::Unusable(global)),
        };
        if ty != value.ty() {
            return Err(GlobalError::Type(global));
        }
        *slot = Global::Known(value);

        // In index order, so that a chain of definitions resolves in one pass.
        for (index, init) in &self.deferred_globals {
            let known = const_expr::eval(init, &|global| match self.globals.get(global) {
                Some(Global::Known(value)) => Some(*value),
                _ => None,
            });
            if let (Ok(value), Some(slot)) = (known, self.globals.get_mut(*index)) {
                *slot = Global::Known(value);
            }
        }
        Ok(self)
    }

    /// The active segments in module order: the list that an engine replays.
    pub fn active_segments(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        self.segments
            .iter()
            .filter_map(|(segment, it)| match it.mode {
                SegmentMode::Active {
                    memory_index,
                    offset,
                } => Some(MemoryInitializer {
                    memory_index,
                    segment,
                    offset,
                    data: it.data,
                }),
                SegmentMode::Passive => None,
            })
    }

    /// The passive segments: the program itself writes them, with `memory.init`.
    pub fn passive_segments(&self) -> impl Iterator<Item = DataIndex> + '_ {
        self.segments
            .iter()
            .filter_map(|(index, it)| matches!(it.mode, SegmentMode::Passive).then_some(index))
    }

    /// The default initialisation: replay every active segment.
    pub fn memory_initialization(&self) -> MemoryInitialization<'a> {
        MemoryInitialization::Segmented(self.active_segments().collect())
    }
}
