//! A linear memory of which only the pages that were written exist.
//!
//! The naive model that artifacts are verified against: bytes at addresses, later
//! writes win. A memory of many GiB costs what its data costs.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

const PAGE: usize = 4096;

type Page = Box<[u8; PAGE]>;

/// A memory that is zero but for what was written.
#[derive(Debug, Default)]
pub(crate) struct SparseMemory {
    pages: BTreeMap<u64, Page>,
}

/// Where two memories differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteDifference {
    pub(crate) addr: u64,
    pub(crate) expected: u8,
    pub(crate) found: u8,
}

impl SparseMemory {
    /// Writes bytes from an address on, of which none is behind the last one, 2⁶⁴ - 1.
    pub(crate) fn write(&mut self, addr: u64, mut data: &[u8]) {
        let mut page = addr / PAGE as u64;
        let mut from = (addr % PAGE as u64) as usize;
        while !data.is_empty() {
            let (here, behind) = data.split_at(data.len().min(PAGE - from));
            let bytes = match self.pages.entry(page) {
                Entry::Occupied(it) => it.into_mut(),
                Entry::Vacant(it) => it.insert(Box::new([0; PAGE])),
            };
            bytes[from..from + here.len()].copy_from_slice(here);
            data = behind;
            from = 0;
            page += 1;
        }
    }

    /// How many pages of 4 KiB were written to.
    pub(crate) fn n_pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// The lowest address at which another memory differs from this one.
    pub(crate) fn first_difference(&self, found: &Self) -> Option<ByteDifference> {
        const ZERO: &[u8; PAGE] = &[0; PAGE];
        let mut numbers: Vec<u64> = self
            .pages
            .keys()
            .chain(found.pages.keys())
            .copied()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().find_map(|number| {
            let ours = self.pages.get(&number).map_or(ZERO, |it| it);
            let theirs = found.pages.get(&number).map_or(ZERO, |it| it);
            if ours == theirs {
                return None;
            }
            let at = (0..PAGE).find(|&at| ours[at] != theirs[at])?;
            let addr = number * PAGE as u64 + at as u64;
            Some(ByteDifference {
                addr,
                expected: ours[at],
                found: theirs[at],
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Three pages; writes crowd the page boundaries.
    const BYTES: usize = 3 * PAGE;

    fn writes() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
        let data = prop::collection::vec(0_u8..3, 0..40);
        let write = (0..3_usize, 0..40_usize, data)
            .prop_map(|(page, back, data)| ((page * PAGE + 20).saturating_sub(back), data));
        prop::collection::vec(write, 0..6)
    }

    fn memories(writes: &[(usize, Vec<u8>)]) -> (SparseMemory, Vec<u8>) {
        let mut sparse = SparseMemory::default();
        let mut dense = vec![0; BYTES];
        for (at, data) in writes {
            sparse.write(*at as u64, data);
            dense[*at..at + data.len()].copy_from_slice(data);
        }
        (sparse, dense)
    }

    proptest! {
        #[test]
        fn differences_are_those_of_plain_bytes(ours in writes(), theirs in writes()) {
            let ((a, plain_a), (b, plain_b)) = (memories(&ours), memories(&theirs));
            let expected = (0..BYTES).find(|&at| plain_a[at] != plain_b[at]).map(|at| {
                ByteDifference { addr: at as u64, expected: plain_a[at], found: plain_b[at] }
            });
            prop_assert_eq!(a.first_difference(&b), expected);
            prop_assert_eq!(a.first_difference(&a), None);
        }
    }

    #[test]
    fn the_last_address_can_be_written() {
        let mut memory = SparseMemory::default();
        memory.write(u64::MAX, &[7]);
        let difference = SparseMemory::default().first_difference(&memory);
        assert_eq!(
            difference,
            Some(ByteDifference {
                addr: u64::MAX,
                expected: 0,
                found: 7
            })
        );
    }
}
