//! A module's linear memories, data segments and globals.

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

/// The linear memories of a module, its data segments, and the globals that segment
/// addresses may depend on.
///
/// Borrows the module's bytes; segments are not copied.
#[derive(Clone, Debug, Default)]
pub struct Module<'a> {
    pub(crate) memories: PrimaryMap<MemoryIndex, Memory<'a>>,
    pub(crate) n_imported_memories: usize,
    /// The sizes of imported memories supplied by the host, in bytes.
    pub(crate) assumed_sizes: SecondaryMap<MemoryIndex, Option<u64>>,
    pub(crate) globals: PrimaryMap<GlobalIndex, Global>,
    pub(crate) global_imports: PrimaryMap<GlobalIndex, ImportName<'a>>,
    /// Defined globals whose values depend on values supplied by the host.
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

/// Function bodies, not yet parsed.
#[cfg(feature = "parse")]
#[derive(Clone, Debug, Default)]
pub(crate) enum Code<'a> {
    #[default]
    None,
    /// The contents of the code section after the count.
    Section(&'a [u8]),
    /// Bodies that were supplied one by one.
    Bodies(Vec<&'a [u8]>),
}

/// One linear memory of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// Its type. For an imported memory, the type that the import must match.
    pub ty: MemoryType,
    /// The name that it is imported under; `None` if the module defines it.
    pub import: Option<ImportName<'a>>,
}

/// The two-level name of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImportName<'a> {
    /// The module name.
    pub module: &'a str,
    /// The field name.
    pub name: &'a str,
}

/// One global, as seen by offset expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// An immutable integer whose value is known before instantiation.
    Known(Value),
    /// An immutable integer of this type whose value is not known.
    Unknown(ValueType),
    /// Mutable, or not an integer: no offset expression may name it.
    Unusable,
}

impl Global {
    /// Returns its type; `None` if no offset expression can name it.
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
    /// Returns the type of the value.
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
    /// When and where the bytes are written.
    pub mode: SegmentMode<'a>,
}

/// When and where a data segment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentMode<'a> {
    /// Written by the engine at instantiation.
    Active {
        /// The memory that it is written to.
        memory_index: MemoryIndex,
        /// The address of its first byte.
        offset: OffsetExpr<'a>,
    },
    /// Written by the program with `memory.init`, if at all.
    Passive,
}

/// Error returned by [`Module::with_global`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GlobalError {
    /// The module has no such global.
    Unknown(GlobalIndex),
    /// The module defines that global itself.
    Defined(GlobalIndex),
    /// The global is mutable or not an integer, so no address can depend on it.
    Unusable(GlobalIndex),
    /// The type of the value differs from that of the global.
    Type(GlobalIndex),
    /// A different value was supplied before.
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
            Self::Unknown(global) => write!(f, "global {} does not exist", global.as_u32()),
            Self::Defined(global) => write!(f, "global {} is not imported", global.as_u32()),
            Self::Unusable(global) => {
                write!(f, "global {} is mutable or not an integer", global.as_u32())
            }
            Self::Type(global) => write!(
                f,
                "the type of the value differs from that of global {}",
                global.as_u32()
            ),
            Self::Contradiction {
                global,
                before,
                value,
            } => write!(
                f,
                "conflicting values for global {}: first {before}, now {value}",
                global.as_u32()
            ),
        }
    }
}

impl core::error::Error for GlobalError {}

/// Error returned by [`Module::with_memory_size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemorySizeError {
    /// The module has no such memory.
    Unknown(MemoryIndex),
    /// The module defines that memory itself, so its size is the declared one.
    Defined(MemoryIndex),
    /// The size is not a whole number of wasm pages.
    NotPages {
        /// The size in bytes.
        bytes: u64,
        /// The wasm page size in bytes.
        page_size: u64,
    },
    /// The size is below the declared minimum, so the import would fail.
    TooSmall {
        /// The size in bytes.
        bytes: u64,
        /// The declared minimum in bytes; `None` if it is 2⁶⁴.
        min_bytes: Option<u64>,
    },
    /// The size exceeds the declared maximum, or what the index type can address.
    TooLarge {
        /// The size in bytes.
        bytes: u64,
        /// The declared maximum in bytes, if there is one below 2⁶⁴.
        max_bytes: Option<u64>,
    },
    /// A different size was supplied before.
    Contradiction {
        /// The size that was supplied first, in bytes.
        before: u64,
        /// The size that was supplied now, in bytes.
        bytes: u64,
    },
}

impl core::fmt::Display for MemorySizeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Unknown(memory) => write!(f, "memory {} does not exist", memory.as_u32()),
            Self::Defined(memory) => write!(f, "memory {} is not imported", memory.as_u32()),
            Self::NotPages { bytes, page_size } => write!(
                f,
                "invalid memory size: {bytes} bytes, expected a multiple of the wasm page size, {page_size} bytes"
            ),
            Self::TooSmall { bytes, min_bytes } => {
                write!(
                    f,
                    "a memory of {bytes} bytes is too small: the declared minimum is "
                )?;
                match min_bytes {
                    Some(min_bytes) => write!(f, "{min_bytes} bytes"),
                    None => f.write_str("2^64 bytes"),
                }
            }
            Self::TooLarge { bytes, max_bytes } => {
                write!(f, "a memory of {bytes} bytes is too large: ")?;
                match max_bytes {
                    Some(max_bytes) => write!(f, "the declared maximum is {max_bytes} bytes"),
                    None => f.write_str("its index type cannot address that many"),
                }
            }
            Self::Contradiction { before, bytes } => write!(
                f,
                "conflicting sizes for a memory: first {before} bytes, now {bytes} bytes"
            ),
        }
    }
}

impl core::error::Error for MemorySizeError {}

impl<'a> Module<'a> {
    /// Returns all memories, imported ones first.
    pub const fn memories(&self) -> &PrimaryMap<MemoryIndex, Memory<'a>> {
        &self.memories
    }

    /// Returns the number of imported memories.
    pub const fn n_imported_memories(&self) -> usize {
        self.n_imported_memories
    }

    /// Returns the index among defined memories, or `None` for an imported memory.
    pub fn defined_memory_index(&self, memory: MemoryIndex) -> Option<DefinedMemoryIndex> {
        (memory.index() < self.memories.len())
            .then(|| memory.index().checked_sub(self.n_imported_memories))
            .flatten()
            .map(DefinedMemoryIndex::new)
    }

    /// Returns all data segments, active and passive, in module order.
    pub const fn segments(&self) -> &PrimaryMap<DataIndex, Segment<'a>> {
        &self.segments
    }

    /// Returns all globals, imported ones first.
    pub const fn globals(&self) -> &PrimaryMap<GlobalIndex, Global> {
        &self.globals
    }

    /// Returns the import names of the imported globals.
    pub const fn global_imports(&self) -> &PrimaryMap<GlobalIndex, ImportName<'a>> {
        &self.global_imports
    }

    /// Returns the first imported global of that name.
    pub fn imported_global(&self, module: &str, name: &str) -> Option<GlobalIndex> {
        self.global_imports
            .iter()
            .find_map(|(index, import)| (*import == ImportName { module, name }).then_some(index))
    }

    /// Returns the count in the data count section, if there is one.
    pub const fn data_count(&self) -> Option<u32> {
        self.data_count
    }

    /// Returns the start function, which runs after all active segments are written.
    pub const fn start(&self) -> Option<FuncIndex> {
        self.start
    }

    /// Returns the effect of the start function on a zeroed memory, if it is the one that
    /// wasm-ld generates for threaded modules. Reads only the bodies of that function and of
    /// the functions it calls.
    ///
    /// # Errors
    ///
    /// [`StartReason`] if it is another function; this is not a failure.
    pub fn start_init(&self) -> Result<StartInit, StartReason> {
        #[cfg(feature = "parse")]
        let init = crate::wasm_ld::recognize(self);
        // Without a parser there are no bodies.
        #[cfg(not(feature = "parse"))]
        let init = Err(StartReason::NoBody);
        init
    }

    /// Returns the bytes that the module was parsed from; for a module nested in a
    /// component, only its own. `None` if it was built with a
    /// [`ModuleBuilder`](crate::ModuleBuilder).
    pub const fn binary(&self) -> Option<&'a [u8]> {
        self.binary
    }

    /// Returns the number of imported functions, which come first in the index space.
    pub const fn n_imported_functions(&self) -> u32 {
        self.n_imported_functions
    }

    /// Returns whether an active element segment may trap.
    ///
    /// Element segments run before data segments, so memories are still zero after such a
    /// trap. If this is `true` and the memories of a trapped instance can be observed, the
    /// engine must install images only after the element segments have succeeded.
    pub fn elements_may_trap(&self) -> bool {
        self.elements.may_trap(&|global| self.global_value(global))
    }

    /// Returns the value of a global, if it is known.
    pub fn global_value(&self, global: GlobalIndex) -> Option<Value> {
        match self.globals.get(global)? {
            Global::Known(value) => Some(*value),
            _ => None,
        }
    }

    /// Supplies the value of an imported immutable global.
    ///
    /// The addresses of segments that depend on it become known, as do the values of
    /// globals initialised from it. A plan that uses the value lists it as an
    /// [`Assumption`](crate::Assumption). Supplying all values takes time linear in the
    /// size of the module.
    ///
    /// # Errors
    ///
    /// [`GlobalError`] if no offset can depend on such a value, or if a different value was
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

    /// Returns the initial size in bytes that a memory is known to have: the size supplied
    /// by the host, or else the declared minimum. `None` if it is 2⁶⁴ bytes or the memory
    /// does not exist.
    pub fn memory_size(&self, memory: MemoryIndex) -> Option<u64> {
        let declared = self.memories.get(memory)?.ty.min_bytes();
        self.assumed_sizes
            .get(memory)
            .copied()
            .flatten()
            .or(declared)
    }

    /// Supplies the initial size of an imported memory, in bytes.
    ///
    /// A module declares only the minimum size that it needs. A side module of a dynamically
    /// linked program declares enough for its own data, although the data may be placed
    /// anywhere in the memory. With the actual size, such segments are known to be in bounds.
    /// The memory may be larger than stated, but not smaller. [`Module::memories`] still
    /// returns the declared type. A plan that uses the size lists it as an
    /// [`Assumption`](crate::Assumption).
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
    /// assert_eq!(plan.assumptions().len(), 3); // the base, the zeroed memory, and its size
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MemorySizeError`] if no memory of that size can be imported, or if a different size
    /// was supplied before.
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
        // A type with this minimum is valid if and only if a memory can have this size.
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

    /// Returns the imported memories of that name; several if it is imported repeatedly.
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

    /// Returns the active segments in module order, as an engine replays them.
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

    /// Returns the passive segments, which the program writes with `memory.init`, if at all.
    pub fn passive_segments(&self) -> impl Iterator<Item = DataIndex> + '_ {
        self.segments
            .iter()
            .filter_map(|(index, it)| matches!(it.mode, SegmentMode::Passive).then_some(index))
    }

    /// Returns the default initialisation, which replays every active segment.
    pub fn memory_initialization(&self) -> MemoryInitialization<'a> {
        MemoryInitialization::Segmented(self.active_segments().collect())
    }
}
