//! How the time of each algorithm grows on input that is made to be slow.
//!
//! `cargo bench --bench growth` measures at 25,000, 50,000 and 100,000 of whatever the
//! input has many of; `cargo test --bench growth`, as ci runs it, at a tenth of that, and
//! again at full size what looks too steep there. Fails where an exponent is 1.3 or more. A
//! new algorithm is a row in one of the tables below.

extern crate alloc;

mod analysis;
mod clock;
mod fit;
mod formats;
mod images;
mod inputs;
mod wasm;

use std::process::ExitCode;

use crate::clock::{now, wall};
use crate::fit::{Clock, MOST, Row};

/// Of the tool, the time until it has ended counts; of the rest, that of the processor.
const TABLES: &[(&str, Clock, &[Row])] = &[
    ("analysis", now, analysis::ROWS),
    ("images, artifacts, rewriting", now, images::ROWS),
    ("the tool", wall, formats::ROWS),
];

const SMALL: [u32; 3] = [2_500, 5_000, 10_000];
const LARGE: [u32; 3] = [25_000, 50_000, 100_000];

fn main() -> ExitCode {
    // As cargo tells a bench that is to measure.
    let is_small = !std::env::args().any(|it| it == "--bench");
    let sizes = if is_small { SMALL } else { LARGE };
    // The allocator of Linux takes large blocks from the system each time, until one has
    // been freed: a step in time that is no growth.
    drop(core::hint::black_box(vec![1_u8; 31 << 20]));
    let mut n_steep = 0;
    for (table, clock, rows) in TABLES {
        println!("{table:<44} exponent");
        for row in *rows {
            let mut growth = row.measure(&sizes, *clock);
            if is_small && growth.is_steep() {
                // Small inputs may fit the caches where larger ones do not: such a step
                // is over at larger sizes, growth is not.
                println!("  {growth}  measured again, larger");
                growth = row.measure(&LARGE, *clock);
            }
            let is_steep = growth.is_steep();
            n_steep += u32::from(is_steep);
            println!("  {growth}{}", if is_steep { "  TOO STEEP" } else { "" });
        }
    }
    if n_steep == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{n_steep} grow faster than n^{MOST}");
        ExitCode::FAILURE
    }
}
