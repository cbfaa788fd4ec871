//! Slots do not become slower: in ten thousand uses, each writes to pages slightly after
//! those of the last one, and the last resets examine no more than the first ones.
//!
//! The cost of a reset is measured by what it examines: bytes and ranges, which other
//! programs on the machine do not change. `benches/reset` measures time.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use alloc::collections::{BTreeSet, VecDeque};

use wasm_meminit_apply::{
    Capabilities, ImageSource, MemorySlot, ResetReport, SlotConfig, Strategy,
};

use crate::common::{
    PAGE, PATH, Path, SOURCES, bytes, image, lacks, skip, skips_without_scans, state,
};

const N_PAGES: usize = 2048;
/// Resets from one round of ageing to the next.
const ROUND: usize = 16;

/// How a working set moves, and which pages it has at the `nth` use.
struct Drift {
    name: &'static str,
    pages: fn(usize) -> Vec<usize>,
}

const DRIFTS: [Drift; 3] = [
    Drift {
        name: "32 pages in a row, one further each time",
        pages: |nth| (0..32).map(|page| (220 + nth + page) % N_PAGES).collect(),
    },
    Drift {
        name: "32 pages apart, all others each time",
        pages: |nth| (0..32).map(|page| (nth + 64 * page) % N_PAGES).collect(),
    },
    Drift {
        name: "16 that stay, 4 that come once",
        pages: |nth| {
            let once = (0..4).map(|page| (220 + 4 * nth + page) % N_PAGES);
            (0..16).chain(once).collect()
        },
    },
];

fn median(mut of: Vec<u64>) -> u64 {
    of.sort_unstable();
    of[of.len() / 2]
}

/// Returns the maximum and the median that resets of a window found written.
fn cost(reports: &[ResetReport]) -> [u64; 3] {
    let found = |it: &ResetReport| it.written_bytes;
    let ranges = |it: &ResetReport| it.n_ranges;
    [
        median(reports.iter().map(found).collect()),
        reports.iter().map(found).max().expect("some"),
        median(reports.iter().map(ranges).collect()),
    ]
}

fn check(strategy: Strategy, source: ImageSource, drift: &Drift, keep: usize, n_uses: usize) {
    // A tenth of the memory; the sets move past it, and eventually through it.
    let n_image_pages = N_PAGES / 10;
    let first = state(n_image_pages * PAGE, &[(0, n_image_pages * PAGE, 1)]);
    let image = image(source, &first);
    let config = SlotConfig::new(bytes(N_PAGES * PAGE))
        .with_strategy(strategy)
        .with_keep_resident(bytes(keep));
    let mut slot = MemorySlot::new(&config).expect("room");
    let mut last_uses: VecDeque<Vec<usize>> = VecDeque::new();
    let mut reports = Vec::new();
    for nth in 0..n_uses {
        slot.instantiate(Some(&image), bytes(N_PAGES * PAGE))
            .expect("room");
        let pages = (drift.pages)(nth);
        for &page in &pages {
            slot.as_mut_slice()[page * PAGE + nth % PAGE] = 0xa5;
        }
        last_uses.push_back(pages);
        if ROUND < last_uses.len() {
            last_uses.pop_front();
        }
        let report = slot.reset().expect("reset");
        let resident = usize::try_from(report.resident_bytes).expect("fits");
        let what = format!(
            "{strategy}, {source}, {}, use {nth}: {report:?}",
            drift.name
        );
        assert!(resident <= keep, "over the budget: {what}");
        if report.by == Strategy::ScanAndCopy {
            let recent: BTreeSet<usize> = last_uses.iter().flatten().copied().collect();
            let copied = if source == ImageSource::Heap {
                n_image_pages
            } else {
                0
            };
            assert!(
                resident <= (recent.len() + copied) * PAGE,
                "written longer ago than the last {ROUND} uses: {what}"
            );
        }
        reports.push(report);
    }
    let window = n_uses / 10;
    let (start, end) = (cost(&reports[..window]), cost(&reports[n_uses - window..]));
    println!("{strategy}, {source}, {}: {start:?}, {end:?}", drift.name);
    for (start, end) in start.into_iter().zip(end) {
        assert!(
            10 * end <= 12 * start,
            "{strategy}, {source}, {}: {start} to {end}",
            drift.name
        );
    }
}

#[test]
fn the_last_of_ten_thousand_resets_costs_no_more_than_the_first() {
    if PATH != Path::Linux {
        skip("written pages cannot be found, so every reset processes all of them");
        return;
    }
    if !Capabilities::get().scan.is_yes() {
        lacks("this system has no scans: every reset discards everything");
    }
    for drift in &DRIFTS {
        check(
            Strategy::Auto,
            ImageSource::MemoryFile,
            drift,
            4 << 20,
            10_000,
        );
        for source in SOURCES {
            check(Strategy::ScanAndCopy, source, drift, 4 << 20, 1000);
        }
        // Less than sixteen uses write, so that the budget is the limit.
        for strategy in [Strategy::Auto, Strategy::ScanAndCopy] {
            check(strategy, ImageSource::MemoryFile, drift, 24 * PAGE, 1000);
        }
    }
}

/// A guest, described by what its `nth` use reads and writes, in pages.
struct Guest {
    name: &'static str,
    touch: fn(nth: usize, memory: &mut [u8]),
}

/// Reads the first byte of each page.
fn read(memory: &[u8]) {
    let sum: u64 = memory.iter().step_by(PAGE).map(|it| u64::from(*it)).sum();
    core::hint::black_box(sum);
}

/// Much in the first uses, and then what a small program does.
const GUESTS: [Guest; 5] = [
    Guest {
        name: "reads zeros once",
        touch: |nth, memory| match nth {
            0 => read(memory),
            _ => memory[..PAGE].fill(0xa5),
        },
    },
    Guest {
        name: "reads the image's pages once",
        touch: |nth, memory| match nth {
            0 => read(&memory[..IMAGE]),
            _ => memory[..PAGE].fill(0xa5),
        },
    },
    Guest {
        name: "reads more each time, then nothing",
        touch: |nth, memory| {
            if nth < 64 {
                read(&memory[..(nth + 1) * memory.len() / 64]);
            }
        },
    },
    Guest {
        name: "writes a page of each table once, then is quiet",
        touch: |nth, memory| {
            if nth == 0 {
                memory.iter_mut().step_by(512 * PAGE).for_each(|it| *it = 1);
            }
        },
    },
    Guest {
        name: "writes everything, then reads a page",
        touch: |nth, memory| match nth {
            0..3 => memory.iter_mut().step_by(PAGE).for_each(|it| *it = 1),
            _ => read(&memory[..PAGE]),
        },
    },
];

const IMAGE: usize = 4 << 20;

/// Once a guest has become quiet, nothing that it has read or written is left: neither
/// pages nor page tables beyond those that its uses still need.
#[test]
fn pages_that_guests_read_do_not_stay() {
    const LEN: usize = 256 << 20;
    const QUIET: usize = 400;

    if skips_without_scans() {
        return;
    }
    for guest in &GUESTS {
        for source in SOURCES {
            let first = state(IMAGE, &[(0, PAGE, 1), (IMAGE - PAGE, PAGE, 2)]);
            let image = image(source, &first);
            let mut slot = MemorySlot::new(&SlotConfig::new(bytes(LEN))).expect("room");
            let mut most = [0; 2];
            let mut last = [0; 2];
            for nth in 0..64 + QUIET {
                slot.instantiate(Some(&image), bytes(LEN)).expect("room");
                (guest.touch)(nth, slot.as_mut_slice());
                let report = slot.reset().expect("reset");
                last = [report.page_table_bytes, report.resident_bytes];
                most = [most[0].max(last[0]), most[1].max(last[1])];
            }
            println!(
                "{}, {source}: page tables {} to {}, pages {} to {}",
                guest.name, most[0], last[0], most[1], last[1]
            );
            // The one or two tables of the image, and the one that quiet uses touch.
            let [tables, pages] = last;
            assert!(tables <= 4 * 4096, "{}, {source}: {tables}", guest.name);
            assert!(pages <= 4 * 4096, "{}, {source}: {pages}", guest.name);
        }
    }
}
