//! A linear memory as the pieces written to it: the naive model that artifacts are verified
//! against.
//!
//! Later writes win, and everything else is zero. The data is borrowed, so the cost depends
//! on the number of pieces, even for a memory of many GiB or one with a byte on every page.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Iter;

use super::finding::ByteDifference;

/// A memory that is zero except for what was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay<'a> {
    /// By address; disjoint and never empty.
    pieces: BTreeMap<u64, &'a [u8]>,
}

/// Returns the length of a slice, which never has more than 64 bits.
pub(super) fn len_u64(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// Returns one past the last address of a piece, which may be 2⁶⁴.
fn end(addr: u64, data: &[u8]) -> u128 {
    u128::from(addr).saturating_add(u128::from(len_u64(data)))
}

/// Converts a length or an offset within a piece.
fn within(number: u128) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<'a> Overlay<'a> {
    pub(super) const fn new() -> Self {
        Self {
            pieces: BTreeMap::new(),
        }
    }

    /// Writes bytes at an address. The last of them is at most at address 2⁶⁴ - 1.
    pub(super) fn write(&mut self, addr: u64, data: &'a [u8]) {
        self.zero(addr, len_u64(data));
        if !data.is_empty() {
            self.pieces.insert(addr, data);
        }
    }

    /// Fills a range with zeros, overwriting what was written there.
    pub(super) fn zero(&mut self, addr: u64, len: u64) {
        let until = u128::from(addr).saturating_add(u128::from(len));
        if len == 0 {
            return;
        }
        if let Some((&start, &data)) = self.pieces.range(..addr).next_back()
            && u128::from(addr) < end(start, data)
            && let Some((before, rest)) =
                data.split_at_checked(within(u128::from(addr.abs_diff(start))))
        {
            self.pieces.insert(start, before);
            self.pieces.insert(addr, rest);
        }
        while let Some((&start, &data)) = self.pieces.range(addr..).next() {
            let Some(covered) = until.checked_sub(u128::from(start)).filter(|it| *it != 0) else {
                break;
            };
            self.pieces.remove(&start);
            if let Some(rest) = data.get(within(covered)..)
                && let (false, Ok(until)) = (rest.is_empty(), u64::try_from(until))
            {
                self.pieces.insert(until, rest);
                break;
            }
        }
    }

    /// Returns the four bytes at an address as a little-endian number.
    pub(super) fn read_u32(&self, addr: u64) -> u32 {
        let byte = |addr: u64| {
            let (&start, data) = self.pieces.range(..=addr).next_back()?;
            data.get(within(u128::from(addr.abs_diff(start)))).copied()
        };
        let addrs = [0, 1, 2, 3].map(|nth| addr.checked_add(nth));
        u32::from_le_bytes(addrs.map(|it| it.and_then(byte).unwrap_or(0)))
    }

    /// Returns how many pages of 4 KiB were written to.
    pub(super) fn n_pages(&self) -> u64 {
        // One past the last page that was counted.
        let mut counted = 0;
        let mut n: u64 = 0;
        for (&addr, data) in &self.pieces {
            let until = page(end(addr, data).saturating_add(0xfff));
            let first = page(u128::from(addr)).max(counted);
            n = n.saturating_add(until.saturating_sub(first));
            counted = until.max(counted);
        }
        n
    }

    /// Returns the lowest address at which another memory differs from this one.
    pub(super) fn first_difference(&self, found: &Self) -> Option<ByteDifference> {
        let mut ours = Cursor::new(self);
        let mut theirs = Cursor::new(found);
        let mut at = 0_u128;
        loop {
            let next = [ours.next_from(at), theirs.next_from(at)];
            at = next.into_iter().flatten().min()?;
            let (a, b) = (ours.at(at), theirs.at(at));
            // Compare up to the end of a piece or the start of the next, whichever is first.
            let until = |data: Option<&[u8]>, next: Option<u128>| match data {
                Some(data) => Some(at.saturating_add(u128::from(len_u64(data)))),
                None => next,
            };
            let ends = [until(a, ours.next_from(at)), until(b, theirs.next_from(at))];
            let until = ends.into_iter().flatten().min()?;
            let len = within(until.abs_diff(at));
            if let Some((nth, expected, found)) =
                differ(a.map(|it| first(it, len)), b.map(|it| first(it, len)))
            {
                return Some(ByteDifference {
                    addr: u64::try_from(at).ok()?.checked_add(nth)?,
                    expected,
                    found,
                });
            }
            at = until;
        }
    }
}

/// Returns the first bytes of a piece; all of it if it is shorter.
fn first(data: &[u8], len: usize) -> &[u8] {
    data.get(..len).unwrap_or(data)
}

fn page(addr: u128) -> u64 {
    u64::try_from(addr >> 12).unwrap_or(u64::MAX)
}

/// Returns the position of the first byte that differs, and both bytes; missing ones are zero.
fn differ(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Option<(u64, u8, u8)> {
    if ours == theirs {
        return None;
    }
    let len = ours.or(theirs).map_or(0, <[u8]>::len);
    let byte = |data: Option<&[u8]>, at| data.and_then(|it| it.get(at).copied()).unwrap_or(0);
    let bytes = (0..len).map(|at| (byte(ours, at), byte(theirs, at)));
    let mut differing = (0..)
        .zip(bytes)
        .filter(|(_, (ours, theirs))| ours != theirs);
    differing
        .next()
        .map(|(at, (ours, theirs))| (at, ours, theirs))
}

/// Iterates over the pieces; addresses must be queried in ascending order.
struct Cursor<'m, 'a> {
    pieces: Iter<'m, u64, &'a [u8]>,
    /// The first piece that ends after the address that was queried last.
    now: Option<(u64, &'a [u8])>,
}

impl<'m, 'a> Cursor<'m, 'a> {
    fn new(memory: &'m Overlay<'a>) -> Self {
        let mut pieces = memory.pieces.iter();
        let now = pieces.next().map(|(&addr, &data)| (addr, data));
        Self { pieces, now }
    }

    /// Returns the lowest written address that is not below this one.
    fn next_from(&mut self, at: u128) -> Option<u128> {
        while let Some((addr, data)) = self.now {
            if at < end(addr, data) {
                return Some(at.max(addr.into()));
            }
            self.now = self.pieces.next().map(|(&addr, &data)| (addr, data));
        }
        None
    }

    /// Returns the rest of the piece at this address, if the address was written.
    fn at(&mut self, at: u128) -> Option<&'a [u8]> {
        (self.next_from(at)? == at).then_some(())?;
        let (addr, data) = self.now?;
        data.get(within(at.checked_sub(u128::from(addr))?)..)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const BYTES: usize = 64;

    /// `None` writes zeros.
    type Write = (usize, Option<Vec<u8>>, usize);

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let data = prop::option::weighted(0.8, prop::collection::vec(0_u8..3, 0..12));
        prop::collection::vec((0..BYTES - 12, data, 0..12_usize), 0..8)
    }

    fn memories(writes: &[Write]) -> (Overlay<'_>, Vec<u8>) {
        let mut overlay = Overlay::default();
        let mut dense = vec![0; BYTES];
        for (at, data, len) in writes {
            match data {
                Some(data) => {
                    overlay.write(*at as u64, data);
                    dense[*at..at + data.len()].copy_from_slice(data);
                }
                None => {
                    overlay.zero(*at as u64, *len as u64);
                    dense[*at..at + len].fill(0);
                }
            }
        }
        (overlay, dense)
    }

    proptest! {
        #[test]
        fn differences_match_those_of_plain_bytes(ours in writes(), theirs in writes()) {
            let ((a, plain_a), (b, plain_b)) = (memories(&ours), memories(&theirs));
            let expected = (0..BYTES).find(|&at| plain_a[at] != plain_b[at]).map(|at| {
                ByteDifference { addr: at as u64, expected: plain_a[at], found: plain_b[at] }
            });
            prop_assert_eq!(a.first_difference(&b), expected);
            prop_assert_eq!(a.first_difference(&a), None);
            for at in 0..BYTES - 4 {
                let number = u32::from_le_bytes(plain_a[at..at + 4].try_into().expect("four"));
                prop_assert_eq!(a.read_u32(at as u64), number);
            }
        }
    }

    #[test]
    fn the_last_address_can_be_written() {
        let mut memory = Overlay::default();
        memory.write(u64::MAX, &[7]);
        assert_eq!(memory.n_pages(), 1);
        let difference = Overlay::default().first_difference(&memory);
        let (addr, expected, found) = (u64::MAX, 0, 7);
        assert_eq!(
            difference,
            Some(ByteDifference {
                addr,
                expected,
                found
            })
        );
        memory.zero(u64::MAX - 1, 2);
        assert_eq!(Overlay::default().first_difference(&memory), None);
    }

    #[test]
    fn pages_are_counted_once() {
        let bytes = [1; 8192];
        let mut memory = Overlay::default();
        memory.write(10, &bytes[..5]);
        memory.write(20, &bytes[..5]);
        assert_eq!(memory.n_pages(), 1);
        memory.write(4090, &bytes);
        assert_eq!(memory.n_pages(), 3);
    }
}
