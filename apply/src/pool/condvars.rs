//! One condition variable for each place of a slab, at an address that never changes:
//! chunk `k` holds `2^k` of them.
//!
//! A shared one would wake every thread that waits on it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use std::sync::OnceLock;

use super::slab::{Place, ReserveError};
use super::sync::Condvar;

/// The chunks for all places: a place is less than `u32::MAX`.
const CHUNKS: usize = 32;

#[derive(Debug)]
pub(super) struct Condvars([OnceLock<Box<[Condvar]>>; CHUNKS]);

impl Default for Condvars {
    fn default() -> Self {
        Self([const { OnceLock::new() }; CHUNKS])
    }
}

impl Condvars {
    /// Makes those of the first `n` places.
    pub(super) fn try_reserve(&self, n: usize) -> Result<(), ReserveError> {
        let n_chunks = (usize::BITS - n.leading_zeros()) as usize;
        let chunks = self.0.get(..n_chunks).ok_or(ReserveError)?;
        for (k, chunk) in chunks.iter().enumerate() {
            if chunk.get().is_some() {
                continue;
            }
            let mut condvars = Vec::new();
            condvars
                .try_reserve_exact(1 << k)
                .map_err(|_| ReserveError)?;
            condvars.resize_with(1 << k, Condvar::new);
            // Full: no allocation. Another thread's are as good.
            let _ = chunk.set(condvars.into_boxed_slice());
        }
        Ok(())
    }

    /// Returns that of a place, if it was made.
    pub(super) fn get(&self, place: Place) -> Option<&Condvar> {
        let nth = place.at() + 1;
        let k = nth.ilog2();
        self.0.get(k as usize)?.get()?.get(nth - (1 << k))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::super::slab::Slab;
    use super::*;

    #[test]
    fn each_place_has_its_own() {
        let condvars = Condvars::default();
        let mut slab: Slab<(), 1> = Slab::default();
        let mut first = None;
        let mut seen = BTreeSet::new();
        for n in 1..=1000 {
            slab.try_reserve(n).expect("room");
            let place = slab.insert(());
            condvars.try_reserve(n).expect("room");
            let own: *const Condvar = condvars.get(place).expect("reserved");
            assert!(seen.insert(own), "{n}");
            let (place, address) = *first.get_or_insert((place, own));
            let now: *const Condvar = condvars.get(place).expect("reserved");
            assert_eq!(now, address, "{n}: the first has moved");
        }
    }

    #[test]
    fn a_place_without_one_has_none() {
        let condvars = Condvars::default();
        let mut slab: Slab<(), 1> = Slab::default();
        slab.try_reserve(2).expect("room");
        condvars.try_reserve(1).expect("room");
        assert!(condvars.get(slab.insert(())).is_some());
        assert!(condvars.get(slab.insert(())).is_none());
        assert_eq!(condvars.try_reserve(1 << 33), Err(ReserveError));
    }
}
