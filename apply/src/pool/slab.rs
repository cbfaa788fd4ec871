//! Values in one vector, linked into lists: inserted, found by place and removed from the
//! middle of a list in constant time.
//!
//! Room is made ahead of time by [`Slab::try_reserve`]. Within it nothing allocates, which
//! is what lets a slot come back in a process that is out of memory.

use alloc::vec::Vec;

/// No place.
const NIL: u32 = u32::MAX;

/// Where a value is, for as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    const fn some(at: u32) -> Option<Self> {
        if at == NIL { None } else { Some(Self(at)) }
    }

    const fn at(self) -> usize {
        // Never truncates: there is memory for that many.
        self.0 as usize
    }
}

/// The allocator refused, or there are more than 2^32 - 1 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// The ends of a list of values of one slab.
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
    /// `None` where the place is free.
    value: Option<T>,
    links: [Link; N],
}

/// Values that may each be in `N` lists, one of each kind.
#[derive(Debug)]
pub(super) struct Slab<T, const N: usize> {
    nodes: Vec<Node<T, N>>,
    /// The first free place; the next one is `links[0].after` of it.
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
    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many values there can be without an allocation.
    pub(super) const fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// Makes room for so many values in all.
    pub(super) fn try_reserve(&mut self, capacity: usize) -> Result<(), NoRoom> {
        if NIL as usize <= capacity {
            return Err(NoRoom);
        }
        let more = capacity.saturating_sub(self.nodes.len());
        self.nodes.try_reserve_exact(more).map_err(|_| NoRoom)
    }

    /// Adds a value, which is in no list yet. Allocates only beyond what was reserved.
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
        // Never truncates: `try_reserve` refuses.
        let place = Place(self.nodes.len() as u32);
        self.nodes.push(Node {
            value: Some(value),
            links: [UNLINKED; N],
        });
        place
    }

    /// Removes a value, which must be in no list any more.
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

    /// What follows a value in its list of kind `kind`.
    pub(super) fn after(&self, kind: usize, place: Place) -> Option<Place> {
        Place::some(self.nodes[place.at()].links[kind].after)
    }

    /// Adds a value, which is in no list of the kind, to the end of one.
    pub(super) fn push_last(&mut self, kind: usize, list: &mut List, place: Place) {
        self.link(kind, list, place, list.last, NIL);
    }

    /// Adds a value, which is in no list of the kind, to the beginning of one.
    pub(super) fn push_first(&mut self, kind: usize, list: &mut List, place: Place) {
        self.link(kind, list, place, NIL, list.first);
    }

    /// Adds a value, which is in no list of the kind, to one in front of another value.
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

    /// Takes a value out of the list of the kind that it is in.
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
