//! What this machine has, asked of the programs themselves.

use std::env;
use std::env::consts::EXE_EXTENSION;
use std::path::Path;

use xshell::{Shell, cmd};

/// Whether a command is there: a program, or cargo with the name of a toolchain or subcommand.
pub(crate) fn has(sh: &Shell, command: &[&str]) -> bool {
    let Some((program, args)) = command.split_first() else {
        return false;
    };
    cmd!(sh, "{program} {args...} --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
}

/// Whether the nightly toolchain has the sources of the standard library, to build it anew.
pub(crate) fn has_nightly_sources(sh: &Shell) -> bool {
    let sysroot = cmd!(sh, "rustc +nightly --print sysroot")
        .quiet()
        .ignore_stderr()
        .read();
    sysroot.is_ok_and(|it| Path::new(&it).join("lib/rustlib/src/rust/library").is_dir())
}

/// Whether there is an llvm-profdata and an llvm-cov that fit this toolchain, or that the user
/// states: cargo-llvm-cov would install them without asking, where nobody can answer.
pub(crate) fn has_llvm_tools(sh: &Shell) -> anyhow::Result<bool> {
    if ["LLVM_COV", "LLVM_PROFDATA"]
        .map(env::var_os)
        .iter()
        .all(Option::is_some)
    {
        return Ok(true);
    }
    let libdir = cmd!(sh, "rustc --print target-libdir").quiet().read()?;
    let tool = Path::new(&libdir)
        .with_file_name("bin")
        .join("llvm-profdata");
    Ok(tool.with_extension(EXE_EXTENSION).is_file())
}

/// Whether this toolchain can build for `target`. Asks rustc rather than rustup, which a
/// distribution's compiler does not come with.
pub(crate) fn has_target(sh: &Shell, target: &str) -> anyhow::Result<bool> {
    let libdir = cmd!(sh, "rustc --print target-libdir --target {target}")
        .quiet()
        .ignore_status()
        .ignore_stderr()
        .read()?;
    Ok(!libdir.is_empty() && Path::new(&libdir).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_there_or_not() {
        let sh = Shell::new().expect("a shell");
        assert!(has(&sh, &["cargo"]));
        assert!(!has(&sh, &["cargo", "no-such-subcommand"]));
        assert!(!has(&sh, &["no-such-program"]));
        assert!(!has_target(&sh, "no-such-target").expect("rustc"));
    }
}
