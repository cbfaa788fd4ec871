//! Mutates modules and artifacts and passes them to every decoder of the project.
//!
//! Usage: `cargo xtask fuzz TARGET [SECONDS] [SEED]`. Starts from the modules of
//! `tests/modules`. A panic in this process is a finding: its input is written to
//! `tests/fuzz/artifacts`, and its seed to stderr.

mod mutate;
mod targets;

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::targets::{TARGETS, Target};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize, default: u64| {
        args.get(nth)
            .map_or(Some(default), |text| text.parse().ok())
    };
    let target = args
        .first()
        .and_then(|name| TARGETS.iter().find(|target| target.name == name));
    let (Some(target), Some(seconds), Some(seed)) = (target, number(1, 10), number(2, 0)) else {
        eprintln!("usage: fuzz TARGET [SECONDS] [SEED], where TARGET is one of:");
        for target in TARGETS {
            eprintln!("  {:10} {}", target.name, target.about);
        }
        return ExitCode::from(2);
    };
    match run(target, Duration::from_secs(seconds), seed) {
        Ok(n) => {
            println!("{}: {n} inputs, no panic", target.name);
            ExitCode::SUCCESS
        }
        Err(err) => {
            eprintln!("{err}");
            ExitCode::FAILURE
        }
    }
}

fn run(target: &Target, duration: Duration, seed: u64) -> Result<u64, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds: Vec<Vec<u8>> = modules(&root.join("../modules"))?
        .iter()
        .filter_map(|wasm| (target.seed)(wasm))
        .collect();
    if seeds.is_empty() {
        return Err("tests/modules has no module to start from".into());
    }
    let mut rng = fastrand::Rng::with_seed(seed);
    let end = Instant::now() + duration;
    let mut n = 0;
    while Instant::now() < end {
        let mut input = rng.choice(&seeds).cloned().unwrap_or_default();
        mutate::mutate(&mut input, &mut rng);
        // A panic is caught here, so that its input can be saved.
        if std::panic::catch_unwind(|| (target.check)(&input)).is_err() {
            let path = keep(&root.join("artifacts"), target.name, &input)?;
            return Err(format!(
                "seed {seed}: input {n} saved as {}",
                path.display()
            ));
        }
        n += 1;
    }
    Ok(n)
}

fn modules(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let failed = |err: std::io::Error| format!("{}: {err}", folder.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|it| it == "wasm") {
            paths.push(path);
        }
    }
    // The order of directory entries differs between machines; the result of a seed must not.
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).map_err(failed))
        .collect()
}

fn keep(folder: &Path, name: &str, input: &[u8]) -> Result<PathBuf, String> {
    let path = folder.join(format!("{name}.bin"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, input))
        .map_err(|err| format!("{}: {err}", path.display()))?;
    Ok(path)
}
