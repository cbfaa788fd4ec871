//! Where a memory's data, image and replayed segments are in its address space.

use core::ops::Range;

use wasm_meminit::analysis::{MemoryIndex, MemoryPlan, Module, Plan, SegmentMode};

/// What one memory holds at which addresses, and how much goes to addresses not yet known.
#[derive(Debug)]
pub(crate) struct MemoryMap<'m, 'a> {
    pub(crate) plan: &'m MemoryPlan<'a>,
    /// The size in bytes; for a memory of 2⁶⁴ bytes, one less.
    pub(crate) size: u64,
    /// Bytes of all active segments, at any address, and of the segments that the image holds
    /// on behalf of the start function.
    pub(crate) data_bytes: u64,
    /// Replayed segments whose addresses are known and in bounds.
    replayed: Vec<Range<u64>>,
    /// Replayed segments whose addresses are not known.
    pub(crate) n_unplaced: u64,
    /// How many bytes those have.
    pub(crate) unplaced_bytes: u64,
    /// Addresses written by segments whose address is known: disjoint, in order.
    written: Vec<Range<u64>>,
}

/// How a range of addresses is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Initially zero, and not stored.
    Zero,
    /// Zeros that the image stores.
    Stored,
    /// Data in the image, at less than half of the addresses.
    Sparse,
    /// Data in the image, at half of the addresses or more.
    Dense,
    /// Replayed segments.
    Replayed,
}

impl Cell {
    /// All variants, in the order of the legend.
    pub(crate) const ALL: [Self; 5] = [
        Self::Dense,
        Self::Sparse,
        Self::Stored,
        Self::Replayed,
        Self::Zero,
    ];

    /// Returns its text in the legend.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Stored => "zeros in the image",
            Self::Sparse => "data, less than half",
            Self::Dense => "data",
            Self::Replayed => "replayed",
        }
    }
}

/// Returns the maps of all memories of a module, in index order.
pub(crate) fn maps<'m, 'a>(module: &Module<'a>, plan: &'m Plan<'a>) -> Vec<MemoryMap<'m, 'a>> {
    let empty = |(index, plan)| MemoryMap::empty(plan, module.memory_size(index));
    let mut maps: Vec<MemoryMap<'m, 'a>> = plan.memories().iter().map(empty).collect();
    for segment in module.segments().values() {
        if let SegmentMode::Active { memory_index, .. } = segment.mode
            && let Some(map) = nth(&mut maps, memory_index)
        {
            map.data_bytes += segment.data.len() as u64;
        }
    }
    if let Ok(start) = plan.start()
        && let Some(map) = nth(&mut maps, start.memory())
    {
        let written = start
            .writes()
            .iter()
            .map(|(it, _)| module.segments()[*it].data.len());
        map.data_bytes += written.map(|len| len as u64).sum::<u64>();
    }
    for segment in plan.replay() {
        let Some(map) = nth(&mut maps, segment.memory_index) else {
            continue;
        };
        let len = segment.data.len() as u64;
        let index_type = map.plan.ty().index_type;
        match segment
            .offset
            .eval(index_type, &|global| module.global_value(global))
        {
            Ok(addr) => match addr.checked_add(len) {
                Some(end) if end <= map.size && 0 < len => map.replayed.push(addr..end),
                _ => {} // out of bounds or empty: it never writes anything
            },
            Err(_) => {
                map.n_unplaced += 1;
                map.unplaced_bytes += len;
            }
        }
    }
    maps.iter_mut().for_each(MemoryMap::finish);
    maps
}

fn nth<T>(list: &mut [T], memory: MemoryIndex) -> Option<&mut T> {
    list.get_mut(memory.as_u32() as usize)
}

/// Joins ranges, in order of their starts, that overlap or touch.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl<'m, 'a> MemoryMap<'m, 'a> {
    fn empty(plan: &'m MemoryPlan<'a>, size: Option<u64>) -> Self {
        Self {
            plan,
            size: size.unwrap_or(u64::MAX),
            data_bytes: 0,
            replayed: Vec::new(),
            n_unplaced: 0,
            unplaced_bytes: 0,
            written: Vec::new(),
        }
    }

    fn finish(&mut self) {
        let pieces = self.plan.pieces();
        // In order: tens of thousands of pieces, but far fewer after they are joined.
        self.written = joined(pieces.iter().map(|it| it.addresses()));
        if !self.replayed.is_empty() {
            self.written.extend_from_slice(&self.replayed);
            self.written.sort_unstable_by_key(|it| it.start);
            self.written = joined(self.written.drain(..));
        }
    }

    /// Returns the addresses from the lowest one known to be written to the end of the highest.
    pub(crate) fn extent(&self) -> Option<Range<u64>> {
        Some(self.written.first()?.start..self.written.last()?.end)
    }

    /// Returns the share of the extent that is written, from 0 to 1.
    pub(crate) fn density(&self) -> Option<f64> {
        let extent = self.extent()?;
        let written: u64 = self.written.iter().map(|it| it.end - it.start).sum();
        Some(written as f64 / (extent.end - extent.start) as f64)
    }

    /// Divides the addresses into at most `n_cells` ranges of about the same length, and
    /// returns how to draw each. There are fewer cells if there are fewer addresses.
    pub(crate) fn cells(&self, addresses: &Range<u64>, n_cells: u64) -> Vec<Cell> {
        let scale = Scale::new(addresses, n_cells);
        let runs = scale.sums(self.plan.runs().iter().map(|it| it.addr..it.end()));
        let data = scale.sums(self.plan.pieces().iter().map(|it| it.addresses()));
        let replayed = scale.sums(self.replayed.iter().cloned());
        let cell = |at: usize| {
            // Data outside every run is all zero and not stored.
            let data = if runs[at] == 0 { 0 } else { data[at] };
            match (runs[at], data, replayed[at]) {
                (_, data, replayed) if data < replayed => Cell::Replayed,
                (0, _, _) => Cell::Zero,
                (_, 0, _) => Cell::Stored,
                (_, data, _) if data < scale.len(at as u64).div_ceil(2) => Cell::Sparse,
                _ => Cell::Dense,
            }
        };
        (0..runs.len()).map(cell).collect()
    }
}

/// A range of addresses, divided into cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    start: u64,
    span: u64,
    n_cells: u64,
}

impl Scale {
    pub(crate) fn new(addresses: &Range<u64>, n_cells: u64) -> Self {
        let span = addresses.end.saturating_sub(addresses.start);
        Self {
            start: addresses.start,
            span,
            n_cells: n_cells.min(span),
        }
    }

    /// Returns the address at which a cell begins. One past the last cell gives the end.
    pub(crate) fn bound(self, cell: u64) -> u64 {
        let into = u128::from(self.span) * u128::from(cell) / u128::from(self.n_cells.max(1));
        self.start + into as u64 // at most `span` if the cell exists
    }

    fn len(self, cell: u64) -> u64 {
        self.bound(cell + 1) - self.bound(cell)
    }

    /// Returns, for each cell, how many of its addresses are in the ranges. An address in
    /// several ranges counts several times.
    pub(crate) fn sums(self, ranges: impl Iterator<Item = Range<u64>>) -> Vec<u64> {
        let mut sums = vec![0_u64; self.n_cells as usize];
        // The last cell: most ranges are in the same one as their predecessor, and finding a
        // cell takes divisions of 128 bits.
        let (mut cell, mut here) = (0, 0..0);
        for range in ranges {
            let mut from = range.start.max(self.start);
            let to = range.end.min(self.start + self.span);
            while from < to {
                if !here.contains(&from) {
                    cell = self.cell_of(from);
                    here = self.bound(cell)..self.bound(cell + 1);
                }
                let until = here.end.min(to);
                sums[cell as usize] = sums[cell as usize].saturating_add(until - from);
                from = until;
            }
        }
        sums
    }

    /// Returns the cell that contains an address of the range.
    fn cell_of(self, addr: u64) -> u64 {
        let into = u128::from(addr - self.start) * u128::from(self.n_cells);
        let mut cell = (into / u128::from(self.span)) as u64;
        // Bounds are rounded down, so the next cell may already begin here.
        while self.bound(cell + 1) <= addr {
            cell += 1;
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasm_meminit::analysis::{HostPageSize, Policy};

    use super::*;

    proptest! {
        #[test]
        fn sums_match_counting_each_address(
            start in 0_u64..50,
            span in 0_u64..200,
            n_cells in 1_u64..40,
            ranges in prop::collection::vec((0_u64..260, 0_u64..80), 0..6),
        ) {
            let scale = Scale::new(&(start..start + span), n_cells);
            let ranges: Vec<Range<u64>> = ranges.iter().map(|&(at, len)| at..at + len).collect();
            let expected: Vec<u64> = (0..scale.n_cells)
                .map(|cell| {
                    let here = scale.bound(cell)..scale.bound(cell + 1);
                    let within = |addr: &u64| ranges.iter().filter(|it| it.contains(addr)).count();
                    here.map(|addr| within(&addr) as u64).sum()
                })
                .collect();
            prop_assert_eq!(scale.sums(ranges.into_iter()), expected);
            prop_assert_eq!(scale.bound(scale.n_cells), start + if scale.n_cells == 0 { 0 } else { span });
        }
    }

    #[test]
    fn a_whole_64_bit_address_space_has_cells() {
        let scale = Scale::new(&(0..u64::MAX), 60);
        let sums = scale.sums(core::iter::once(0..u64::MAX));
        assert_eq!(sums.len(), 60);
        assert!(sums.iter().all(|&sum| sum.abs_diff(u64::MAX / 60) <= 1));
        assert_eq!(scale.cell_of(u64::MAX - 1), 59);
    }

    #[track_caller]
    fn check(text: &str, policy: Policy, n_cells: u64, expected: &[Cell]) {
        let wasm = wat::parse_str(text).expect("a module");
        let module = Module::parse(&wasm).expect("a module");
        let plan = Plan::new(&module, &policy);
        let maps = maps(&module, &plan);
        assert_eq!(maps[0].cells(&(0..maps[0].size), n_cells), expected);
    }

    #[test]
    fn cells_show_what_matters_most() {
        use Cell::{Dense, Replayed, Sparse, Stored, Zero};
        let page = HostPageSize::new(16).expect("a page size");
        let memory = "(memory 128 (pagesize 1))";
        let data = r#"(data (i32.const 16) "0123456789abcdef") (data (i32.const 66) "x")"#;
        let text = format!("(module {memory} {data} (data (i32.const 112) \"\\00\"))");
        let expected = [Zero, Dense, Zero, Zero, Sparse, Zero, Zero, Zero];
        check(&text, Policy::smallest(page), 8, &expected);
        let joined = [Zero, Dense, Stored, Stored, Sparse, Zero, Zero, Zero];
        check(&text, Policy::smallest(page).with_max_gap(32), 8, &joined);
        // The wasm page of 1 byte is smaller than the host page, so the reference replays.
        let replayed = [Zero, Replayed, Zero, Zero, Replayed, Zero, Zero, Replayed];
        check(&text, Policy::reference(page), 8, &replayed);
        check("(module (memory 0))", Policy::smallest(page), 8, &[]);
    }
}
