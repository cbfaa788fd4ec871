//! A linear memory as the pieces written to it: the naive model that artifacts are verified
//! against.
//!
//! Later writes win, and everything else is zero. The data is borrowed, so the cost depends
//! on the number of pieces, even for a memory of many GiB or one with a byte on every page.

use alloc::collections::BTreeMap;

/// A memory that is zero except for what was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay<'a> {
    /// By address; disjoint and never empty.
    pieces: BTreeMap<u64, &'a [u8]>,
}

/// Where two memories differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteDifference {
    pub(crate) addr: u64,
    pub(crate) expected: u8,
    pub(crate) found: u8,
}

/// Returns one past the last address of a piece, which may be 2⁶⁴.
const fn end(addr: u64, data: &[u8]) -> u128 {
    addr as u128 + data.len() as u128
}

/// Converts a length or an offset within a piece.
fn nth(number: u128) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<'a> Overlay<'a> {
    /// Writes bytes at an address. The last of them is at most at address 2⁶⁴ - 1.
    pub(crate) fn write(&mut self, addr: u64, data: &'a [u8]) {
        self.zero(addr, data.len() as u64);
        if !data.is_empty() {
            self.pieces.insert(addr, data);
        }
    }

    /// Fills a range with zeros, overwriting what was written there.
    pub(crate) fn zero(&mut self, addr: u64, len: u64) {
        let until = u128::from(addr) + u128::from(len);
        if len == 0 {
            return;
        }
        if let Some((&start, &data)) = self.pieces.range(..addr).next_back()
            && u128::from(addr) < end(start, data)
        {
            let (before, rest) = data.split_at(nth(u128::from(addr - start)));
            self.pieces.insert(start, before);
            self.pieces.insert(addr, rest);
        }
        while let Some((&start, &data)) = self.pieces.range(addr..).next() {
            if until <= u128::from(start) {
                break;
            }
            self.pieces.remove(&start);
            if let Some(rest) = data.get(nth(until - u128::from(start))..)
                && let (false, Ok(until)) = (rest.is_empty(), u64::try_from(until))
            {
                self.pieces.insert(until, rest);
                break;
            }
        }
    }

    /// Returns the four bytes at an address as a little-endian number.
    pub(crate) fn read_u32(&self, addr: u64) -> u32 {
        let byte = |addr: u64| {
            let before = self.pieces.range(..=addr).next_back();
            let byte = before.and_then(|(&start, data)| data.get(nth(u128::from(addr - start))));
            byte.copied().unwrap_or(0)
        };
        let addrs = [0, 1, 2, 3].map(|nth| addr.checked_add(nth));
        u32::from_le_bytes(addrs.map(|it| it.map_or(0, byte)))
    }

    /// Returns how many pages of 4 KiB were written to.
    pub(crate) fn n_pages(&self) -> u64 {
        let mut counted = None;
        let mut n = 0;
        for (&addr, data) in &self.pieces {
            let (first, last) = (addr >> 12, nth_page(end(addr, data) - 1));
            n += last - first + u64::from(counted != Some(first));
            counted = Some(last);
        }
        n
    }

    /// Returns the lowest address at which another memory differs from this one.
    pub(crate) fn first_difference(&self, found: &Self) -> Option<ByteDifference> {
        let mut ours = Cursor::new(self);
        let mut theirs = Cursor::new(found);
        let mut at = 0_u128;
        loop {
            let next = [ours.next_from(at), theirs.next_from(at)];
            at = next.into_iter().flatten().min()?;
            let (a, b) = (ours.at(at), theirs.at(at));
            // Compare up to the end of a piece or the start of the next, whichever is first.
            let until = |data: Option<&[u8]>, next: Option<u128>| match data {
                Some(data) => Some(at + data.len() as u128),
                None => next,
            };
            let ends = [until(a, ours.next_from(at)), until(b, theirs.next_from(at))];
            let len = nth(ends.into_iter().flatten().min()? - at);
            let (a, b) = (a.map(|it| &it[..len]), b.map(|it| &it[..len]));
            if let Some(difference) = differ(a, b) {
                return Some(ByteDifference {
                    addr: u64::try_from(at).ok()? + difference.addr,
                    ..difference
                });
            }
            at += len as u128;
        }
    }
}

fn nth_page(addr: u128) -> u64 {
    u64::try_from(addr >> 12).unwrap_or(u64::MAX)
}

/// Returns the first byte that differs; missing bytes are zero.
fn differ(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Option<ByteDifference> {
    if ours == theirs {
        return None;
    }
    let byte = |data: Option<&[u8]>, at: usize| data.map_or(0, |it| it[at]);
    let len = ours.or(theirs).map_or(0, <[u8]>::len);
    let at = (0..len).find(|&at| byte(ours, at) != byte(theirs, at))?;
    Some(ByteDifference {
        addr: at as u64,
        expected: byte(ours, at),
        found: byte(theirs, at),
    })
}

/// Iterates over the pieces; addresses must be queried in ascending order.
struct Cursor<'m, 'a> {
    pieces: alloc::collections::btree_map::Iter<'m, u64, &'a [u8]>,
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
        data.get(nth(at - u128::from(addr))..)
    }
}

#[cfg(test)]
mod tests {
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
