//! Runs the targets of `tests/fuzz` under libFuzzer with AddressSanitizer.
//!
//! The workspace's own test runs the same targets on a fixed number of inputs, with stable Rust
//! and without libFuzzer.

mod options;
mod progress;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use self::options::Options;
use crate::installed::has;
use crate::metadata;

const USAGE: &str = "\
usage: cargo xtask fuzz TARGET|all [--time SECONDS] [--jobs N] [--path unix|portable]
       cargo xtask fuzz TARGET --input FILE

Runs a target for a number of seconds (default: 60), in N processes (default: 1), and on the code
paths for another system. Starts from the inputs of earlier runs, tests/modules, the specification's
test suite, and the folder that WASM_MEMINIT_CORPUS names. With --input, runs one input, on stable
Rust and without a fuzzer.
";

/// The cargo-fuzz package, which is a workspace of its own.
const FOLDER: &str = "tests/fuzz/libfuzzer";

/// An input that takes longer is a finding, in seconds.
const TIMEOUT: u32 = 20;

/// How many inputs a minimisation tries.
const MINIMISE: u32 = 20_000;

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let targets = targets(&sh.current_dir().join(FOLDER).join("fuzz_targets"))?;
    if args.is_empty() || matches!(args[0], "help" | "-h" | "--help") {
        print!("{USAGE}\ntargets:\n");
        for (name, about) in &targets {
            println!("    {name:<14}{about}");
        }
        return Ok(());
    }
    let options = Options::parse(&args)?;
    let is_wanted = |name: &str| options.target == "all" || options.target == name;
    let wanted = targets.iter().map(|(name, _)| name.as_str());
    let wanted: Vec<&str> = wanted.filter(|name| is_wanted(name)).collect();
    if wanted.is_empty() {
        bail!(
            "no target `{}`\nhint: `cargo xtask fuzz` lists them",
            options.target
        );
    }
    if let Some(input) = &options.input {
        return replay(sh, &options, Path::new(input));
    }
    if let Some(missing) = missing(sh) {
        bail!(missing);
    }
    let mut n_found = 0;
    for target in wanted {
        println!("\n=== {target}");
        if run(sh, target, &options)? {
            n_found += 1;
        }
    }
    match n_found {
        0 => Ok(()),
        n => bail!("{n} targets found something"),
    }
}

/// Returns the name of each target and what it does, from the first line of its file.
fn targets(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut targets = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let name = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let text = fs::read_to_string(&file)?;
        let about = text.lines().next().unwrap_or_default();
        targets.push((name.to_owned(), about.trim_start_matches("//! ").to_owned()));
    }
    targets.sort();
    Ok(targets)
}

/// Returns what a fuzzer needs and this machine lacks.
fn missing(sh: &Shell) -> Option<String> {
    if !has(sh, &["cargo", "+nightly"]) {
        return Some(
            "libFuzzer needs a nightly toolchain\n\
             hint: rustup toolchain install nightly --profile minimal"
                .to_owned(),
        );
    }
    if !has(sh, &["cargo", "fuzz"]) {
        return Some(
            "cargo-fuzz is not installed\nhint: cargo install cargo-fuzz --locked".to_owned(),
        );
    }
    None
}

/// Runs one input on stable Rust.
fn replay(sh: &Shell, options: &Options<'_>, input: &Path) -> anyhow::Result<()> {
    let target = options.target;
    let features = options.features("c-api,fault-injection");
    cmd!(
        sh,
        "cargo run --package wasm-meminit-fuzz --features {features} -- run {target} {input}"
    )
    .run()?;
    Ok(())
}

/// Runs a target, and returns whether it found something.
fn run(sh: &Shell, target: &str, options: &Options<'_>) -> anyhow::Result<bool> {
    let build = metadata::target_directory(sh)?.join("libfuzzer");
    let seeds = build.join("seeds").join(target);
    if seeds.exists() {
        fs::remove_dir_all(&seeds)?;
    }
    cmd!(
        sh,
        "cargo run --quiet --package wasm-meminit-fuzz --features c-api -- seeds {target} {seeds}"
    )
    .run()?;
    let folder = sh.current_dir().join(FOLDER);
    let [corpus, artifacts] = ["corpus", "artifacts"].map(|it| folder.join(it).join(target));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)?;
    }
    let mut command = cargo_fuzz(&folder, &build, "run", target, options);
    command.arg("--jobs").arg(options.jobs.to_string());
    command.args([&corpus, &seeds]).arg("--");
    command.args([
        format!("-max_total_time={}", options.seconds),
        format!("-max_len={}", max_len(&seeds)),
        format!("-timeout={TIMEOUT}"),
        // Long inputs from the start: a short one is hardly more than the choice of a policy.
        "-len_control=0".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
        "-malloc_limit_mb=512".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let started = SystemTime::now();
    let (is_clean, progress) = progress::watch(command)?;
    println!("{target}: {progress}");
    let Some(finding) = newest(&artifacts, started)? else {
        if !is_clean {
            bail!("{target}: the fuzzer failed without a finding");
        }
        return Ok(false);
    };
    let smallest = minimise(&folder, &build, target, options, &finding)?;
    println!(
        "{target}: found something; to reproduce:\n    cargo xtask fuzz {target}{} --input {}",
        options
            .path
            .map_or_else(String::new, |it| format!(" --path {it}")),
        smallest.display()
    );
    Ok(true)
}

/// Returns a command of cargo-fuzz for a target.
fn cargo_fuzz(
    folder: &Path,
    build: &Path,
    command: &str,
    target: &str,
    options: &Options<'_>,
) -> std::process::Command {
    let mut cargo = std::process::Command::new("cargo");
    // Set by the cargo that runs this program, of another toolchain.
    cargo.env_remove("RUSTUP_TOOLCHAIN");
    cargo
        .args(["+nightly", "fuzz", command, "--fuzz-dir"])
        .arg(folder);
    cargo.arg("--target-dir").arg(build);
    let features = options.features("");
    if !features.is_empty() {
        cargo.args(["--features", &features]);
    }
    cargo.arg(target).current_dir(folder);
    cargo
}

/// Returns the length of the longest seed, or what is enough for generated inputs.
fn max_len(seeds: &Path) -> u64 {
    let files = fs::read_dir(seeds).into_iter().flatten().flatten();
    let longest = files
        .filter_map(|it| it.metadata().ok())
        .map(|it| it.len())
        .max();
    longest.unwrap_or(0).max(2048)
}

/// Returns the newest file that was written since then.
fn newest(folder: &Path, since: SystemTime) -> anyhow::Result<Option<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let time = entry.metadata()?.modified()?;
        if since <= time {
            files.push((time, entry.path()));
        }
    }
    Ok(files.into_iter().max().map(|(_, file)| file))
}

/// Returns a smaller input that finds the same, or the input itself.
fn minimise(
    folder: &Path,
    build: &Path,
    target: &str,
    options: &Options<'_>,
    finding: &Path,
) -> anyhow::Result<PathBuf> {
    let started = SystemTime::now();
    let mut command = cargo_fuzz(folder, build, "tmin", target, options);
    command.arg("--runs").arg(MINIMISE.to_string()).arg(finding);
    command.args(["--", "-max_total_time=60"]);
    // Its output repeats the finding once for each smaller input.
    let _ = command.output()?;
    let artifacts = finding.parent().unwrap_or(folder);
    Ok(newest(artifacts, started)?.unwrap_or_else(|| finding.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_listed_with_what_it_does() {
        let folder = crate::root().join(FOLDER).join("fuzz_targets");
        let targets = targets(&folder).expect("a folder");
        assert!(10 < targets.len());
        assert!(targets.iter().all(|(_, about)| !about.is_empty()));
    }
}
