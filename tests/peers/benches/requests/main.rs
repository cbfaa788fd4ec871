//! Requests on real programs, end to end: each instantiates a module, calls it and drops the
//! instance. Compares engines as they come, tuned, and with our adapters.
//!
//! All settings take turns in each round; ratios are medians of the ratios within rounds.
//! Arguments: `--quick` (seconds, rough figures), `--write` (updates `docs/requests.md`),
//! `--only=SETTING` (the settings whose names end so, for a profiler), and words, of
//! which a row's name must contain one.

extern crate alloc;

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared with tests that read more, and tested there"
)]
#[path = "../../../support/src/report.rs"]
mod kernel_report;
mod measure;
#[allow(dead_code, reason = "shared with benches that print less")]
#[path = "../../../../src/bench/paired.rs"]
mod paired;
mod report;
mod rows;
#[path = "../../../../engines/wasmtime/tests/support/runtimes.rs"]
mod runtimes;
mod settings;

use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use wasm_meminit_peers::corpus;

use self::measure::{Measured, Plan, measure};
use self::report::Report;
use self::rows::{Row, rows};
use self::settings::{Compiled, SETTINGS, Setting};

struct Args {
    is_quick: bool,
    writes_page: bool,
    /// Which settings are measured: those whose names end with this.
    only: String,
    words: Vec<String>,
}

impl Args {
    fn parse() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        Self {
            // `cargo bench` passes `--bench`. Otherwise this is a test.
            is_quick: has("--quick") || !has("--bench"),
            writes_page: has("--write"),
            only: args
                .iter()
                .find_map(|it| it.strip_prefix("--only="))
                .unwrap_or_default()
                .to_owned(),
            words: args
                .iter()
                .filter(|it| !it.starts_with('-'))
                .cloned()
                .collect(),
        }
    }

    fn selects(&self, row: &Row) -> bool {
        let name = row.name().to_lowercase();
        self.words.is_empty()
            || self
                .words
                .iter()
                .any(|it| name.contains(&it.to_lowercase()))
    }

    fn plan(&self) -> Plan {
        match self.is_quick {
            true => Plan {
                threads: &[1, 2],
                n_sittings: 1,
                time: Duration::ZERO,
                min_rounds: 3,
                n_held: 4,
                n_unusual: 2,
                n_usual: 3,
            },
            false => Plan {
                threads: &[1, 2, 4],
                n_sittings: 5,
                time: Duration::from_secs(1),
                min_rounds: 3,
                n_held: 16,
                n_unusual: 32,
                n_usual: 96,
            },
        }
    }
}

/// Compiles a row's module for a setting, and checks the output of a few requests.
fn compile(
    setting: &'static Setting,
    row: &Row,
    wasm: &[u8],
    expected: &mut Option<Vec<u8>>,
) -> Result<Box<dyn Compiled>> {
    let compiled = (setting.compile)(wasm)?;
    let mut worker = compiled.worker()?;
    // The later ones start in a memory that was used before.
    for nth in 0..3 {
        let output = worker.start()?.serve(row)?;
        let expected = expected.get_or_insert_with(|| output.clone());
        ensure!(output == *expected, "the output of request {nth} differs");
    }
    drop(worker);
    Ok(compiled)
}

fn one(row: &Row, wasm: &[u8], only: &str, plan: &Plan) -> Result<Vec<Measured>> {
    let mut expected = None;
    let mut all = Vec::new();
    let settings = SETTINGS.iter().filter(|it| it.name.ends_with(only));
    for setting in settings.filter(|it| it.runs(row)) {
        let compiled = compile(setting, row, wasm, &mut expected);
        all.push((setting, compiled.context(setting.name)?));
    }
    let output = expected.unwrap_or_default();
    ensure!(row.expects(&output), "unexpected output");
    measure(row, &all, plan)
}

fn main() -> Result<()> {
    let args = Args::parse();
    let plan = args.plan();
    let corpus = corpus();
    let mut report = Report::new(args.is_quick);
    report.print_settings();
    let mut n_failed = 0;
    for row in rows() {
        // A Go program takes long to compile, five times over.
        if !args.selects(&row) || (args.is_quick && row.is_large() && args.words.is_empty()) {
            continue;
        }
        let Some(wasm) = row.wasm(&corpus)? else {
            eprintln!("skipped: {}: {}", row.name(), row.source());
            continue;
        };
        match one(&row, &wasm, &args.only, &plan) {
            Ok(measured) => report.add(&row, measured),
            Err(err) => {
                eprintln!("failed: {}: {err:#}", row.name());
                n_failed += 1;
            }
        }
    }
    report.print_summary();
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("requests.json");
    report.write_json(&json)?;
    println!("all figures: {}", json.display());
    if args.writes_page {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/requests.md");
        report.write_page(&page)?;
        println!("written: docs/requests.md");
    }
    ensure!(n_failed == 0, "{n_failed} rows failed");
    Ok(())
}
