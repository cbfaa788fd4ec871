//! Locates the real modules.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use wasm_meminit_analysis::Module;

/// Directories of real modules, in the order in which they are searched.
#[derive(Clone, Debug)]
pub struct Corpus {
    directories: Vec<PathBuf>,
}

/// Returns the corpus: the directory that `WASM_MEMINIT_CORPUS` names, relative to the root of
/// the workspace, then what `cargo xtask corpus` has fetched.
pub fn corpus() -> Corpus {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let given = env::var_os("WASM_MEMINIT_CORPUS").map(PathBuf::from);
    let given = given.map(|it| root.join(it));
    Corpus {
        directories: given
            .into_iter()
            .chain([root.join("tests/corpus")])
            .collect(),
    }
}

impl Corpus {
    /// Returns the module with that file name, or `None` if it has not been fetched.
    ///
    /// # Errors
    ///
    /// The file exists but cannot be read.
    pub fn module(&self, file: &str) -> Result<Option<Vec<u8>>> {
        for directory in &self.directories {
            let path = directory.join(file);
            if path.is_file() {
                let wasm = fs::read(&path).with_context(|| path.display().to_string())?;
                return Ok(Some(wasm));
            }
        }
        Ok(None)
    }
}

/// Returns the module itself; for a component, the core module with the most data.
///
/// # Errors
///
/// The input does not parse, or it is a component without a core module.
pub fn core_module(wasm: &[u8]) -> Result<Module<'_>> {
    let data = |it: &Module<'_>| {
        it.segments()
            .values()
            .map(|it| it.data.len())
            .sum::<usize>()
    };
    let modules = Module::parse_all(wasm)?.into_iter();
    modules.max_by_key(data).context("no module")
}
