//! Sizes of packages and of the tool.

use std::fs;

use anyhow::ensure;
use xshell::{Shell, cmd};

use super::TOOL;
use super::list::File;
use crate::metadata;

/// How large the tool may be, in bytes.
const MAX_TOOL: u64 = 4_000_000;

/// One line for each package, in bytes.
pub(super) fn table(files: &[File]) -> String {
    let lines = files
        .iter()
        .map(|it| format!("{:>9} bytes  {}\n", it.bytes.len(), it.folder));
    lines.collect()
}

/// Builds the tool as a release does.
pub(super) fn tool(sh: &Shell) -> anyhow::Result<String> {
    cmd!(
        sh,
        "cargo build --profile dist --package {TOOL} --bin {TOOL}"
    )
    .run()?;
    let len = fs::metadata(metadata::tool(sh, "dist")?)?.len();
    ensure!(
        len <= MAX_TOOL,
        "the tool has {len} bytes, more than {MAX_TOOL}"
    );
    Ok(format!("{len} of at most {MAX_TOOL} bytes"))
}
