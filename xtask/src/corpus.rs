//! Modules that people publish: `tests/corpus.toml` says which, npm brings them to
//! `tests/corpus/`.
//!
//! npm is asked, and not its registry: it knows the one that this machine uses.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use xshell::{Shell, cmd};

const LIST: &str = "tests/corpus.toml";
const FOLDER: &str = "tests/corpus";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    module: Vec<Module>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    /// What it is called here.
    file: String,
    package: String,
    version: String,
    /// Its place in the package.
    path: String,
    /// Of the module, in small hexadecimal digits.
    sha256: String,
    licence: String,
    made_by: String,
}

/// Fetches the modules of these file names, or all; those that are there stay.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let list: List = toml::from_str(&sh.read_file(LIST)?).context(LIST)?;
    let names: Vec<&str> = list.module.iter().map(|it| it.file.as_str()).collect();
    if let Some(unknown) = args.iter().find(|it| !names.contains(&it.as_str())) {
        bail!("corpus: {LIST} has no {unknown}");
    }
    let folder = sh.create_dir(FOLDER)?;
    let mut n_failed = 0;
    for module in &list.module {
        if !args.is_empty() && !args.contains(&module.file) {
            continue;
        }
        match bring(sh, module, &folder.join(&module.file)) {
            Ok(how) => println!(
                "{:<21}{how:<9}{} ({})",
                module.file, module.made_by, module.licence
            ),
            Err(err) => {
                n_failed += 1;
                eprintln!("{:<21}{err:#}", module.file);
            }
        }
    }
    ensure!(n_failed == 0, "corpus: {n_failed} modules are missing");
    println!("WASM_MEMINIT_CORPUS={FOLDER} makes tests and benches read them");
    Ok(())
}

/// Makes sure that the module is at `target`, and is the right one.
fn bring(sh: &Shell, module: &Module, target: &Path) -> anyhow::Result<&'static str> {
    if target.is_file() {
        verify(module, &fs::read(target)?).context("what is there, and should be deleted")?;
        return Ok("is there");
    }
    let wasm = fetch(sh, module)?;
    verify(module, &wasm)?;
    // Whole or not at all: the name appears when all bytes are there.
    let part = target.with_extension("part.tmp");
    fs::write(&part, wasm)?;
    fs::rename(&part, target)?;
    Ok("fetched")
}

/// Takes one file out of a package.
fn fetch(sh: &Shell, module: &Module) -> anyhow::Result<Vec<u8>> {
    let Module {
        package, version, ..
    } = module;
    let temp = sh.create_temp_dir()?;
    let temp = temp.path();
    // Nothing of the package runs.
    cmd!(
        sh,
        "npm pack --silent --ignore-scripts --pack-destination {temp} {package}@{version}"
    )
    .quiet()
    .ignore_stdout()
    .run()?;
    let packed = sh.read_dir(temp)?;
    let [tarball] = packed.as_slice() else {
        bail!("npm wrote {} files", packed.len());
    };
    let file = fs::File::open(tarball)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    // Every package of npm is a folder of this name.
    let wanted = Path::new("package").join(&module.path);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()? == wanted {
            let mut wasm = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut wasm)?;
            return Ok(wasm);
        }
    }
    bail!("{package}@{version} has no {}", module.path)
}

fn verify(module: &Module, wasm: &[u8]) -> anyhow::Result<()> {
    let digest = Sha256::digest(wasm);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        digest == module.sha256,
        "another module: SHA-256 {digest}, not {}",
        module.sha256
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed() {
        let list: List = toml::from_str(include_str!("../../tests/corpus.toml")).unwrap();
        assert!(!list.module.is_empty());
        for module in &list.module {
            assert!(module.file.ends_with(".wasm"), "{}", module.file);
            assert_eq!(Path::new(&module.file).file_name().unwrap(), &*module.file);
            assert_eq!(module.sha256.len(), 64, "{}", module.file);
            let twins = list.module.iter().filter(|it| it.file == module.file);
            assert_eq!(twins.count(), 1, "{}", module.file);
        }
    }

    #[test]
    fn another_module_is_refused() {
        let mut module: List = toml::from_str(include_str!("../../tests/corpus.toml")).unwrap();
        let mut module = module.module.remove(0);
        let err = verify(&module, b"abc").unwrap_err().to_string();
        assert!(err.contains("another module"), "{err}");
        // FIPS 180-2, appendix B.1.
        module.sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
        verify(&module, b"abc").unwrap();
    }
}
