//! A module with other data segments, and everything that names segments made to
//! follow: the data count section, function bodies, and their names.
//!
//! Order of the new segments: passive ones first, then those that we write, then the
//! active ones that stay, both in the old order. So a passive segment's index never
//! rises, and fits where the old one stood in a function body.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::{Module, SegmentMode};

use super::cover::{Cover, n_segments};
use super::data::EMPTY_PASSIVE;
use super::error::RewriteError;
use super::original::Original;
use super::section::{PREAMBLE, Section, id, padded, replace, sections, write};
use super::{code, names};

/// The new data segments of a module, without bytes.
pub(super) struct Assembly<'o, 'a> {
    original: &'o Original<'a>,
    /// For each old segment, what becomes of it.
    fates: Vec<Fate>,
    /// New indices below this one are passive segments.
    n_passive: u32,
}

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Passive: it stays whole, at this index.
    Passive(u32),
    /// Active: it stays whole, at this place among those that stay.
    Kept(u32),
    /// Active, and its bytes go to segments that we write. No code names it.
    Replaced,
    /// The same, but code names it. To code it is as if dropped, and so is the empty
    /// passive segment at this index, which it shares with all others.
    Dropped(u32),
}

impl<'o, 'a> Assembly<'o, 'a> {
    /// Plans new segments in place of those active ones that `is_replaced` names.
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
        let mut stand_in = None;
        let segments = module.segments().values().zip(is_replaced);
        for ((segment, is_replaced), is_used) in segments.zip(is_used) {
            fates.push(match (&segment.mode, is_replaced, is_used) {
                (SegmentMode::Passive, _, _) => Fate::Passive(count(&mut n_passive)),
                (_, false, _) => Fate::Kept(count(&mut n_kept)),
                (_, true, false) => Fate::Replaced,
                (_, true, true) => {
                    Fate::Dropped(*stand_in.get_or_insert_with(|| count(&mut n_passive)))
                }
            });
        }
        Self {
            original,
            fates,
            n_passive,
        }
    }

    /// Bytes of the segments that are replaced, less those of what stands in for them.
    pub(super) fn replaced_bytes(&self) -> u64 {
        let mut bytes = 0_usize;
        let mut stand_in = 0;
        for (fate, segment) in self.fates.iter().zip(&self.original.segments) {
            if let Fate::Dropped(_) = fate {
                stand_in = EMPTY_PASSIVE.len();
            }
            if let Fate::Dropped(_) | Fate::Replaced = fate {
                bytes = bytes.saturating_add(segment.len());
            }
        }
        u64::try_from(bytes.saturating_sub(stand_in)).unwrap_or(u64::MAX)
    }

    /// How many segments there are besides those that we write.
    pub(super) fn n_others(&self) -> usize {
        let kept = self.fates.iter().filter(|it| matches!(it, Fate::Kept(_)));
        let passive = usize::try_from(self.n_passive).unwrap_or(usize::MAX);
        kept.count().saturating_add(passive)
    }

    /// The bytes of the module with `segments` for what was replaced; `memories` are the
    /// contents of its memory section, where that changes too.
    ///
    /// `None` where a function body has no room for an index that has risen.
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
        // A stand-in has not the name of what it stands in for.
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
                    // As wide as before, so that the code behind it does not move.
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

    /// Appends the code section with new indices; `false` where one does not fit.
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
        // As long as before, so under the header that it had.
        let header = section.whole.len().saturating_sub(contents.len());
        out.extend_from_slice(section.whole.get(..header).unwrap_or_default());
        out.extend_from_slice(&contents);
        true
    }

    /// The contents of the data section.
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

/// The number of those before, and one more.
fn count(n: &mut u32) -> u32 {
    let nth = *n;
    *n = n.saturating_add(1);
    nth
}
