//! Whether an artifact gives a module's memories the first state that replaying the
//! module gives them.
//!
//! The module is replayed in the order of the specification into a naive model; from
//! the artifact the runs are written, then its replay list. What is only known to the
//! host, a segment at an unknown address say, must be in the replay list as it stands
//! in the module, and then has the same effect on both sides.

use core::fmt;

use wasm_meminit_analysis::{
    DataIndex, EvalError, MemoryIndex, MemoryInitializer, Module, OffsetExpr, StartReason,
};
use wasm_meminit_image_builder::{Artifact, BakedStart};

use crate::sparse::{ByteDifference, SparseMemory};

/// What was compared without finding a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) n_memories: u64,
    /// Segments in the image, those of a start function included.
    pub(crate) n_baked: u64,
    /// Active segments in the replay list.
    pub(crate) n_replayed: u64,
    /// Bytes of the segments that were written on both sides.
    pub(crate) data_bytes: u64,
    /// Pages of 4 KiB that either side wrote to.
    pub(crate) n_pages: u64,
    /// Replayed segments whose addresses only the host knows.
    pub(crate) n_unknown: u64,
}

/// The first difference between a module and an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Not the same number of memories.
    MemoryCount { expected: usize, found: usize },
    /// A memory of another type, or imported here and defined there.
    MemoryType { memory: usize },
    /// Whether an element segment may trap.
    ElementsMayTrap { expected: bool },
    /// The replay list has a segment that is not the module's, or not at its place.
    ReplayList { segment: DataIndex },
    /// A segment is in the image that must not be.
    MustReplay {
        segment: DataIndex,
        because: MustReplay,
    },
    /// The image holds in place of the start function what that would not write.
    StartFunction { because: NotTheStart },
    /// A byte of a memory.
    Byte { memory: usize, byte: ByteDifference },
}

/// Why a segment must be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MustReplay {
    UnknownAddress,
    OutOfBounds,
    ImportedMemory,
    BehindBarrier(DataIndex),
}

/// What is wrong with what stands in place of the start function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTheStart {
    /// It is not wasm-ld's.
    Unknown(StartReason),
    /// Memory, flag or the first thread's storage.
    Another,
    ImportedMemory,
    BehindBarrier(DataIndex),
}

impl fmt::Display for NotTheStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(reason) => reason.fmt(f),
            Self::Another => f.write_str("it has another flag, memory or thread-local storage"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::BehindBarrier(at) => write!(f, "segment {} may trap before it", at.as_u32()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MemoryCount { expected, found } => {
                write!(f, "expected {expected} memories, found {found}")
            }
            Self::MemoryType { memory } => write!(f, "memory {memory} has another type"),
            Self::ElementsMayTrap { expected } => {
                write!(f, "whether element segments may trap: expected {expected}")
            }
            Self::ReplayList { segment } => write!(
                f,
                "replay list: segment {} is not as in the module",
                segment.as_u32()
            ),
            Self::MustReplay { segment, because } => {
                write!(f, "segment {} is not replayed although ", segment.as_u32())?;
                match because {
                    MustReplay::UnknownAddress => f.write_str("its address is not known"),
                    MustReplay::OutOfBounds => f.write_str("it is out of bounds"),
                    MustReplay::ImportedMemory => f.write_str("its memory is imported"),
                    MustReplay::BehindBarrier(at) => {
                        write!(f, "segment {} before it may trap", at.as_u32())
                    }
                }
            }
            Self::StartFunction { because } => {
                write!(
                    f,
                    "the image is not what the start function writes: {because}"
                )
            }
            Self::Byte {
                memory,
                byte:
                    ByteDifference {
                        addr,
                        expected,
                        found,
                    },
            } => write!(
                f,
                "memory {memory}, address {addr:#x}: expected {expected:#04x}, found {found:#04x}"
            ),
        }
    }
}

/// Compares them; `zeroed_imports` is the promise under which imported memories may
/// have images.
///
/// # Errors
///
/// The first difference.
pub(crate) fn compare(
    module: &Module<'_>,
    artifact: &Artifact<'_>,
    zeroed_imports: bool,
) -> Result<Compared, Difference> {
    same_memories(module, artifact)?;
    let mut replay = artifact.replay().peekable();
    let mut sides = Sides::new(module, artifact, zeroed_imports);
    for segment in module.active_segments() {
        match replay.next_if(|it| it.segment == segment.segment) {
            Some(it) if it == segment => sides.replayed(&segment),
            Some(it) => {
                return Err(Difference::ReplayList {
                    segment: it.segment,
                });
            }
            None => sides.baked(&segment)?,
        }
    }
    // What is left is no active segment, or stands behind one with a higher index.
    if let Some(left) = replay.next() {
        return Err(Difference::ReplayList {
            segment: left.segment,
        });
    }
    if let Some(start) = artifact.start() {
        sides.start(&start)?;
    }
    sides.finish()
}

fn same_memories(module: &Module<'_>, artifact: &Artifact<'_>) -> Result<(), Difference> {
    let expected = module.memories().len();
    let found = artifact.memories().len();
    if expected != found {
        return Err(Difference::MemoryCount { expected, found });
    }
    for (ours, (memory, theirs)) in module
        .memories()
        .values()
        .zip((0..).zip(artifact.memories()))
    {
        if ours.ty != theirs.ty() || ours.import.is_some() != theirs.is_imported() {
            return Err(Difference::MemoryType { memory });
        }
    }
    let expected = module.elements_may_trap();
    if expected != artifact.elements_may_trap() {
        return Err(Difference::ElementsMayTrap { expected });
    }
    Ok(())
}

/// Where one segment goes.
enum Place {
    Certain(u64),
    Trap,
    /// The host decides: where it goes, or whether it fits.
    Open(MustReplay),
}

/// The memories as the module says, and as the artifact says.
struct Sides<'m, 'a> {
    module: &'m Module<'a>,
    zeroed_imports: bool,
    expected: Vec<SparseMemory>,
    found: Vec<SparseMemory>,
    /// The first segment that may trap.
    barrier: Option<DataIndex>,
    /// A segment that is certain to trap was met: nothing behind it is written.
    trapped: bool,
    compared: Compared,
}

impl<'m, 'a> Sides<'m, 'a> {
    fn new(module: &'m Module<'a>, artifact: &Artifact<'_>, zeroed_imports: bool) -> Self {
        let empty = || {
            module
                .memories()
                .values()
                .map(|_| SparseMemory::default())
                .collect()
        };
        let mut found: Vec<SparseMemory> = empty();
        for (memory, found) in module.memories().keys().zip(&mut found) {
            for run in artifact.image(memory).into_iter().flat_map(|it| it.runs()) {
                found.write(run.offset, &run.data);
            }
        }
        Self {
            module,
            zeroed_imports,
            expected: empty(),
            found,
            barrier: None,
            trapped: false,
            compared: Compared::default(),
        }
    }

    fn place(&self, it: &MemoryInitializer<'_>) -> Place {
        let memory = &self.module.memories()[it.memory_index];
        let offset: &OffsetExpr<'_> = &it.offset;
        let known = |global| self.module.global_value(global);
        let addr = match offset.eval(memory.ty.index_type, &known) {
            Ok(addr) => addr,
            Err(EvalError::UnknownGlobal(_) | _) => {
                return Place::Open(MustReplay::UnknownAddress);
            }
        };
        let end = addr.checked_add(it.data.len() as u64);
        // The import may be larger than the module declares, unless it was promised
        // to be that large and no segment is left to find out.
        match (end, memory.ty.min_bytes()) {
            (Some(end), Some(size)) if end <= size => Place::Certain(addr),
            _ if memory.import.is_some() => Place::Open(MustReplay::OutOfBounds),
            _ => Place::Trap,
        }
    }

    /// A segment that both sides replay.
    fn replayed(&mut self, it: &MemoryInitializer<'_>) {
        self.compared.n_replayed += 1;
        match self.place(it) {
            Place::Certain(addr) if !self.trapped => {
                self.write(it, addr);
                self.found[nth(it.memory_index)].write(addr, &it.data);
            }
            Place::Certain(_) => {}
            Place::Trap => {
                self.trapped = true;
                self.barrier.get_or_insert(it.segment);
            }
            Place::Open(_) => {
                self.compared.n_unknown += 1;
                self.barrier.get_or_insert(it.segment);
            }
        }
    }

    /// A segment that only the module replays: its bytes must be in the image.
    fn baked(&mut self, it: &MemoryInitializer<'_>) -> Result<(), Difference> {
        self.compared.n_baked += 1;
        let imported = self.module.memories()[it.memory_index].import.is_some();
        let because = match (self.place(it), self.barrier) {
            (Place::Open(because), _) => because,
            (Place::Trap, _) => MustReplay::OutOfBounds,
            (Place::Certain(_), _) if imported && !self.zeroed_imports => {
                MustReplay::ImportedMemory
            }
            (Place::Certain(_), Some(barrier)) => MustReplay::BehindBarrier(barrier),
            (Place::Certain(addr), None) => {
                self.write(it, addr);
                return Ok(());
            }
        };
        Err(Difference::MustReplay {
            segment: it.segment,
            because,
        })
    }

    /// What the start function writes on the module's side, the flag included.
    fn start(&mut self, baked: &BakedStart) -> Result<(), Difference> {
        let fail = |because| Err(Difference::StartFunction { because });
        let init = match self.module.start_init() {
            Ok(init) => init,
            Err(reason) => return fail(NotTheStart::Unknown(reason)),
        };
        if (init.memory(), init.flag(), init.thread_local())
            != (baked.memory, baked.flag, baked.thread_local)
        {
            return fail(NotTheStart::Another);
        }
        let imported = self.module.memories()[init.memory()].import.is_some();
        if imported && !self.zeroed_imports {
            return fail(NotTheStart::ImportedMemory);
        }
        if let Some(barrier) = self.barrier {
            return fail(NotTheStart::BehindBarrier(barrier));
        }
        let expected = &mut self.expected[nth(init.memory())];
        for (segment, addr) in init.writes() {
            let data = self.module.segments()[*segment].data;
            expected.write(*addr, data);
            self.compared.data_bytes += data.len() as u64;
            self.compared.n_baked += 1;
        }
        if baked.is_done {
            expected.write(baked.flag, &2_u32.to_le_bytes());
        }
        Ok(())
    }

    fn write(&mut self, it: &MemoryInitializer<'_>, addr: u64) {
        self.compared.data_bytes += it.data.len() as u64;
        self.expected[nth(it.memory_index)].write(addr, &it.data);
    }

    fn finish(mut self) -> Result<Compared, Difference> {
        self.compared.n_memories = self.expected.len() as u64;
        for (memory, (expected, found)) in self.expected.iter().zip(&self.found).enumerate() {
            if let Some(byte) = expected.first_difference(found) {
                return Err(Difference::Byte { memory, byte });
            }
            self.compared.n_pages += expected.n_pages().max(found.n_pages());
        }
        Ok(self.compared)
    }
}

fn nth(memory: MemoryIndex) -> usize {
    memory.as_u32() as usize
}
