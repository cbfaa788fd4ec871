//! The initial contents of one memory: runs of bytes, with zeros everywhere else.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_analysis::{HostPageSize, Run, StaticMemoryInitializer};

use crate::image::blocks::{Positions, lead};
use crate::length::len_u64;

/// The initial contents of one linear memory: page-aligned runs, with zeros everywhere else.
///
/// Owns its bytes in one buffer, run after run, so that a single write stores all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    // Invariants, of `ImageRef` too:
    // 1. Runs are in address order, not empty, do not touch or overlap, and their
    //    addresses and lengths are multiples of `page_size`.
    // 2. `bytes` is as long as all runs together, and each run ends below 2^64.
    pub(crate) page_size: HostPageSize,
    pub(crate) runs: Vec<Run>,
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    /// Borrows the image in the form that an [`Artifact`](crate::Artifact) returns.
    pub fn as_ref(&self) -> ImageRef<'_> {
        ImageRef {
            page_size: self.page_size,
            block: self.page_size,
            runs: &self.runs,
            bytes: &self.bytes,
        }
    }
}

/// A borrowed [`Image`], from a builder or from an artifact.
#[derive(Clone, Copy)]
pub struct ImageRef<'a> {
    pub(crate) page_size: HostPageSize,
    /// The block size of the layout of `bytes`. No two runs share a page, so runs are
    /// contiguous if the block size is the page size.
    pub(crate) block: HostPageSize,
    pub(crate) runs: &'a [Run],
    /// From the first byte of the first run to the last byte of the last run, laid out by
    /// `Positions`.
    pub(crate) bytes: &'a [u8],
}

/// Prints its layout, never its bytes.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt_as("Image", f)
    }
}

/// Prints its layout, never its bytes.
impl fmt::Debug for ImageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("ImageRef", f)
    }
}

impl ImageRef<'_> {
    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("page_size", &self.page_size)
            .field("n_runs", &self.runs.len())
            .field("first", &self.runs.first())
            .field("last", &self.runs.last())
            .field("n_bytes", &self.bytes.len())
            .finish()
    }
}

impl<'a> ImageRef<'a> {
    /// Returns the page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// Returns the addresses and lengths of the runs, in address order.
    pub const fn layout(&self) -> &'a [Run] {
        self.runs
    }

    /// Returns the bytes of all runs in address order, from the first byte of the first run
    /// to the last byte of the last one. In an artifact with a
    /// [file alignment](crate::Artifact::file_alignment) above the page size, there may be
    /// zeros between runs; [`runs_with_position`](Self::runs_with_position) returns the
    /// position of each run.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns whether the image has no runs, so that the memory is all zero.
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Returns one past the last address of the last run; 0 for an empty image.
    ///
    /// At most the memory's size rounded up to a host page.
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end)
    }

    /// Returns each run with its bytes, in address order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = StaticMemoryInitializer<'a>> + use<'a> {
        let runs = self.runs.iter().zip(self.data());
        runs.map(|(run, data)| StaticMemoryInitializer {
            addr: run.addr,
            data: Cow::Borrowed(data),
        })
    }

    /// Returns the bytes of each run, in address order.
    pub(crate) fn data(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let mut place = self.places();
        let bytes = self.bytes;
        self.runs.iter().map(move |run| {
            let range = place(run);
            debug_assert!(range.end <= bytes.len(), "a run outside its image");
            // Always within: invariant 2.
            bytes.get(range).unwrap_or(&[])
        })
    }

    /// Returns each run with its bytes and their position in [`bytes`](Self::bytes).
    pub fn runs_with_position(
        &self,
    ) -> impl Iterator<Item = (u64, StaticMemoryInitializer<'a>)> + use<'a> {
        let mut place = self.places();
        self.runs().zip(self.runs).map(move |(init, run)| {
            let position = len_u64(place(run).start);
            (position, init)
        })
    }

    /// Returns a function that maps runs, in order, to their ranges in `bytes`.
    fn places(&self) -> impl FnMut(&Run) -> core::ops::Range<usize> + use<'a> {
        let mut positions = Positions::new(self.block);
        let first = self
            .runs
            .first()
            .map_or(0, |run| lead(self.block, run.addr));
        move |run| {
            // Never fails: every run lies within `bytes`.
            let place = |at: u64| {
                let start = usize::try_from(at.checked_sub(first)?).ok()?;
                Some(start..start.checked_add(usize::try_from(run.len).ok()?)?)
            };
            let place = positions.place(run).and_then(place);
            debug_assert!(place.is_some(), "a run outside the address space");
            place.unwrap_or(0..0)
        }
    }

    /// Copies the bytes starting at `addr`, which are zero outside the runs.
    pub(crate) fn read(&self, addr: u64, target: &mut [u8]) {
        target.fill(0);
        for run in self.runs() {
            for (byte, at) in target.iter_mut().zip(addr..) {
                let found = at.checked_sub(run.addr);
                let found = found.and_then(|at| run.data.get(usize::try_from(at).ok()?));
                if let Some(found) = found {
                    *byte = *found;
                }
            }
        }
    }

    /// Copies the image into one that owns its bytes.
    ///
    /// Aborts if allocation fails, as `Vec` does. The size is not taken from untrusted input:
    /// the bytes already exist in memory.
    pub fn to_image(&self) -> Image {
        let len = self.runs().map(|run| run.data.len()).sum();
        let mut bytes = Vec::with_capacity(len);
        self.runs()
            .for_each(|run| bytes.extend_from_slice(&run.data));
        Image {
            page_size: self.page_size,
            runs: self.runs.to_vec(),
            bytes,
        }
    }
}

/// Compares page size, runs and bytes of runs, regardless of how they are stored.
impl PartialEq for ImageRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.page_size == other.page_size && self.runs == other.runs && self.runs().eq(other.runs())
    }
}

impl Eq for ImageRef<'_> {}

#[cfg(test)]
mod tests {
    use wasm_meminit_analysis::Policy;

    use super::*;

    #[test]
    fn images_are_equal_if_they_initialise_a_memory_alike() {
        let image = |at: usize, byte: u8, page: HostPageSize| {
            let mut memory = alloc::vec![0; 0x1_0000];
            memory[at] = byte;
            Image::capture_with(&memory, &Policy::smallest(page)).unwrap()
        };
        let pages = HostPageSize::KIB_4;
        let one = image(5000, 1, pages);
        assert_eq!(one.as_ref(), image(5000, 1, pages).as_ref());
        assert_eq!(one.as_ref().to_image(), one);
        assert_eq!((one.as_ref().end(), one.as_ref().is_empty()), (8192, false));
        let zeros = Image::capture(&[0; 100]).unwrap();
        assert_eq!((zeros.as_ref().end(), zeros.as_ref().is_empty()), (0, true));
        for other in [
            image(5000, 2, pages),
            image(5001, 1, pages),
            image(9000, 1, pages),
            image(5000, 1, HostPageSize::KIB_16),
        ] {
            assert_ne!(one.as_ref(), other.as_ref());
        }
        // The same run, but slots with larger pages cannot map it.
        let page_size = HostPageSize::new(2048).unwrap();
        let smaller = Image {
            page_size,
            ..one.clone()
        };
        assert_ne!(one.as_ref(), smaller.as_ref());
    }
}
