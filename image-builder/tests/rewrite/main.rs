//! Tests of rewriting: the objectives of `pack`, rejected inputs, and running time.

#[path = "../../../benches/growth/clock.rs"]
mod clock;
mod generated;
mod growth;
mod objectives;
mod rejected;

use std::io::Write;

/// Writes directly to stderr, because the test harness captures output of passing tests.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
