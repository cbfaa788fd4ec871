//! The shareable source of one memory's first state.

use alloc::boxed::Box;
use alloc::vec::Vec;

use core::fmt;
use core::ops::Range;

use wasm_meminit_image_builder::ImageRef;

use crate::copy::data_end;
use crate::error::{ImageError, MemoryTooSmall, OsError};
use crate::placement::{MAX_PIECES, Mappable, Placement, StoredRun};
use crate::sys::{Source, host_page_size, page_bytes};

/// The first state of one memory, in a form from which many slots start.
///
/// Made once, shared by [`Arc`](alloc::sync::Arc). Two images are the same if they are
/// the same object: a [`MemorySlot`](crate::MemorySlot) that holds one maps nothing
/// when it starts from it again.
pub struct MemoryImage {
    source: Source,
    /// Why it is on the heap, if a file was tried first.
    fallback: Option<OsError>,
    // Invariants:
    // 1. Runs are in address order, do not overlap, and end at or before `len`.
    // 2. `stored + len` of each is at most the length of `source.bytes()`.
    runs: Box<[StoredRun]>,
    /// The address behind the last byte that is not zero.
    data_end: usize,
    /// `data_end`, rounded up to a host page: what a mapping of it covers.
    len: usize,
    /// For slots that may have 1, 2, 4, … pieces of it; at least one, and none that is
    /// the same as the one before.
    placements: Box<[Placement]>,
}

/// Where a [`MemoryImage`] has its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// A sealed memory file with holes (Linux): mapped in as many pieces as it has parts
    /// with large holes between them, up to [`SlotConfig::max_pieces`](crate::SlotConfig::max_pieces).
    MemoryFile,
    /// A file without a name (other unix), mapped likewise.
    UnlinkedFile,
    /// The artifact itself: a mapping for each run, up to the same limit; further runs
    /// are copied.
    ArtifactFile,
    /// The heap: a start copies the runs.
    Heap,
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemoryFile => "a sealed memory file",
            Self::UnlinkedFile => "an unlinked file",
            Self::ArtifactFile => "the artifact file",
            Self::Heap => "the heap",
        })
    }
}

/// Sizes and addresses, never bytes.
impl fmt::Debug for MemoryImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryImage")
            .field("source", &self.source)
            .field("fallback", &self.fallback)
            .field("n_runs", &self.runs.len())
            .field("data_end", &self.data_end)
            .finish()
    }
}

/// Addresses of an image that fit this machine.
pub(crate) struct Layout {
    pub(crate) runs: Box<[StoredRun]>,
    pub(crate) data_end: usize,
    pub(crate) len: usize,
}

impl MemoryImage {
    /// Copies an image to the best place that this system has: a sealed memory file
    /// on Linux, an unlinked file on other unix, otherwise the heap.
    ///
    /// Also the safe way from an artifact file: read it, decode it, and hand over
    /// the image. Nobody can change what was copied.
    ///
    /// # Errors
    ///
    /// [`ImageError::TooLarge`] where it does not fit the address space; where the
    /// allocator has no room, [`ImageError::Os`]. A system that refuses a file, be it for
    /// a moment, gets a heap image, which each start copies: see
    /// [`fallback`](Self::fallback) and [`to_file`](Self::to_file).
    /// [`in_file`](Self::in_file) fails instead.
    pub fn new(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        match Source::file(&layout, image.bytes()) {
            // In a file, a run is stored where it goes.
            Ok(Some(source)) => Ok(layout.stored(source, |run| run.at)),
            Ok(None) => Self::in_heap(image),
            Err(err) => {
                let mut image = Self::in_heap(image)?;
                image.fallback = Some(err);
                Ok(image)
            }
        }
    }

    /// Copies an image to a file that starts map, or fails. An image without bytes needs
    /// no file.
    ///
    /// # Errors
    ///
    /// [`ImageError::TooLarge`]; [`ImageError::Unsupported`] where this target has no such
    /// files; [`ImageError::Os`], for instance where there are no descriptors left, or
    /// where the file would be larger than the process may make one (`RLIMIT_FSIZE`).
    pub fn in_file(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        Self::of_file(layout, image.bytes())
    }

    /// Copies this image to a file that starts map, or fails: for an image on the heap,
    /// once the reason of its [`fallback`](Self::fallback) is gone.
    ///
    /// The result is another image: a slot that holds this one maps the new one with the
    /// next start that is given it.
    ///
    /// # Errors
    ///
    /// As for [`in_file`](Self::in_file).
    pub fn to_file(&self) -> Result<Self, ImageError> {
        let layout = Layout {
            runs: self.runs.clone(),
            data_end: self.data_end,
            len: self.len,
        };
        Self::of_file(layout, self.source.bytes())
    }

    fn of_file(layout: Layout, bytes: &[u8]) -> Result<Self, ImageError> {
        if layout.len == 0 {
            let source = Source::heap(&[])?;
            return Ok(layout.stored(source, |run| run.stored));
        }
        let source = Source::file(&layout, bytes)?.ok_or(ImageError::Unsupported)?;
        Ok(layout.stored(source, |run| run.at))
    }

    /// Copies an image to the heap, whatever the system offers.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn in_heap(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        let source = Source::heap(image.bytes())?;
        Ok(layout.stored(source, |run| run.stored))
    }

    /// Where the bytes are.
    pub const fn source(&self) -> ImageSource {
        self.source.kind()
    }

    /// Why [`new`](Self::new) put the image on the heap, where it would have taken a file:
    /// what the system refused. A new image, or [`to_file`](Self::to_file), tries again.
    pub const fn fallback(&self) -> Option<OsError> {
        self.fallback
    }

    /// The address behind the last byte that is not zero: the smallest memory in
    /// bytes that the image fits.
    pub const fn data_end(&self) -> u64 {
        // Never truncates: no target has more than 64 bits.
        self.data_end as u64
    }

    /// How many bytes it takes of the machine's memory, or of the disk, at this moment:
    /// the pages of its file that have been written or read, or its copy on the heap.
    /// Asks the system. 0 for an artifact's file, which is not the image's own.
    ///
    /// All of it is freed when the image is dropped, by its last owner: slots that hold it
    /// are owners, too.
    pub fn own_bytes(&self) -> u64 {
        self.source.own_bytes()
    }

    /// Whether every byte is zero.
    pub const fn is_empty(&self) -> bool {
        self.data_end == 0
    }

    /// The address behind the last host page that is not all zero.
    pub(crate) const fn mapped_len(&self) -> usize {
        self.len
    }

    /// How it gets into a slot that may map it in so many pieces.
    pub(crate) fn placement(&self, max_pieces: usize) -> &Placement {
        let step = usize::try_from(max_pieces.max(1).ilog2()).unwrap_or(0);
        &self.placements[step.min(self.placements.len() - 1)]
    }

    pub(crate) const fn backing(&self) -> &Source {
        &self.source
    }

    /// Whether resets may rely on what the kernel says of its pages.
    pub(crate) fn is_trusted(&self) -> bool {
        self.source.is_trusted()
    }

    /// Where [`new`](Self::new) has its bytes, found out by making a small one.
    pub(crate) fn preferred_source() -> ImageSource {
        let page = host_page_size().bytes();
        let layout = Layout {
            runs: Box::new([]),
            data_end: 1,
            len: usize::try_from(page).unwrap_or(usize::MAX),
        };
        match Source::file(&layout, &[]) {
            Ok(Some(source)) => source.kind(),
            Ok(None) | Err(_) => ImageSource::Heap,
        }
    }

    /// Copies what the image has in `addresses` into a memory that is zero there.
    pub(crate) fn copy_into_zeroed(&self, addresses: Range<usize>, memory: &mut [u8]) {
        self.copy_runs(&self.runs, addresses, memory);
    }

    /// Copies what these runs of the image have in `addresses` into a memory that is zero
    /// there.
    pub(crate) fn copy_runs(&self, runs: &[StoredRun], addresses: Range<usize>, memory: &mut [u8]) {
        for run in runs {
            let from = run.at.max(addresses.start);
            let to = run.end().min(addresses.end);
            if from < to {
                let stored = &self.stored(run)[from - run.at..to - run.at];
                memory[from..to].copy_from_slice(stored);
            }
        }
    }

    /// The runs that end after an address.
    fn runs_from(&self, addr: usize) -> &[StoredRun] {
        let first = self.runs.partition_point(|run| run.at + run.len <= addr);
        &self.runs[first..]
    }

    /// Whether the first state of `addresses` is zero.
    pub(crate) fn is_zero_in(&self, addresses: Range<usize>) -> bool {
        self.runs_from(addresses.start)
            .iter()
            .take_while(|run| run.at < addresses.end)
            .all(|run| {
                let from = run.at.max(addresses.start);
                let to = (run.at + run.len).min(addresses.end);
                is_zero(&self.stored(run)[from - run.at..to - run.at])
            })
    }

    /// Brings `target` to the first state of `addresses`, which are as many bytes. Whether
    /// any of it was different.
    pub(crate) fn restore(&self, addresses: Range<usize>, target: &mut [u8]) -> bool {
        debug_assert_eq!(addresses.len(), target.len());
        let mut done = addresses.start;
        let mut is_changed = false;
        for run in self.runs_from(addresses.start) {
            if addresses.end <= run.at {
                break;
            }
            let from = run.at.max(addresses.start);
            let to = run.end().min(addresses.end);
            let stored = &self.stored(run)[from - run.at..to - run.at];
            let [gap, part] = [done..from, from..to]
                .map(|it| it.start - addresses.start..it.end - addresses.start);
            is_changed |= zero_changed(&mut target[gap]);
            is_changed |= copy_changed(&mut target[part], stored);
            done = to;
        }
        is_changed | zero_changed(&mut target[done - addresses.start..])
    }

    /// Refuses a memory that the image does not fit.
    pub(crate) fn check(&self, memory_bytes: u64) -> Result<(), MemoryTooSmall> {
        if memory_bytes < self.data_end() {
            return Err(MemoryTooSmall {
                image_end: self.data_end(),
                memory_bytes,
            });
        }
        Ok(())
    }

    fn stored(&self, run: &StoredRun) -> &[u8] {
        &self.source.bytes()[run.stored..run.stored + run.len]
    }
}

/// What is compared, and written if any of it differs, in bytes. Most pages that a use has
/// written differ in a few places: to write all of one makes the machine fetch and write
/// back lines of its caches that are right.
const CHUNK: usize = 512;

/// Copies what differs. Whether anything did.
fn copy_changed(target: &mut [u8], stored: &[u8]) -> bool {
    let mut is_changed = false;
    for (target, stored) in target.chunks_mut(CHUNK).zip(stored.chunks(CHUNK)) {
        if target != stored {
            target.copy_from_slice(stored);
            is_changed = true;
        }
    }
    is_changed
}

/// Zeroes what is not zero. Whether anything was not.
pub(crate) fn zero_changed(target: &mut [u8]) -> bool {
    let mut is_changed = false;
    for target in target.chunks_mut(CHUNK).filter(|target| !is_zero(target)) {
        target.fill(0);
        is_changed = true;
    }
    is_changed
}

/// Whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Comparing slices is what the machine does fastest.
    bytes
        .chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

impl Layout {
    /// Addresses as this machine has them. Runs are cut behind the last host page
    /// with a byte that is not zero; `stored` is the position in the image's bytes.
    pub(crate) fn new(image: &ImageRef<'_>) -> Result<Self, ImageError> {
        let too_large = ImageError::TooLarge {
            image_end: image.end(),
        };
        let data_end = data_end(image);
        let len = host_page_size().round_up(data_end).ok_or(too_large)?;
        let to_usize = |addr: u64| usize::try_from(addr).map_err(|_| too_large);
        // Half the address space, so that sums of two addresses cannot wrap.
        if usize::MAX / 2 < to_usize(len)? {
            return Err(too_large);
        }
        let mut runs = Vec::new();
        let stored = image.runs_with_position().map(|(position, _)| position);
        for (run, stored) in image.layout().iter().zip(stored) {
            if len <= run.offset {
                break;
            }
            runs.push(StoredRun {
                at: to_usize(run.offset)?,
                len: to_usize(run.end().min(len) - run.offset)?,
                stored: to_usize(stored)?,
            });
        }
        Ok(Self {
            runs: runs.into(),
            data_end: to_usize(data_end)?,
            len: to_usize(len)?,
        })
    }

    /// The image, once its bytes are in `source`.
    pub(crate) fn stored(
        mut self,
        source: Source,
        position: impl Fn(&StoredRun) -> usize,
    ) -> MemoryImage {
        for run in &mut self.runs {
            run.stored = position(run);
        }
        MemoryImage {
            placements: placements(&self.runs, source.mappable()),
            source,
            fallback: None,
            runs: self.runs,
            data_end: self.data_end,
            len: self.len,
        }
    }
}

/// Placements in at most 1, 2, 4, … pieces, as far as more change something.
fn placements(runs: &[StoredRun], mappable: Mappable) -> Box<[Placement]> {
    let page = page_bytes();
    let mut placements = Vec::new();
    let mut max_pieces = 1;
    while max_pieces <= MAX_PIECES {
        let placement = Placement::new(runs, mappable, max_pieces, page);
        let n_pieces = placement.pieces.len();
        placements.push(placement);
        if n_pieces < max_pieces {
            break;
        }
        max_pieces *= 2;
    }
    placements.into()
}
