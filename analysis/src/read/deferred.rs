//! Defined globals whose values depend on what the host supplies.
//!
//! Each such global counts its operands without a value. A value that becomes known is
//! propagated to its dependents once, so all calls of `with_global` together take time
//! linear in the size of the initialisers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use cranelift_entity::{EntityRef, PrimaryMap};

use crate::expr::const_expr;
use crate::{Global, GlobalIndex};

/// Initialisers that depend on a global without a known value, in index order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deferred<'a> {
    list: Vec<(GlobalIndex, &'a [u8])>,
    /// Created when the first value is supplied. Boxed because few modules need it.
    pending: Option<Box<Pending>>,
}

#[derive(Clone, Debug)]
struct Pending {
    /// For each item of the list, how many of its operands have no value yet.
    n_missing: Vec<u32>,
    /// For each global, where its dependents begin in `dependents`; plus the end.
    starts: Vec<u32>,
    /// Positions in the list, one for each operand.
    dependents: Vec<u32>,
}

impl<'a> Deferred<'a> {
    /// Adds a global, whose index must be above those added before.
    pub(crate) fn push(&mut self, global: GlobalIndex, init: &'a [u8]) {
        debug_assert!(self.list.last().is_none_or(|(last, _)| *last < global));
        self.list.push((global, init));
        self.pending = None;
    }

    /// Forgets which values are known.
    pub(crate) fn forget(&mut self) {
        self.pending = None;
    }

    /// Returns the globals and initialisers in index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (GlobalIndex, &'a [u8])> {
        self.list.iter().copied()
    }

    /// Returns the initialiser of a global whose value depends on the host.
    pub(crate) fn init(&self, global: GlobalIndex) -> Option<&'a [u8]> {
        let nth = self.list.binary_search_by_key(&global, |(index, _)| *index);
        self.list.get(nth.ok()?).map(|(_, init)| *init)
    }

    /// Propagates the value of `global`, which has just become known, to every global for
    /// which it was the last missing operand, transitively.
    pub(crate) fn resolve(
        &mut self,
        global: GlobalIndex,
        globals: &mut PrimaryMap<GlobalIndex, Global>,
    ) {
        if self.list.is_empty() {
            return;
        }
        let pending = self
            .pending
            .get_or_insert_with(|| Box::new(Pending::new(&self.list, globals, global)));
        let mut known = alloc::vec![global];
        while let Some(global) = known.pop() {
            for nth in pending.dependents_of(global) {
                let Some((nth, n_missing)) = pending.decrement(nth) else {
                    debug_assert!(false, "a dependent that is not listed");
                    continue;
                };
                let Some((index, init)) = self.list.get(nth).filter(|_| n_missing == 0) else {
                    continue;
                };
                let value = const_expr::eval(init, &|global| match globals.get(global) {
                    Some(Global::Known(value)) => Some(*value),
                    _ => None,
                });
                // If it has no value (ill-typed or too deep), it stays unknown.
                if let (Ok(value), Some(slot)) = (value, globals.get_mut(*index))
                    && slot.ty() == Some(value.ty())
                {
                    *slot = Global::Known(value);
                    known.push(*index);
                }
            }
        }
    }
}

impl Pending {
    /// `supplied` already has a value, which has not been propagated.
    fn new(
        list: &[(GlobalIndex, &[u8])],
        globals: &PrimaryMap<GlobalIndex, Global>,
        supplied: GlobalIndex,
    ) -> Self {
        let is_missing = |global: &GlobalIndex| {
            *global == supplied || matches!(globals.get(*global), Some(Global::Unknown(_)))
        };
        let missing = |init| const_expr::globals(init).filter(is_missing);
        let mut n_missing = Vec::with_capacity(list.len());
        let mut starts = alloc::vec![0_u32; globals.len().saturating_add(1)];
        for (_, init) in list {
            let mut n = 0_u32;
            for global in missing(init) {
                n = n.saturating_add(1);
                // Shifted by one, so that the prefix sums are the starts.
                if let Some(count) = starts.get_mut(global.index().saturating_add(1)) {
                    *count = count.saturating_add(1);
                }
            }
            n_missing.push(n);
        }
        let mut sum = 0_u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut dependents = alloc::vec![0; usize::try_from(sum).unwrap_or(0)];
        let mut next = starts.clone();
        for (nth, (_, init)) in (0..).zip(list) {
            for global in missing(init) {
                let Some(at) = next.get_mut(global.index()) else {
                    debug_assert!(false, "an operand that the builder has checked");
                    continue;
                };
                let slot = usize::try_from(*at)
                    .ok()
                    .and_then(|at| dependents.get_mut(at));
                debug_assert!(slot.is_some(), "more operands than were counted");
                if let Some(slot) = slot {
                    *slot = nth;
                }
                *at = at.saturating_add(1);
            }
        }
        Self {
            n_missing,
            starts,
            dependents,
        }
    }

    /// Returns the range of `dependents` that depends on `global`.
    fn dependents_of(&self, global: GlobalIndex) -> core::ops::Range<usize> {
        let start = |nth: usize| {
            let start = self.starts.get(nth).copied();
            start.and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
        };
        start(global.index())..start(global.index().saturating_add(1))
    }

    /// Decrements the count of missing operands; returns the position in the list and the count.
    fn decrement(&mut self, dependent: usize) -> Option<(usize, u32)> {
        let nth = usize::try_from(*self.dependents.get(dependent)?).ok()?;
        let n_missing = self.n_missing.get_mut(nth)?;
        *n_missing = n_missing.checked_sub(1)?;
        Some((nth, *n_missing))
    }
}
