//! Matches the segments of two modules, and says what became of each.

use std::collections::HashMap;

use wasm_meminit::analysis::Reason;

use crate::contents::{Fate, SegmentView};

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
}

/// One thing that differs between two segments that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// It is written to another memory, or has become active or passive.
    Memory([Option<u32>; 2]),
    /// It is at another address; `None` where the address is not known.
    Moved([Option<u64>; 2]),
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
    /// Returns what differs; nothing for a segment of one side only.
    pub(crate) fn differences(&self) -> Vec<Difference> {
        let [Some(a), Some(b)] = self.sides else {
            return Vec::new();
        };
        let mut list = Vec::new();
        if a.memory != b.memory {
            list.push(Difference::Memory([a.memory, b.memory]));
        }
        if a.addr != b.addr {
            list.push(Difference::Moved([a.addr, b.addr]));
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
        list
    }
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
    fn by<'s, K: core::hash::Hash + Eq>(
        &mut self,
        sides: [&[&'s SegmentView<'_>]; 2],
        key: impl Fn(&'s SegmentView<'_>) -> Option<K>,
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
    pub(super) fn compare(sides: [&'c [SegmentView<'a>]; 2], replayed_only: bool) -> Self {
        let is_wanted =
            |it: &&SegmentView<'_>| !replayed_only || matches!(it.fate, Fate::Replayed(_));
        let lists: [Vec<&'c SegmentView<'a>>; 2] =
            sides.map(|it| it.iter().filter(is_wanted).collect());
        let (first, second) = (&lists[0], &lists[1]);
        let mut matching = Matching {
            of_first: vec![None; first.len()],
            is_taken: vec![false; second.len()],
        };
        let both: [&[&SegmentView<'_>]; 2] = [first, second];
        matching.by(both, |it| it.name);
        // Where nothing changed, equal contents match at equal addresses.
        matching.by(both, |it| {
            (!it.data.is_empty()).then_some((it.memory, it.addr, &*it.data))
        });
        matching.by(both, |it| (!it.data.is_empty()).then_some(&*it.data));
        matching.by(both, |it| Some((it.memory?, it.addr?)));
        // What is left of an artifact's list has no address: the index tells them apart.
        matching.by(both, |it| {
            (it.addr.is_none() || it.data.is_empty()).then_some(it.index)
        });

        let mut result = Self::default();
        for (it, other) in first.iter().zip(&matching.of_first) {
            let other = other.and_then(|nth| second.get(nth)).copied();
            let change = Change {
                sides: [Some(*it), other],
            };
            if other.is_some() && change.differences().is_empty() {
                result.n_equal += 1;
            } else {
                result.changes.push(change);
            }
        }
        for (it, is_taken) in second.iter().zip(&matching.is_taken) {
            if !is_taken {
                let sides = [None, Some(*it)];
                result.changes.push(Change { sides });
            }
        }
        result
    }
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
        let segments = Segments::compare([a, b], false);
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
