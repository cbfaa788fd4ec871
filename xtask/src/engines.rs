//! Tests the ways into engines, `engines/`, and measures requests with them.
//!
//! This is not a step of ci, because engines take minutes to compile, or are not installed.

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::installed::has;
use crate::profile;

const USAGE: &str = "usage: cargo xtask engines check | test [NAME]
       cargo xtask engines bench [--quick] [--write] [WORDS OF A ROW]
       cargo xtask engines profile [--write] [WORDS OF A ROW]";

/// A package of `engines/`, and how it is tested.
type Engine = (&'static str, fn(&Shell) -> anyhow::Result<()>);

const ENGINES: &[Engine] = &[
    ("c", c),
    ("wasmer", wasmer),
    ("wasmi", wasmi),
    ("wasmtime", wasmtime),
];

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let selected: Vec<&Engine> = match args.as_slice() {
        ["check"] => return check(sh),
        ["test"] => ENGINES.iter().collect(),
        ["bench", rest @ ..] => return bench(sh, rest),
        ["profile", rest @ ..] => return profile::task(sh, rest),
        ["test", name] => ENGINES.iter().filter(|(known, _)| known == name).collect(),
        _ => bail!("{USAGE}"),
    };
    if selected.is_empty() {
        let names: Vec<&str> = ENGINES.iter().map(|(name, _)| *name).collect();
        bail!("no such engine\n{USAGE}\nnames: {}", names.join(", "));
    }
    for (name, test) in selected {
        println!("\n=== {name}");
        test(sh)?;
    }
    Ok(())
}

/// Lints all packages, and then each as its users compile it: alone, without what its tests add.
fn check(sh: &Shell) -> anyhow::Result<()> {
    let packages = ENGINES
        .iter()
        .map(|(name, _)| format!("--package=wasm-meminit-{name}"));
    let packages: &[String] = &packages.collect::<Vec<_>>();
    cmd!(
        sh,
        "cargo clippy {packages...} --all-targets --all-features -- -D warnings"
    )
    .run()?;
    for package in packages {
        cmd!(sh, "cargo clippy {package} -- -D warnings").run()?;
    }
    Ok(())
}

/// Selects the path of a system that cannot map memories. A feature of the run-time crate alone, so
/// that the engine is not compiled again.
const WITHOUT_MAPPINGS: &str = "--features=wasm-meminit-apply/test-portable";

fn wasmer(sh: &Shell) -> anyhow::Result<()> {
    cmd!(sh, "cargo test --release --package wasm-meminit-wasmer").run()?;
    cmd!(
        sh,
        "cargo test --release --package wasm-meminit-wasmer {WITHOUT_MAPPINGS} --lib --test guards need_guards"
    )
    .run()?;
    cmd!(
        sh,
        "cargo run --release --package wasm-meminit-wasmer --example requests"
    )
    .run()?;
    Ok(())
}

fn wasmi(sh: &Shell) -> anyhow::Result<()> {
    cmd!(sh, "cargo test --release --package wasm-meminit-wasmi").run()?;
    cmd!(
        sh,
        "cargo run --release --package wasm-meminit-wasmi --example requests"
    )
    .run()?;
    Ok(())
}

/// In release mode, as in `cargo xtask compare test`, so that the engine is compiled once.
fn wasmtime(sh: &Shell) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo test --release --package wasm-meminit-wasmtime --all-features"
    )
    .run()?;
    cmd!(
        sh,
        "cargo test --release --package wasm-meminit-wasmtime --all-features {WITHOUT_MAPPINGS} --test guards"
    )
    .run()?;
    cmd!(
        sh,
        "cargo run --release --package wasm-meminit-wasmtime --example requests"
    )
    .run()?;
    Ok(())
}

/// Measures requests on real programs, with and without us.
fn bench(sh: &Shell, args: &[&str]) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo bench --package wasm-meminit-peers --bench requests -- {args...}"
    )
    .run()?;
    Ok(())
}

/// Tests the C API, and runs its examples with the compilers and engines that are installed.
fn c(sh: &Shell) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo test --package wasm-meminit-c --no-default-features --lib"
    )
    .run()?;
    cmd!(
        sh,
        "cargo test --package wasm-meminit-c --lib --test calls --test header"
    )
    .run()?;
    under_valgrind(sh)?;
    let examples = cmd!(
        sh,
        "cargo test --package wasm-meminit-c --test examples -- --show-output"
    );
    let output = examples.ignore_status().output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{text}");
    }
    let reported = ["ran: ", "skipped: ", "=="];
    for line in text
        .lines()
        .filter(|line| reported.iter().any(|it| line.starts_with(it)))
    {
        println!("{line}");
    }
    Ok(())
}

/// Runs the tests that pass hostile arguments, to find reads and writes that are out of bounds.
fn under_valgrind(sh: &Shell) -> anyhow::Result<()> {
    let valgrind = std::env::var("VALGRIND").unwrap_or_else(|_| "valgrind".to_owned());
    if !has(sh, &[&valgrind]) {
        println!("skipped: hostile arguments under valgrind: no valgrind");
        return Ok(());
    }
    // It does not know `ioctl(PAGEMAP_SCAN)`, and considers its results undefined.
    let arguments = [
        "-q",
        "--undef-value-errors=no",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
        "--error-exitcode=9",
    ];
    let arguments: String = arguments.map(|it| format!(",'{it}'")).concat();
    let runner = format!("target.'cfg(all())'.runner=['{valgrind}'{arguments}]");
    cmd!(
        sh,
        "cargo test --config {runner} --package wasm-meminit-c --test calls"
    )
    .run()?;
    println!("ran: hostile arguments under valgrind");
    Ok(())
}
