//! A page that was overwritten with zeros, and that the kernel then replaced by its
//! shared zero page, is reset like any other: if the image has something else there, the
//! next use must not see the zeros of the last one.
//!
//! The kernel does so when it splits a huge page (Linux 6.12) and when it merges pages
//! (`use_zero_pages` of KSM). Where it does neither, the tests are skipped; whether a split page
//! was replaced, the kernel does not say.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use core::cell::Cell;
use core::time::Duration;
use std::fs;
use std::io::Write;
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::{ImageSource, MemorySlot, SlotConfig};
use wasm_meminit_test_support::probe::{merge_same, page_out, prefer_huge};

use crate::common::{PAGE, SOURCES, STRATEGIES, assert_same, bytes, image, lacks, state};

const HUGE: usize = 512 * PAGE;
const LEN: usize = 5 * HUGE;

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Initial contents, most of which an image covers: gaps, and zeros after its end.
fn initial_contents() -> Vec<u8> {
    state(LEN - HUGE, &[(0, 2 * HUGE, 1), (3 * HUGE, HUGE - 5, 2)])
}

fn check(source: ImageSource, prepare: impl Fn(&mut [u8]), settle: impl Fn(&mut [u8])) {
    let first = initial_contents();
    let mut expected = first.clone();
    expected.resize(LEN, 0);
    let image = image(source, &first);
    for strategy in STRATEGIES {
        let config = SlotConfig::new(bytes(LEN))
            .with_strategy(strategy)
            .with_keep_resident(bytes(LEN));
        let mut slot = MemorySlot::new(&config).expect("room");
        slot.instantiate(None, bytes(LEN)).expect("room");
        prepare(slot.as_mut_slice());
        slot.reset().expect("reset");
        slot.instantiate(Some(&image), bytes(LEN)).expect("room");
        prepare(slot.as_mut_slice());
        slot.as_mut_slice().fill(0);
        settle(slot.as_mut_slice());
        slot.reset().expect("reset");
        slot.instantiate(Some(&image), bytes(LEN)).expect("room");
        assert_same(slot.as_slice(), &expected, &format!("{source}, {strategy}"));
    }
}

#[test]
fn zeros_in_a_huge_page_that_was_split() {
    let enabled = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if enabled.is_ok_and(|it| it.contains("[never]")) {
        lacks("huge pages are off");
        return;
    }
    for source in SOURCES {
        let split = |slice: &mut [u8]| {
            for huge in slice.chunks_mut(HUGE) {
                page_out(&mut huge[PAGE..2 * PAGE]);
            }
        };
        check(source, prefer_huge, split);
    }
}

/// Settings of the kernel's page merger, to be restored.
struct Merger(Vec<(&'static str, String)>);

impl Merger {
    const AT: &'static str = "/sys/kernel/mm/ksm";

    /// Starts the merger; only root may.
    fn start() -> Option<Self> {
        let wanted = [
            ("use_zero_pages", "1"),
            ("sleep_millisecs", "1"),
            ("pages_to_scan", "10000"),
            ("run", "1"),
        ];
        let mut before = Self(Vec::new());
        for (name, value) in wanted {
            let file = format!("{}/{name}", Self::AT);
            let old = fs::read_to_string(&file).ok()?;
            fs::write(&file, value).ok()?;
            before.0.push((name, old));
        }
        Some(before)
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        for (name, value) in self.0.iter().rev() {
            let _ = fs::write(format!("{}/{name}", Self::AT), value.trim());
        }
    }
}

/// Returns how many pages of this process are the shared zero page: proc_pid_ksm_stat.
fn n_merged_zero_pages() -> u64 {
    let stat = fs::read_to_string("/proc/self/ksm_stat").unwrap_or_default();
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix("ksm_zero_pages "));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn zeros_that_were_merged() {
    let Some(_merger) = Merger::start() else {
        lacks("only root can enable page merging, if the kernel supports it");
        return;
    };
    let n_merged = Cell::new(0);
    for source in SOURCES {
        let merge = |slice: &mut [u8]| {
            merge_same(slice);
            let until = Instant::now() + Duration::from_secs(3);
            let before = n_merged_zero_pages();
            while n_merged_zero_pages() < before + 512 && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            n_merged.set(n_merged.get() + n_merged_zero_pages() - before);
        };
        check(source, |_| {}, merge);
    }
    match n_merged.get() {
        0 => drop(lacks("the kernel merged no page of zeros")),
        n => say(&format!("{n} pages of zeros were merged")),
    }
}
