//! Runs the tool to write pages, and the reports that they are compared with.

use core::sync::atomic::{AtomicU32, Ordering};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::chromium::setting;

/// Returns a module of `tests/modules`, or the given path.
pub(crate) fn module(name: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
    modules.join(name)
}

/// Returns the folder for files of tests.
pub(crate) fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("created");
    folder
}

/// Writes a module in the text format.
pub(crate) fn write(name: &str, text: &str) -> PathBuf {
    let file = scratch().join(name);
    fs::write(&file, text).expect("written");
    file
}

/// Runs the tool and returns what it prints.
#[track_caller]
pub(crate) fn tool(args: &[&str]) -> String {
    let tool = setting("WASM_MEMINIT_TOOL");
    let output = Command::new(tool)
        .args(args)
        .output()
        .expect("the tool runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the arguments, with a file among them.
fn inspect<'a>(file: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let file = file.to_str().expect("UTF-8");
    [&["inspect", file], more].concat()
}

/// Writes the page of a module and returns its file.
#[track_caller]
pub(crate) fn page(file: &Path, options: &[&str]) -> PathBuf {
    // Tests run in parallel until they need the browser.
    static N_PAGES: AtomicU32 = AtomicU32::new(0);
    let nth = N_PAGES.fetch_add(1, Ordering::Relaxed);
    let name = file.file_stem().expect("a name").to_str().expect("UTF-8");
    let page = scratch().join(format!("{name}-{nth}.html"));
    let target = page.to_str().expect("UTF-8");
    tool(&inspect(file, &[&["--html", target], options].concat()));
    page
}

/// Returns the report that `--json` prints.
#[track_caller]
pub(crate) fn json(file: &Path, options: &[&str]) -> Value {
    let text = tool(&inspect(file, &[&["--json"], options].concat()));
    serde_json::from_str(&text).expect("JSON")
}
