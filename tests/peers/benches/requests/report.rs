//! Shows the figures: on stdout, as JSON, and as a page of the documentation.

use core::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use crate::measure::{Figures, Measured, Parts, geometric_mean};
use crate::rows::Row;
use crate::settings::{EngineName, Role, SETTINGS};

pub(crate) struct Report {
    is_quick: bool,
    load_at_start: String,
    rows: Vec<(&'static str, Vec<Measured>)>,
}

/// What "Done when" of the comparison asks for, over all rows with one thread.
struct Summary {
    /// For each row: how many times as long the best tuned setting takes, and the engine's
    /// default.
    rows: Vec<(&'static str, f64, f64)>,
}

/// How many times as long others take as ours, in one row with that many threads.
struct Compared {
    name: &'static str,
    best_tuned: f64,
    as_it_comes: f64,
}

impl Report {
    pub(crate) fn new(is_quick: bool) -> Self {
        Self {
            is_quick,
            load_at_start: load(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn print_settings(&self) {
        for setting in SETTINGS {
            println!("{:<21} {}", setting.name, setting.settings);
        }
        println!("load {}", self.load_at_start);
    }

    /// Adds a row, and prints it.
    pub(crate) fn add(&mut self, row: &Row, measured: Vec<Measured>) {
        println!("\n{}", row.name());
        println!(
            "  {:<21} {:>2} {:>10} {:>10} {:>10} {:>9} {:>7} {:>10} {:>9} {:>10} {:>7}",
            "", "t", "us", "p50", "p99", "req/s", "x ours", "in use", "kept", "call us", "faults"
        );
        let n_threads = measured.iter().flat_map(|it| &it.threads);
        let mut n_threads: Vec<usize> = n_threads.map(|it| it.n_threads).collect();
        n_threads.sort_unstable();
        n_threads.dedup();
        for n_threads in n_threads {
            for one in &measured {
                let Some(figures) = one.threads.iter().find(|it| it.n_threads == n_threads) else {
                    continue;
                };
                println!(
                    "  {:<21} {n_threads:>2} {:>10.2} {:>10.2} {:>10.2} {:>9.0} {:>7.2} {:>10} {:>9} {:>10.2} {:>7.1}",
                    one.setting.name,
                    figures.ns / 1e3,
                    figures.p50 / 1e3,
                    figures.p99 / 1e3,
                    1e9 / figures.ns,
                    times_ours(&measured, one.setting.engine, figures),
                    kib(one.resident.in_use),
                    kib(one.resident.kept),
                    one.parts.call / 1e3,
                    one.parts.page_faults,
                );
            }
        }
        self.rows.push((row.name(), measured));
    }

    pub(crate) fn print_summary(&self) {
        print!("\n{}", self.summary_text());
    }

    fn compared(&self, engine: EngineName, n_threads: usize) -> Vec<Compared> {
        let rows = self.rows.iter();
        rows.filter_map(|(name, measured)| compare(name, measured, engine, n_threads))
            .collect()
    }

    fn summary_text(&self) -> String {
        let mut text = String::new();
        for (engine, name) in [
            (EngineName::Wasmtime, "wasmtime"),
            (EngineName::Wasmer, "wasmer"),
            (EngineName::Wasmi, "wasmi"),
        ] {
            for n_threads in [1, 2, 4] {
                let rows = self.compared(engine, n_threads);
                if rows.is_empty() {
                    continue;
                }
                let summary = Summary::new(&rows);
                let _ = writeln!(text, "{name}, {n_threads} threads: {summary}");
                if n_threads == 1 {
                    for (row, best_tuned, as_it_comes) in &summary.rows {
                        let _ = writeln!(
                            text,
                            "  {row:<28} best tuned {best_tuned:5.2}   as it comes {as_it_comes:5.2}"
                        );
                    }
                }
            }
        }
        text
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let rows = self.rows.iter().map(|(name, measured)| {
            let settings = measured.iter().map(setting_json);
            json!({"request": name, "settings": settings.collect::<Vec<_>>()})
        });
        let settings = SETTINGS.iter().map(|it| (it.name, it.settings));
        let all = json!({
            "quick": self.is_quick,
            "load_at_start": self.load_at_start,
            "load_at_end": load(),
            "machine": machine(),
            "settings": settings.collect::<alloc::collections::BTreeMap<_, _>>(),
            "requests": rows.collect::<Vec<_>>(),
        });
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
        Ok(())
    }

    pub(crate) fn write_page(&self, path: &Path) -> Result<()> {
        let mut page = String::from(INTRODUCTION);
        page += "\n## Settings\n\n| setting | |\n|---|---|\n";
        for setting in SETTINGS {
            writeln!(page, "| {} | {} |", setting.name, setting.settings)?;
        }
        writeln!(
            page,
            "\n{}. Load averages: {} at the start, {} at the end.",
            machine(),
            self.load_at_start,
            load()
        )?;
        if self.is_quick {
            page += "**A quick run: the figures are rough.**\n";
        }
        page += "\n## Summary\n\nHow many times as long others take as ours; geometric means over \
                 all rows.\n\n";
        page +=
            "| engine | threads | best tuned | worst row | as it comes |\n|---|--:|--:|--:|--:|\n";
        for (engine, name) in [
            (EngineName::Wasmtime, "wasmtime"),
            (EngineName::Wasmer, "wasmer"),
            (EngineName::Wasmi, "wasmi"),
        ] {
            for n_threads in [1, 2, 4] {
                let rows = self.compared(engine, n_threads);
                if !rows.is_empty() {
                    let it = Summary::new(&rows);
                    writeln!(
                        page,
                        "| {name} | {n_threads} | {:.2} | {:.2} | {:.2} |",
                        it.mean_best_tuned(),
                        it.worst(),
                        it.mean_as_it_comes()
                    )?;
                }
            }
        }
        self.tables(&mut page)?;
        fs::write(path, page)?;
        Ok(())
    }

    fn tables(&self, page: &mut String) -> Result<()> {
        *page += "\n## Time of a request\n\nMicroseconds with one thread: the median over rounds; \
                  in parentheses, how many times as long as with us.\n\n";
        self.table(page, |measured, nth| {
            let figures = measured[nth].threads.iter().find(|it| it.n_threads == 1)?;
            let engine = measured[nth].setting.engine;
            let time = digits(figures.ns / 1e3);
            Some(match measured[nth].setting.role {
                Role::Ours => time,
                _ => format!("{time} ({:.2}×)", times_ours(measured, engine, figures)),
            })
        })?;
        *page += "\n## Latency\n\nMicroseconds with one thread: p50 / p99 of single requests.\n\n";
        self.table(page, |measured, nth| {
            let figures = measured[nth].threads.iter().find(|it| it.n_threads == 1)?;
            Some(format!(
                "{} / {}",
                digits(figures.p50 / 1e3),
                digits(figures.p99 / 1e3)
            ))
        })?;
        *page += "\n## Requests per second\n\nWith 1 / 2 / 4 threads.\n\n";
        self.table(page, |measured, nth| {
            let all = measured[nth].threads.iter();
            let all: Vec<String> = all.map(|it| digits(1e9 / it.ns)).collect();
            (!all.is_empty()).then(|| all.join(" / "))
        })?;
        *page += "\n## Resident memory\n\nKiB per instance, with shared pages divided by their \
                  users (PSS): after the calls of a request / after it was dropped.\n\n";
        self.table(page, |measured, nth| {
            let resident = measured[nth].resident;
            Some(format!("{} / {}", kib(resident.in_use), kib(resident.kept)))
        })?;
        *page += PARTS;
        self.table(page, |measured, nth| {
            let Parts { call, page_faults } = measured[nth].parts;
            Some(format!("{} / {page_faults:.1}", digits(call / 1e3)))
        })
    }

    /// Writes a table with a row for each request, and a column for each setting.
    fn table(
        &self,
        page: &mut String,
        cell: impl Fn(&[Measured], usize) -> Option<String>,
    ) -> Result<()> {
        *page += "| request |";
        for setting in SETTINGS {
            write!(page, " {} |", setting.name)?;
        }
        *page += "\n|---|";
        *page += &"--:|".repeat(SETTINGS.len());
        *page += "\n";
        for (name, measured) in &self.rows {
            write!(page, "| {name} |")?;
            for nth in 0..SETTINGS.len() {
                let cell = (nth < measured.len())
                    .then(|| cell(measured, nth))
                    .flatten();
                write!(page, " {} |", cell.as_deref().unwrap_or("–"))?;
            }
            *page += "\n";
        }
        Ok(())
    }
}

impl Summary {
    fn new(rows: &[Compared]) -> Self {
        let rows = rows.iter();
        Self {
            rows: rows
                .map(|it| (it.name, it.best_tuned, it.as_it_comes))
                .collect(),
        }
    }

    fn mean_best_tuned(&self) -> f64 {
        geometric_mean(&self.rows.iter().map(|it| it.1).collect::<Vec<_>>())
    }

    fn mean_as_it_comes(&self) -> f64 {
        geometric_mean(&self.rows.iter().map(|it| it.2).collect::<Vec<_>>())
    }

    fn worst(&self) -> f64 {
        self.rows
            .iter()
            .map(|it| it.1)
            .fold(f64::INFINITY, f64::min)
    }
}

impl core::fmt::Display for Summary {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "against the best tuned setting {:.2} (worst row {:.2}), as it comes {:.2} (geometric \
             means)",
            self.mean_best_tuned(),
            self.worst(),
            self.mean_as_it_comes(),
        )
    }
}

/// Compares the settings of one engine with ours. An engine that has nothing to tune is compared
/// as it comes.
fn compare(
    name: &'static str,
    measured: &[Measured],
    engine: EngineName,
    n_threads: usize,
) -> Option<Compared> {
    let figures = |one: &Measured| {
        one.threads
            .iter()
            .find(|it| it.n_threads == n_threads)
            .cloned()
    };
    let of = |role: Role| {
        let settings = measured
            .iter()
            .filter(move |it| it.setting.engine == engine);
        let settings = settings.filter(move |it| it.setting.role == role);
        settings.filter_map(figures)
    };
    let times = |figures: Figures| times_ours(measured, engine, &figures);
    of(Role::Ours).next()?;
    let as_it_comes = times(of(Role::AsItComes).next()?);
    let tuned = of(Role::Tuned).map(times).fold(as_it_comes, f64::min);
    Some(Compared {
        name,
        best_tuned: tuned,
        as_it_comes,
    })
}

/// Returns how many times as long as ours a setting takes.
fn times_ours(measured: &[Measured], engine: EngineName, figures: &Figures) -> f64 {
    let is_ours = |it: &Measured| it.setting.engine == engine && it.setting.role == Role::Ours;
    let ours = measured.iter().position(is_ours);
    let ratio = ours.and_then(|nth| figures.ratios.get(nth));
    ratio.copied().unwrap_or(f64::NAN)
}

fn setting_json(measured: &Measured) -> Value {
    let threads = measured.threads.iter().map(|it| {
        json!({
            "threads": it.n_threads,
            "ns_per_request": it.ns,
            "requests_per_second": 1e9 / it.ns,
            "p50_ns": it.p50,
            "p99_ns": it.p99,
            "times_ours": times_ours_in(measured, it),
        })
    });
    json!({
        "setting": measured.setting.name,
        "resident_bytes_in_use": measured.resident.in_use,
        "resident_bytes_kept": measured.resident.kept,
        "call_ns": measured.parts.call,
        "page_faults": measured.parts.page_faults,
        "threads": threads.collect::<Vec<_>>(),
    })
}

/// Returns all ratios of a setting, by the names of the others.
fn times_ours_in(measured: &Measured, figures: &Figures) -> Value {
    let engines = SETTINGS.iter().zip(&figures.ratios);
    let same = engines.filter(|(it, _)| it.engine == measured.setting.engine);
    let ours = same.filter(|(it, _)| it.role == Role::Ours);
    ours.map(|(_, ratio)| json!(ratio))
        .next()
        .unwrap_or(Value::Null)
}

/// Three significant digits, at least.
fn digits(number: f64) -> String {
    match number {
        it if it < 10.0 => format!("{it:.2}"),
        it if it < 100.0 => format!("{it:.1}"),
        it if it < 10_000.0 => format!("{it:.0}"),
        it => {
            let thousands = format!("{it:.0}");
            let (head, tail) = thousands.split_at(thousands.len() - 3);
            format!("{head},{tail}")
        }
    }
}

fn kib(bytes: f64) -> String {
    format!("{:.0}", bytes / 1024.0)
}

/// The load averages, or "unknown".
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    match averages.is_empty() {
        true => "unknown".to_owned(),
        false => averages.join(" "),
    }
}

fn machine() -> String {
    let n = std::thread::available_parallelism().map_or(0, |it| it.get());
    let kernel = Command::new("uname").arg("-sr").output();
    let kernel = kernel.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    format!("{n} processors, {}", kernel.unwrap_or_default())
}

const PARTS: &str = "
## Calls, and page faults

Microseconds of the calls alone, without creating and dropping the instance: the median / page
faults of the whole request: the mean. One thread, after 32 requests that are not counted; the
settings do not take turns here.

";

const INTRODUCTION: &str = "\
# Requests, end to end

A request instantiates a module, calls it and drops the instance. This page compares engines
as they come, tuned, and with our adapters, on real programs. Outputs are equal in all settings,
which is checked before anything is measured. Written by

```sh
cargo xtask corpus                   # fetches the programs, through npm
cargo xtask engines bench --write    # takes minutes to compile, and needs an idle machine
cargo xtask engines bench --quick    # seconds, rough figures
```

All settings of a row take turns in each round; ratios are medians of the ratios within
rounds. A turn is 5 ms of requests, or one: a host that serves one after the other finds the
processor's caches as the last request left them, not as another engine did. How fast a guest
runs also depends on where its pages are, by up to a third: so there are five sittings, each with
other slots.

In wasmtime, functions are resolved once for each module (`InstancePre`), except where a
module imports its memory (SQLite): by itself, the pool takes that memory from an instance that
exports one; with us, it becomes the module's own (`MemoryImports::Provide`).
[Where a request's time goes](request-profile.md) is another page.
";
