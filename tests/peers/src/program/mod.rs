//! Real programs: a module that somebody published, and something to do with it.

mod formatter;
mod javascript;
mod regex;
mod sql;

use anyhow::Result;

use crate::guest::Guest;

/// A module, and what is done with it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What it is.
    pub name: &'static str,
    /// The module's file in the corpus.
    pub file: &'static str,
    /// Bytes of its first state without one bit of which it cannot do the same.
    pub marker: &'static [u8],
    /// Lines of the output that say that the program did what it is for.
    pub lines: &'static [&'static str],
    /// Drives an instance from its first state to an output.
    pub run: fn(&mut dyn Guest) -> Result<Vec<u8>>,
}

impl Program {
    /// Whether the output has the lines that it should have.
    pub fn expects(&self, output: &[u8]) -> bool {
        let output = String::from_utf8_lossy(output);
        let has = |line: &&str| output.lines().any(|it| it == *line);
        !self.lines.is_empty() && self.lines.iter().all(has)
    }
}

/// A language runtime, a database, a compiler's formatter and a regex engine.
pub const PROGRAMS: &[Program] = &[
    javascript::QUICKJS,
    sql::SQLITE,
    formatter::ZIG_FMT,
    regex::ONIGURUMA,
];
