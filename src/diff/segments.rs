//! Matches the segments of two modules, and says what became of each.

use core::ops::Range;
use std::collections::HashMap;

use wasm_meminit::analysis::{Module, Reason};

use super::offsets::Offsets;
use super::order::{self, Data, Write};
use crate::contents::{Contents, Fate, MemoryContents, SegmentView, StartWrite, offset};

/// The segments that differ.
#[derive(Debug, Default)]
pub(crate) struct Segments<'c, 'a> {
    /// How many segments are equal on both sides.
    pub(crate) n_equal: u64,
    /// The others, in the order of their indices: of the first side if they exist there.
    pub(crate) changes: Vec<Change<'c, 'a>>,
}

/// A segment that differs, or exists on one side only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'c, 'a> {
    pub(crate) sides: [Option<&'c SegmentView<'a>>; 2],
    modules: [Option<&'c Module<'a>>; 2],
    /// Whether its address is not known on both sides, and depends on different things.
    is_elsewhere: bool,
    /// Whether it is written in another order, where that can be observed.
    is_reordered: bool,
}

/// One thing that differs between two segments that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// It is written to another memory, or has become active or passive.
    Memory([Option<u32>; 2]),
    /// It is at another address.
    Moved,
    /// It is written in another order, relative to what it overlaps or a segment that may trap.
    Order,
    /// It has another length.
    Len([u64; 2]),
    /// It has other bytes in the same number.
    Bytes,
    /// It is no longer in the image, for this reason if it is known.
    NoLongerStatic(Option<Reason>),
    /// It is in the image now.
    NowStatic,
    /// It is replayed for another reason, or copied by another means.
    Fate,
}

impl Change<'_, '_> {
    /// Returns what the address of one side depends on, as shown, if it is not known.
    pub(crate) fn offset(&self, side: usize) -> Option<String> {
        let expr = self.sides[side]?.offset.as_ref()?;
        Some(offset::text(self.modules[side], expr))
    }

    /// Returns what differs; nothing for a segment of one side only.
    pub(crate) fn differences(&self) -> Vec<Difference> {
        let [Some(a), Some(b)] = self.sides else {
            return Vec::new();
        };
        let mut list = Vec::new();
        if a.memory != b.memory {
            list.push(Difference::Memory([a.memory, b.memory]));
        }
        if a.addr != b.addr || self.is_elsewhere {
            list.push(Difference::Moved);
        }
        if a.len() != b.len() {
            list.push(Difference::Len([a.len(), b.len()]));
        } else if a.data != b.data {
            list.push(Difference::Bytes);
        }
        match (a.fate.is_static(), b.fate.is_static()) {
            (true, false) => list.push(Difference::NoLongerStatic(match b.fate {
                Fate::Replayed(reason) => reason,
                _ => Some(Reason::Passive),
            })),
            (false, true) => list.push(Difference::NowStatic),
            _ if core::mem::discriminant(&a.fate) != core::mem::discriminant(&b.fate) => {
                list.push(Difference::Fate);
            }
            _ => {}
        }
        if self.is_reordered {
            list.push(Difference::Order);
        }
        list
    }
}

/// A segment, and the number of its offset if its address is not known.
#[derive(Clone, Copy)]
struct Item<'c, 'a> {
    view: &'c SegmentView<'a>,
    offset: Option<usize>,
}

/// Which segment of the second side matches each of the first.
#[derive(Debug)]
struct Matching {
    of_first: Vec<Option<usize>>,
    is_taken: Vec<bool>,
}

impl Matching {
    /// Matches the segments that have the same key. Of several with one key, the first of one
    /// side matches the first of the other, and so on.
    fn by<'s, 'c, 'a, K: core::hash::Hash + Eq>(
        &mut self,
        sides: [&'s [Item<'c, 'a>]; 2],
        key: impl Fn(&'s Item<'c, 'a>) -> Option<K>,
    ) {
        let mut places: HashMap<K, alloc::collections::VecDeque<usize>> = HashMap::new();
        for (nth, it) in sides[1].iter().enumerate() {
            if !self.is_taken[nth]
                && let Some(key) = key(it)
            {
                places.entry(key).or_default().push_back(nth);
            }
        }
        for (nth, it) in sides[0].iter().enumerate() {
            if self.of_first[nth].is_none()
                && let Some(other) = key(it).and_then(|key| places.get_mut(&key)?.pop_front())
            {
                self.of_first[nth] = Some(other);
                self.is_taken[other] = true;
            }
        }
    }
}

impl<'c, 'a> Segments<'c, 'a> {
    /// Compares the segments of both sides, or only those that are replayed.
    ///
    /// They match if they have the same name, or else the same contents, or else the same
    /// address.
    pub(super) fn compare(sides: [Option<&'c Contents<'a>>; 2], replayed_only: bool) -> Self {
        let is_wanted =
            |it: &&SegmentView<'_>| !replayed_only || matches!(it.fate, Fate::Replayed(_));
        let modules = sides.map(|it| it.and_then(|it| it.module.as_ref()));
        let mut offsets = Offsets::new(modules);
        let lists: [Vec<Item<'c, 'a>>; 2] = [0, 1].map(|side| {
            let segments = sides[side].map_or(&[][..], |it| &it.segments);
            let items = segments.iter().filter(is_wanted).map(|view| Item {
                view,
                offset: view.offset.as_ref().map(|it| offsets.number(side, it)),
            });
            items.collect()
        });
        let [first, second] = lists.each_ref().map(Vec::as_slice);
        let mut matching = Matching {
            of_first: vec![None; first.len()],
            is_taken: vec![false; second.len()],
        };
        let both = [first, second];
        let data = |it: &Item<'c, 'a>| Some(&*it.view.data).filter(|it| !it.is_empty());
        matching.by(both, |it| it.view.name);
        // Where nothing changed, equal contents match at equal addresses.
        matching.by(both, |it| {
            Some((it.view.memory, it.view.addr, it.offset, data(it)?))
        });
        matching.by(both, data);
        matching.by(both, |it| Some((it.view.memory?, it.view.addr?)));
        // What is left of an artifact's list has no address: the index tells them apart.
        matching.by(both, |it| {
            (it.view.addr.is_none() || it.view.data.is_empty()).then_some(it.view.index)
        });

        let is_reordered = reordered(sides, both, &matching.of_first);
        let mut result = Self::default();
        for ((it, other), is_reordered) in first.iter().zip(&matching.of_first).zip(is_reordered) {
            let other = other.and_then(|nth| second.get(nth));
            let change = Change {
                sides: [Some(it.view), other.map(|it| it.view)],
                modules,
                is_elsewhere: other.is_some_and(|other| it.offset != other.offset),
                is_reordered,
            };
            if other.is_some() && change.differences().is_empty() {
                result.n_equal += 1;
            } else {
                result.changes.push(change);
            }
        }
        for (it, is_taken) in second.iter().zip(&matching.is_taken) {
            if !is_taken {
                result.changes.push(Change {
                    sides: [None, Some(it.view)],
                    modules,
                    is_elsewhere: false,
                    is_reordered: false,
                });
            }
        }
        result
    }
}

/// Returns, for each segment of the first side, whether it is written in another order than the one
/// that it matches. What is in an image has no order.
fn reordered(
    sides: [Option<&Contents<'_>>; 2],
    lists: [&[Item<'_, '_>]; 2],
    of_first: &[Option<usize>],
) -> Vec<bool> {
    let mut of_second = vec![None; lists[1].len()];
    for (nth, other) in of_first.iter().enumerate() {
        if let Some(other) = other {
            of_second[*other] = Some(nth);
        }
    }
    let is_replayed = |it: &Item<'_, '_>| matches!(it.view.fate, Fate::Replayed(_));
    let is_copied = |it: &Item<'_, '_>| it.view.fate == Fate::Passive && it.view.addr.is_some();
    // Those that match are numbered by their position on the first side.
    let partners = [of_first, &of_second];
    let pair = |side: usize, nth: usize| {
        let partner = partners[side][nth]?;
        let both = [&lists[side][nth], &lists[1 - side][partner]];
        let is_pair = both.into_iter().all(is_replayed) || both.into_iter().all(is_copied);
        let number = if side == 0 { nth } else { partner };
        is_pair.then(|| write(sides[side], both[0].view, number))
    };
    let writes = [0, 1].map(|side| {
        let list = lists[side];
        let replayed = (0..list.len()).filter(|nth| is_replayed(&list[*nth]));
        let mut writes: Vec<Write<'_>> = replayed.filter_map(|nth| pair(side, nth)).collect();
        // The start function runs afterwards. Ranges of zeros match by their order.
        let mut n_pairs = of_first.len();
        for it in sides[side].map_or(&[][..], |it| &it.start_writes) {
            writes.extend(match it {
                StartWrite::Segment(index) => {
                    let nth = list.binary_search_by_key(index, |it| it.view.index).ok();
                    nth.filter(|nth| is_copied(&list[*nth]))
                        .and_then(|nth| pair(side, nth))
                }
                StartWrite::Zeros(range) => {
                    n_pairs += 1;
                    zeros(sides[side], range, n_pairs - 1)
                }
            });
        }
        (writes, n_pairs)
    });
    let [(first, n_first), (second, n_second)] = &writes;
    let mut changed = order::reordered([first, second], *n_first.max(n_second));
    changed.truncate(of_first.len());
    changed
}

fn write<'c>(contents: Option<&Contents<'_>>, view: &'c SegmentView<'_>, pair: usize) -> Write<'c> {
    let memory = view.memory.unwrap_or(u32::MAX);
    let memories = contents.map_or(&[][..], |it| &it.memories);
    let contents = memories.get(memory as usize);
    let end = contents.map_or(0, MemoryContents::end);
    let range = view.addr.zip(view.end()).map(|(start, end)| start..end);
    Write {
        pair,
        memory,
        is_imported: contents.is_some_and(|it| it.is_imported),
        range: range.filter(|it| it.end <= end),
        data: Data::Bytes(&view.data),
    }
}

/// A start function is recognised only if what it writes is within its memory.
fn zeros<'c>(
    contents: Option<&Contents<'_>>,
    range: &Range<u64>,
    pair: usize,
) -> Option<Write<'c>> {
    let contents = contents?;
    let memory = contents.start.as_ref()?.memory;
    Some(Write {
        pair,
        memory,
        is_imported: contents.memories.get(memory as usize)?.is_imported,
        range: Some(range.clone()),
        data: Data::Zeros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(
        index: u32,
        name: Option<&'static str>,
        addr: u64,
        data: &'static [u8],
    ) -> SegmentView<'static> {
        SegmentView {
            index,
            name,
            memory: Some(0),
            addr: Some(addr),
            offset: None,
            data: data.into(),
            fate: Fate::Static,
        }
    }

    fn check(
        a: &[SegmentView<'_>],
        b: &[SegmentView<'_>],
        n_equal: u64,
        expected: &[(Option<u32>, Option<u32>)],
    ) {
        let sides = [a, b].map(|segments| Contents {
            segments: segments.to_vec(),
            ..Contents::default()
        });
        let segments = Segments::compare(sides.each_ref().map(Some), false);
        let index = |it: Option<&SegmentView<'_>>| it.map(|it| it.index);
        let found: Vec<_> = segments
            .changes
            .iter()
            .map(|it| (index(it.sides[0]), index(it.sides[1])))
            .collect();
        assert_eq!((segments.n_equal, &found[..]), (n_equal, expected));
    }

    #[test]
    fn names_come_before_contents_and_contents_before_addresses() {
        let a = [
            segment(0, Some(".rodata"), 0, b"one"),
            segment(1, None, 8, b"two"),
            segment(2, None, 16, b"three"),
            segment(3, None, 24, b"gone"),
        ];
        let b = [
            segment(0, None, 0, b"two"),
            segment(1, Some(".rodata"), 8, b"two"),
            segment(2, None, 16, b"changed"),
            segment(3, None, 32, b"new"),
        ];
        let matches = [
            (Some(0), Some(1)),
            (Some(1), Some(0)),
            (Some(2), Some(2)),
            (Some(3), None),
            (None, Some(3)),
        ];
        check(&a, &b, 0, &matches);
        check(&a, &a, 4, &[]);
    }

    /// A segment inserted among equal ones is the only difference.
    #[test]
    fn equal_contents_match_at_equal_addresses() {
        let a: Vec<_> = (0..4)
            .map(|nth| segment(nth, None, u64::from(nth) * 8, b"x"))
            .collect();
        let mut b = a.clone();
        b.remove(1);
        check(&a, &b, 3, &[(Some(1), None)]);
    }
}
