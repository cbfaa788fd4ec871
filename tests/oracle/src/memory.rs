//! A linear memory as a sparse map of bytes, and the outcome of an instantiation.
//!
//! It is sparse, so that memories of many GiB cost no more than the written bytes.

use alloc::collections::BTreeMap;

const PAGE: usize = 4096;

/// A linear memory: every byte is `fill` until it is written.
#[derive(Clone)]
pub struct Memory {
    size: u64,
    fill: u8,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Memory {
    pub fn new(size: u64, fill: u8) -> Self {
        Self {
            size,
            fill,
            pages: BTreeMap::new(),
        }
    }

    /// Converts a real memory, comparing it with `fill` page by page.
    pub fn from_bytes(bytes: &[u8], fill: u8) -> Self {
        let untouched = [fill; PAGE];
        let mut memory = Self::new(to_u64(bytes.len()), fill);
        for (nth, page) in (0..).zip(bytes.chunks(PAGE)) {
            if page != &untouched[..page.len()] {
                memory.page_mut(nth)[..page.len()].copy_from_slice(page);
            }
        }
        memory
    }

    /// Returns all bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.fill; to_usize(self.size)];
        for (nth, page) in bytes.chunks_mut(PAGE).enumerate() {
            if let Some(written) = self.pages.get(&to_u64(nth)) {
                page.copy_from_slice(&written[..page.len()]);
            }
        }
        bytes
    }

    /// Returns the value of every byte that is not written.
    pub fn fill(&self) -> u8 {
        self.fill
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn fits(&self, addr: u64, len: usize) -> bool {
        addr.checked_add(to_u64(len))
            .is_some_and(|end| end <= self.size)
    }

    /// Writes bytes, which must be in bounds.
    pub fn write(&mut self, mut addr: u64, mut data: &[u8]) {
        assert!(self.fits(addr, data.len()), "the caller checks bounds");
        while !data.is_empty() {
            let at = to_usize(addr % to_u64(PAGE));
            let (here, rest) = data.split_at(data.len().min(PAGE - at));
            self.page_mut(addr / to_u64(PAGE))[at..][..here.len()].copy_from_slice(here);
            addr = addr.wrapping_add(to_u64(here.len())); // wraps only after the last byte
            data = rest;
        }
    }

    fn page_mut(&mut self, nth: u64) -> &mut [u8; PAGE] {
        let fill = self.fill;
        self.pages
            .entry(nth)
            .or_insert_with(|| Box::new([fill; PAGE]))
    }

    /// Returns the first address at which two memories differ, and both bytes.
    fn first_difference(&self, other: &Self) -> Option<(u64, u8, u8)> {
        let (mine, theirs) = ([self.fill; PAGE], [other.fill; PAGE]);
        assert_eq!(mine, theirs, "the memories must have the same fill byte");
        let mut nths: Vec<u64> = self
            .pages
            .keys()
            .chain(other.pages.keys())
            .copied()
            .collect();
        nths.sort_unstable();
        nths.dedup();
        nths.into_iter().find_map(|nth| {
            let mine = self.pages.get(&nth).map_or(&mine, |it| &**it);
            let theirs = other.pages.get(&nth).map_or(&theirs, |it| &**it);
            if mine == theirs {
                return None;
            }
            let at = (0..PAGE).find(|&at| mine[at] != theirs[at])?;
            Some((nth * to_u64(PAGE) + to_u64(at), mine[at], theirs[at]))
        })
    }
}

/// Where an instantiation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// An element segment was out of bounds, and no data was written.
    Elements,
    /// A data segment was out of bounds, with its index if the engine reports it.
    Data(Option<u32>),
}

/// The outcome of an instantiation: every memory, after success or after a trap.
#[derive(Clone)]
pub struct Outcome {
    pub memories: Vec<Memory>,
    pub trap: Option<Trap>,
}

impl Outcome {
    /// Returns how this outcome differs from the expected one.
    pub fn differs_from(&self, expected: &Self) -> Option<String> {
        let same_trap = match (self.trap, expected.trap) {
            (Some(Trap::Data(mine)), Some(Trap::Data(theirs))) => {
                mine.is_none() || theirs.is_none() || mine == theirs
            }
            (mine, theirs) => mine == theirs,
        };
        if !same_trap {
            return Some(format!(
                "trap is {:?}, expected {:?}",
                self.trap, expected.trap
            ));
        }
        if self.memories.len() != expected.memories.len() {
            return Some("the number of memories differs".into());
        }
        for (nth, (mine, theirs)) in self.memories.iter().zip(&expected.memories).enumerate() {
            if mine.size != theirs.size {
                return Some(format!(
                    "memory {nth} has {:#x} bytes, expected {:#x}",
                    mine.size, theirs.size
                ));
            }
            if let Some((addr, got, expected)) = mine.first_difference(theirs) {
                return Some(format!(
                    "memory {nth} at {addr:#x} holds {got:#04x}, expected {expected:#04x}"
                ));
            }
        }
        None
    }

    /// Returns how many bytes are in pages that differ from their initial contents; all others
    /// are known to be equal without comparing them.
    pub fn n_bytes(&self) -> u64 {
        let n_pages: usize = self.memories.iter().map(|it| it.pages.len()).sum();
        to_u64(n_pages * PAGE)
    }
}

pub fn to_u64(len: usize) -> u64 {
    len.try_into().expect("at most 64 bits")
}

pub fn to_usize(len: u64) -> usize {
    len.try_into().expect("fits this machine")
}
