//! The initial contents of one memory: which bytes are known, and where they come from.

use core::ops::Range;

use wasm_meminit::analysis::{Decision, ImportName, MemoryType, Run, StaticMemoryInitializer};

use super::intervals::Intervals;
use super::segment::{Fate, SegmentView};

/// One memory, before any segment is replayed.
#[derive(Debug)]
pub(crate) struct MemoryContents<'a> {
    pub(crate) ty: MemoryType,
    /// The initial size in bytes; `None` for 2⁶⁴. For an imported memory, the size that it is
    /// known to have at least.
    pub(crate) size: Option<u64>,
    pub(crate) is_imported: bool,
    /// The name that it is imported under; `None` also for an artifact, which does not record it.
    pub(crate) import: Option<ImportName<'a>>,
    /// Whether bytes that nothing writes are zero. If not, the host supplies them.
    pub(crate) is_zeroed: bool,
    pub(crate) decision: Decision,
    /// The runs of the image.
    pub(crate) layout: Vec<Run>,
    /// The bytes of the image in address order, without overlaps; all others are zero.
    pub(super) pieces: Vec<StaticMemoryInitializer<'a>>,
    /// Where bytes come from, in the order of the writes: later ones hide earlier ones.
    pub(super) written: Vec<(Range<u64>, Bytes)>,
    /// Segments that are replayed into this memory.
    pub(crate) n_replayed: u64,
    /// Those of them at addresses that are not known.
    pub(crate) n_unplaced: u64,
    pub(crate) unplaced_bytes: u64,
}

/// Where the bytes of a range come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Nothing writes them: zero.
    Zero,
    /// Nothing writes them, and the host supplies the memory: not known.
    Host,
    /// The run of an artifact that begins at this address.
    Run(u64),
    /// The segment at this position of the list.
    Segment(usize),
    /// The segment at this position of the list, which is replayed: not known before.
    Replayed(usize),
    /// The flag of a threaded module's start function.
    Flag,
}

impl Bytes {
    /// Whether the bytes are known before any segment is replayed.
    pub(crate) const fn are_known(self) -> bool {
        !matches!(self, Self::Host | Self::Replayed(_))
    }
}

impl MemoryContents<'_> {
    /// Returns one past the highest address; for a memory of 2⁶⁴ bytes, the highest one.
    pub(crate) fn end(&self) -> u64 {
        self.size.unwrap_or(u64::MAX)
    }

    /// Returns the decision that can be told from the image and the replayed segments.
    pub(crate) const fn recorded_decision(&self) -> Decision {
        match (self.layout.is_empty(), self.n_replayed) {
            (true, 0) => Decision::None,
            (true, _) => Decision::Segmented,
            (false, 0) => Decision::Static,
            (false, _) => Decision::Hybrid,
        }
    }

    /// Returns the number of bytes in the image.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.layout.iter().map(|it| it.len).sum()
    }

    /// Adds a segment that is the `nth` of the list.
    pub(super) fn add(&mut self, nth: usize, segment: &SegmentView<'_>) {
        let bytes = match segment.fate {
            Fate::Static | Fate::Copied => Bytes::Segment(nth),
            Fate::Replayed(_) => {
                self.n_replayed += 1;
                Bytes::Replayed(nth)
            }
            Fate::Passive => return,
        };
        match (segment.addr, segment.end()) {
            (Some(addr), Some(end)) if end <= self.end() => self.written.push((addr..end, bytes)),
            // The host's memory may be larger than is known, and then all of it is written.
            (Some(addr), Some(_)) if self.is_imported && addr < self.end() => {
                self.written.push((addr..self.end(), bytes));
            }
            // Out of bounds: it never writes anything.
            (Some(_), _) => {}
            (None, _) => {
                self.n_unplaced += 1;
                self.unplaced_bytes += segment.len();
            }
        }
    }

    pub(super) fn add_flag(&mut self, addr: u64) {
        self.written
            .push((addr..addr.saturating_add(4), Bytes::Flag));
    }

    /// Adds the runs of an artifact, which does not record what they were made of.
    pub(super) fn add_runs(&mut self) {
        let runs = self.layout.iter();
        let runs = runs.map(|it| (it.addr..it.end(), Bytes::Run(it.addr)));
        self.written.extend(runs);
    }

    /// Returns where the bytes of a range come from: disjoint ranges in order that cover it.
    pub(crate) fn sources(&self, range: Range<u64>) -> Intervals<Bytes> {
        let rest = if self.is_zeroed {
            Bytes::Zero
        } else {
            Bytes::Host
        };
        let mut intervals = Intervals::new(range.clone(), rest);
        for (written, bytes) in &self.written {
            let written = written.start.max(range.start)..written.end.min(range.end);
            intervals.set(written, *bytes);
        }
        intervals
    }

    /// Copies the bytes of the image from `addr` on, which are zero where it has none.
    pub(crate) fn read(&self, addr: u64, target: &mut [u8]) {
        target.fill(0);
        let end = addr.saturating_add(target.len() as u64);
        let first = self.pieces.partition_point(|it| it.end() <= addr);
        for piece in self.pieces.iter().skip(first) {
            if end <= piece.addr {
                return;
            }
            let from = piece.addr.max(addr);
            let to = piece.end().min(end);
            let source = (from - piece.addr) as usize..(to - piece.addr) as usize;
            target[(from - addr) as usize..(to - addr) as usize]
                .copy_from_slice(&piece.data[source]);
        }
    }
}
