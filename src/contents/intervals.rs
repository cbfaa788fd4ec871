//! Which value applies at which addresses, where a later range hides an earlier one.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// Disjoint ranges with a value each, in address order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intervals<T> {
    /// Start to end and value.
    ranges: BTreeMap<u64, (u64, T)>,
}

impl<T: Clone> Intervals<T> {
    pub(crate) fn new(range: Range<u64>, value: T) -> Self {
        let mut ranges = BTreeMap::new();
        if range.start < range.end {
            ranges.insert(range.start, (range.end, value));
        }
        Self { ranges }
    }

    /// Sets the value of every address in the range.
    pub(crate) fn set(&mut self, range: Range<u64>, value: T) {
        if range.end <= range.start {
            return;
        }
        // The range that begins before this one, and may end in it or after it.
        if let Some((&start, (end, before))) = self.ranges.range_mut(..range.start).next_back()
            && range.start < *end
        {
            let (old_end, before) = (*end, before.clone());
            *end = range.start;
            debug_assert!(start < range.start);
            if range.end < old_end {
                self.ranges.insert(range.end, (old_end, before));
            }
        }
        let inside: Vec<u64> = self
            .ranges
            .range(range.start..range.end)
            .map(|it| *it.0)
            .collect();
        for start in inside {
            if let Some((end, old)) = self.ranges.remove(&start)
                && range.end < end
            {
                self.ranges.insert(range.end, (end, old));
            }
        }
        self.ranges.insert(range.start, (range.end, value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Range<u64>, &T)> {
        self.ranges
            .iter()
            .map(|(start, (end, value))| (*start..*end, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_address_has_its_last_value(
            sets in prop::collection::vec((0_u64..40, 0_u64..12), 0..20)
        ) {
            let mut intervals = Intervals::new(0..40, usize::MAX);
            let mut plain = [usize::MAX; 64];
            for (nth, (start, len)) in sets.into_iter().enumerate() {
                let end = (start + len).min(40);
                intervals.set(start..end, nth);
                (start..end).for_each(|at| plain[at as usize] = nth);
            }
            let mut at = 0;
            for (range, value) in intervals.iter() {
                prop_assert_eq!(range.start, at);
                prop_assert!(range.clone().all(|at| plain[at as usize] == *value));
                at = range.end;
            }
            prop_assert_eq!(at, 40);
        }
    }
}
