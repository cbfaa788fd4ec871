//! Groups segments that have the same reason, so that thousands of them take a few lines.

use core::mem::{self, Discriminant};
use std::collections::HashMap;

use wasm_meminit::analysis::{GlobalIndex, MemoryIndex, Module, Reason, SegmentReason};

use crate::input::globals;
use crate::input::import::Dotted;
use crate::report::module::ModuleSurvey;
use crate::report::wrap::wrapped;
use crate::text::terminal::{BOLD, Look, paint};
use crate::text::units::{counted, grouped};

/// Segments of one memory that are not in its image, all for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    memory: Option<MemoryIndex>,
    /// The reason of the first segment; those of the others may differ in an address.
    reason: Reason,
    /// First and last index of each range, in order; adjacent ranges are joined.
    ranges: Vec<(u32, u32)>,
    n_segments: u64,
    n_bytes: u64,
}

/// The most groups that a text shows for one module.
pub(super) const MAX_GROUPS: usize = 20;

/// The most ranges of segments that are listed for one group.
const MAX_RANGES: usize = 4;

/// Groups the reasons, in the order of the groups' first segments.
pub(crate) fn group(reasons: &[SegmentReason]) -> Vec<Group> {
    type Key = (
        Option<MemoryIndex>,
        Discriminant<Reason>,
        Option<GlobalIndex>,
    );
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut last: Option<(Key, usize)> = None;
    for it in reasons {
        let global = match it.reason {
            Reason::DynamicOffset { global } => Some(global),
            _ => None,
        };
        let key = (it.memory, mem::discriminant(&it.reason), global);
        // Most segments have the reason of their predecessor.
        let place = match last {
            Some((of_last, place)) if of_last == key => place,
            _ => *places.entry(key).or_insert_with(|| {
                groups.push(Group {
                    memory: it.memory,
                    reason: it.reason,
                    ranges: Vec::new(),
                    n_segments: 0,
                    n_bytes: 0,
                });
                groups.len() - 1
            }),
        };
        groups[place].push(it);
        last = Some((key, place));
    }
    groups
}

/// Returns how many segments the groups have in total.
pub(crate) fn n_segments(groups: &[Group]) -> u64 {
    groups.iter().map(|it| it.n_segments).sum()
}

impl Group {
    /// Returns the reason; if the segments differ in an address, that of the first.
    pub(crate) const fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(crate) const fn memory(&self) -> Option<MemoryIndex> {
        self.memory
    }

    /// Returns the global that the reason names.
    pub(crate) const fn global(&self) -> Option<GlobalIndex> {
        match self.reason {
            Reason::DynamicOffset { global } => Some(global),
            _ => None,
        }
    }

    pub(crate) const fn n_segments(&self) -> u64 {
        self.n_segments
    }

    pub(crate) const fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Returns the first and last index of each range of consecutive segments, in order.
    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    fn push(&mut self, it: &SegmentReason) {
        let segment = it.segment.as_u32();
        match self.ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(segment) => *last = segment,
            _ => self.ranges.push((segment, segment)),
        }
        self.n_segments += 1;
        self.n_bytes = self.n_bytes.saturating_add(it.len);
    }

    /// Formats the segments: `segments 0–44, 46`.
    pub(crate) fn segments(&self, look: Look) -> String {
        let dash = look.either("–", "-");
        let mut shown: Vec<String> = self
            .ranges
            .iter()
            .take(MAX_RANGES)
            .map(|&(first, last)| match last - first {
                0 => first.to_string(),
                1 => format!("{first}, {last}"),
                _ => format!("{first}{dash}{last}"),
            })
            .collect();
        let n_shown: u64 = self
            .ranges
            .iter()
            .take(MAX_RANGES)
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum();
        if n_shown < self.n_segments {
            shown.push(format!("and {} more", grouped(self.n_segments - n_shown)));
        }
        let what = if self.n_segments == 1 {
            "segment"
        } else {
            "segments"
        };
        format!("{what} {}", shown.join(", "))
    }

    /// Formats the memory and the size: `memory 0, 1,234 bytes`.
    pub(crate) fn place(&self) -> String {
        let bytes = counted(self.n_bytes, "byte");
        match self.memory {
            Some(memory) => format!("memory {}, {bytes}", memory.as_u32()),
            None => bytes,
        }
    }

    /// Formats the reason, with names added to the library's indices.
    pub(crate) fn why(&self, survey: &ModuleSurvey<'_>, look: Look) -> String {
        if self.reason == Reason::Passive
            && let Some(start) = &survey.start
            && let Ok(init) = &start.init
            && init.writes().len() as u64 == self.n_segments
        {
            return String::from("passive: copied by the start function");
        }
        let mut text = why(&self.reason, self.memory, &survey.module, look);
        if matches!(self.reason, Reason::OutOfBounds { .. }) && self.n_segments != 1 {
            text.push_str(" (for the first of them)");
        }
        text
    }
}

/// Returns the groups under their heading, at most `n_groups` of them.
pub(super) fn text(
    survey: &ModuleSurvey<'_>,
    groups: &[Group],
    n_groups: usize,
    look: Look,
) -> String {
    let mut out = format!("{}\n", paint(BOLD, "Not in an image"));
    for group in groups.iter().take(n_groups) {
        let line = format!(
            "{} ({}): {}",
            group.segments(look),
            group.place(),
            group.why(survey, look)
        );
        wrapped(&mut out, &line, look.columns);
    }
    if let Some(rest) = groups.get(n_groups..).filter(|it| !it.is_empty()) {
        let n_segments = counted(n_segments(rest), "segment");
        let n_reasons = counted(rest.len() as u64, "more reason");
        out.push_str(&format!("  and {n_segments} for {n_reasons}: see --json\n"));
    }
    out
}

/// Formats a reason, with names added to the library's indices.
pub(crate) fn why(
    reason: &Reason,
    memory: Option<MemoryIndex>,
    module: &Module<'_>,
    look: Look,
) -> String {
    let import = match *reason {
        Reason::DynamicOffset { global } => globals::import_name(module, global),
        Reason::ImportedMemory => {
            let memory = memory.and_then(|it| module.memories().get(it));
            memory.and_then(|it| it.import)
        }
        _ => None,
    };
    match import {
        Some(import) => format!("{reason} ({})", look.name(&Dotted(import).to_string())),
        None => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use wasm_meminit::analysis::DataIndex;

    use super::*;

    fn reason(segment: u32, reason: Reason) -> SegmentReason {
        let memory = Some(MemoryIndex::from_u32(0));
        SegmentReason {
            segment: DataIndex::from_u32(segment),
            memory,
            len: 10,
            reason,
        }
    }

    const LOOK: Look = Look {
        columns: 80,
        ascii: true,
    };

    #[test]
    fn segments_with_one_reason_are_one_group() {
        let global = |index| Reason::DynamicOffset {
            global: GlobalIndex::from_u32(index),
        };
        let reasons: Vec<SegmentReason> = (0..2000)
            .map(|segment| match segment {
                7 => reason(segment, global(1)),
                8 => reason(
                    segment,
                    Reason::OutOfBounds {
                        addr: 8,
                        min_bytes: 4,
                    },
                ),
                9 => reason(
                    segment,
                    Reason::OutOfBounds {
                        addr: 9,
                        min_bytes: 4,
                    },
                ),
                _ => reason(segment, global(0)),
            })
            .collect();
        let groups = group(&reasons);
        let texts: Vec<String> = groups.iter().map(|it| it.segments(LOOK)).collect();
        assert_eq!(
            texts,
            ["segments 0-6, 10-1999", "segment 7", "segments 8, 9"]
        );
        assert_eq!(groups[0].place(), "memory 0, 19,970 bytes");
        assert_eq!(n_segments(&groups), 2000);
    }

    #[test]
    fn ranges_beyond_the_limit_are_counted() {
        let reasons: Vec<SegmentReason> = (0..100)
            .map(|nth| reason(nth * 2, Reason::ImportedMemory))
            .collect();
        let groups = group(&reasons);
        assert_eq!(groups[0].segments(LOOK), "segments 0, 2, 4, 6, and 96 more");
    }
}
