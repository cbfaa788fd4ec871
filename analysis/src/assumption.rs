//! What a plan takes for granted about the host, as data.
//!
//! A plan is right wherever these hold. What the caller said but no decision needed is
//! not among them, so that an artifact demands no more of its host than it has to.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use cranelift_entity::{EntityRef, PrimaryMap};
use serde::{Deserialize, Serialize};

use crate::draft::{Draft, Drafted};
use crate::initialization::{fits, len};
use crate::module::ImportName;
use crate::{Global, GlobalIndex, MemoryIndex, Module, StartFunction, StartInit, Value};

/// One fact about the host that a [`Plan`](crate::Plan) rests on.
///
/// Where it does not hold, a memory that is initialised as planned is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Assumption {
    /// An imported immutable global has this value
    /// ([`Module::with_global`]).
    GlobalValue {
        /// Its index in the module.
        global: GlobalIndex,
        /// The module that it is imported from.
        module: String,
        /// Its name in that module.
        name: String,
        /// Its value.
        value: Value,
    },
    /// An imported memory is zero before anything is written to it, at least as large as
    /// declared, and not the same memory as another import
    /// ([`Policy::assume_zeroed_imports`](crate::Policy::assume_zeroed_imports)).
    ZeroedMemory {
        /// Its index in the module.
        memory: MemoryIndex,
        /// The module that it is imported from.
        module: String,
        /// Its name in that module.
        name: String,
    },
    /// An imported memory has at least this many bytes at the start, more than it is
    /// declared with ([`Module::with_memory_size`]).
    MemorySize {
        /// Its index in the module.
        memory: MemoryIndex,
        /// The module that it is imported from.
        module: String,
        /// Its name in that module.
        name: String,
        /// Its least size in bytes.
        bytes: u64,
    },
    /// What the start function writes is in the image of this memory, on these terms
    /// ([`Policy::start_function`](crate::Policy::start_function)).
    StartFunction {
        /// The index of the memory in the module.
        memory: MemoryIndex,
        /// The terms; never [`StartFunction::Runs`].
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
                "memory {} ({module:?} {name:?}) is zero at the start and imported once",
                memory.as_u32()
            ),
            Self::MemorySize {
                memory,
                module,
                name,
                bytes,
            } => write!(
                f,
                "memory {} ({module:?} {name:?}) has at least {bytes} bytes at the start",
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

/// What a finished draft rests on.
pub(crate) struct Grounds {
    /// In the order globals, zeroed memories, sizes, start function; by index within each.
    pub(crate) list: Vec<Assumption>,
    /// Of which memories the size is one of them.
    pub(crate) sizes: PrimaryMap<MemoryIndex, Option<u64>>,
}

impl Grounds {
    /// `draft` is final: what it bakes is in an image. `start` is what is baked of the
    /// start function.
    pub(crate) fn of(
        module: &Module<'_>,
        treatment: StartFunction,
        draft: &Draft<'_>,
        start: Option<&StartInit>,
        elements_may_trap: bool,
    ) -> Self {
        let mut globals = UsedGlobals::new(module);
        let mut sizes: PrimaryMap<MemoryIndex, Option<u64>> =
            module.memories().values().map(|_| None).collect();
        let mut is_baked: PrimaryMap<MemoryIndex, bool> =
            module.memories().values().map(|_| false).collect();

        // A baked segment rests on its own address, and on that none before it traps.
        // Baked writes of the start function come after all of them.
        let last_baked = draft.list.iter().rposition(|it| it.reason.is_none());
        let n_relevant = match start {
            Some(_) => draft.list.len(),
            None => last_baked.map_or(0, |last| last.saturating_add(1)),
        };
        for Drafted {
            it, addr, reason, ..
        } in draft.list.iter().take(n_relevant)
        {
            it.offset.globals().for_each(|global| globals.mark(global));
            debug_assert!(addr.is_some(), "a segment that may trap before a baked one");
            if let Some(addr) = addr {
                note_size(module, &mut sizes, it.memory_index, *addr, len(&it.data));
            }
            if let (None, Some(slot)) = (reason, is_baked.get_mut(it.memory_index)) {
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
                debug_assert!(segment.is_some(), "a segment that was looked at");
                let n_bytes = segment.map_or(0, |it| len(it.data));
                note_size(module, &mut sizes, start.memory(), *addr, n_bytes);
            }
            for zeroed in start.zeroed() {
                let n_bytes = zeroed.end.saturating_sub(zeroed.start);
                note_size(module, &mut sizes, start.memory(), zeroed.start, n_bytes);
            }
        }
        // That no element traps may rest on values too.
        if !elements_may_trap {
            module
                .elements
                .for_each_global(&mut |global| globals.mark(global));
        }

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

/// Notes the size that the host gave where these bytes are beyond the declared one.
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
        debug_assert!(slot.is_some(), "bytes in bounds of no size that was said");
    }
}

/// Imported globals whose supplied values matter; each global is followed once.
struct UsedGlobals<'m, 'a> {
    module: &'m Module<'a>,
    is_used: Vec<bool>,
    /// Used, and not yet looked at.
    rest: Vec<GlobalIndex>,
}

impl<'m, 'a> UsedGlobals<'m, 'a> {
    const fn new(module: &'m Module<'a>) -> Self {
        Self {
            module,
            is_used: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn mark(&mut self, global: GlobalIndex) {
        self.push(global);
        while let Some(global) = self.rest.pop() {
            if let Some(init) = self.module.deferred.init(global) {
                crate::const_expr::globals(init).for_each(|global| self.push(global));
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
