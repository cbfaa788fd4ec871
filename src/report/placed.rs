//! The segments of each memory at known addresses: what pictures show, besides the image.

use alloc::borrow::Cow;
use core::ops::Range;

use wasm_meminit::analysis::Plan;
use wasm_meminit::analysis::entity::EntityRef;

use crate::contents::Fate;
use crate::report::map::MemoryMap;
use crate::report::module::ModuleSurvey;
use crate::report::segments;

/// A segment, or the flag of a start function, within the bounds of its memory.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a> {
    /// `None` for the flag.
    pub(crate) index: Option<u32>,
    /// From the name section.
    pub(crate) name: Option<&'a str>,
    /// The address of the first byte.
    pub(crate) addr: u64,
    /// Not empty.
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) kind: Kind,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Baked,
    ForStart,
    Flag,
    Replayed,
    LeftToStart,
}

impl Kind {
    /// All variants, in the order of the legend.
    pub(crate) const ALL: [Self; 5] = [
        Self::Baked,
        Self::ForStart,
        Self::Flag,
        Self::Replayed,
        Self::LeftToStart,
    ];

    /// Returns its text in the legend.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Baked => "in the image",
            Self::ForStart => "in the image, for the start function",
            Self::Flag => "the flag of the start function",
            Self::Replayed => "replayed at each start",
            Self::LeftToStart => "left to the start function",
        }
    }
}

impl Placed<'_> {
    pub(crate) fn addresses(&self) -> Range<u64> {
        self.addr..self.addr + self.data.len() as u64 // in bounds
    }
}

/// Returns the segments of each memory, in the order in which they are written: later ones hide
/// earlier ones. `file` contains the module.
pub(crate) fn placed<'a>(
    survey: &ModuleSurvey<'a>,
    file: &'a [u8],
    maps: &[MemoryMap<'_, 'a>],
) -> Vec<Vec<Placed<'a>>> {
    let mut all: Vec<Vec<Placed<'a>>> = vec![Vec::new(); maps.len()];
    let rows = segments::rows(survey, file);
    let (active, passive): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|it| it.mode() == "active");
    for row in active.into_iter().chain(passive) {
        let kind = match row.segment.fate {
            Fate::Static => Kind::Baked,
            Fate::Copied => Kind::ForStart,
            Fate::Replayed(_) => Kind::Replayed,
            Fate::Passive => Kind::LeftToStart,
        };
        let segment = row.segment;
        let (Some(memory), Some(addr), Some(end)) = (segment.memory, segment.addr, segment.end())
        else {
            continue;
        };
        let memory = memory as usize;
        let is_drawn = |map: &MemoryMap<'_, '_>| addr < end && end <= map.size;
        if maps.get(memory).is_some_and(is_drawn) {
            all[memory].push(Placed {
                index: Some(segment.index),
                name: segment.name,
                addr,
                data: segment.data,
                kind,
            });
        }
    }
    if let Some((memory, flag)) = flag(&survey.plan)
        && let Some(list) = all.get_mut(memory)
    {
        list.push(flag);
    }
    all
}

/// Returns the flag that the image has for a start function, and the memory that it is in.
fn flag<'a>(plan: &Plan<'a>) -> Option<(usize, Placed<'a>)> {
    const FLAG_BYTES: u64 = 4;
    let start = plan.start().ok()?;
    let addr = start.flag();
    let pieces = plan.memories().get(start.memory())?.pieces();
    let piece = pieces.get(pieces.partition_point(|it| it.end() <= addr))?;
    let from = usize::try_from(addr.checked_sub(piece.addr)?).ok()?;
    let data = piece.data.get(from..)?;
    let data = data.get(..FLAG_BYTES as usize)?.to_vec();
    let flag = Placed {
        index: None,
        name: None,
        addr,
        data: data.into(),
        kind: Kind::Flag,
    };
    Some((start.memory().index(), flag))
}
