//! The shareable source of one memory's initial contents.

use alloc::boxed::Box;
use alloc::vec::Vec;

use core::fmt;
use core::ops::Range;

use wasm_meminit_image_builder::ImageRef;

use crate::copy::data_end;
use crate::error::{ImageError, MemoryTooSmall, OsError};
use crate::placement::{MAX_PIECES, Mappable, Placement, StoredRun};
use crate::sys::{Source, host_page_size, page_bytes};

/// The initial contents of one memory, in a form that many slots can start from.
///
/// Made once and shared by [`Arc`](alloc::sync::Arc). Two images are the same only if
/// they are the same object: a [`MemorySlot`](crate::MemorySlot) that already holds an
/// image maps nothing when it starts from it again.
pub struct MemoryImage {
    source: Source,
    /// Why it is on the heap, if a file was tried first.
    fallback: Option<OsError>,
    // Invariants:
    // 1. Runs are in address order, do not overlap, and end at or before `len`.
    // 2. `stored + len` of each is at most the length of `source.bytes()`.
    runs: Box<[StoredRun]>,
    /// One past the address of the last non-zero byte.
    data_end: usize,
    /// `data_end`, rounded up to a host page: the length of a mapping of it.
    len: usize,
    /// For slots that may map it in 1, 2, 4, … pieces; at least one entry, and none equal
    /// to the one before.
    placements: Box<[Placement]>,
}

/// Where a [`MemoryImage`] stores its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// A sealed memory file with holes (Linux). It is mapped in one piece for each part
    /// that is set apart by large holes, up to
    /// [`SlotConfig::max_pieces`](crate::SlotConfig::max_pieces).
    MemoryFile,
    /// An unlinked file (other Unix systems), mapped the same way.
    UnlinkedFile,
    /// The artifact's own file: one mapping for each run, up to the same limit; further
    /// runs are copied.
    ArtifactFile,
    /// The heap: each start copies the runs.
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

/// Prints sizes and addresses, never bytes.
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

/// An image's layout in addresses of this machine.
pub(crate) struct Layout {
    pub(crate) runs: Box<[StoredRun]>,
    pub(crate) data_end: usize,
    pub(crate) len: usize,
}

impl MemoryImage {
    /// Copies an image to the best place that the system supports.
    ///
    /// That is a sealed memory file on Linux, an unlinked file on other Unix systems, and
    /// otherwise the heap.
    ///
    /// This is also the safe way to use an artifact file: read it, decode it, and pass
    /// the image. What was copied cannot change.
    ///
    /// # Errors
    ///
    /// [`ImageError::TooLarge`] if it does not fit the address space; [`ImageError::Os`]
    /// if an allocation fails. If the system refuses a file, even temporarily, the result
    /// is a heap image, which each start copies: see [`fallback`](Self::fallback) and
    /// [`to_file`](Self::to_file). [`in_file`](Self::in_file) fails instead.
    pub fn new(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        match Source::file(&layout, image.bytes()) {
            // In a file, a run is stored at its address.
            Ok(Some(source)) => Ok(layout.stored(source, |run| run.at)),
            Ok(None) => Self::in_heap(image),
            Err(err) => {
                let mut image = Self::in_heap(image)?;
                image.fallback = Some(err);
                Ok(image)
            }
        }
    }

    /// Copies an image to a file that starts can map, or fails.
    ///
    /// An image without bytes needs no file.
    ///
    /// # Errors
    ///
    /// [`ImageError::TooLarge`]; [`ImageError::Unsupported`] if this target has no such
    /// files; [`ImageError::Os`], for instance if there are no file descriptors left, or
    /// the file would exceed the process's file size limit (`RLIMIT_FSIZE`).
    pub fn in_file(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        Self::of_file(layout, image.bytes())
    }

    /// Copies this image to a file that starts can map, or fails.
    ///
    /// For an image on the heap, once the reason for its [`fallback`](Self::fallback) is
    /// gone.
    ///
    /// The result is a different image: a slot that holds the old one maps the new one at
    /// its next start from it.
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

    /// Copies an image to the heap, whatever the system supports.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn in_heap(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        let source = Source::heap(image.bytes())?;
        Ok(layout.stored(source, |run| run.stored))
    }

    /// Returns where the bytes are stored.
    pub const fn source(&self) -> ImageSource {
        self.source.kind()
    }

    /// Returns why [`new`](Self::new) put the image on the heap, if a file was refused.
    ///
    /// A new image, or [`to_file`](Self::to_file), tries again.
    pub const fn fallback(&self) -> Option<OsError> {
        self.fallback
    }

    /// Returns one past the address of the last non-zero byte.
    ///
    /// This is the size in bytes of the smallest memory that the image fits.
    pub const fn data_end(&self) -> u64 {
        // Never truncates: no target has more than 64 bits.
        self.data_end as u64
    }

    /// Returns how many bytes of memory or disk the image takes at this moment.
    ///
    /// These are the pages of its file that have been written or read, or its copy on the
    /// heap. Queries the system. 0 for an artifact's file, which does not belong to the
    /// image.
    ///
    /// All of it is freed when the last owner drops the image; slots that hold it are
    /// owners, too.
    pub fn own_bytes(&self) -> u64 {
        self.source.own_bytes()
    }

    /// Returns whether every byte is zero.
    pub const fn is_empty(&self) -> bool {
        self.data_end == 0
    }

    /// Returns one past the address of the last host page that is not all zero.
    pub(crate) const fn mapped_len(&self) -> usize {
        self.len
    }

    /// Returns how the image is placed in a slot that may map it in `max_pieces` pieces.
    pub(crate) fn placement(&self, max_pieces: usize) -> &Placement {
        let step = usize::try_from(max_pieces.max(1).ilog2()).unwrap_or(0);
        &self.placements[step.min(self.placements.len() - 1)]
    }

    pub(crate) const fn backing(&self) -> &Source {
        &self.source
    }

    /// Returns whether resets may rely on what the kernel says about its pages.
    pub(crate) fn is_trusted(&self) -> bool {
        self.source.is_trusted()
    }

    /// Returns where [`new`](Self::new) stores its bytes, determined by making a small
    /// image.
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

    /// Copies the image's bytes in `addresses` into a memory that is zero there.
    pub(crate) fn copy_into_zeroed(&self, addresses: Range<usize>, memory: &mut [u8]) {
        self.copy_runs(&self.runs, addresses, memory);
    }

    /// Copies the bytes of these runs in `addresses` into a memory that is zero there.
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

    /// Returns the runs that end after an address.
    fn runs_from(&self, addr: usize) -> &[StoredRun] {
        let first = self.runs.partition_point(|run| run.at + run.len <= addr);
        &self.runs[first..]
    }

    /// Returns whether the initial contents of `addresses` are zero.
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

    /// Resets `target` to the initial contents of `addresses`, which has the same length.
    /// Returns whether any byte differed.
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

    /// Checks that the image fits a memory of this size.
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

/// The unit of comparison, in bytes; it is written as a whole if any of it differs. Most
/// pages that a use has written differ in only a few places: writing a whole page makes
/// the machine fetch and write back cache lines that were already right.
const CHUNK: usize = 512;

/// Copies what differs, and returns whether anything did.
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

/// Zeroes what is not zero, and returns whether anything was not.
pub(crate) fn zero_changed(target: &mut [u8]) -> bool {
    let mut is_changed = false;
    for target in target.chunks_mut(CHUNK).filter(|target| !is_zero(target)) {
        target.fill(0);
        is_changed = true;
    }
    is_changed
}

/// Returns whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Comparing slices compiles to the fastest code.
    bytes
        .chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

impl Layout {
    /// Converts addresses to this machine's. Runs are cut after the last host page with a
    /// non-zero byte; `stored` is the position in the image's bytes.
    pub(crate) fn new(image: &ImageRef<'_>) -> Result<Self, ImageError> {
        let too_large = ImageError::TooLarge {
            image_end: image.end(),
        };
        let data_end = data_end(image);
        let len = host_page_size().round_up(data_end).ok_or(too_large)?;
        let to_usize = |addr: u64| usize::try_from(addr).map_err(|_| too_large);
        // Half the address space, so that the sum of two addresses cannot wrap.
        if usize::MAX / 2 < to_usize(len)? {
            return Err(too_large);
        }
        let mut runs = Vec::new();
        let stored = image.runs_with_position().map(|(position, _)| position);
        for (run, stored) in image.layout().iter().zip(stored) {
            if len <= run.addr {
                break;
            }
            runs.push(StoredRun {
                at: to_usize(run.addr)?,
                len: to_usize(run.end().min(len) - run.addr)?,
                stored: to_usize(stored)?,
            });
        }
        Ok(Self {
            runs: runs.into(),
            data_end: to_usize(data_end)?,
            len: to_usize(len)?,
        })
    }

    /// Returns the image, once its bytes are in `source`.
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

/// Returns placements in at most 1, 2, 4, … pieces, as long as more pieces make a
/// difference.
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
