//! What a module says about its linear memories.

use alloc::borrow::Cow;
#[cfg(feature = "parse")]
use alloc::vec::Vec;

use cranelift_entity::{EntityRef, PrimaryMap, SecondaryMap};

use crate::const_expr::{OffsetExpr, Value};
use crate::deferred::Deferred;
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
    /// What the host said of imported memories, in bytes.
    pub(crate) assumed_sizes: SecondaryMap<MemoryIndex, Option<u64>>,
    pub(crate) globals: PrimaryMap<GlobalIndex, Global>,
    pub(crate) global_imports: PrimaryMap<GlobalIndex, ImportName<'a>>,
    /// Defined globals whose values depend on what the host supplies.
    pub(crate) deferred: Deferred<'a>,
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

impl Global {
    /// Its type; `None` where no offset expression can name it.
    pub const fn ty(&self) -> Option<ValueType> {
        match self {
            Self::Known(value) => Some(value.ty()),
            Self::Unknown(ty) => Some(*ty),
            Self::Unusable => None,
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its bytes, borrowed from the module.
    pub data: &'a [u8],
    /// When they are written, and where.
    pub mode: SegmentMode<'a>,
}

/// When a data segment is written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Another value was supplied before.
    Contradiction {
        /// The global.
        global: GlobalIndex,
        /// The value that was supplied first.
        before: Value,
        /// The value that was supplied now.
        value: Value,
    },
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
            Self::Contradiction {
                global,
                before,
                value,
            } => write!(
                f,
                "the value of global {} was given as {before} before, now as {value}",
                global.as_u32()
            ),
        }
    }
}

impl core::error::Error for GlobalError {}

/// Why [`Module::with_memory_size`] refused a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemorySizeError {
    /// The module has no such memory.
    Unknown(MemoryIndex),
    /// The module defines that memory itself: its size is what it declares.
    Defined(MemoryIndex),
    /// The size is not a whole number of wasm pages.
    NotPages {
        /// The size in bytes.
        bytes: u64,
        /// The wasm page size in bytes.
        page_size: u64,
    },
    /// The module could not import so small a memory.
    TooSmall {
        /// The size in bytes.
        bytes: u64,
        /// The declared minimum in bytes; `None` for 2⁶⁴.
        min_bytes: Option<u64>,
    },
    /// The size is beyond the declared maximum, or beyond the memory's addresses.
    TooLarge {
        /// The size in bytes.
        bytes: u64,
        /// The declared maximum in bytes, where there is one below 2⁶⁴.
        max_bytes: Option<u64>,
    },
    /// Another size was said before.
    Contradiction {
        /// The size that was said first, in bytes.
        before: u64,
        /// The size that was said now, in bytes.
        bytes: u64,
    },
}

impl core::fmt::Display for MemorySizeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Unknown(memory) => write!(f, "there is no memory {}", memory.as_u32()),
            Self::Defined(memory) => write!(f, "memory {} is not imported", memory.as_u32()),
            Self::NotPages { bytes, page_size } => write!(
                f,
                "a memory cannot have {bytes} bytes: not a multiple of its page size, {page_size}"
            ),
            Self::TooSmall { bytes, min_bytes } => {
                write!(f, "a memory of {bytes} bytes is too small: at least ")?;
                match min_bytes {
                    Some(min_bytes) => write!(f, "{min_bytes} are declared"),
                    None => f.write_str("2^64 are declared"),
                }
            }
            Self::TooLarge { bytes, max_bytes } => {
                write!(f, "a memory of {bytes} bytes is too large: ")?;
                match max_bytes {
                    Some(max_bytes) => write!(f, "at most {max_bytes} are declared"),
                    None => f.write_str("its addresses do not reach that far"),
                }
            }
            Self::Contradiction { before, bytes } => write!(
                f,
                "the memory's size was given as {before} bytes before, now as {bytes}"
            ),
        }
    }
}

impl core::error::Error for MemorySizeError {}

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
    /// are defined by it. A plan that needs the value lists it as an
    /// [`Assumption`](crate::Assumption). All values together are supplied in time
    /// proportional to the module.
    ///
    /// # Errors
    ///
    /// [`GlobalError`] where no offset could depend on such a value, or another value was
    /// supplied before.
    pub fn with_global(mut self, global: GlobalIndex, value: Value) -> Result<Self, GlobalError> {
        let slot = self
            .globals
            .get_mut(global)
            .ok_or(GlobalError::Unknown(global))?;
        if self.global_imports.len() <= global.index() {
            return Err(GlobalError::Defined(global));
        }
        match *slot {
            Global::Unusable => Err(GlobalError::Unusable(global)),
            Global::Known(before) if before == value => Ok(self),
            Global::Known(before) if before.ty() == value.ty() => Err(GlobalError::Contradiction {
                global,
                before,
                value,
            }),
            Global::Unknown(ty) if ty == value.ty() => {
                *slot = Global::Known(value);
                self.deferred.resolve(global, &mut self.globals);
                Ok(self)
            }
            Global::Known(_) | Global::Unknown(_) => Err(GlobalError::Type(global)),
        }
    }

    /// The size that a memory certainly has at the start, in bytes: what the host said,
    /// otherwise the declared minimum. `None` for 2⁶⁴ bytes, and for a memory that the
    /// module does not have.
    pub fn memory_size(&self, memory: MemoryIndex) -> Option<u64> {
        let declared = self.memories.get(memory)?.ty.min_bytes();
        self.assumed_sizes
            .get(memory)
            .copied()
            .flatten()
            .or(declared)
    }

    /// The same module with the size of an imported memory known, in bytes.
    ///
    /// A module declares only the least size that it needs; side modules of a dynamically
    /// linked program need just their own data, wherever the memory's owner puts it. With
    /// the real size, segments there are certain. The memory may turn out larger than said,
    /// never smaller. [`Module::memories`] goes on to tell the declared type; a plan that
    /// needs the size lists it as an [`Assumption`](crate::Assumption).
    ///
    /// ```
    /// # #[cfg(feature = "parse")] {
    /// use wasm_meminit_analysis::{GlobalIndex, MemoryIndex, Module, Plan, Policy, Value};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module
    ///          (import "env" "memory" (memory 1))
    ///          (import "env" "__memory_base" (global $base i32))
    ///          (data (global.get $base) "side module"))"#,
    /// ).unwrap();
    /// let module = Module::parse(&wasm).unwrap()
    ///     .with_global(GlobalIndex::from_u32(0), Value::I32(8 << 20)).unwrap()
    ///     .with_memory_size(MemoryIndex::from_u32(0), 16 << 20).unwrap();
    /// let plan = Plan::new(&module, &Policy::default().assume_zeroed_imports(true));
    /// assert!(plan.replay().is_empty());
    /// assert_eq!(plan.assumptions().len(), 3); // the base, zeros, and the size
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MemorySizeError`] where no memory of that size could be imported, or another size
    /// was said before.
    pub fn with_memory_size(
        mut self,
        memory: MemoryIndex,
        bytes: u64,
    ) -> Result<Self, MemorySizeError> {
        let Some(it) = self.memories.get(memory) else {
            return Err(MemorySizeError::Unknown(memory));
        };
        if it.import.is_none() {
            return Err(MemorySizeError::Defined(memory));
        }
        let page_size = it.ty.page_size.bytes();
        if !bytes.is_multiple_of(page_size) {
            return Err(MemorySizeError::NotPages { bytes, page_size });
        }
        match it.ty.min_bytes() {
            Some(min_bytes) if min_bytes <= bytes => {}
            min_bytes => return Err(MemorySizeError::TooSmall { bytes, min_bytes }),
        }
        // A type with this minimum is valid exactly if a memory can have this size.
        let mut ty = it.ty;
        ty.min = bytes.checked_div(page_size).unwrap_or(0);
        if !ty.is_valid() {
            return Err(MemorySizeError::TooLarge {
                bytes,
                max_bytes: ty.max_bytes(),
            });
        }
        match self.assumed_sizes.get(memory).copied().flatten() {
            Some(before) if before != bytes => {
                return Err(MemorySizeError::Contradiction { before, bytes });
            }
            _ => {}
        }
        self.assumed_sizes.resize(self.memories.len());
        if let Some(slot) = self.assumed_sizes.get_mut(memory) {
            *slot = Some(bytes);
        }
        Ok(self)
    }

    /// The imported memories of that name: more than one where it is imported repeatedly.
    pub fn imported_memories<'m>(
        &'m self,
        module: &'m str,
        name: &'m str,
    ) -> impl Iterator<Item = MemoryIndex> + use<'m, 'a> {
        let wanted = ImportName { module, name };
        self.memories
            .iter()
            .filter_map(move |(index, it)| (it.import == Some(wanted)).then_some(index))
    }

    /// The active segments in module order: the list that an engine replays.
    pub fn active_segments(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        self.segments
            .iter()
            .filter_map(|(segment, it)| match &it.mode {
                SegmentMode::Active {
                    memory_index,
                    offset,
                } => Some(MemoryInitializer {
                    memory_index: *memory_index,
                    segment,
                    offset: offset.clone(),
                    data: Cow::Borrowed(it.data),
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
