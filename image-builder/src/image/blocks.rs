//! The positions of runs in an image or in an artifact's file.
//!
//! A file stores memory in blocks, which are as large as the largest page size that the file
//! supports for mapping. A block that contains any byte of a run is stored whole and aligned,
//! with zeros outside the runs, so that pages up to that size can be mapped. Blocks without
//! a run are omitted.

use wasm_meminit_analysis::{HostPageSize, Run};

/// Computes positions of runs, in address order, in bytes from the start of the first block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positions {
    block: HostPageSize,
    /// The last block in use, counted from address 0, and its position.
    last: Option<(u64, u64)>,
}

impl Positions {
    pub(crate) const fn new(block: HostPageSize) -> Self {
        Self { block, last: None }
    }

    /// Returns the position of the next run. `None` if it would end past 2⁶⁴.
    pub(crate) fn place(&mut self, run: &Run) -> Option<u64> {
        let first = self.block.page_of(run.addr);
        let block_at = match self.last {
            None => 0,
            Some((last, at)) if last == first => at,
            Some((_, at)) => at.checked_add(self.block.bytes())?,
        };
        let last_addr = run.addr.checked_add(run.len.checked_sub(1)?)?;
        let last = self.block.page_of(last_addr);
        let blocks = last.checked_sub(first)?;
        let last_at = block_at.checked_add(blocks.checked_mul(self.block.bytes())?)?;
        self.last = Some((last, last_at));
        let at = block_at.checked_add(lead(self.block, run.addr))?;
        at.checked_add(run.len)?;
        Some(at)
    }
}

/// Returns the offset of an address from the start of its block, in bytes.
pub(crate) const fn lead(block: HostPageSize, addr: u64) -> u64 {
    // Cannot wrap: rounded down.
    addr.wrapping_sub(block.round_down(addr))
}

/// Returns the file offsets of a memory's first byte and of the end of its last; `at` is the
/// end of everything before it.
pub(crate) fn region(runs: &[Run], alignment: HostPageSize, at: u64) -> Option<(u64, u64)> {
    let (Some(first), Some(_)) = (runs.first(), runs.last()) else {
        return Some((at, at));
    };
    let blocks = alignment.round_up(at)?;
    let start = blocks.checked_add(lead(alignment, first.addr))?;
    let mut positions = Positions::new(alignment);
    let mut end = start;
    for run in runs {
        end = blocks
            .checked_add(positions.place(run)?)?
            .checked_add(run.len)?;
    }
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Positions match a naive list of the blocks in use.
        #[test]
        fn blocks_are_whole(
            parts in prop::collection::vec((1_u64..12, 1_u64..12), 1..10),
            log2 in 0_u32..6,
        ) {
            let block = HostPageSize::new(1 << log2).unwrap();
            let mut at = 0;
            let runs: Vec<Run> = parts.iter().map(|(gap, len)| {
                let run = Run { addr: at + gap, len: *len };
                at = run.end();
                run
            }).collect();
            let mut taken: Vec<u64> = Vec::new();
            for run in &runs {
                taken.extend(run.addr >> log2..=(run.end() - 1) >> log2);
            }
            taken.dedup();
            let mut positions = Positions::new(block);
            for run in &runs {
                let nth = taken.iter().position(|it| *it == run.addr >> log2).unwrap();
                let expected = ((nth as u64) << log2) + run.addr % block.bytes();
                prop_assert_eq!(positions.place(run), Some(expected));
            }
        }
    }

    #[test]
    fn the_last_page_of_the_address_space_does_not_overflow() {
        let mut positions = Positions::new(HostPageSize::KIB_64);
        let last = Run {
            addr: u64::MAX - 8191,
            len: 4096,
        };
        assert_eq!(positions.place(&last), Some(65536 - 8192));
    }
}
