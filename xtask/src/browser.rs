//! Tests the pages and pictures of the tool in Chromium: `tests/browser`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{Outcome, passed};

/// Names the browser, instead of a search for it.
const SETTING: &str = "WASM_MEMINIT_CHROMIUM";

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Runs the tests whose names contain the arguments, or all.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let browser = find().with_context(missing)?;
    test(sh, &browser, args)
}

/// Runs all tests where there is a browser; without one, nothing is compiled.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let Some(browser) = find() else {
        return Ok(Outcome::Skipped(missing()));
    };
    test(sh, &browser, &[])?;
    passed()
}

fn missing() -> String {
    let names = NAMES.join(", ");
    format!("no browser: {SETTING} is not set, and PATH has none of {names}")
}

fn find() -> Option<PathBuf> {
    if let Some(browser) = env::var_os(SETTING) {
        return Some(PathBuf::from(browser));
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    first(NAMES, &folders)
}

/// Returns the first file with one of these names.
fn first(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let files = names
        .iter()
        .flat_map(|name| folders.iter().map(move |it| it.join(name)));
    files.into_iter().find(|it| it.is_file())
}

fn test(sh: &Shell, browser: &Path, args: &[String]) -> anyhow::Result<()> {
    // The build of `cargo xtask tour`.
    cmd!(sh, "cargo build --package wasm-meminit").run()?;
    let tool = metadata::tool(sh, "debug")?;
    cmd!(
        sh,
        "cargo test --package wasm-meminit-browser --test pages -- {args...}"
    )
    .env("WASM_MEMINIT_TOOL", tool)
    .env(SETTING, browser)
    .run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_wins() {
        let root = crate::root();
        let folders = [root.join("docs"), root.clone()];
        let found = |names: &[&str]| first(names, &folders);
        assert_eq!(
            found(&["none", "Cargo.toml", "README.md"]),
            Some(root.join("Cargo.toml"))
        );
        assert_eq!(found(&["README.md"]), Some(root.join("docs/README.md")));
        assert_eq!(found(&["src", "none"]), None, "a folder is not a program");
    }
}
