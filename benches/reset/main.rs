//! The cost of resetting a used memory to its initial contents.
//!
//! * `floor`: the whole cycle (start, writes, reset), compared with direct system calls.
//!   Estimate: the scan and the copy of dirty pages are all the necessary work, so about 1x.
//!   Goal: at most 1.15x.
//! * `growing`: the same for guests that grow in each use, compared with slots that discard
//!   their pages. Estimate: a call each way and 0.1 µs a page, instead of a fault of 1.3 µs.
//!   Goal: at most 1.15x of direct system calls.
//! * `batch`: resets 1,000 slots while another thread runs, together and one by one. Estimate:
//!   each `madvise` interrupts the other processor, a batch only occasionally, so at most a
//!   tenth.
//! * `drift`: 10,000 uses of one slot whose working set moves. Estimate: discarded pages are
//!   not copied again, so the last resets cost what the first did. Goal: at most 1.2x.
//! * `curve`: a reset by each strategy, from no page to all pages; draws the pictures of
//!   docs/reset-cost.md.
//!
//! Arguments select groups by name.

extern crate alloc;

mod batch;
mod curve;
mod drift;
mod floor;
mod growing;
mod memories;
#[path = "../../src/bench/paired.rs"]
mod paired;
mod workload;

use core::time::Duration;

use self::workload::{IMAGE, MEMORY, PAGE, image, image_bytes, image_of, timed, touch, write};

/// A name, and a function that measures for the given time.
type Group = (&'static str, fn(Duration));

const GROUPS: &[Group] = &[
    ("floor", floor::group),
    ("growing", growing::group),
    ("batch", batch::group),
    ("drift", drift::group),
    ("curve", curve::group),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` passes `--bench`. Otherwise this is a test, and one round is enough.
    let time = if args.iter().any(|arg| arg == "--bench") {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    };
    let named: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, group) in GROUPS {
        if named.is_empty() || named.iter().any(|it| it == name) {
            println!("{name}");
            group(time);
            println!();
        }
    }
}
