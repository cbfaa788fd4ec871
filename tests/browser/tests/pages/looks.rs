//! Each kind of page at each width, in each colour scheme, and printed.

use std::path::{Path, PathBuf};

use crate::layout;
use crate::tab::{DESKTOP, PHONE, Tab};
use crate::tool;

/// The width of A4 paper, in pixels of which 96 are an inch.
const PAPER: u32 = 794;

/// Checks a page everywhere.
fn check(name: &str, file: &Path, options: &[&str]) {
    let page = tool::page(file, options);
    let mut tab = Tab::open(&page, DESKTOP);
    for width in [DESKTOP, PHONE] {
        tab.resize(width);
        for scheme in ["light", "dark"] {
            tab.media("screen", scheme);
            let what = format!("{name}, {width} pixels, {scheme}");
            tab.shot(&format!("{name}-{width}-{scheme}"));
            layout::check(&mut tab, &what);
            layout::check_contrast(&mut tab, scheme == "dark");
        }
    }
    tab.resize(PAPER);
    tab.media("print", "dark");
    layout::check(&mut tab, &format!("{name}, printed"));
    layout::check_contrast(&mut tab, false);
    let tools = tab
        .eval("[...document.querySelectorAll('button')].every((it) => it.offsetParent === null)");
    assert_eq!(tools, true, "{name}: no buttons on paper");
    tab.shot(&format!("{name}-print"));
    tab.is_silent();
}

#[test]
fn small() {
    check("tour", &tool::module("tour.wasm"), &[]);
}

#[test]
fn component() {
    check("component", &tool::module("component.wasm"), &[]);
}

#[test]
fn threaded() {
    check("threads", &tool::module("threads.wasm"), &[]);
    // Its widest label is beside a number.
    check("threads-pic", &tool::module("threads-pic.wasm"), &[]);
    let options = [
        "--assume-zeroed-imports",
        "--start-function",
        "already-initialized-tls",
    ];
    check("threads-baked", &tool::module("threads.wasm"), &options);
}

#[test]
fn several_memories() {
    check("multi-memory", &tool::module("multi-memory.wasm"), &[]);
    check("memory64", &tool::module("memory64.wasm"), &[]);
    check("no-memory", &tool::module("no-memory.wasm"), &[]);
}

/// Real modules, where there are some.
#[test]
fn corpus() {
    let Some(folder) = std::env::var_os("WASM_MEMINIT_SHOTS_OF") else {
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|it| it.expect("readable").path())
        .filter(|it| it.extension().is_some_and(|it| it == "wasm"))
        .collect();
    files.sort();
    for file in files {
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        check(&name, &file, &[]);
    }
}

#[test]
fn parts_of_an_address_space_are_aligned() {
    let mut tab = Tab::open(&tool::page(&tool::module("tour.wasm"), &[]), DESKTOP);
    layout::check_viewer(&mut tab);
    tab.resize(PHONE);
    layout::check_viewer(&mut tab);
}
