//! Compares two images page by page.

use core::ops::Range;

use wasm_meminit::analysis::Run;

use crate::contents::MemoryContents;

/// How many ranges are listed.
const MAX_RANGES: usize = 100;

/// How many pages of the images are equal, and which are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    /// In both images, with the same bytes.
    pub(crate) equal: u64,
    /// In both images, with different bytes.
    pub(crate) changed: u64,
    /// In one image only.
    pub(crate) only: [u64; 2],
    /// Of those in one image only, how many have a byte that is not zero: the others read the
    /// same on both sides.
    pub(crate) only_with_data: [u64; 2],
    /// The first ranges of pages that read differently, in address order.
    pub(crate) different: Vec<Range<u64>>,
    /// How many such ranges there are.
    pub(crate) n_different: u64,
}

impl Pages {
    /// Compares the images of both sides; a side without the memory has no image.
    pub(super) fn compare(sides: [Option<&MemoryContents<'_>>; 2], page_size: u64) -> Self {
        let mut pages = Self::default();
        let layouts = sides.map(|it| it.map_or(&[][..], |it| &it.layout));
        let mut last_end = None;
        let mut buffers = [vec![0; page_size as usize], vec![0; page_size as usize]];
        for (range, is_in) in joint(layouts) {
            let mut addr = range.start;
            while addr < range.end {
                for (side, buffer) in sides.iter().zip(&mut buffers) {
                    match side {
                        Some(memory) => memory.read(addr, buffer),
                        None => buffer.fill(0),
                    }
                }
                let is_equal = buffers[0] == buffers[1];
                match is_in {
                    [true, true] if is_equal => pages.equal += 1,
                    [true, true] => pages.changed += 1,
                    [is_first, _] => {
                        let side = usize::from(!is_first);
                        pages.only[side] += 1;
                        pages.only_with_data[side] += u64::from(!is_equal);
                    }
                }
                if !is_equal {
                    pages.differ(addr..addr + page_size, &mut last_end);
                }
                addr += page_size;
            }
        }
        pages
    }

    /// Adds a page that reads differently, after those before it.
    fn differ(&mut self, page: Range<u64>, last_end: &mut Option<u64>) {
        let is_next = last_end.replace(page.end) == Some(page.start);
        self.n_different += u64::from(!is_next);
        if self.n_different > MAX_RANGES as u64 {
            return;
        }
        match self.different.last_mut() {
            Some(last) if is_next => last.end = page.end,
            _ => self.different.push(page),
        }
    }

    /// Whether both images have the same pages with the same bytes.
    pub(crate) const fn are_equal(&self) -> bool {
        self.changed == 0 && self.only[0] == 0 && self.only[1] == 0
    }

    /// Whether every byte reads the same, whether or not a page of an image holds it.
    pub(crate) const fn read_equal(&self) -> bool {
        self.changed == 0 && self.only_with_data[0] == 0 && self.only_with_data[1] == 0
    }
}

/// Returns the ranges that runs of either side cover, cut where a run of one side begins or
/// ends, and which sides cover each.
fn joint(layouts: [&[Run]; 2]) -> Vec<(Range<u64>, [bool; 2])> {
    let mut bounds: Vec<u64> = layouts
        .iter()
        .flat_map(|runs| runs.iter().flat_map(|it| [it.addr, it.end()]))
        .collect();
    bounds.sort_unstable();
    bounds.dedup();
    let covers = |runs: &[Run], addr: u64| {
        let at = runs.partition_point(|it| it.end() <= addr);
        runs.get(at).is_some_and(|it| it.addr <= addr)
    };
    bounds
        .windows(2)
        .map(|it| (it[0]..it[1], layouts.map(|runs| covers(runs, it[0]))))
        .filter(|(_, is_in)| is_in.contains(&true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_pages_are_one_range() {
        let mut pages = Pages::default();
        let mut last_end = None;
        for addr in [0, 4, 12].into_iter().chain((100..2000).step_by(8)) {
            pages.differ(addr..addr + 4, &mut last_end);
        }
        assert_eq!(pages.different[..3], [0..8, 12..16, 100..104]);
        assert_eq!(
            (pages.different.len(), pages.n_different),
            (MAX_RANGES, 240)
        );
    }

    #[test]
    fn ranges_are_cut_at_every_bound() {
        let run = |addr, len| Run { addr, len };
        let (a, b) = ([run(0, 4), run(8, 4)], [run(2, 8)]);
        let expected = [
            (0..2, [true, false]),
            (2..4, [true, true]),
            (4..8, [false, true]),
            (8..10, [true, true]),
            (10..12, [true, false]),
        ];
        assert_eq!(joint([&a, &b]), expected);
        assert!(joint([&[], &[]]).is_empty());
    }
}
