//! A page that was written and then swapped out is reset like any other.
//!
//! Alone in its process, and on a system that swaps: it adds its own swap file if run by
//! root on a system without swap. Otherwise it reports that it was skipped; the mask of
//! the scan is tested with recorded page maps in any case (`sys/pagemap.rs`).
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use wasm_meminit_apply::{Capabilities, MemorySlot, SlotConfig};
use wasm_meminit_test_support::probe::page_out;
use wasm_meminit_test_support::report::Report;

use crate::common::{
    PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image, lacks, skip, state,
};

const SECRET: u8 = 0xa5;
const LEN: usize = 512 * PAGE;

/// A swap file that is used until the test ends.
struct OwnSwap(tempfile::NamedTempFile);

impl OwnSwap {
    fn new() -> Option<Self> {
        let file = tempfile::Builder::new().tempfile().ok()?;
        // Without holes: swapon(8).
        file.as_file().write_all(&vec![0; 32 << 20]).ok()?;
        file.as_file().sync_all().ok()?;
        let runs = |name| {
            let mut command = Command::new(name);
            let command = command.arg(file.path());
            let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        (runs("mkswap") && runs("swapon")).then_some(Self(file))
    }
}

impl Drop for OwnSwap {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(self.0.path()).status();
    }
}

/// Returns how many bytes of this process are swapped out.
fn swapped_bytes() -> u64 {
    bytes(Report::status().bytes("VmSwap").unwrap_or(0))
}

fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| 1 < swaps.lines().count())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn swapped_out_pages_are_reset_too() {
    if PATH == Path::Portable {
        skip("a buffer has no pages");
        return;
    }
    let _own = if has_swap() { None } else { OwnSwap::new() };
    if !has_swap() {
        lacks("there is no swap space");
        return;
    }
    if !Capabilities::get().scan.is_yes() {
        lacks("this system has no scans: only other strategies are tested");
    }
    let first = state(LEN / 2, &[(0, 10, 1), (LEN / 4, 64 * PAGE, 2)]);
    let mut expected = first.clone();
    expected.resize(LEN, 0);
    let mut n_swapped = 0;
    for source in SOURCES {
        let image = image(source, &first);
        for strategy in STRATEGIES {
            let config = SlotConfig::new(bytes(LEN)).with_strategy(strategy);
            let mut slot = MemorySlot::new(&config).expect("room");
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            slot.as_mut_slice().fill(SECRET);
            // Some stay in memory, so that both kinds are in one slot.
            page_out(&mut slot.as_mut_slice()[PAGE..LEN - 64 * PAGE]);
            n_swapped += u64::from(bytes(LEN / 2) < swapped_bytes());
            slot.reset().expect("reset");
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            assert_same(slot.as_slice(), &expected, &format!("{source}, {strategy}"));
        }
    }
    say(&format!("swapped out before {n_swapped} of 15 resets"));
    if n_swapped == 0 && !has_swap() {
        lacks("the swap space was that of another process, and is gone");
        return;
    }
    assert_ne!(n_swapped, 0, "the kernel did not swap any pages out");
}
