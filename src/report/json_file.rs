//! What the JSON of several commands has in common: the tool, files, hashes, findings.

use serde::Serialize;
use wasm_meminit::image_builder::SourceHash;

use crate::input::hash::hex;
use crate::report::file::FileFacts;
use crate::report::hint;
use crate::report::require;
use crate::text::printable;

/// The program that wrote the report.
#[derive(Serialize)]
pub(crate) struct Tool<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

/// This program.
pub(crate) const TOOL: Tool<'static> = Tool {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
};

/// A file as it is on disk.
#[derive(Serialize)]
pub(crate) struct File<'s> {
    name: &'s str,
    size: u64,
    sha256: Option<String>,
    kind: &'static str,
    text: bool,
}

impl<'s> File<'s> {
    pub(crate) fn new(it: &'s FileFacts) -> Self {
        Self {
            name: &it.name,
            size: it.size,
            sha256: it.sha256.map(hex),
            kind: it.kind.word(),
            text: it.is_text,
        }
    }
}

/// The options that would put more data into images.
#[derive(Serialize)]
pub(crate) struct Hint<'s> {
    command: Option<&'s str>,
    condition: Option<String>,
    globals: usize,
    memories: usize,
    zeroed_imports: bool,
    start_function: bool,
    data_bytes: u64,
}

impl<'s> Hint<'s> {
    pub(crate) fn new(it: &'s hint::Hint) -> Self {
        Self {
            command: it.command.as_deref(),
            condition: it.condition(),
            globals: it.globals.len(),
            memories: it.memories.len(),
            zeroed_imports: it.zeroed_imports,
            start_function: it.start_function,
            data_bytes: it.data_bytes,
        }
    }
}

/// A violated requirement.
#[derive(Serialize)]
pub(crate) struct Finding<'s> {
    requirement: String,
    text: &'s str,
}

impl<'s> Finding<'s> {
    pub(crate) fn list(all: &'s [require::Finding]) -> Vec<Self> {
        let finding = |it: &'s require::Finding| Self {
            requirement: it.requirement.to_string(),
            text: &it.text,
        };
        all.iter().map(finding).collect()
    }
}

/// Formats a hash that may not be recorded.
pub(crate) fn hash(it: Option<SourceHash>) -> Option<String> {
    it.map(hex)
}

/// Returns a document as text that is safe to display, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn document(it: &impl Serialize) -> serde_json::Result<String> {
    let mut text = printable::json(serde_json::to_string_pretty(it)?);
    text.push('\n');
    Ok(text)
}
