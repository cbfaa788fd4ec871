//! Maps, copies and restores the initial contents of a slot.

use alloc::sync::Arc;
use core::ops::Range;

use super::memory_slot::MemorySlot;
use crate::bytes::{Zeros, zero_changed};
use crate::image::MemoryImage;
use crate::image::placement::{Piece, Placement};
use crate::os::OsError;
use crate::sys::{self, Backing, Part, Source, page_bytes};

impl MemorySlot {
    /// Makes the slot hold `image`, or none, in a memory of at least `end` bytes.
    ///
    /// On failure the slot still holds what it held, unless a part of it is lost.
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
        // Runs may end anywhere: an image can have smaller pages than the host.
        let end = end.max(old.end()).max(new.end());
        self.open_to(end.next_multiple_of(page_bytes()))?;
        let changes = changes(old, new, image.map(|it| it.backing()));
        self.memory.replace(changes)?;
        // What cannot fail: erasing the old copies, and copying the new image.
        self.image = None;
        self.erase_copied(old, &new.pieces);
        if let Some(image) = image {
            let all = 0..self.memory.open();
            image.copy_runs(&new.copied, all, self.memory.bytes_mut());
            let copied_end = new.copied.last().map_or(0, |run| run.end());
            self.kept_end = self.kept_end.max(copied_end.next_multiple_of(page_bytes()));
            self.image = Some(Arc::clone(image));
        }
        Ok(())
    }

    /// Zeroes the runs that an image was copied to. What `mapped` covers is freshly
    /// mapped.
    fn erase_copied(&mut self, old: &Placement, mapped: &[Piece]) {
        let Some(last) = old.copied.last() else {
            return;
        };
        let page = page_bytes();
        let covering = old.copied[0].at / page * page..last.end().next_multiple_of(page);
        // Pieces in this range lose nothing: they have not been written to.
        if self.can_discard() && self.memory.discard(covering).is_ok() {
            return;
        }
        for run in &old.copied {
            for part in uncovered(mapped, &(run.at..run.end())) {
                self.memory.bytes_mut()[part].fill(0);
            }
        }
    }

    /// Makes every byte zero. No mapping is replaced, so it cannot fail, and the memory stays
    /// accessible: code of a failed instance may still have its address.
    pub(crate) fn zero_all(&mut self) {
        // Where memories are buffers of the allocator, discarding may move them.
        if !sys::HAS_MAPPINGS || self.discard_in_place(0..self.touched()).is_err() {
            return self.write_zeros();
        }
        let Some(image) = self.image.clone() else {
            return;
        };
        // The holes of a mapped file are zero, and writing to them would take a page each.
        // Discarded copies are zero already, but a reset restores only what was written.
        let open = self.memory.open();
        for range in image.data() {
            self.memory.bytes_mut()[range.start.min(open)..range.end.min(open)].fill(0);
        }
    }

    /// Reading a page that was never touched costs no memory.
    fn write_zeros(&mut self) {
        zero_changed(self.memory.bytes_mut());
    }

    /// Returns whether the kernel can discard every kind of page that the slot has.
    pub(crate) fn can_discard(&self) -> bool {
        sys::discard_support().is_yes() && self.trusts_image()
    }

    /// Returns whether the kernel's answers about the image's file can be trusted.
    pub(crate) fn trusts_image(&self) -> bool {
        self.image.as_ref().is_none_or(|image| image.is_trusted())
    }

    /// Discards pages, which then read as the mapped image or, where it was copied, as
    /// zero. Uses fresh mappings where the kernel cannot discard them.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> Result<(), OsError> {
        match self.discard_in_place(range.clone()) {
            Err(_) if range.end <= self.memory.open() => self.map_again(range),
            done => done,
        }
    }

    /// Discards pages, and replaces no mapping.
    fn discard_in_place(&mut self, range: Range<usize>) -> Result<(), OsError> {
        if self.reach < range.end {
            self.growth.discarded();
        }
        match self.can_discard() {
            true => self.memory.discard(range),
            false => Err(sys::NOT_TRUSTED),
        }
    }

    /// Discards pages with fresh mappings of open pages, which also frees page tables.
    pub(crate) fn map_again(&mut self, range: Range<usize>) -> Result<(), OsError> {
        if range.is_empty() {
            return Ok(());
        }
        let image = self.image.clone();
        let image = image.as_ref();
        let mapped = image.map(|image| (self.placement(image), image.backing()));
        self.memory.replace(fresh(mapped, &range))?;
        self.tables.freed(&range);
        Ok(())
    }

    /// Frees page tables, and all pages, of what was accessible and no longer is, beyond
    /// `kept`: a memory that grew once leaves them to smaller ones, which never use them.
    pub(crate) fn free_closed_tables(&mut self, kept: usize) {
        let open = self.memory.open();
        let start = open.max(kept);
        // A table that is partly open, or kept, stays.
        let closed = start.next_multiple_of(sys::table_bytes())..self.opened;
        if self.reach <= open && closed.start < closed.end && self.memory.renew(closed).is_ok() {
            self.tables.freed(&(start..self.opened));
            self.opened = start;
        }
    }

    /// Copies the unmapped part of the image into a range that is zero where nothing is
    /// mapped.
    pub(crate) fn copy_again(&mut self, range: Range<usize>) {
        if let Some(image) = self.image.clone() {
            let copied = self.placement(&image).copied_in(&range);
            image.copy_runs(copied, range, self.memory.bytes_mut());
        }
    }

    /// Returns the size in bytes of the pages that hold copies of the image.
    pub(crate) fn copied_bytes(&self) -> usize {
        self.image
            .as_ref()
            .map_or(0, |image| self.placement(image).copied_bytes)
    }

    /// Returns whether a page holds a copy of a part of the image.
    pub(crate) fn is_copied(&self, page: &Range<usize>) -> bool {
        self.image
            .as_ref()
            .is_some_and(|image| !self.placement(image).copied_in(page).is_empty())
    }

    /// Restores a range to its initial contents, and writes nothing where it already has
    /// them. Returns whether any byte differed.
    pub(crate) fn restore(&mut self, range: Range<usize>) -> bool {
        let target = &mut self.memory.bytes_mut()[range.clone()];
        match &self.image {
            Some(image) => image.restore(range, target),
            None => zero_changed(target),
        }
    }

    /// Restores pages that were written to their initial contents.
    pub(crate) fn overwrite(&mut self, range: Range<usize>, zeros: Zeros) {
        let target = &mut self.memory.bytes_mut()[range.clone()];
        match &self.image {
            Some(image) => image.overwrite(range, target, zeros),
            None => {
                zeros.write(target);
            }
        }
    }
}

/// Returns what must be remapped, in address order, so that a range that shows `old`
/// shows `new`.
fn changes<'a>(
    old: &'a Placement,
    new: &'a Placement,
    source: Option<&'a Source>,
) -> impl Iterator<Item = Part<'a>> + Clone {
    (0..=new.pieces.len()).flat_map(move |nth| {
        let gap = gap(&new.pieces, nth, &(0..usize::MAX));
        let n_before = old
            .pieces
            .partition_point(|it| it.addresses().end <= gap.start);
        let zeros = old.pieces[n_before..]
            .iter()
            .map(move |it| it.at.max(gap.start)..it.addresses().end.min(gap.end))
            .take_while(|range| !range.is_empty())
            .map(zero);
        let piece = new.pieces.get(nth).zip(source);
        zeros.chain(piece.map(|(piece, source)| mapped(piece, source, piece.addresses())))
    })
}

/// Returns the pieces of an image in a range, and zeros between them.
fn fresh<'a>(
    image: Option<(&'a Placement, &'a Source)>,
    range: &Range<usize>,
) -> impl Iterator<Item = Part<'a>> + Clone {
    let (pieces, source) = image.map_or((&[][..], None), |(placement, source)| {
        (overlapping(&placement.pieces, range), Some(source))
    });
    let range = range.clone();
    (0..=pieces.len()).flat_map(move |nth| {
        let gap = gap(pieces, nth, &range);
        let piece = pieces.get(nth).zip(source).map(|(piece, source)| {
            let at = piece.addresses();
            let part = at.start.max(range.start)..at.end.min(range.end);
            mapped(piece, source, part)
        });
        let zeros = (!gap.is_empty()).then(|| zero(gap));
        zeros.into_iter().chain(piece)
    })
}

/// Returns the pieces that overlap a range.
fn overlapping<'a>(pieces: &'a [Piece], range: &Range<usize>) -> &'a [Piece] {
    let first = pieces.partition_point(|it| it.addresses().end <= range.start);
    let n = pieces[first..].partition_point(|it| it.at < range.end);
    &pieces[first..first + n]
}

/// Returns the parts of a range that no piece covers.
fn uncovered(pieces: &[Piece], range: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let pieces = overlapping(pieces, range);
    (0..=pieces.len())
        .map(|nth| gap(pieces, nth, range))
        .filter(|gap| !gap.is_empty())
}

/// Returns the gap between a piece and the one before it, within a range that all of them
/// overlap.
fn gap(pieces: &[Piece], nth: usize, range: &Range<usize>) -> Range<usize> {
    let before = nth
        .checked_sub(1)
        .map(|before| pieces[before].addresses().end);
    let after = pieces.get(nth).map(|piece| piece.at);
    let start = before.map_or(range.start, |end| end.min(range.end));
    start..after.map_or(range.end, |at| at.max(start))
}

const fn zero<'a>(range: Range<usize>) -> Part<'a> {
    Part {
        range,
        backing: Backing::Zero,
    }
}

/// A part of a piece.
fn mapped<'a>(piece: &Piece, source: &'a Source, range: Range<usize>) -> Part<'a> {
    let position = piece.stored + (range.start - piece.at);
    Part {
        range,
        backing: Backing::File { source, position },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use wasm_meminit_image_builder::Image;

    /// Sizes here are in pages.
    const LEN: usize = 60;

    fn pieces() -> impl Strategy<Value = Placement> {
        prop::collection::vec((0_usize..6, 1_usize..6), 0..6).prop_map(|lens| {
            let mut at = 0;
            let pieces = lens.into_iter().map(|(gap, len)| {
                let piece = Piece {
                    at: at + gap,
                    len,
                    stored: 1000 + at + gap,
                };
                at += gap + len;
                piece
            });
            Placement {
                pieces: pieces.collect(),
                ..Placement::default()
            }
        })
    }

    /// Returns which byte of a source each page shows, if any.
    fn shown(placement: &Placement) -> Vec<Option<usize>> {
        let mut pages = vec![None; LEN];
        for piece in &placement.pieces {
            for nth in 0..piece.len {
                pages[piece.at + nth] = Some(piece.stored + nth);
            }
        }
        pages
    }

    /// Applies parts, which are in order and disjoint, and returns which pages changed.
    fn apply<'a>(parts: impl Iterator<Item = Part<'a>>, pages: &mut [Option<usize>]) -> Vec<bool> {
        let mut is_changed = vec![false; pages.len()];
        let mut end = 0;
        for Part { range, backing } in parts {
            assert!(end <= range.start && range.start < range.end, "{range:?}");
            end = range.end;
            for at in range.clone() {
                is_changed[at] = true;
                pages[at] = match backing {
                    Backing::Zero => None,
                    Backing::File { position, .. } => Some(position + at - range.start),
                };
            }
        }
        is_changed
    }

    proptest! {
        #[test]
        fn remapped_parts_show_the_new_image(
            old in pieces(),
            new in pieces(),
            (start, len) in (0..LEN, 1..LEN),
        ) {
            let image = Image::capture(&[1]).expect("small");
            let image = MemoryImage::in_heap(image.as_ref()).expect("room");
            let source = image.backing();
            let expected = shown(&new);

            let mut pages = shown(&old);
            let is_changed = apply(changes(&old, &new, Some(source)), &mut pages);
            prop_assert_eq!(&pages, &expected);
            // No page that is zero both before and after is remapped.
            let before = shown(&old);
            for at in 0..LEN {
                let is_needed = before[at].is_some() || expected[at].is_some();
                prop_assert_eq!(is_changed[at], is_needed);
            }

            let range = start..LEN.min(start + len);
            let mut pages = vec![Some(usize::MAX); LEN];
            let is_changed = apply(fresh(Some((&new, source)), &range), &mut pages);
            for at in 0..LEN {
                prop_assert_eq!(is_changed[at], range.contains(&at));
                if range.contains(&at) {
                    prop_assert_eq!(pages[at], expected[at]);
                }
            }
        }
    }
}
