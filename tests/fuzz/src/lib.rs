//! Fuzz targets: for each, one function that must not panic for any input.
//!
//! `libfuzzer/` runs them under libFuzzer (`cargo xtask fuzz`); `tests/cases.rs` runs them on a
//! fixed number of inputs, and on all of `regressions/`.

#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "only tests use it"
)]

extern crate alloc;

mod allocation;
mod artifact;
#[cfg(feature = "c-api")]
mod c_api;
mod component;
mod differential;
mod generate;
mod parse;
#[cfg(target_os = "linux")]
mod pool;
mod programs;
mod rewrite;
mod round_trip;
mod serialized;
#[cfg(target_os = "linux")]
mod slot;
#[cfg(target_os = "linux")]
mod system;
mod threads;

use std::path::{Path, PathBuf};

use wasm_meminit_test_oracle::inputs;
use wasm_meminit_test_oracle::valid::is_valid;

/// A fuzz target.
pub struct Target {
    /// Also the name of its binary and of its folder in `regressions/`.
    pub name: &'static str,
    pub about: &'static str,
    /// Panics if it finds a bug. Returns whether the input reached what the target is for.
    pub run: fn(&[u8]) -> bool,
    /// Returns inputs made from a module, or from a component.
    pub seeds: fn(&[u8]) -> Vec<Vec<u8>>,
    /// The longest useful input in bytes.
    pub max_len: usize,
    /// How many inputs an ordinary test generates.
    pub n_cases: usize,
    /// At least so many of those reach what the target is for.
    pub least: usize,
}

/// All targets that this system and the enabled features support.
pub const TARGETS: &[Target] = &[
    Target {
        name: "parse",
        about: "modules and components: plans, images and artifacts of whatever is accepted",
        run: parse::modules,
        seeds: component::seeds,
        max_len: 4096,
        n_cases: 900,
        least: 200,
    },
    Target {
        name: "expression",
        about: "offset expressions: decoded, shown and evaluated",
        run: parse::expression,
        seeds: parse::expressions_of,
        max_len: 256,
        n_cases: 6000,
        least: 1600,
    },
    Target {
        name: "structured",
        about: "generated modules: every way to initialise memories, compared with wasmi",
        run: differential::structured,
        seeds: none,
        max_len: 1024,
        n_cases: 120,
        least: 100,
    },
    Target {
        name: "instantiate",
        about: "valid modules: every way to initialise memories, compared with wasmi",
        run: differential::instantiate,
        seeds: differential::seeds,
        max_len: 2048,
        n_cases: 180,
        least: 55,
    },
    Target {
        name: "round_trip",
        about: "artifacts of generated modules under any policy: decoded, verified, encoded again",
        run: round_trip::run,
        seeds: none,
        max_len: 1024,
        n_cases: 240,
        least: 20,
    },
    Target {
        name: "threads",
        about: "start functions like wasm-ld's: what is baked is what they do",
        run: threads::run,
        seeds: threads::seeds,
        max_len: 1024,
        n_cases: 180,
        least: 45,
    },
    Target {
        name: "artifact",
        about: "artifacts, with their own checksums and with right ones: both decoders agree",
        run: artifact::any,
        seeds: artifact::of_module,
        max_len: 65_536,
        n_cases: 600,
        least: 130,
    },
    Target {
        name: "header",
        about: "headers of artifacts, completed to files: both decoders agree",
        run: artifact::header,
        seeds: artifact::header_of_module,
        max_len: 1024,
        n_cases: 1500,
        least: 340,
    },
    Target {
        name: "bundle",
        about: "bundles: an accepted one is what its artifacts are encoded as",
        run: artifact::bundle,
        seeds: artifact::bundle_of_component,
        max_len: 65_536,
        n_cases: 600,
        least: 160,
    },
    Target {
        name: "serialized",
        about: "serialised plans and initialisations: rejected, or usable and serialised again",
        run: serialized::run,
        seeds: serialized::seeds,
        max_len: 1024,
        n_cases: 1500,
        least: 300,
    },
    Target {
        name: "rewrite",
        about: "all rewrites of any module or component: valid, and the same memory",
        run: rewrite::run,
        seeds: rewrite::seeds,
        max_len: 2048,
        n_cases: 240,
        least: 60,
    },
    Target {
        name: "programs",
        about: "generated programs before and after each rewrite: the same behaviour in wasmi",
        run: programs::run,
        seeds: none,
        max_len: 2048,
        n_cases: 90,
        least: 15,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "slot",
        about: "calls of slots, some refused by the system, compared with a model",
        run: slot::run,
        seeds: none,
        max_len: 512,
        n_cases: 360,
        least: 160,
    },
    #[cfg(target_os = "linux")]
    Target {
        name: "pool",
        about: "calls of a pool, some refused by the system, compared with a model",
        run: pool::run,
        seeds: none,
        max_len: 512,
        n_cases: 360,
        least: 220,
    },
    #[cfg(feature = "c-api")]
    Target {
        name: "c_api",
        about: "calls of the C API in any order, with any valid pointers and any numbers",
        run: c_api::run,
        seeds: none,
        max_len: 512,
        n_cases: 600,
        least: 50,
    },
];

/// Runs a target.
///
/// # Panics
///
/// If it finds a bug, or if there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|it| it.name == name);
    let target = target.unwrap_or_else(|| panic!("no target `{name}`, or not with these features"));
    (target.run)(input);
}

/// Splits an input after the module that it begins with. `None` if that is no valid core module.
pub fn split_module(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (wasm, rest) = differential::split(input);
    (differential::is_core(wasm) && is_valid(wasm)).then_some((wasm, rest))
}

/// Returns the components of `tests/modules`, whole, and all core modules.
pub fn own_inputs() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|it| it.path()).collect();
    files.sort();
    let files = files.iter().filter_map(|it| std::fs::read(it).ok());
    let mut all: Vec<Vec<u8>> = files.filter(|it| component::is_component(it)).collect();
    all.extend(inputs::own_modules().into_iter().map(|it| it.wasm));
    all
}

/// Inputs are not made from modules.
fn none(_wasm: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}
