//! The initial contents of a slot: which image it holds, and how pages show it again.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::error::OsError;
use crate::image::{MemoryImage, is_zero};
use crate::placement::Placement;
use crate::slot::{MemorySlot, page_bytes};
use crate::sys::{self, Backing, Part, Source};

impl MemorySlot {
    /// Makes the slot hold `image`, or none, in a memory of at least `end` bytes.
    ///
    /// Where it fails, the slot holds what it held, unless a part of it is lost.
    pub(crate) fn hold(
        &mut self,
        image: Option<&Arc<MemoryImage>>,
        end: usize,
    ) -> Result<(), OsError> {
        let is_same = match (&self.image, image) {
            (Some(held), Some(image)) => Arc::ptr_eq(held, image),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        let nothing = Placement::default();
        let held = self.image.clone();
        let old = held.as_ref().map_or(&nothing, |it| self.placement(it));
        let new = image.map_or(&nothing, |it| self.placement(it));
        self.open_to(end.max(old.end()).max(new.end()))?;
        let parts = parts(old, new, image.map(|it| it.backing()))?;
        self.memory.replace(&parts)?;
        // What cannot fail: bytes that were copied, and bytes that are.
        self.image = None;
        self.erase_copied(old);
        if let Some(image) = image {
            let all = 0..self.memory.open();
            image.copy_runs(&new.copied, all, self.memory.bytes_mut());
            let copied_end = new.copied.last().map_or(0, |run| run.end());
            self.kept_end = self.kept_end.max(copied_end.next_multiple_of(page_bytes()));
            self.image = Some(Arc::clone(image));
        }
        Ok(())
    }

    /// Zeroes the runs that an image was copied to.
    fn erase_copied(&mut self, old: &Placement) {
        let Some(last) = old.copied.last() else {
            return;
        };
        let page = page_bytes();
        let hull = old.copied[0].at / page * page..last.end().next_multiple_of(page);
        // A hull with mapped pieces in it would lose nothing either: they are as new.
        if self.can_discard() && self.memory.discard(hull).is_ok() {
            return;
        }
        for run in &old.copied {
            self.memory.bytes_mut()[run.at..run.end()].fill(0);
        }
    }

    /// Makes every byte zero. It cannot fail, unless a part of the slot is lost by it.
    pub(crate) fn zero(&mut self) {
        if let Some(image) = self.image.take() {
            let nothing = Placement::default();
            let unmapped = parts(self.placement(&image), &nothing, None)
                .and_then(|parts| self.memory.replace(&parts));
            if unmapped.is_err() {
                // The file is still mapped: zeros are written over it, and a reset brings
                // it back.
                self.image = Some(image);
                return self.write_zeros();
            }
        }
        if self.discard(0..self.touched()).is_err() {
            self.write_zeros();
        }
    }

    fn write_zeros(&mut self) {
        let pages = self.memory.bytes_mut().chunks_mut(page_bytes());
        // To read a page that nobody has touched costs no memory.
        pages
            .filter(|page| !is_zero(page))
            .for_each(|page| page.fill(0));
    }

    /// Whether the kernel discards pages of all kinds that the slot has.
    pub(crate) fn can_discard(&self) -> bool {
        sys::discard_support().is_yes() && self.trusts_image()
    }

    /// Whether what the kernel says of pages of the image's file is so.
    pub(crate) fn trusts_image(&self) -> bool {
        self.image.as_ref().is_none_or(|image| image.is_trusted())
    }

    /// Makes pages show the initial contents by discarding them; those that were copied
    /// are zero then. By fresh mappings where the kernel does not discard them.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> Result<(), OsError> {
        let discarded = match self.can_discard() {
            true => self.memory.discard(range.clone()),
            false => Err(sys::NOT_TRUSTED),
        };
        match discarded {
            Err(_) if range.end <= self.memory.open() => self.map_again(range),
            done => done,
        }
    }

    /// The same by fresh mappings of what is open: page tables are freed too.
    pub(crate) fn map_again(&mut self, range: Range<usize>) -> Result<(), OsError> {
        if range.is_empty() {
            return Ok(());
        }
        let image = self.image.clone();
        let parts = match &image {
            Some(image) => fresh(self.placement(image), image.backing(), &range)?,
            None => fresh_zero(&range)?,
        };
        self.memory.replace(&parts)?;
        self.tables.freed(&range);
        Ok(())
    }

    /// Copies what is not mapped of the image into a range that is zero where nothing is
    /// mapped.
    pub(crate) fn copy_again(&mut self, range: Range<usize>) {
        if let Some(image) = self.image.clone() {
            let copied = self.placement(&image).copied_in(&range);
            image.copy_runs(copied, range, self.memory.bytes_mut());
        }
    }

    /// Bytes of the pages that hold copies of the image.
    pub(crate) fn copied_bytes(&self) -> usize {
        self.image
            .as_ref()
            .map_or(0, |image| self.placement(image).copied_bytes)
    }

    /// Whether a page holds a copy of a part of the image.
    pub(crate) fn is_copied(&self, page: &Range<usize>) -> bool {
        self.image
            .as_ref()
            .is_some_and(|image| !self.placement(image).copied_in(page).is_empty())
    }

    /// Writes the initial contents of a range.
    pub(crate) fn restore(&mut self, range: Range<usize>) {
        let target = &mut self.memory.bytes_mut()[range.clone()];
        match &self.image {
            Some(image) => image.restore(range, target),
            None => target.fill(0),
        }
    }

    /// Whether a range has its initial contents.
    pub(crate) fn is_initial(&self, range: Range<usize>) -> bool {
        let bytes = &self.memory.bytes()[range.clone()];
        match &self.image {
            Some(image) => image.is_first_state(range, bytes),
            None => is_zero(bytes),
        }
    }
}

/// A list with room for so many, or the error that there is none.
fn with_room<'a>(n: usize) -> Result<Vec<Part<'a>>, OsError> {
    let mut parts = Vec::new();
    parts
        .try_reserve_exact(n)
        .map_err(|_| OsError::out_of_memory())?;
    Ok(parts)
}

/// What has to be mapped anew, so that a range that shows `old` shows `new`.
fn parts<'a>(
    old: &Placement,
    new: &Placement,
    source: Option<&'a Source>,
) -> Result<Vec<Part<'a>>, OsError> {
    // Each new piece can cut an old one in two.
    let mut parts = with_room(old.pieces.len() + 2 * new.pieces.len())?;
    let zero = |range: Range<usize>, parts: &mut Vec<Part<'a>>| {
        if !range.is_empty() {
            parts.push(Part {
                range,
                backing: Backing::Zero,
            });
        }
    };
    let mut olds = old.pieces.iter().map(|it| it.addresses()).peekable();
    // Up to here, nothing of `old` is left to be covered.
    let mut done = 0;
    for piece in &new.pieces {
        let at = piece.addresses();
        while let Some(range) = olds.peek() {
            zero(range.start.max(done)..range.end.min(at.start), &mut parts);
            if at.end < range.end {
                break;
            }
            olds.next();
        }
        if let Some(source) = source {
            parts.push(Part {
                range: at.clone(),
                backing: Backing::File {
                    source,
                    position: piece.stored,
                },
            });
        }
        done = at.end;
    }
    for range in olds {
        zero(range.start.max(done)..range.end, &mut parts);
    }
    Ok(parts)
}

/// The pieces of an image in a range, and zeros between them.
fn fresh<'a>(
    placement: &Placement,
    source: &'a Source,
    range: &Range<usize>,
) -> Result<Vec<Part<'a>>, OsError> {
    let mut parts = with_room(2 * placement.pieces.len() + 1)?;
    let mut done = range.start;
    let zero_to = |end: usize, done: &mut usize, parts: &mut Vec<Part<'a>>| {
        if *done < end {
            parts.push(Part {
                range: *done..end,
                backing: Backing::Zero,
            });
            *done = end;
        }
    };
    for piece in &placement.pieces {
        let at = piece.addresses();
        let part = at.start.max(range.start)..at.end.min(range.end);
        if part.is_empty() {
            continue;
        }
        zero_to(part.start, &mut done, &mut parts);
        done = part.end;
        parts.push(Part {
            backing: Backing::File {
                source,
                position: piece.stored + (part.start - at.start),
            },
            range: part,
        });
    }
    zero_to(range.end, &mut done, &mut parts);
    Ok(parts)
}

fn fresh_zero<'a>(range: &Range<usize>) -> Result<Vec<Part<'a>>, OsError> {
    let mut parts = with_room(1)?;
    parts.push(Part {
        range: range.clone(),
        backing: Backing::Zero,
    });
    Ok(parts)
}
