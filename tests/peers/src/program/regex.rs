//! Oniguruma: scans a text for several patterns.

use core::fmt::Write as _;

use anyhow::{Result, bail};

use super::Program;
use crate::guest::Guest;

pub(super) const ONIGURUMA: Program = Program {
    name: "Oniguruma",
    file: "oniguruma.wasm",
    // The name of a class of characters that a pattern uses.
    marker: b"upper\0",
    // Name, and a year with its month.
    lines: &["0: 4-8", "1: 41-48 41-45 46-48"],
    run,
};

const PATTERNS: &[&str] = &[
    r"\b[[:upper:]]\w*",
    r"(?<year>\d{4})-(?<month>\d\d)",
    r#""(?:[^"\\]|\\.)*""#,
    r"(?i)straße|ÉTÉ",
    r"(\w)\1(?!\w)",
    r"\p{Greek}+",
];

const TEXT: &str = r#"let Name = "a \"quoted\" text"; // since 2023-11, grass, STRASSE été
fn Other() -> λόγος { "" } 1999-12 Straße call buzz Ωmega"#;

/// ONIG_OPTION_CAPTURE_GROUP.
const CAPTURE_GROUP: u32 = 1 << 8;
/// ONIG_SYNTAX_DEFAULT: its address in this build, as the module reports it to Embind.
const SYNTAX: u32 = 284_768;

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    guest.run("__wasm_call_ctors", &[])?;
    let n_patterns = u32::try_from(PATTERNS.len())?;
    let mut pointers = Vec::new();
    let mut lengths = Vec::new();
    for pattern in PATTERNS {
        pointers.extend(guest.place("omalloc", pattern.as_bytes())?.to_le_bytes());
        lengths.extend(u32::try_from(pattern.len())?.to_le_bytes());
    }
    let pointers = guest.place("omalloc", &pointers)?;
    let lengths = guest.place("omalloc", &lengths)?;
    let args = [pointers, lengths, n_patterns, CAPTURE_GROUP, SYNTAX];
    let scanner = guest.run("createOnigScanner", &args)?;
    if scanner == 0 {
        let message = guest.run("getLastOnigError", &[])?;
        let message = guest.memory().read_c_str(message)?;
        bail!("createOnigScanner: {}", String::from_utf8_lossy(&message));
    }
    let text = guest.place("omalloc", TEXT.as_bytes())?;
    let len = u32::try_from(TEXT.len())?;
    let mut output = String::new();
    let mut start = 0;
    while start <= len {
        let args = [scanner, 1, text, len, start, CAPTURE_GROUP];
        let found = guest.run("findNextOnigScannerMatch", &args)?;
        if found == 0 {
            break;
        }
        let memory = guest.memory();
        write!(output, "{}:", memory.read_u32(found)?)?;
        for nth in 0..memory.read_u32(found + 4)? {
            let at = found + 8 + 8 * nth;
            let (from, to) = (memory.read_u32(at)?, memory.read_u32(at + 4)?);
            write!(output, " {from}-{to}")?;
            if nth == 0 {
                start = to.max(start + 1);
            }
        }
        output.push('\n');
    }
    guest.run("freeOnigScanner", &[scanner])?;
    Ok(output.into_bytes())
}
