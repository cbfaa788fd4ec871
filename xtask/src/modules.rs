//! Compiles `tests/modules/*.wat`, and finds each `.wasm` that does not match its source.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use xshell::Shell;

const FOLDER: &str = "tests/modules";

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    for source in sources(&sh.current_dir())? {
        let wasm = compile(&source)?;
        let target = source.with_extension("wasm");
        if std::fs::read(&target).is_ok_and(|old| old == wasm) {
            continue;
        }
        println!("{} ({} bytes)", target.display(), wasm.len());
        std::fs::write(&target, wasm).with_context(|| target.display().to_string())?;
    }
    Ok(())
}

/// Returns one line for each `.wasm` that is missing or does not match its `.wat`.
pub(crate) fn stale(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for source in sources(root)? {
        let target = source.with_extension("wasm");
        let expected = compile(&source)?;
        if std::fs::read(&target).ok() != Some(expected) {
            let name = target.strip_prefix(root).unwrap_or(&target).display();
            findings.push(format!(
                "{name}: does not match its source; run `cargo xtask modules`"
            ));
        }
    }
    Ok(findings)
}

fn compile(source: &Path) -> anyhow::Result<Vec<u8>> {
    wat::parse_file(source).with_context(|| source.display().to_string())
}

fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(root.join(FOLDER)).context(FOLDER)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "wat") {
            sources.push(path);
        }
    }
    ensure!(!sources.is_empty(), "no .wat in {FOLDER}");
    sources.sort();
    Ok(sources)
}
