//! Verifies that an artifact initialises a module's memories exactly as replaying the module
//! does, at every moment at which a program could observe a difference.
//!
//! Three moments are compared, with a naive model that shares no code with the builder. The
//! first is the image alone: a program observes it if a replayed segment traps, so it must
//! hold what may be baked and nothing else. The second is after the replay of all segments.
//! The third, if the image replaces the work of a start function, is after that function has
//! returned. What only the host knows, such as a segment at an unknown address, must be in
//! the replay list exactly as in the module, and then has the same effect on both sides.

mod assume;
mod finding;
#[cfg(test)]
mod forged;
mod overlay;
mod start;
mod stripped;

use wasm_meminit_analysis::{
    Assumption, DataIndex, MemoryIndex, MemoryInitializer, Module, OffsetExpr, ResolvedOffset,
};
use wasm_meminit_image_builder::{Artifact, SourceHash};

use assume::{Assumed, assume};
pub(crate) use finding::{Finding, Moment, MustReplay, NotTheStart};
use overlay::Overlay;
pub(crate) use stripped::verify_stripped;

/// What was compared without finding a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) n_memories: u64,
    /// Segments in the image, including those of a start function.
    pub(crate) n_baked: u64,
    /// Active segments in the replay list.
    pub(crate) n_replayed: u64,
    /// Bytes of the segments that both sides wrote.
    pub(crate) data_bytes: u64,
    /// Pages of 4 KiB that either side wrote to.
    pub(crate) n_pages: u64,
    /// Replayed segments whose addresses only the host knows.
    pub(crate) n_unknown: u64,
    /// The artifact's assumptions about the host.
    pub(crate) assumptions: Vec<Assumption>,
}

/// Verifies an artifact against the module with this hash. What is known about the host, if
/// anything, is set on the module; the artifact records what it assumes.
///
/// # Errors
///
/// The first [`Finding`].
pub(crate) fn verify(
    module: Module<'_>,
    hash: SourceHash,
    artifact: &Artifact<'_>,
) -> Result<Verified, Finding> {
    let (module, assumed) = same_head(module, artifact)?;
    let mut replay = artifact.replay().peekable();
    let mut sides = Sides::new(&module, artifact, &assumed);
    for segment in module.active_segments() {
        match replay.next_if(|it| it.segment == segment.segment) {
            Some(it) if same_segment(&module, &it, &segment) => sides.replayed(&segment),
            Some(it) => {
                return Err(Finding::ReplayList {
                    segment: it.segment,
                });
            }
            None => sides.baked(&segment)?,
        }
    }
    // Any segment left over is not active, or follows one with a higher index.
    if let Some(left) = replay.next() {
        return Err(Finding::ReplayList {
            segment: left.segment,
        });
    }
    sides.finish(artifact)?;
    match artifact.source() {
        Some(found) if found != hash => Err(Finding::Source {
            expected: hash,
            found,
        }),
        _ => {
            let verified = sides.verified;
            Ok(Verified {
                assumptions: assumed.list,
                ..verified
            })
        }
    }
}

/// Compares everything except segments and bytes: the memories, the artifact's assumptions, and
/// whether element segments may trap.
fn same_head<'a>(
    module: Module<'a>,
    artifact: &Artifact<'_>,
) -> Result<(Module<'a>, Assumed), Finding> {
    if module.memories().len() != artifact.memories().len() {
        return Err(Finding::MemoryCount {
            expected: module.memories().len(),
            found: artifact.memories().len(),
        });
    }
    let (module, assumed) = assume(module, artifact)?;
    same_types(&module, artifact, &assumed)?;
    let elements_may_trap = module.elements_may_trap();
    if elements_may_trap != artifact.elements_may_trap() {
        return Err(Finding::ElementsMayTrap {
            expected: elements_may_trap,
        });
    }
    Ok((module, assumed))
}

/// Whether a segment of the replay list equals the module's. Its address may be a different
/// expression with the same value, or one in which globals of the module are resolved.
fn same_segment(
    module: &Module<'_>,
    theirs: &MemoryInitializer<'_>,
    ours: &MemoryInitializer<'_>,
) -> bool {
    if theirs.memory_index != ours.memory_index || theirs.data != ours.data {
        return false;
    }
    let index_type = module.memories()[ours.memory_index].ty.index_type;
    let known = |global| module.global_value(global);
    let (theirs, ours) = (&theirs.offset, &ours.offset);
    match (
        theirs.eval(index_type, &known),
        ours.eval(index_type, &known),
    ) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ if theirs == ours => true,
        _ => match (module.resolve_offset(ours), theirs) {
            (Some(ResolvedOffset::Const(value)), OffsetExpr::Const(theirs)) => *theirs == value,
            (Some(ResolvedOffset::Expr(expr)), OffsetExpr::Expr(theirs)) => {
                theirs.as_bytes() == expr
            }
            _ => false,
        },
    }
}

/// Compares the memory types. An artifact stores an assumed size as part of the type.
fn same_types(
    module: &Module<'_>,
    artifact: &Artifact<'_>,
    assumed: &Assumed,
) -> Result<(), Finding> {
    for ((index, ours), theirs) in module.memories().iter().zip(artifact.memories()) {
        let mut ty = ours.ty;
        if let Some(bytes) = assumed.sizes.get(&index) {
            ty.min = bytes / ty.page_size.bytes();
        }
        if ty != theirs.ty() || ours.import.is_some() != theirs.is_imported() {
            return Err(Finding::MemoryType { memory: nth(index) });
        }
    }
    Ok(())
}

/// Where a segment is written.
enum Place {
    Certain(u64),
    Trap,
    /// The host decides the address, or whether the segment is in bounds.
    Open(MustReplay),
}

/// The memories according to the module and according to the artifact.
struct Sides<'m, 'a> {
    module: &'m Module<'a>,
    assumed: &'m Assumed,
    /// What the image must hold before any segment is replayed, by memory.
    image: Vec<Overlay<'a>>,
    /// What the module writes, by memory.
    expected: Vec<Overlay<'a>>,
    /// What the artifact's image and replay list write, by memory.
    found: Vec<Overlay<'a>>,
    /// The runs alone, by memory.
    runs: Vec<Overlay<'a>>,
    /// The first segment that may trap.
    barrier: Option<DataIndex>,
    /// Whether a segment that always traps was reached: nothing after it is written.
    trapped: bool,
    verified: Verified,
}

impl<'m, 'a> Sides<'m, 'a> {
    fn new(module: &'m Module<'a>, artifact: &'a Artifact<'_>, assumed: &'m Assumed) -> Self {
        let empty = vec![Overlay::default(); module.memories().len()];
        let mut runs = empty.clone();
        for (memory, overlay) in module.memories().keys().zip(&mut runs) {
            let Some(image) = artifact.image(memory) else {
                continue;
            };
            for (position, run) in image.runs_with_position() {
                let data = &image.bytes()[position as usize..][..run.data.len()];
                overlay.write(run.addr, data);
            }
        }
        Self {
            module,
            assumed,
            image: empty.clone(),
            expected: empty,
            found: runs.clone(),
            runs,
            barrier: None,
            trapped: false,
            verified: Verified::default(),
        }
    }

    fn place(&self, it: &MemoryInitializer<'_>) -> Place {
        let memory = &self.module.memories()[it.memory_index];
        let known = |global| self.module.global_value(global);
        let Ok(addr) = it.offset.eval(memory.ty.index_type, &known) else {
            return Place::Open(MustReplay::UnknownAddress);
        };
        let end = addr.checked_add(it.data.len() as u64);
        // An imported memory may be larger than is known: the host decides.
        match (end, self.module.memory_size(it.memory_index)) {
            (Some(end), Some(size)) if end <= size => Place::Certain(addr),
            _ if memory.import.is_some() => Place::Open(MustReplay::OutOfBounds),
            _ => Place::Trap,
        }
    }

    /// Handles a segment that both sides replay.
    fn replayed(&mut self, it: &MemoryInitializer<'a>) {
        self.verified.n_replayed += 1;
        match self.place(it) {
            Place::Certain(addr) if !self.trapped => {
                self.write(it, addr);
                let data = self.data(it);
                self.found[nth(it.memory_index)].write(addr, data);
            }
            Place::Certain(_) => {}
            Place::Trap => {
                self.trapped = true;
                self.barrier.get_or_insert(it.segment);
            }
            Place::Open(_) => {
                self.verified.n_unknown += 1;
                self.barrier.get_or_insert(it.segment);
            }
        }
    }

    /// Handles a segment that only the module replays: its bytes must be in the image.
    fn baked(&mut self, it: &MemoryInitializer<'a>) -> Result<(), Finding> {
        self.verified.n_baked += 1;
        let because = match (self.place(it), self.barrier) {
            (Place::Open(because), _) => because,
            (Place::Trap, _) => MustReplay::OutOfBounds,
            (Place::Certain(_), _) if !self.may_have_runs(it.memory_index) => {
                MustReplay::ImportedMemory
            }
            (Place::Certain(_), Some(barrier)) => MustReplay::AfterBarrier(barrier),
            (Place::Certain(addr), None) => {
                self.write(it, addr);
                let data = self.data(it);
                self.image[nth(it.memory_index)].write(addr, data);
                return Ok(());
            }
        };
        Err(Finding::MustReplay {
            segment: it.segment,
            because,
        })
    }

    fn may_have_runs(&self, memory: MemoryIndex) -> bool {
        self.module.memories()[memory].import.is_none() || self.assumed.zeroed.contains(&memory)
    }

    fn write(&mut self, it: &MemoryInitializer<'a>, addr: u64) {
        self.verified.data_bytes += it.data.len() as u64;
        let data = self.data(it);
        self.expected[nth(it.memory_index)].write(addr, data);
    }

    /// Returns a segment's bytes, borrowed from the module's binary.
    fn data(&self, it: &MemoryInitializer<'_>) -> &'a [u8] {
        self.module.segments()[it.segment].data
    }

    fn finish(&mut self, artifact: &Artifact<'_>) -> Result<(), Finding> {
        for memory in self.module.memories().keys() {
            let mut runs = artifact.image(memory).into_iter().flat_map(|it| it.runs());
            if let (false, Some(run)) = (self.may_have_runs(memory), runs.next()) {
                return Err(Finding::Run {
                    memory: nth(memory),
                    addr: run.addr,
                });
            }
        }
        let moment = match artifact.start() {
            Some(start) => {
                self.start(&start)?;
                Moment::Started
            }
            None => Moment::Replayed,
        };
        same_bytes(Moment::Image, &self.image, &self.runs)?;
        same_bytes(moment, &self.expected, &self.found)?;
        self.verified.n_memories = self.expected.len() as u64;
        let sides = self.expected.iter().zip(&self.found);
        self.verified.n_pages = sides.map(|(a, b)| a.n_pages().max(b.n_pages())).sum();
        Ok(())
    }
}

fn same_bytes(
    moment: Moment,
    expected: &[Overlay<'_>],
    found: &[Overlay<'_>],
) -> Result<(), Finding> {
    for (memory, (expected, found)) in expected.iter().zip(found).enumerate() {
        if let Some(byte) = expected.first_difference(found) {
            return Err(Finding::Byte {
                memory,
                moment,
                byte,
            });
        }
    }
    Ok(())
}

fn nth(memory: MemoryIndex) -> usize {
    memory.as_u32() as usize
}
