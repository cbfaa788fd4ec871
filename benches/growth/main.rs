//! How the time of each algorithm grows on input that is made to be slow.
//!
//! `cargo bench --bench growth` measures at 25,000, 50,000 and 100,000 of whatever the
//! input has many of; `cargo test --bench growth`, as ci runs it, at a tenth of that. Fails
//! where an exponent is 1.3 or more. A new algorithm is a row in one of the tables below.

mod analysis;
mod clock;
mod fit;
mod images;
mod wasm;

use std::process::ExitCode;

use crate::fit::{MOST, Row};

const TABLES: &[(&str, &[Row])] = &[("analysis", analysis::ROWS), ("images", images::ROWS)];

fn main() -> ExitCode {
    // As cargo tells a bench that is to measure.
    let is_small = !std::env::args().any(|it| it == "--bench");
    let sizes = if is_small {
        [2_500, 5_000, 10_000]
    } else {
        [25_000, 50_000, 100_000]
    };
    let mut n_steep = 0;
    for (table, rows) in TABLES {
        println!("{table:<44} exponent");
        for row in *rows {
            let growth = row.measure(&sizes);
            let is_steep = MOST <= growth.exponent;
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
