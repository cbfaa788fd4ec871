//! The shareable source of one memory's initial contents.

use alloc::boxed::Box;

use core::fmt;
use core::ops::Range;

use wasm_meminit_image_builder::ImageRef;

use super::layout::Layout;
use super::placement::{Placement, StoredRun};
use crate::bytes::{Zeros, copy_changed, is_zero, zero_changed};
use crate::error::{ImageError, MemoryTooSmall};
use crate::os::OsError;
use crate::sys::{OWN_FILES_ARE_SEALED, Source, Storage, page_bytes};

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
    /// [`SlotConfig::with_max_pieces`](crate::SlotConfig::with_max_pieces).
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

const fn image_source(storage: Storage) -> ImageSource {
    match storage {
        Storage::Sparse if OWN_FILES_ARE_SEALED => ImageSource::MemoryFile,
        Storage::Sparse => ImageSource::UnlinkedFile,
        Storage::Packed => ImageSource::ArtifactFile,
        Storage::Heap => ImageSource::Heap,
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
        match layout.file(image.bytes()) {
            Ok(Some(source)) => Ok(Self::new_in(source, layout)),
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
            return Ok(Self::new_in(Source::heap(&[])?, layout));
        }
        let source = layout.file(bytes)?.ok_or(ImageError::Unsupported)?;
        Ok(Self::new_in(source, layout))
    }

    /// Copies an image to the heap, whatever the system supports.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn in_heap(image: ImageRef<'_>) -> Result<Self, ImageError> {
        let layout = Layout::new(&image)?;
        Ok(Self::new_in(Source::heap(image.bytes())?, layout))
    }

    /// Returns where the bytes are stored.
    pub const fn source(&self) -> ImageSource {
        image_source(self.source.storage())
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
        let layout = Layout {
            runs: Box::new([]),
            data_end: 1,
            len: page_bytes(),
        };
        match layout.file(&[]) {
            Ok(Some(source)) => image_source(source.storage()),
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

    /// Returns the addresses of the runs; everything else is zero.
    pub(crate) fn data(&self) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().map(|run| run.at..run.end())
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

    /// Resets `target` to the initial contents of `addresses`, which has the same length, and
    /// writes nothing where it already has them. Returns whether any byte differed.
    pub(crate) fn restore(&self, addresses: Range<usize>, target: &mut [u8]) -> bool {
        self.restore_by(addresses, target, copy_changed, zero_changed)
    }

    /// Does the same for pages that were written, and writes them again: comparing a page
    /// takes longer than copying it, even where nothing is in a cache.
    pub(crate) fn overwrite(&self, addresses: Range<usize>, target: &mut [u8], zeros: Zeros) {
        let copy = |target: &mut [u8], stored: &[u8]| {
            target.copy_from_slice(stored);
            true
        };
        self.restore_by(addresses, target, copy, |target| zeros.write(target));
    }

    fn restore_by(
        &self,
        addresses: Range<usize>,
        target: &mut [u8],
        copy: impl Fn(&mut [u8], &[u8]) -> bool,
        zero: impl Fn(&mut [u8]) -> bool,
    ) -> bool {
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
            is_changed |= zero(&mut target[gap]);
            is_changed |= copy(&mut target[part], stored);
            done = to;
        }
        is_changed | zero(&mut target[done - addresses.start..])
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

    /// Returns the image whose bytes are in `source`.
    pub(crate) fn new_in(source: Source, layout: Layout) -> Self {
        let Layout {
            mut runs,
            data_end,
            len,
        } = layout;
        let storage = source.storage();
        if storage == Storage::Sparse {
            for run in &mut runs {
                run.stored = run.at;
            }
        }
        // Tried out now, while there is room for it; see `Reservation::new`.
        let _ = source.is_trusted();
        Self {
            placements: Placement::all(&runs, storage, page_bytes()),
            source,
            fallback: None,
            runs,
            data_end,
            len,
        }
    }

    fn stored(&self, run: &StoredRun) -> &[u8] {
        &self.source.bytes()[run.stored..run.stored + run.len]
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use wasm_meminit_image_builder::Image;
    use wasm_meminit_image_builder::analysis::{HostPageSize, Policy};

    use super::*;

    const N_PAGES: usize = 7;

    /// Pages with a byte at either end, a full one, and zeros between and after them.
    fn contents() -> Vec<u8> {
        let page = page_bytes();
        let mut contents = vec![0; N_PAGES * page];
        contents[page] = 1;
        contents[3 * page..4 * page].fill(2);
        contents[5 * page - 1] = 3;
        contents
    }

    fn image(contents: &[u8]) -> MemoryImage {
        let page = u64::try_from(page_bytes()).expect("64 bits");
        let page = HostPageSize::new(page).expect("a power of two");
        let image = Image::capture_with(contents, &Policy::smallest(page)).expect("small");
        assert_eq!(image.as_ref().layout().len(), 2);
        MemoryImage::new(image.as_ref()).expect("small")
    }

    /// All ranges of whole pages.
    fn ranges() -> impl Iterator<Item = Range<usize>> {
        let page = page_bytes();
        let ends = move |from| (from..=N_PAGES).map(move |to| from * page..to * page);
        (0..N_PAGES).flat_map(ends)
    }

    #[test]
    fn an_image_knows_where_it_is_zero() {
        let contents = contents();
        let image = image(&contents);
        assert_eq!(image.mapped_len(), 5 * page_bytes());
        for range in ranges() {
            let expected = contents[range.clone()].iter().all(|byte| *byte == 0);
            assert_eq!(image.is_zero_in(range.clone()), expected, "{range:?}");
        }
    }

    /// A page in which nothing differs was not written, and need not stay resident.
    #[test]
    fn restoring_reports_whether_a_byte_differed() {
        let contents = contents();
        let image = image(&contents);
        for range in ranges() {
            let mut target = contents[range.clone()].to_vec();
            assert!(!image.restore(range.clone(), &mut target), "{range:?}");
            let positions = (0..range.len()).step_by(page_bytes() / 2);
            for at in positions.chain(range.len().checked_sub(1)) {
                target[at] ^= 0xff;
                assert!(image.restore(range.clone(), &mut target), "{range:?} {at}");
                assert!(target == contents[range.clone()], "{range:?} {at}");
                for zeros in [Zeros::WhereNeeded, Zeros::Everywhere] {
                    target[at] ^= 0xff;
                    image.overwrite(range.clone(), &mut target, zeros);
                    assert!(target == contents[range.clone()], "{range:?} {at}");
                }
            }
        }
    }
}
