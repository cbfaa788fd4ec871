//! Replaces data segments and updates everything that refers to segments: the data count
//! section, function bodies, and the name section.
//!
//! The new segments are ordered as follows: passive ones, the newly written ones, then the
//! active ones that are kept. Passive and kept ones keep their relative order. So the index
//! of a passive segment never increases, and fits in place of the old one in a function body.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::{Module, SegmentMode};

use super::cover::{Cover, n_segments};
use super::data::EMPTY_PASSIVE;
use super::error::RewriteError;
use super::original::Original;
use super::section::{PREAMBLE, Section, id, padded, replace, sections, write};
use super::{code, names};

/// The plan for a module's new data segments.
pub(super) struct Assembly<'o, 'a> {
    original: &'o Original<'a>,
    /// For each old segment, what happens to it.
    fates: Vec<Fate>,
    /// New indices below this one are passive segments.
    n_passive: u32,
}

/// What happens to a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Passive: kept unchanged, at this index.
    Passive(u32),
    /// Active: kept unchanged, at this position among the kept segments.
    Kept(u32),
    /// Active: its bytes move to new segments, and no code names it.
    Replaced,
    /// Active: its bytes move to new segments, but code names it. Code sees it as dropped,
    /// so the empty passive segment at this index, shared by all such segments, replaces it.
    Dropped(u32),
}

impl<'o, 'a> Assembly<'o, 'a> {
    /// Plans the replacement of the active segments for which `is_replaced` is true.
    pub(super) fn new(
        original: &'o Original<'a>,
        module: &Module<'a>,
        is_replaced: &[bool],
    ) -> Self {
        let mut is_used = alloc::vec![false; original.segments.len()];
        for it in &original.uses {
            let used = usize::try_from(it.segment).ok();
            if let Some(used) = used.and_then(|nth| is_used.get_mut(nth)) {
                *used = true;
            }
        }
        let mut fates = Vec::with_capacity(original.segments.len());
        let (mut n_passive, mut n_kept) = (0_u32, 0_u32);
        let mut shared_empty = None;
        let segments = module.segments().values().zip(is_replaced);
        for ((segment, is_replaced), is_used) in segments.zip(is_used) {
            fates.push(match (&segment.mode, is_replaced, is_used) {
                (SegmentMode::Passive, _, _) => Fate::Passive(count(&mut n_passive)),
                (_, false, _) => Fate::Kept(count(&mut n_kept)),
                (_, true, false) => Fate::Replaced,
                (_, true, true) => {
                    Fate::Dropped(*shared_empty.get_or_insert_with(|| count(&mut n_passive)))
                }
            });
        }
        Self {
            original,
            fates,
            n_passive,
        }
    }

    /// Returns the length of the replaced segments, minus that of the shared empty segment.
    pub(super) fn replaced_bytes(&self) -> u64 {
        let mut bytes = 0_usize;
        let mut shared_empty = 0;
        for (fate, segment) in self.fates.iter().zip(&self.original.segments) {
            if let Fate::Dropped(_) = fate {
                shared_empty = EMPTY_PASSIVE.len();
            }
            if let Fate::Dropped(_) | Fate::Replaced = fate {
                bytes = bytes.saturating_add(segment.len());
            }
        }
        u64::try_from(bytes.saturating_sub(shared_empty)).unwrap_or(u64::MAX)
    }

    /// Returns the number of segments apart from the newly written ones.
    pub(super) fn n_others(&self) -> usize {
        let kept = self.fates.iter().filter(|it| matches!(it, Fate::Kept(_)));
        let passive = usize::try_from(self.n_passive).unwrap_or(usize::MAX);
        kept.count().saturating_add(passive)
    }

    /// Writes the module with `segments` in place of the replaced ones. `memories` are the
    /// new contents of the memory section, if it changes too.
    ///
    /// Returns `None` if a larger index does not fit in a function body.
    pub(super) fn finish(
        &self,
        covers: &[Cover],
        segments: &[u8],
        memories: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, RewriteError> {
        let n_written = n_segments(covers);
        let n_segments = u32::try_from(self.n_others().saturating_add(n_written))
            .map_err(|_| RewriteError::TooLarge)?;
        let n_written = u32::try_from(n_written).map_err(|_| RewriteError::TooLarge)?;
        let n_before_kept = self.n_passive.saturating_add(n_written);
        let new_index = |old: u32| match *self.fates.get(usize::try_from(old).ok()?)? {
            Fate::Passive(index) | Fate::Dropped(index) => Some(index),
            Fate::Kept(nth) => n_before_kept.checked_add(nth),
            Fate::Replaced => None,
        };
        // The shared empty segment does not inherit names.
        let new_name = |old: u32| match self.fates.get(usize::try_from(old).ok()?)? {
            Fate::Dropped(_) => None,
            _ => new_index(old),
        };
        let data = self.data_section(n_segments, segments);

        let mut out = Vec::with_capacity(self.original.wasm.len());
        out.extend_from_slice(self.original.wasm.get(..PREAMBLE).unwrap_or_default());
        let mut end = PREAMBLE;
        let put_data = |out: &mut Vec<u8>, end: usize| {
            if end == self.original.data_end && n_segments != 0 {
                write(out, id::DATA, &data)?;
            }
            Ok(())
        };
        put_data(&mut out, end)?;
        for section in sections(self.original.wasm) {
            let section = section?;
            end = end.saturating_add(section.whole.len());
            match (section.id, memories) {
                (id::MEMORY, Some(memories)) => write(&mut out, id::MEMORY, memories)?,
                (id::DATA, _) => {}
                (id::DATA_COUNT, _) => {
                    // Padded to the same width, so that the code after it does not move.
                    let count = padded(n_segments, section.contents.len());
                    replace(&mut out, &section, &count)?;
                }
                (id::CODE, _) => {
                    if !self.put_code(&mut out, &section, &new_index) {
                        return Ok(None);
                    }
                }
                (id::CUSTOM, _) if section.name() == Some("name") => {
                    let names = names::renumbered(section.reader(), &new_name);
                    write(&mut out, id::CUSTOM, &names)?;
                }
                _ => out.extend_from_slice(section.whole),
            }
            if section.id != id::CUSTOM {
                put_data(&mut out, end)?;
            }
        }
        Ok(Some(out))
    }

    /// Appends the code section with new indices. Returns `false` if one does not fit.
    fn put_code(
        &self,
        out: &mut Vec<u8>,
        section: &Section<'_>,
        new_index: &dyn Fn(u32) -> Option<u32>,
    ) -> bool {
        let uses = &self.original.uses;
        if uses
            .iter()
            .all(|it| new_index(it.segment) == Some(it.segment))
        {
            out.extend_from_slice(section.whole);
            return true;
        }
        let Some(contents) = code::renumbered(section.contents, uses, new_index) else {
            return false;
        };
        // The length is unchanged, so the header can be kept.
        let header = section.whole.len().saturating_sub(contents.len());
        out.extend_from_slice(section.whole.get(..header).unwrap_or_default());
        out.extend_from_slice(&contents);
        true
    }

    /// Returns the contents of the data section.
    fn data_section(&self, n_segments: u32, segments: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        n_segments.encode(&mut data);
        let mut n_passive = 0;
        let fates = || self.fates.iter().zip(&self.original.segments);
        for (fate, segment) in fates() {
            match *fate {
                Fate::Passive(_) => data.extend_from_slice(segment),
                Fate::Dropped(index) if index == n_passive => data.extend_from_slice(EMPTY_PASSIVE),
                _ => continue,
            }
            n_passive = n_passive.saturating_add(1);
        }
        data.extend_from_slice(segments);
        for (fate, segment) in fates() {
            if let Fate::Kept(_) = fate {
                data.extend_from_slice(segment);
            }
        }
        data
    }
}

/// Increments the counter and returns its previous value.
fn count(n: &mut u32) -> u32 {
    let nth = *n;
    *n = n.saturating_add(1);
    nth
}
