//! What it costs to bring a used memory back to its first state.
//!
//! * `floor`: the whole cycle, ready, pages written, reset, against the same done by bare
//!   system calls. The sketch: the scan and the copy of dirtied pages are all there is to
//!   do, so about 1x; the goal is 1.15x at most.
//! * `batch`: 1,000 slots reset while another thread runs, together against one by one.
//!   The sketch: each `madvise` interrupts the other processor, a batch does once in a
//!   while, so a tenth at most.
//! * `drift`: 10,000 uses of one slot whose working set moves. The sketch: what was let
//!   go is not copied again, so that the last resets cost what the first did; the goal is
//!   1.2x at most.
//! * `curve`: a reset by each strategy, from no page to all of them; it draws the pictures
//!   of docs/reset-cost.md.
//!
//! Names of groups as arguments run those only.

extern crate alloc;

mod batch;
mod curve;
mod drift;
mod floor;
#[path = "../../src/bench/paired.rs"]
mod paired;
mod workload;

use core::time::Duration;

use self::workload::{IMAGE, MEMORY, PAGE, image, image_bytes, image_of, timed, touch, write};

/// A name, and what it measures, given how long.
type Group = (&'static str, fn(Duration));

const GROUPS: &[Group] = &[
    ("floor", floor::group),
    ("batch", batch::group),
    ("drift", drift::group),
    ("curve", curve::group),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says `--bench`. Otherwise it is a test, and once is enough.
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
