//! The assumptions about the host that a plan relies on, as data.
//!
//! A plan is correct if all of them hold. Facts that the caller supplied but that no
//! decision used are not listed, so that an artifact requires no more of its host than
//! necessary.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use cranelift_entity::{EntityRef, PrimaryMap};

use crate::address::{fits, len};
use crate::decide::draft::Draft;
use crate::{
    Global, GlobalIndex, ImportName, MemoryIndex, Module, StartFunction, StartInit, Value,
};

/// One assumption about the host that a [`Plan`](crate::Plan) relies on.
///
/// If it does not hold, initialising memories as planned gives wrong contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Assumption {
    /// An imported immutable global has this value
    /// ([`Module::with_global`]).
    GlobalValue {
        /// The index of the import in the module.
        global: GlobalIndex,
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
        /// The value of the global.
        value: Value,
    },
    /// An imported memory is zero before anything is written to it, at least as large as
    /// declared, and not the same memory as another import
    /// ([`Policy::with_zeroed_imports`](crate::Policy::with_zeroed_imports)).
    ZeroedMemory {
        /// The index of the import in the module.
        memory: MemoryIndex,
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
    },
    /// An imported memory has an initial size of at least this many bytes, more than it is
    /// declared with ([`Module::with_memory_size`]).
    MemorySize {
        /// The index of the import in the module.
        memory: MemoryIndex,
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
        /// The assumed minimum size in bytes.
        bytes: u64,
    },
    /// The image of this memory contains what the start function writes
    /// ([`Policy::with_start_function`](crate::Policy::with_start_function)).
    StartFunction {
        /// The index of the memory in the module.
        memory: MemoryIndex,
        /// How the start function is handled; never [`StartFunction::Unchanged`].
        treatment: StartFunction,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GlobalValue {
                global,
                module,
                name,
                value,
            } => {
                write!(
                    f,
                    "global {} ({module:?} {name:?}) is {value}",
                    global.as_u32()
                )
            }
            Self::ZeroedMemory {
                memory,
                module,
                name,
            } => write!(
                f,
                "memory {} ({module:?} {name:?}) is initially zero and imported only once",
                memory.as_u32()
            ),
            Self::MemorySize {
                memory,
                module,
                name,
                bytes,
            } => write!(
                f,
                "memory {} ({module:?} {name:?}) has an initial size of at least {bytes} bytes",
                memory.as_u32()
            ),
            Self::StartFunction { memory, treatment } => write!(
                f,
                "the start function's writes to memory {} are in its image: {treatment}",
                memory.as_u32()
            ),
        }
    }
}

/// The assumptions that a finished draft relies on.
pub(crate) struct UsedAssumptions {
    /// Sorted by kind (globals, zeroed memories, sizes, start function), then by index.
    pub(crate) list: Vec<Assumption>,
    /// The assumed size of each memory, where one is used.
    pub(crate) sizes: PrimaryMap<MemoryIndex, Option<u64>>,
}

impl UsedAssumptions {
    /// Collects the assumptions that a final `draft` relies on, and those of the baked writes
    /// of the start function, if any.
    pub(crate) fn of(
        module: &Module<'_>,
        treatment: StartFunction,
        draft: &Draft<'_, '_>,
        start: Option<&StartInit>,
        elements_may_trap: bool,
    ) -> Self {
        let mut globals = UsedGlobals::new(module);
        let mut sizes: PrimaryMap<MemoryIndex, Option<u64>> =
            module.memories().values().map(|_| None).collect();
        let mut is_baked: PrimaryMap<MemoryIndex, bool> =
            module.memories().values().map(|_| false).collect();

        // A baked segment depends on its own address, and on no earlier segment trapping.
        // Baked writes of the start function come after all active segments.
        let last_baked = draft.list.iter().rposition(|it| it.reason.is_none());
        let n_relevant = match start {
            Some(_) => draft.list.len(),
            None => last_baked.map_or(0, |last| last.saturating_add(1)),
        };
        for it in draft.list.iter().take(n_relevant) {
            if globals.are_supplied {
                it.offset.globals().for_each(|global| globals.mark(global));
            }
            debug_assert!(
                it.addr.is_some(),
                "a segment that may trap before a baked one"
            );
            if let Some(addr) = it.addr {
                note_size(module, &mut sizes, it.memory, addr, len(it.data));
            }
            if let (None, Some(slot)) = (it.reason, is_baked.get_mut(it.memory)) {
                *slot = true;
            }
        }
        if let Some(start) = start {
            start
                .globals
                .iter()
                .for_each(|global| globals.mark(*global));
            if let Some(slot) = is_baked.get_mut(start.memory()) {
                *slot = true;
            }
            note_size(module, &mut sizes, start.memory(), start.flag(), 4);
            for (segment, addr) in start.writes() {
                let segment = module.segments().get(*segment);
                debug_assert!(segment.is_some(), "a segment that was checked before");
                let n_bytes = segment.map_or(0, |it| len(it.data));
                note_size(module, &mut sizes, start.memory(), *addr, n_bytes);
            }
            for zeroed in start.zeroed() {
                let n_bytes = zeroed.end.saturating_sub(zeroed.start);
                note_size(module, &mut sizes, start.memory(), zeroed.start, n_bytes);
            }
        }
        // Whether an element segment can trap may depend on values too.
        #[cfg(feature = "parse")]
        if !elements_may_trap && globals.are_supplied {
            module
                .elements
                .for_each_global(&mut |global| globals.mark(global));
        }
        #[cfg(not(feature = "parse"))]
        let _ = elements_may_trap;

        let mut list = globals.into_assumptions();
        let name = |memory: MemoryIndex| module.memories().get(memory)?.import;
        for (memory, is_baked) in &is_baked {
            if let (true, Some(import)) = (*is_baked, name(memory)) {
                list.push(Assumption::ZeroedMemory {
                    memory,
                    module: import.module.into(),
                    name: import.name.into(),
                });
            }
        }
        for (memory, bytes) in &sizes {
            if let (Some(bytes), Some(import)) = (*bytes, name(memory)) {
                list.push(Assumption::MemorySize {
                    memory,
                    module: import.module.into(),
                    name: import.name.into(),
                    bytes,
                });
            }
        }
        if let Some(start) = start {
            list.push(Assumption::StartFunction {
                memory: start.memory(),
                treatment,
            });
        }
        Self { list, sizes }
    }
}

/// Records the supplied size if these bytes lie past the declared one.
fn note_size(
    module: &Module<'_>,
    sizes: &mut PrimaryMap<MemoryIndex, Option<u64>>,
    memory: MemoryIndex,
    addr: u64,
    n_bytes: u64,
) {
    let declared = module
        .memories()
        .get(memory)
        .and_then(|it| it.ty.min_bytes());
    let is_within = declared.is_some_and(|declared| fits(addr, n_bytes, declared));
    if let (false, Some(slot)) = (is_within, sizes.get_mut(memory)) {
        *slot = module.assumed_sizes.get(memory).copied().flatten();
        debug_assert!(slot.is_some(), "bytes within no supplied size");
    }
}

/// Imported globals whose supplied values are used. Each global is visited once.
struct UsedGlobals<'m, 'a> {
    module: &'m Module<'a>,
    /// Whether any value was supplied. Otherwise, nothing need be marked.
    are_supplied: bool,
    is_used: Vec<bool>,
    /// Used, but not yet visited.
    rest: Vec<GlobalIndex>,
}

impl<'m, 'a> UsedGlobals<'m, 'a> {
    fn new(module: &'m Module<'a>) -> Self {
        let mut imported = module.global_imports.keys();
        Self {
            module,
            are_supplied: imported.any(|it| module.global_value(it).is_some()),
            is_used: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn mark(&mut self, global: GlobalIndex) {
        self.push(global);
        while let Some(global) = self.rest.pop() {
            if let Some(init) = self.module.deferred.init(global) {
                crate::expr::const_expr::globals(init).for_each(|global| self.push(global));
            }
        }
    }

    fn push(&mut self, global: GlobalIndex) {
        if self.is_used.is_empty() {
            self.is_used.resize(self.module.globals.len(), false);
        }
        if let Some(is_used @ false) = self.is_used.get_mut(global.index()) {
            *is_used = true;
            self.rest.push(global);
        }
    }

    fn into_assumptions(self) -> Vec<Assumption> {
        let imports = self.module.global_imports.iter();
        let used = imports.zip(self.is_used).filter(|(_, is_used)| *is_used);
        used.filter_map(|((global, import), _)| {
            let ImportName { module, name } = *import;
            match self.module.globals.get(global)? {
                Global::Known(value) => Some(Assumption::GlobalValue {
                    global,
                    module: module.into(),
                    name: name.into(),
                    value: *value,
                }),
                _ => None,
            }
        })
        .collect()
    }
}
