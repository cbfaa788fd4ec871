//! A slab: values in one vector, linked into lists. Inserting, finding by place, and
//! removing from the middle of a list take constant time.
//!
//! Space is reserved ahead of time by [`Slab::try_reserve`]. Within it nothing allocates,
//! so a slot can be returned in a process that is out of memory.

use alloc::vec::Vec;

/// The null index.
const NIL: u32 = u32::MAX;

/// The position of a value, for as long as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    const fn some(at: u32) -> Option<Self> {
        if at == NIL { None } else { Some(Self(at)) }
    }

    /// Returns its index: less than the largest number of values there ever were.
    pub(super) const fn at(self) -> usize {
        // Never truncates: that many values fit memory.
        self.0 as usize
    }
}

/// The allocation failed, or there would be more than 2^32 - 1 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReserveError;

/// The ends of a list of values in one slab.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        Self {
            first: NIL,
            last: NIL,
            len: 0,
        }
    }
}

impl List {
    pub(super) const fn first(&self) -> Option<Place> {
        Place::some(self.first)
    }

    pub(super) const fn last(&self) -> Option<Place> {
        Place::some(self.last)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

const UNLINKED: Link = Link {
    before: NIL,
    after: NIL,
};

#[derive(Debug)]
struct Node<T, const N: usize> {
    /// `None` if the place is free.
    value: Option<T>,
    links: [Link; N],
}

/// Values that can each be in `N` lists, one of each kind.
#[derive(Debug)]
pub(super) struct Slab<T, const N: usize> {
    nodes: Vec<Node<T, N>>,
    /// The first free place; the next one is its `links[0].after`.
    free: u32,
    len: usize,
}

impl<T, const N: usize> Default for Slab<T, N> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: NIL,
            len: 0,
        }
    }
}

impl<T, const N: usize> Slab<T, N> {
    /// Returns the number of values.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns how many values fit without an allocation.
    pub(super) const fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// Reserves space for this many values in all.
    pub(super) fn try_reserve(&mut self, capacity: usize) -> Result<(), ReserveError> {
        if NIL as usize <= capacity {
            return Err(ReserveError);
        }
        let more = capacity.saturating_sub(self.nodes.len());
        self.nodes.try_reserve_exact(more).map_err(|_| ReserveError)
    }

    /// Adds a value, which is not in any list yet. Allocates only beyond what was
    /// reserved.
    pub(super) fn insert(&mut self, value: T) -> Place {
        self.len += 1;
        if let Some(place) = Place::some(self.free) {
            let node = &mut self.nodes[place.at()];
            self.free = node.links[0].after;
            node.links = [UNLINKED; N];
            node.value = Some(value);
            return place;
        }
        debug_assert!(self.nodes.len() < self.nodes.capacity(), "not reserved");
        // Never truncates: `try_reserve` refuses larger capacities.
        let place = Place(self.nodes.len() as u32);
        self.nodes.push(Node {
            value: Some(value),
            links: [UNLINKED; N],
        });
        place
    }

    /// Removes a value, which must no longer be in any list.
    pub(super) fn remove(&mut self, place: Place) -> Option<T> {
        let node = &mut self.nodes[place.at()];
        let value = node.value.take()?;
        node.links[0].after = self.free;
        self.free = place.0;
        self.len -= 1;
        Some(value)
    }

    pub(super) fn get(&self, place: Place) -> Option<&T> {
        self.nodes[place.at()].value.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.nodes[place.at()].value.as_mut()
    }

    /// Returns what follows a value in its list of kind `kind`.
    pub(super) fn after(&self, kind: usize, place: Place) -> Option<Place> {
        Place::some(self.nodes[place.at()].links[kind].after)
    }

    /// Appends a value, which is in no list of the kind, to a list.
    pub(super) fn push_last(&mut self, kind: usize, list: &mut List, place: Place) {
        self.link(kind, list, place, list.last, NIL);
    }

    /// Prepends a value, which is in no list of the kind, to a list.
    pub(super) fn push_first(&mut self, kind: usize, list: &mut List, place: Place) {
        self.link(kind, list, place, NIL, list.first);
    }

    /// Inserts a value, which is in no list of the kind, before another value.
    pub(super) fn push_before(&mut self, kind: usize, list: &mut List, place: Place, next: Place) {
        let before = self.nodes[next.at()].links[kind].before;
        self.link(kind, list, place, before, next.0);
    }

    fn link(&mut self, kind: usize, list: &mut List, place: Place, before: u32, after: u32) {
        self.nodes[place.at()].links[kind] = Link { before, after };
        match Place::some(before) {
            Some(before) => self.nodes[before.at()].links[kind].after = place.0,
            None => list.first = place.0,
        }
        match Place::some(after) {
            Some(after) => self.nodes[after.at()].links[kind].before = place.0,
            None => list.last = place.0,
        }
        list.len += 1;
    }

    /// Removes a value from its list of the kind.
    pub(super) fn unlink(&mut self, kind: usize, list: &mut List, place: Place) {
        let links = &mut self.nodes[place.at()].links[kind];
        let Link { before, after } = core::mem::replace(links, UNLINKED);
        match Place::some(before) {
            Some(before) => self.nodes[before.at()].links[kind].after = after,
            None => list.first = after,
        }
        match Place::some(after) {
            Some(after) => self.nodes[after.at()].links[kind].before = before,
            None => list.last = before,
        }
        list.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of a list of the kind, from either end.
    fn values(slab: &Slab<char, 2>, kind: usize, list: &List) -> Vec<char> {
        let next = |place: &Place| slab.after(kind, *place);
        let places: Vec<Place> = core::iter::successors(list.first(), next).collect();
        let before = |place: &Place| Place::some(slab.nodes[place.at()].links[kind].before);
        let mut back: Vec<Place> = core::iter::successors(list.last(), before).collect();
        back.reverse();
        assert_eq!(places, back);
        assert_eq!(places.len(), list.len());
        let value = |place: &Place| slab.get(*place).copied();
        places.iter().filter_map(value).collect()
    }

    #[test]
    fn a_value_is_inserted_anywhere_in_the_lists_that_it_is_in() {
        let mut slab = Slab::<char, 2>::default();
        slab.try_reserve(4).expect("enough memory");
        let [a, b, c, d] = ['a', 'b', 'c', 'd'].map(|it| slab.insert(it));
        let [mut zero, mut one] = [List::default(); 2];
        slab.push_last(0, &mut zero, b);
        slab.push_before(0, &mut zero, a, b);
        slab.push_last(0, &mut zero, d);
        slab.push_before(0, &mut zero, c, d);
        slab.push_first(1, &mut one, c);
        assert_eq!(values(&slab, 0, &zero), ['a', 'b', 'c', 'd']);
        assert_eq!(values(&slab, 1, &one), ['c']);
        slab.unlink(0, &mut zero, c);
        slab.unlink(0, &mut zero, a);
        assert_eq!(values(&slab, 0, &zero), ['b', 'd']);
        assert_eq!(values(&slab, 1, &one), ['c'], "another list");
        slab.unlink(1, &mut one, c);
        assert_eq!((slab.remove(c), slab.len()), (Some('c'), 3));
        let e = slab.insert('e');
        assert_eq!((e, slab.len()), (c, 4), "the place is used again");
        slab.push_before(0, &mut zero, e, b);
        assert_eq!(values(&slab, 0, &zero), ['e', 'b', 'd']);
    }
}
