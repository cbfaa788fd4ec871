//! Input modules: our own in `tests/modules`, and a corpus of real ones.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use wasm_meminit_test_support::skips::skip_test;
use wasmparser::{Encoding, Parser, Payload};

/// A core module and where it comes from.
pub struct Input {
    pub name: String,
    pub wasm: Vec<u8>,
}

/// Returns our own modules, binary and text.
pub fn own_modules() -> Vec<Input> {
    modules_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules"))
}

/// Returns the modules of the directory that `WASM_MEMINIT_CORPUS` names, or `None` if that
/// is not set: what is tested with them is then skipped. Core modules in components count as
/// modules.
#[track_caller]
pub fn corpus() -> Option<Vec<Input>> {
    let Some(directory) = corpus_directory() else {
        skip_test("WASM_MEMINIT_CORPUS is not set");
        return None;
    };
    Some(modules_in(&directory))
}

/// Returns the directory that `WASM_MEMINIT_CORPUS` names. A relative path starts in the root
/// of the workspace, wherever a test is run.
pub fn corpus_directory() -> Option<PathBuf> {
    let directory = env::var_os("WASM_MEMINIT_CORPUS")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(root.join(directory))
}

fn modules_in(directory: &Path) -> Vec<Input> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|err| panic!("{}: {err}", directory.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut inputs = Vec::new();
    for file in files {
        let extension = file.extension().and_then(OsStr::to_str);
        if !matches!(extension, Some("wasm" | "wat")) {
            continue;
        }
        let bytes = fs::read(&file).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
        let bytes =
            wat::parse_bytes(&bytes).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
        let name = file.file_name().expect("a file").to_string_lossy();
        inputs.extend(core_modules(&name, &bytes));
    }
    inputs
}

/// Returns the module itself, or every core module that is nested in a component.
fn core_modules(name: &str, wasm: &[u8]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.unwrap_or_else(|err| panic!("{name}: {err}"));
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if inputs.is_empty() => {
                return vec![Input {
                    name: name.into(),
                    wasm: wasm.to_vec(),
                }];
            }
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let start = usize::try_from(unchecked_range.start).expect("in the file");
                let end = usize::try_from(unchecked_range.end).expect("in the file");
                inputs.push(Input {
                    name: format!("{name}#{}", inputs.len()),
                    wasm: wasm[start..end].to_vec(),
                });
            }
            _ => {}
        }
    }
    inputs
}
