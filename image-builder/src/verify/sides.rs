//! The memories according to the module and according to the artifact.

use alloc::collections::BTreeMap;

use wasm_meminit_analysis::{DataIndex, MemoryIndex, MemoryInitializer, Module};

use super::assume::Assumed;
use super::finding::{Finding, Moment, MustReplay};
use super::overlay::{Overlay, len_u64};
use super::verified::Verified;
use crate::Artifact;

/// Where a segment is written.
enum Place {
    Certain(u64),
    Trap,
    /// The host decides the address, or whether the segment is in bounds.
    Open(MustReplay),
}

/// What was written to each memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memories<'a>(BTreeMap<MemoryIndex, Overlay<'a>>);

impl<'a> Memories<'a> {
    pub(super) fn of(&mut self, memory: MemoryIndex) -> &mut Overlay<'a> {
        self.0.entry(memory).or_default()
    }

    fn get(&self, memory: MemoryIndex) -> &Overlay<'a> {
        static EMPTY: Overlay<'_> = Overlay::new();
        self.0.get(&memory).unwrap_or(&EMPTY)
    }
}

/// Both sides, while the segments of the module are visited in order.
pub(super) struct Sides<'m, 'a> {
    pub(super) module: &'m Module<'a>,
    assumed: &'m Assumed,
    /// What the image must hold before any segment is replayed.
    pub(super) image: Memories<'a>,
    /// What the module writes.
    pub(super) expected: Memories<'a>,
    /// What the artifact's image and replay list write.
    pub(super) found: Memories<'a>,
    /// The runs alone.
    runs: Memories<'a>,
    /// The first segment that may trap.
    pub(super) barrier: Option<DataIndex>,
    /// Whether a segment that always traps was reached: nothing after it is written.
    trapped: bool,
    pub(super) verified: Verified,
}

impl<'m, 'a> Sides<'m, 'a> {
    pub(super) fn new(
        module: &'m Module<'a>,
        artifact: &'a Artifact<'_>,
        assumed: &'m Assumed,
    ) -> Self {
        let mut runs = Memories::default();
        for memory in module.memories().keys() {
            let Some(image) = artifact.image(memory) else {
                continue;
            };
            for (position, run) in image.runs_with_position() {
                let data = usize::try_from(position).ok().and_then(|start| {
                    let end = start.checked_add(run.data.len())?;
                    image.bytes().get(start..end)
                });
                debug_assert!(data.is_some(), "a run lies within its image");
                runs.of(memory).write(run.addr, data.unwrap_or_default());
            }
        }
        Self {
            module,
            assumed,
            image: Memories::default(),
            expected: Memories::default(),
            found: runs.clone(),
            runs,
            barrier: None,
            trapped: false,
            verified: Verified::default(),
        }
    }

    /// Both sides of a module whose writes come after the image.
    pub(super) fn over_image(self) -> Self {
        Self {
            image: self.runs.clone(),
            expected: self.runs.clone(),
            ..self
        }
    }

    fn place(&self, it: &MemoryInitializer<'_>) -> Place {
        let Some(memory) = self.module.memories().get(it.memory_index) else {
            return Place::Trap;
        };
        let known = |global| self.module.global_value(global);
        let Ok(addr) = it.offset.eval(memory.ty.index_type, &known) else {
            return Place::Open(MustReplay::UnknownAddress);
        };
        let end = addr.checked_add(len_u64(&it.data));
        // An imported memory may be larger than is known: the host decides.
        match (end, self.module.memory_size(it.memory_index)) {
            (Some(end), Some(size)) if end <= size => Place::Certain(addr),
            _ if memory.import.is_some() => Place::Open(MustReplay::OutOfBounds),
            _ => Place::Trap,
        }
    }

    /// Whether a segment changes anything, be it only that it may trap.
    pub(super) fn has_effect(&self, it: &MemoryInitializer<'_>) -> bool {
        !it.data.is_empty() || !matches!(self.place(it), Place::Certain(_))
    }

    /// Handles a segment that both sides replay.
    pub(super) fn replayed(&mut self, it: &MemoryInitializer<'a>) {
        add(&mut self.verified.n_replayed, 1);
        match self.place(it) {
            Place::Certain(addr) if !self.trapped => {
                let data = self.data(it.segment);
                self.write(it.memory_index, addr, data);
                self.found.of(it.memory_index).write(addr, data);
            }
            Place::Certain(_) => {}
            Place::Trap => {
                self.trapped = true;
                self.barrier.get_or_insert(it.segment);
            }
            Place::Open(_) => {
                add(&mut self.verified.n_unknown, 1);
                self.barrier.get_or_insert(it.segment);
            }
        }
    }

    /// Handles a segment that only the module replays: its bytes must be in the image.
    pub(super) fn baked(&mut self, it: &MemoryInitializer<'a>) -> Result<(), Finding> {
        add(&mut self.verified.n_baked, 1);
        let because = match (self.place(it), self.barrier) {
            (Place::Open(because), _) => because,
            (Place::Trap, _) => MustReplay::OutOfBounds,
            (Place::Certain(_), _) if !self.may_have_runs(it.memory_index) => {
                MustReplay::ImportedMemory
            }
            (Place::Certain(_), Some(barrier)) => MustReplay::AfterBarrier(barrier),
            (Place::Certain(addr), None) => {
                let data = self.data(it.segment);
                self.write(it.memory_index, addr, data);
                self.image.of(it.memory_index).write(addr, data);
                return Ok(());
            }
        };
        Err(Finding::MustReplay {
            segment: it.segment,
            because,
        })
    }

    /// Whether a memory is zero before anything is written to it.
    pub(super) fn may_have_runs(&self, memory: MemoryIndex) -> bool {
        let is_defined = |memory| {
            let memory = self.module.memories().get(memory);
            memory.is_some_and(|it| it.import.is_none())
        };
        is_defined(memory) || self.assumed.zeroed.contains(&memory)
    }

    /// Writes data of the module to the memory that is expected.
    pub(super) fn write(&mut self, memory: MemoryIndex, addr: u64, data: &'a [u8]) {
        add(&mut self.verified.data_bytes, len_u64(data));
        self.expected.of(memory).write(addr, data);
    }

    /// Changes a memory that the module writes again after the image.
    pub(super) fn rewrite(&mut self, memory: MemoryIndex, change: impl Fn(&mut Overlay<'a>)) {
        change(self.image.of(memory));
        change(self.expected.of(memory));
    }

    /// Returns a segment's bytes, borrowed from the module's binary.
    pub(super) fn data(&self, segment: DataIndex) -> &'a [u8] {
        let segment = self.module.segments().get(segment);
        segment.map(|it| it.data).unwrap_or_default()
    }

    /// Checks that only memories that are known to be zero have runs.
    pub(super) fn only_allowed_runs(&self, artifact: &Artifact<'_>) -> Result<(), Finding> {
        for memory in self.module.memories().keys() {
            let mut runs = artifact.image(memory).into_iter().flat_map(|it| it.runs());
            if let (false, Some(run)) = (self.may_have_runs(memory), runs.next()) {
                return Err(Finding::Run {
                    memory,
                    addr: run.addr,
                });
            }
        }
        Ok(())
    }

    /// Compares the image alone, then everything that was written up to `moment`.
    pub(super) fn compare(self, moment: Moment) -> Result<Verified, Finding> {
        let same = |moment, expected: &Memories<'a>, found: &Memories<'a>| {
            self.module.memories().keys().try_for_each(|memory| {
                let byte = expected.get(memory).first_difference(found.get(memory));
                byte.map_or(Ok(()), |byte| {
                    Err(Finding::Byte {
                        memory,
                        moment,
                        byte,
                    })
                })
            })
        };
        same(Moment::Image, &self.image, &self.runs)?;
        same(moment, &self.expected, &self.found)?;
        let mut verified = self.verified;
        for memory in self.module.memories().keys() {
            let sides = [self.expected.get(memory), self.found.get(memory)];
            let n_pages = sides.map(Overlay::n_pages).into_iter().max();
            add(&mut verified.n_memories, 1);
            add(&mut verified.n_pages, n_pages.unwrap_or(0));
        }
        Ok(verified)
    }
}

/// Adds to a counter. Never saturates: it counts what is in memory.
pub(super) fn add(counter: &mut u64, n: u64) {
    *counter = counter.saturating_add(n);
}
