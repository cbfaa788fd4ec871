//! Runs a fuzz target on files, and writes inputs to start from.

use std::path::Path;
use std::process::ExitCode;

use wasm_meminit_fuzz::{TARGETS, Target, own_inputs};
use wasm_meminit_test_oracle::{inputs, testsuite};

const USAGE: &str = "usage: wasm-meminit-fuzz run TARGET FILE...
       wasm-meminit-fuzz seeds TARGET FOLDER";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match *args {
        ["run", target, ref files @ ..] => find(target).and_then(|it| run(it, files)),
        ["seeds", target, folder] => find(target).and_then(|it| seeds(it, Path::new(folder))),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Result<&'static Target, String> {
    let target = TARGETS.iter().find(|it| it.name == name);
    target.ok_or_else(|| format!("no target `{name}`, or not with these features\n{USAGE}"))
}

fn run(target: &Target, files: &[&str]) -> Result<String, String> {
    for file in files {
        let input = std::fs::read(file).map_err(|err| format!("{file}: {err}"))?;
        (target.run)(&input);
    }
    Ok(format!(
        "{}: {} inputs, nothing found",
        target.name,
        files.len()
    ))
}

/// Writes one file for each different input that the target makes of a module.
fn seeds(target: &Target, folder: &Path) -> Result<String, String> {
    let failed = |err: std::io::Error| format!("{}: {err}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut modules: Vec<Vec<u8>> = own_inputs();
    modules.extend(testsuite::modules().into_iter().map(|it| it.wasm));
    let corpus = inputs::corpus().unwrap_or_default();
    modules.extend(corpus.into_iter().map(|it| it.wasm));
    let mut seeds: Vec<Vec<u8>> = modules.iter().flat_map(|it| (target.seeds)(it)).collect();
    seeds.retain(|it| it.len() <= target.max_len);
    seeds.sort();
    seeds.dedup();
    for (nth, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{nth}")), seed).map_err(failed)?;
    }
    Ok(format!(
        "{}: {} inputs to start from",
        target.name,
        seeds.len()
    ))
}
