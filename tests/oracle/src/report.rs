//! Summaries of tests that pass.

use std::io::Write;

/// Prints directly to stderr, since the test harness captures the output of passing tests.
/// The text starts on a new line and ends with one newline.
pub fn report(text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
