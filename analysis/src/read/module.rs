//! A module's linear memories, data segments and globals.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;

use cranelift_entity::{EntityRef, PrimaryMap, SecondaryMap};

#[cfg(feature = "parse")]
use crate::read::code::Code;
use crate::read::deferred::Deferred;
use crate::read::elements::Elements;
use crate::read::items::{Global, ImportName, Memory, Segment, SegmentMode};
use crate::{
    DataIndex, DefinedMemoryIndex, FuncIndex, GlobalIndex, MemoryIndex, MemoryInitialization,
    MemoryInitializer, OffsetExpr, Value,
};

/// The linear memories of a module, its data segments, and the globals that segment
/// addresses may depend on.
///
/// Borrows the module's bytes; segments are not copied.
#[derive(Clone, Debug, Default)]
pub struct Module<'a> {
    pub(crate) memories: PrimaryMap<MemoryIndex, Memory<'a>>,
    pub(crate) n_imported_memories: usize,
    /// The memories that are imported under the name of another one.
    pub(crate) imported_twice: BTreeSet<MemoryIndex>,
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

    /// Returns whether a memory is imported under a name under which another one is imported too.
    ///
    /// A host resolves both to the same memory, so they cannot be distinct, as
    /// [`Policy::with_zeroed_imports`](crate::Policy::with_zeroed_imports) promises.
    pub fn is_imported_twice(&self, memory: MemoryIndex) -> bool {
        self.imported_twice.contains(&memory)
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

    /// Returns the count in the data count section, if there is one.
    pub const fn data_count(&self) -> Option<u32> {
        self.data_count
    }

    /// Returns the start function, which runs after all active segments are written.
    pub const fn start(&self) -> Option<FuncIndex> {
        self.start
    }

    /// Returns the body of a defined function, starting with its locals.
    #[cfg(feature = "parse")]
    pub(crate) fn body(&self, function: FuncIndex) -> Option<&'a [u8]> {
        let nth = function.as_u32().checked_sub(self.n_imported_functions)?;
        self.code.body(nth)
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
        #[cfg(feature = "parse")]
        let may_trap = self.elements.may_trap(&|global| self.global_value(global));
        // Without a parser there are no sections.
        #[cfg(not(feature = "parse"))]
        let may_trap = !self.elements.are_known;
        may_trap
    }

    /// Returns the value of a global, if it is known.
    pub fn global_value(&self, global: GlobalIndex) -> Option<Value> {
        match self.globals.get(global)? {
            Global::Known(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns what defines a global: its initialiser if that depends on what the host supplies,
    /// otherwise its value. `None` for an imported global, and for one that is not an integer.
    pub fn global_definition(&self, global: GlobalIndex) -> Option<OffsetExpr<'a>> {
        if global.index() < self.global_imports.len() {
            return None;
        }
        match self.deferred.init(global) {
            Some(init) => OffsetExpr::decode(init).ok().map(|it| it.0),
            None => self.global_value(global).map(OffsetExpr::Const),
        }
    }

    /// Returns the size of an imported memory that was supplied with
    /// [`with_memory_size`](Self::with_memory_size), in bytes.
    pub fn supplied_memory_size(&self, memory: MemoryIndex) -> Option<u64> {
        self.assumed_sizes.get(memory).copied().flatten()
    }

    /// Returns the initial size in bytes that a memory is known to have: the size supplied
    /// by the host, or else the declared minimum. `None` if it is 2⁶⁴ bytes or the memory
    /// does not exist.
    pub fn memory_size(&self, memory: MemoryIndex) -> Option<u64> {
        let declared = self.memories.get(memory)?.ty.min_bytes();
        self.supplied_memory_size(memory).or(declared)
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
