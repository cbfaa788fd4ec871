//! Measures how the time of each algorithm grows, on worst-case input.
//!
//! `cargo bench --bench growth` measures inputs with 25,000, 50,000 and 100,000 items;
//! `cargo test --bench growth`, as ci runs it, a tenth of that. Whatever looks too steep is
//! measured again at full size, in a process of its own. It fails if an exponent is 1.3 or
//! more. A new algorithm is a new row in one of the tables below. Arguments are names of rows,
//! or parts of them: the others are skipped.

extern crate alloc;

mod analysis;
mod clock;
mod fit;
mod formats;
mod images;
mod inputs;
mod wasm;

use std::process::{Command, ExitCode};

use crate::clock::{now, wall};
use crate::fit::{Clock, MOST, Row};

/// The tool is measured in wall-clock time, the rest in processor time.
const TABLES: &[(&str, Clock, &[Row])] = &[
    ("analysis", now, analysis::ROWS),
    ("images, artifacts, rewriting", now, images::ROWS),
    ("the tool", wall, formats::ROWS),
];

/// Says that this process measures one row again.
const ALONE: &str = "--alone";

const SMALL: [u32; 3] = [2_500, 5_000, 10_000];
const LARGE: [u32; 3] = [25_000, 50_000, 100_000];

fn main() -> ExitCode {
    // Cargo passes this flag to a bench that is to measure.
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_small = !args.iter().any(|it| it == "--bench");
    let is_alone = args.iter().any(|it| it == ALONE);
    let names: Vec<&String> = args.iter().filter(|it| !it.starts_with("--")).collect();
    let is_wanted = |row: &&Row| match &*names {
        [] => true,
        [name] if is_alone => row.name == *name,
        names => names.iter().any(|it| row.name.contains(it.as_str())),
    };
    let (sizes, n_rounds) = if is_small { (SMALL, 1) } else { (LARGE, 3) };
    // glibc's allocator requests each large block from the system until one has been freed;
    // without this, that would be a step in time that is not growth.
    drop(core::hint::black_box(vec![1_u8; 31 << 20]));
    let mut n_steep = 0;
    for (table, clock, rows) in TABLES {
        if !is_alone {
            println!("{table:<44} exponent");
        }
        for row in rows.iter().filter(is_wanted) {
            let growth = row.measure(&sizes, n_rounds, *clock);
            if !growth.is_steep() {
                println!("  {growth}");
            } else if is_alone || growth.is_quadratic() {
                println!("  {growth}  TOO STEEP");
                n_steep += 1;
            } else {
                println!("  {growth}  measured again:");
                n_steep += u32::from(!passes_alone(row));
            }
        }
    }
    if n_steep == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{n_steep} grow faster than n^{MOST}");
        ExitCode::FAILURE
    }
}

/// Measures a row at full size in a process of its own. A cache that is too small for the largest
/// of three small inputs looks like growth, and so does a block that the allocator still has
/// from earlier rows if only the smallest input fits in it.
fn passes_alone(row: &Row) -> bool {
    let exe = std::env::current_exe().expect("this program has a path");
    let status = Command::new(exe)
        .args(["--bench", ALONE, row.name])
        .status();
    status.expect("this program can be run").success()
}
