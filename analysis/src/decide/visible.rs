//! Computes the bytes that remain visible when segments overlap: later writes win.
//!
//! The result is a list of disjoint pieces in address order, so that every later step
//! (page map, runs, splicing) visits each address once. Most toolchains already emit such
//! a list, which is detected in one pass. Go's segments are out of order, which costs one
//! sort. Actual overlaps cost a sweep with a heap: `O(n log n)`, and at most `2 n` pieces.

use alloc::borrow::Cow;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::ops::Range;

use crate::address::len;

/// Non-empty bytes at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The address of the first byte.
    pub(crate) addr: u64,
    /// The bytes.
    pub(crate) data: &'a [u8],
}

impl Piece<'_> {
    /// Returns one past the address of the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.addr.saturating_add(len(self.data))
    }

    /// Returns the range of addresses from the first byte to one past the last.
    pub(crate) fn addresses(&self) -> Range<u64> {
        self.addr..self.end()
    }
}

/// Returns the visible bytes of segments that are written in the given order: the segments
/// themselves if they are disjoint, in address order and not empty.
///
/// Precondition: each `addr + data.len()` fits in a `u64`.
pub(crate) fn visible<'p, 'a>(segments: &'p [Piece<'a>]) -> Cow<'p, [Piece<'a>]> {
    debug_assert!(
        segments
            .iter()
            .all(|it| it.addr.checked_add(len(it.data)).is_some()),
        "a segment past the last address"
    );
    let is_empty = |it: &Piece<'_>| it.data.is_empty();
    if is_disjoint(segments) && !segments.iter().any(is_empty) {
        return Cow::Borrowed(segments);
    }
    let filled = segments.iter().copied().filter(|it| !is_empty(it));
    let mut order: Vec<(Piece<'a>, usize)> = filled.zip(0..).collect();
    order.sort_unstable_by_key(|&(piece, nth)| (piece.addr, nth));
    let sorted: Vec<Piece<'a>> = order.iter().map(|&(piece, _)| piece).collect();
    if is_disjoint(&sorted) {
        return Cow::Owned(sorted);
    }
    Cow::Owned(sweep(&order))
}

/// Returns whether each piece ends before the next one begins.
fn is_disjoint(pieces: &[Piece<'_>]) -> bool {
    pieces.is_sorted_by(|a, b| a.end() <= b.addr)
}

/// Sweeps from low to high addresses, with the open segments in a heap, latest on top.
fn sweep<'a>(sorted: &[(Piece<'a>, usize)]) -> Vec<Piece<'a>> {
    let mut pieces = Pieces {
        list: Vec::with_capacity(sorted.len()),
        last: None,
    };
    let mut open: BinaryHeap<Open<'a>> = BinaryHeap::new();
    let mut at = 0_u64;
    let mut next = sorted.iter().peekable();
    loop {
        // Open the segments that begin at this address.
        while let Some(&&(piece, nth)) = next.peek() {
            if !open.is_empty() && at < piece.addr {
                break;
            }
            at = piece.addr;
            open.push(Open { nth, piece });
            next.next();
        }
        let Some(top) = open.peek().copied() else {
            return pieces.list;
        };
        if top.piece.end() <= at {
            open.pop();
            continue;
        }
        let until = next.peek().map_or(u64::MAX, |(piece, _)| piece.addr);
        let end = top.piece.end().min(until);
        pieces.push(top, at..end);
        at = end;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Open<'a> {
    nth: usize,
    piece: Piece<'a>,
}

impl Ord for Open<'_> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.nth.cmp(&other.nth)
    }
}

impl PartialOrd for Open<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Pieces<'a> {
    list: Vec<Piece<'a>>,
    /// The segment that the last piece belongs to, and the piece's first address.
    last: Option<(Open<'a>, u64)>,
}

impl<'a> Pieces<'a> {
    fn push(&mut self, top: Open<'a>, addresses: Range<u64>) {
        // Merge pieces of a segment that were split where a covered segment begins.
        let start = match (self.last, self.list.last()) {
            (Some((last, start)), Some(piece))
                if last.nth == top.nth && piece.end() == addresses.start =>
            {
                self.list.pop();
                start
            }
            _ => addresses.start,
        };
        let skip = start.saturating_sub(top.piece.addr);
        let take = addresses.end.saturating_sub(start);
        let data = usize::try_from(skip)
            .ok()
            .and_then(|skip| top.piece.data.get(skip..))
            .and_then(|data| data.get(..usize::try_from(take).ok()?));
        debug_assert!(data.is_some(), "both are within the segment");
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            self.list.push(Piece { addr: start, data });
            self.last = Some((top, start));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    /// Later writes win, one byte at a time.
    fn naive(segments: &[(u64, Vec<u8>)]) -> BTreeMap<u64, u8> {
        let mut bytes = BTreeMap::new();
        for (addr, data) in segments {
            for (nth, byte) in (0..).zip(data) {
                bytes.insert(addr + nth, *byte);
            }
        }
        bytes
    }

    #[track_caller]
    fn check(segments: &[(u64, Vec<u8>)]) {
        let pieces: Vec<Piece<'_>> = segments
            .iter()
            .map(|(addr, data)| Piece { addr: *addr, data })
            .collect();
        let got = visible(&pieces);
        assert!(is_disjoint(&got), "{got:?}");
        assert!(got.len() <= 2 * segments.len());
        let bytes: BTreeMap<u64, u8> = got
            .iter()
            .flat_map(|it| it.addresses().zip(it.data.iter().copied()))
            .collect();
        assert_eq!(bytes, naive(segments));
    }

    proptest! {
        #[test]
        fn same_bytes_as_a_replay(
            segments in prop::collection::vec(
                (0_u64..64, prop::collection::vec(any::<u8>(), 0..24)),
                0..12,
            )
        ) {
            check(&segments);
        }
    }

    #[test]
    fn named_cases() {
        check(&[]);
        check(&[(5, vec![])]);
        check(&[(0, vec![1; 10]), (3, vec![2; 2])]); // inside
        check(&[(3, vec![2; 2]), (0, vec![1; 10])]); // covered
        check(&[(4, vec![1; 4]), (0, vec![2; 4])]); // touching, reversed
        check(&[(u64::MAX - 4, vec![1; 4]), (u64::MAX - 2, vec![2; 2])]);
    }

    #[test]
    fn a_covered_segment_does_not_split_the_covering_one() {
        let below = Piece {
            addr: 3,
            data: &[2; 2],
        };
        let above = Piece {
            addr: 0,
            data: &[1; 10],
        };
        assert_eq!(visible(&[below, above])[..], [above]);
    }
}
