//! Defined globals whose values depend on what the host supplies.
//!
//! Every global counts the operands that it still lacks. A value that becomes known is
//! handed to its dependents once, so that all calls of `with_global` together cost what
//! the initialisers have bytes.

use alloc::vec::Vec;

use cranelift_entity::{EntityRef, PrimaryMap};

use crate::const_expr;
use crate::{Global, GlobalIndex};

/// Initialisers that name a global without a known value, in index order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deferred<'a> {
    list: Vec<(GlobalIndex, &'a [u8])>,
    /// Made when the first value is supplied.
    waiting: Option<Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    /// For each of the list, how many of its operands have no value yet.
    n_missing: Vec<u32>,
    /// For each global, where its dependents begin in `dependents`; one more at the end.
    starts: Vec<u32>,
    /// Positions in the list, once for each operand.
    dependents: Vec<u32>,
}

impl<'a> Deferred<'a> {
    /// Adds a global; its index is above those before it.
    pub(crate) fn push(&mut self, global: GlobalIndex, init: &'a [u8]) {
        debug_assert!(self.list.last().is_none_or(|(last, _)| *last < global));
        self.list.push((global, init));
        self.waiting = None;
    }

    /// In index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (GlobalIndex, &'a [u8])> {
        self.list.iter().copied()
    }

    /// The initialiser of a global that depends on the host.
    pub(crate) fn init(&self, global: GlobalIndex) -> Option<&'a [u8]> {
        let nth = self.list.binary_search_by_key(&global, |(index, _)| *index);
        self.list.get(nth.ok()?).map(|(_, init)| *init)
    }

    /// Makes known what `global`, which has just become known, was the last operand of;
    /// and so on.
    pub(crate) fn resolve(
        &mut self,
        global: GlobalIndex,
        globals: &mut PrimaryMap<GlobalIndex, Global>,
    ) {
        if self.list.is_empty() {
            return;
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Waiting::new(&self.list, globals, global));
        let mut known = alloc::vec![global];
        while let Some(global) = known.pop() {
            for nth in waiting.of(global) {
                let Some((nth, n_missing)) = waiting.count_down(nth) else {
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
                // Without a value it stays dynamic: it is ill-typed, or too deep.
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

impl Waiting {
    /// `supplied` has a value already, which nobody has been told.
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
                // One further on, so that sums become starts.
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
                debug_assert!(slot.is_some(), "as many as were counted");
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

    /// The positions in `dependents` of those that wait for `global`.
    fn of(&self, global: GlobalIndex) -> core::ops::Range<usize> {
        let start = |nth: usize| {
            let start = self.starts.get(nth).copied();
            start.and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
        };
        start(global.index())..start(global.index().saturating_add(1))
    }

    /// One operand less: the position in the list, and how many it still lacks.
    fn count_down(&mut self, dependent: usize) -> Option<(usize, u32)> {
        let nth = usize::try_from(*self.dependents.get(dependent)?).ok()?;
        let n_missing = self.n_missing.get_mut(nth)?;
        *n_missing = n_missing.checked_sub(1)?;
        Some((nth, *n_missing))
    }
}
