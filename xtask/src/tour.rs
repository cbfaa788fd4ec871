//! The README's first command in a clone: inspects a module, builds its artifact and verifies it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{Outcome, passed};

const MODULE: &str = "tests/modules/tour.wasm";

/// Compiles as little as possible.
const QUICK: &[&str] = &["build", "--package", "wasm-meminit"];

/// Compiles nothing after the tests: they run the same tool.
const TESTED: &[&str] = &["test", "--all-features", "--no-run", "--test", "cli"];

const HELP: &str = "\
usage: cargo xtask tour [FILE]

Shows what FILE writes into its linear memories, builds an artifact in cargo's target
directory, and verifies it. FILE is a core module or component, binary or text; its path is
relative to the current directory. Default: the workspace's tests/modules/tour.wasm.
";

/// Tours the given module, or `tests/modules/tour.wasm`.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    match args {
        [] => tour(sh, Path::new(MODULE), QUICK),
        [help] if matches!(help.as_str(), "help" | "-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
        [option] if option.starts_with('-') => {
            anyhow::bail!("tour has no option {option}\n\n{HELP}")
        }
        [file] => tour(sh, &from_caller(&std::env::current_dir()?, file), QUICK),
        _ => anyhow::bail!("tour takes one file\n\n{HELP}"),
    }
}

/// Ensures that the first command that a newcomer runs works.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    tour(sh, Path::new(MODULE), TESTED)?;
    passed()
}

/// Resolves a path against the caller's directory; tasks run in the workspace root.
fn from_caller(caller: &Path, file: &str) -> PathBuf {
    caller.join(file)
}

fn tour(sh: &Shell, module: &Path, build: &[&str]) -> anyhow::Result<()> {
    let target = metadata::target_directory(sh)?;
    // It may not exist before the first build.
    sh.create_dir(&target)?;
    let artifact = target.join("tour.meminit");
    if !sh.path_exists(module) {
        // Checked before building the tool, which takes a minute the first time.
        let module = module.display();
        return Err(anyhow::anyhow!("no such file")).with_context(|| module.to_string());
    }
    // Cargo shows its progress: the first build takes up to a minute.
    eprintln!("building the tool");
    cmd!(sh, "cargo {build...}").quiet().run()?;
    let tool = metadata::tool(sh, "debug")?;
    cmd!(sh, "{tool} inspect {module}").run()?;
    cmd!(sh, "{tool} build {module} -o {artifact}").run()?;
    cmd!(sh, "{tool} verify {module} {artifact}").run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_current_directory() {
        let caller = Path::new("/caller/here");
        let path = |file| from_caller(caller, file);
        assert_eq!(path("app.wasm"), Path::new("/caller/here/app.wasm"));
        assert_eq!(path("../app.wasm"), Path::new("/caller/here/../app.wasm"));
        assert_eq!(path("/app.wasm"), Path::new("/app.wasm"));
    }

    #[test]
    fn help_is_not_a_file() {
        let sh = Shell::new().expect("a shell");
        for help in ["help", "-h", "--help"] {
            task(&sh, &[help.to_owned()]).expect("printed");
        }
        assert!(task(&sh, &["--frobnicate".to_owned()]).is_err());
        assert!(task(&sh, &["a".to_owned(), "b".to_owned()]).is_err());
    }

    /// ci may choose its own target directory.
    #[test]
    fn the_artifact_goes_to_the_target_directory() {
        let sh = Shell::new().expect("a shell");
        sh.change_dir(crate::root());
        let own = std::env::temp_dir().join("wasm-meminit-tour");
        let _set = sh.push_env("CARGO_TARGET_DIR", &own);
        assert_eq!(metadata::target_directory(&sh).expect("metadata"), own);
    }
}
