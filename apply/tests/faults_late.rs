//! Every system call fails, at every position, in the middle of a slot's life: in its
//! second use, and around the sixteenth, so that the failures hit rounds of ageing, the
//! freeing of page tables, and exceeded budgets. Sizes and images differ from use to use,
//! and memories are large, with a few pages in many page tables.
//!
//! Afterwards no byte of an earlier use is readable, and a slot is clean or poisoned.
#![cfg(all(
    target_os = "linux",
    feature = "fault-injection",
    any(not(feature = "test-portable"), feature = "test-unix")
))]

extern crate alloc;

mod common;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    Call, Capabilities, ImageSource, MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy,
    reset_many,
};
use wasm_meminit_test_support::probe::is_readable;

use crate::common::{
    CALLS, PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image, state,
};

const SECRET: u8 = 0xa5;
const TABLE: usize = 512 * PAGE;
/// The size that images and dense uses cover.
const DENSE: usize = 40 * PAGE;
/// The number of tables in each of which one page is touched.
const N_TABLES: usize = 40;
const MAX: usize = (N_TABLES + 1) * TABLE;

/// The calls that must have been reached.
const REACHED: &[Call] = match PATH {
    Path::Linux => &[
        Call::Fstat,
        Call::Madvise,
        Call::Mmap,
        Call::Mprotect,
        Call::PagemapScan,
        Call::ProcessMadvise,
    ],
    _ => &[Call::Fstat, Call::Mmap, Call::Mprotect],
};

type Picture = (Option<Arc<MemoryImage>>, Vec<u8>);

fn pictures(source: ImageSource) -> [Picture; 3] {
    let small = state(5 * PAGE, &[(PAGE, 100, 1), (4 * PAGE, 7, 2)]);
    let large = state(
        DENSE,
        &[(0, 10, 3), (20 * PAGE, 2 * PAGE, 4), (39 * PAGE, 9, 5)],
    );
    [
        (Some(image(source, &small)), small),
        (None, Vec::new()),
        (Some(image(source, &large)), large),
    ]
}

/// Returns the page of a table that uses touch.
const fn sparse(table: usize) -> usize {
    (table + 1) * TABLE + (table * 7 % 512) * PAGE
}

/// Returns the `nth` use: its image, its size in bytes, and the tables that it writes to;
/// in the others below its size it reads a page.
const fn use_of(nth: usize) -> (usize, usize, core::ops::Range<usize>) {
    let len = match nth % 4 {
        0 | 3 => MAX,
        1 => DENSE + 3 * PAGE,
        _ => MAX / 2,
    };
    // Two consecutive uses have the same image, so that kept pages are used.
    let which = nth / 2 % 3;
    (which, len, (nth * 11) % N_TABLES..(nth * 11) % N_TABLES + 6)
}

struct Life<'a> {
    slot: MemorySlot,
    pictures: &'a [Picture; 3],
}

impl<'a> Life<'a> {
    fn new(strategy: Strategy, keep: usize, pictures: &'a [Picture; 3]) -> Self {
        let config = SlotConfig::new(bytes(MAX)).with_guard(bytes(PAGE));
        let config = config
            .with_strategy(strategy)
            .with_keep_resident(bytes(keep));
        Self {
            slot: MemorySlot::new(&config).expect("room"),
            pictures,
        }
    }

    /// Checks what a start shows wherever uses have written anything.
    fn check_start(&mut self, which: usize, len: usize) {
        let mut expected = self.pictures[which].1.clone();
        expected.resize(DENSE, 0);
        let found = self.slot.as_slice();
        assert_eq!(found.len(), len);
        assert_same(&found[..DENSE], &expected, "dense");
        for at in (0..N_TABLES).map(sparse).filter(|at| *at < len) {
            assert!(
                found[at..at + PAGE].iter().all(|byte| *byte == 0),
                "{at:#x} of {len:#x} bytes is not zero"
            );
        }
        let end = len.next_multiple_of(PAGE);
        let base = self.slot.as_ptr().cast_const();
        for at in [end, sparse(N_TABLES - 1), MAX] {
            if end <= at {
                assert!(!is_readable(base.wrapping_add(at)), "{at:#x} of {len:#x}");
            }
        }
    }

    /// Runs one use. Returns whether it started.
    fn use_once(&mut self, nth: usize) -> bool {
        let (which, len, tables) = use_of(nth);
        let image = self.pictures[which].0.as_ref();
        match self.slot.instantiate(image, bytes(len)) {
            Ok(()) => {}
            Err(SlotError::Os(_) | SlotError::Poisoned) => {
                assert!(self.slot.is_empty());
                return false;
            }
            Err(err) => panic!("{err}"),
        }
        self.check_start(which, len);
        // Sometimes 160 KiB in a row: more than the smaller budget.
        let n_dense = if nth.is_multiple_of(3) { DENSE } else { PAGE };
        let memory = self.slot.as_mut_slice();
        memory[..n_dense].fill(SECRET);
        for at in tables.map(sparse).filter(|at| *at < len) {
            memory[at..at + PAGE].fill(SECRET);
        }
        if nth % 4 == 2 {
            match self.slot.grow(bytes(MAX)) {
                Ok(()) => {
                    let last = sparse(N_TABLES - 1);
                    assert_eq!(self.slot.as_slice()[last], 0);
                    self.slot.as_mut_slice()[last] = SECRET;
                }
                Err(SlotError::Os(_)) => {}
                Err(err) => panic!("{err}"),
            }
        }
        if self.slot.is_poisoned() {
            return false;
        }
        match nth % 5 {
            4 => reset_many([&mut self.slot]).n_poisoned == 0,
            _ => self.slot.reset().is_ok(),
        }
    }

    /// Runs uses in which no call fails any more.
    fn finish(&mut self, from: usize) -> bool {
        if self.slot.is_poisoned() {
            assert!(self.slot.is_empty());
            assert_eq!(self.slot.instantiate(None, 0), Err(SlotError::Poisoned));
            return false;
        }
        for nth in from..from + 4 {
            assert!(
                self.use_once(nth),
                "a use failed although all calls succeed"
            );
        }
        true
    }
}

/// Returns the failures to inject from this call on: once, and permanently.
fn plans(call: Call, skip: u64) -> [Plan; 2] {
    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    [(ENOMEM, 1), (EPERM, u64::MAX)].map(|(code, fail)| Plan {
        skip,
        fail,
        only: Some(call),
        code,
    })
}

#[derive(Debug, Default)]
struct Counts {
    positions: BTreeMap<String, u64>,
    n_runs: u64,
    n_poisoned: u64,
}

/// Injects a failure at every position of every call in the uses `first..first + n_uses`.
fn each_position(
    counts: &mut Counts,
    make: impl Fn() -> Life<'static>,
    first: usize,
    n_uses: usize,
) {
    for call in CALLS {
        for skip in 0.. {
            let mut n_calls = 0;
            for plan in plans(call, skip) {
                let mut life = make();
                for nth in 0..first {
                    assert!(
                        life.use_once(nth),
                        "a use failed before the first injected failure"
                    );
                }
                testing::set(Some(plan));
                for nth in first..first + n_uses {
                    life.use_once(nth);
                }
                n_calls = n_calls.max(testing::n_calls());
                testing::set(None);
                counts.n_poisoned += u64::from(!life.finish(first + n_uses));
                counts.n_runs += 1;
            }
            if n_calls <= skip {
                break;
            }
            *counts.positions.entry(call.to_string()).or_default() += 1;
        }
    }
}

/// Checks slots whose images have this source. One test for each: they run side by side.
fn slots_are_clean_or_poisoned(source: ImageSource) {
    let mut counts = Counts::default();
    let pictures: &'static [Picture; 3] = Box::leak(Box::new(pictures(source)));
    for strategy in STRATEGIES {
        let make = move || Life::new(strategy, 16 * PAGE, pictures);
        each_position(&mut counts, make, 1, 3);
    }
    for (strategy, keep) in [
        (Strategy::Auto, 16 * PAGE),
        (Strategy::Auto, 1 << 20),
        (Strategy::ScanAndCopy, 1 << 20),
        (Strategy::Discard, 0),
    ] {
        let make = move || Life::new(strategy, keep, pictures);
        each_position(&mut counts, make, 14, 4);
    }
    println!(
        "{} runs, {} poisoned: {:?}",
        counts.n_runs, counts.n_poisoned, counts.positions
    );
    // Only files are asked what they are.
    let is_called = |call: &&Call| match call {
        Call::Fstat => source != ImageSource::Heap,
        // As before Linux 6.7 and 6.13.
        Call::PagemapScan => Capabilities::get().scan.is_yes(),
        Call::ProcessMadvise => Capabilities::get().batch.is_yes(),
        _ => true,
    };
    for call in REACHED.iter().filter(is_called) {
        assert!(
            counts.positions.contains_key(&call.to_string()),
            "{call} never failed"
        );
    }
    assert_ne!(counts.n_poisoned, 0, "no failure poisoned a slot");
}

#[test]
fn used_slots_with_images_in_own_files() {
    slots_are_clean_or_poisoned(SOURCES[0]);
}

#[test]
fn used_slots_with_images_in_artifact_files() {
    slots_are_clean_or_poisoned(ImageSource::ArtifactFile);
}

#[test]
fn used_slots_with_images_on_the_heap() {
    slots_are_clean_or_poisoned(ImageSource::Heap);
}
