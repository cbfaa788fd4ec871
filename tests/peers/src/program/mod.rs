//! Real programs: published modules, each with a driver.

mod compiler;
mod formatter;
mod javascript;
mod regex;
mod sql;

use anyhow::Result;

use crate::guest::Guest;

/// A module, and a driver that runs it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The program's name.
    pub name: &'static str,
    /// The module's file in the corpus.
    pub file: &'static str,
    /// Bytes of its initial memory; with one wrong bit in them, the output differs.
    pub marker: &'static [u8],
    /// Lines of the output that show that the program worked.
    pub lines: &'static [&'static str],
    /// Runs a new instance and returns its output.
    pub run: fn(&mut dyn Guest) -> Result<Vec<u8>>,
}

impl Program {
    /// Whether the output has the expected lines.
    pub fn expects(&self, output: &[u8]) -> bool {
        let output = String::from_utf8_lossy(output);
        let has = |line: &&str| output.lines().any(|it| it == *line);
        !self.lines.is_empty() && self.lines.iter().all(has)
    }
}

/// Programs with the work of one request: instantiate, run, drop.
pub const REQUESTS: &[Program] = &[
    javascript::SMALL,
    sql::SMALL,
    sql::SQLITE,
    regex::ONIGURUMA,
    formatter::SMALL,
    formatter::ZIG_FMT,
    compiler::ASTRO,
];

/// A language runtime, a database, a compiler's formatter and a regex engine.
pub const PROGRAMS: &[Program] = &[
    javascript::QUICKJS,
    sql::SQLITE,
    formatter::ZIG_FMT,
    regex::ONIGURUMA,
];
