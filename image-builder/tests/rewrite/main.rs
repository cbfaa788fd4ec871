//! Rewriting: what each objective of `pack` keeps to, what is refused, and how long it takes.

#[path = "../../../benches/growth/clock.rs"]
mod clock;
mod generated;
mod growth;
mod objectives;
mod refused;

use std::io::Write;

/// Past the test harness, which keeps what passing tests print.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
