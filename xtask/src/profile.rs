//! Shows where the time of a request goes, with `perf`.

use core::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

const PAGE: &str = "docs/request-profile.md";

/// What is profiled unless other words are given: the smallest request.
const DEFAULT_ROW: &[&str] = &["Oniguruma, malloc"];

const SETTINGS: &[&str] = &["wasmtime, ours", "wasmtime, tuned pool"];

/// A kind of work, and which samples belong to it: the first kind that matches counts.
struct Kind {
    name: &'static str,
    /// Parts of the names of objects: files, `[kernel`.
    object: &'static str,
    /// Beginnings of the names of functions; any if empty.
    functions: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "compilation, before the first request",
        object: "",
        functions: &[
            "cranelift",
            "regalloc2",
            "<cranelift",
            "<regalloc2",
            "wasmparser",
            "<wasmparser",
        ],
    },
    Kind {
        name: "guest",
        object: "[JIT]",
        functions: &[],
    },
    Kind {
        name: "kernel: finds written pages",
        object: "[kernel",
        functions: &[
            "pagemap",
            "do_pagemap",
            "walk_p",
            "__walk_page",
            "vm_normal_page",
            "fdget",
        ],
    },
    Kind {
        name: "kernel: opens and closes memory",
        object: "[kernel",
        functions: &[
            "change_p",
            "prot_commit",
            "__ptep",
            "mprotect",
            "do_mprotect",
            "vma_",
            "mas_",
            "mt_",
        ],
    },
    Kind {
        name: "kernel: faults",
        object: "[kernel",
        functions: &[
            "exc_page",
            "do_user",
            "handle_mm",
            "do_fault",
            "do_anon",
            "filemap",
            "clear_page",
            "next_uptodate",
            "set_pte",
        ],
    },
    Kind {
        name: "kernel: other",
        object: "[kernel",
        functions: &[],
    },
    Kind {
        name: "allocator",
        object: "libc",
        functions: &[
            "malloc",
            "_int_",
            "cfree",
            "realloc",
            "calloc",
            "unlink_chunk",
            "__libc",
        ],
    },
    Kind {
        name: "copies and comparisons of bytes",
        object: "libc",
        functions: &["__mem"],
    },
    Kind {
        name: "copies and comparisons of bytes",
        object: "",
        functions: &["wasm_meminit_apply::bytes", "wasm_meminit_apply::image"],
    },
    Kind {
        name: "wasm-meminit",
        object: "",
        functions: &[
            "wasm_meminit_apply",
            "<wasm_meminit_apply",
            "wasm_meminit_wasmtime",
            "<wasm_meminit_wasmtime",
        ],
    },
    Kind {
        name: "wasmtime",
        object: "",
        functions: &[
            "wasmtime",
            "<wasmtime",
            "<dyn wasmtime",
            "core::ptr::drop_in_place<wasmtime",
        ],
    },
    Kind {
        name: "other: host functions, collections, the bench",
        object: "",
        functions: &[],
    },
];

pub(crate) fn task(sh: &Shell, args: &[&str]) -> anyhow::Result<()> {
    let version = cmd!(sh, "perf --version").quiet().ignore_stderr().read();
    let version = version.context("this needs perf(1), of the package linux-perf")?;
    let (flags, words): (Vec<&str>, Vec<&str>) = args.iter().partition(|it| it.starts_with('-'));
    let words = if words.is_empty() {
        DEFAULT_ROW
    } else {
        &words
    };
    let bench = bench(sh)?;
    let mut columns = Vec::new();
    {
        let _dir = sh.push_dir("tests/peers");
        for setting in SETTINGS {
            columns.push(shares(sh, &bench, setting, words)?);
        }
    }
    let table = table(&columns);
    print!("{table}");
    if flags.contains(&"--write") {
        sh.write_file(PAGE, page(words, &version, &table))?;
        println!("written: {PAGE}");
    }
    Ok(())
}

/// Builds the bench, and returns its path.
fn bench(sh: &Shell) -> anyhow::Result<String> {
    let messages = cmd!(
        sh,
        "cargo bench --package wasm-meminit-peers --bench requests --no-run --message-format json"
    )
    .read()?;
    let mut executables = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "requests")
        .filter_map(|message| message["executable"].as_str().map(str::to_owned));
    executables.next_back().context("cargo built no bench")
}

/// Returns the share of each kind in percent, without those of zero.
fn shares(
    sh: &Shell,
    bench: &str,
    setting: &str,
    words: &[&str],
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let folder = sh.create_temp_dir()?;
    let samples = folder.path().join("perf.data");
    let only = format!("--only={setting}");
    cmd!(
        sh,
        "perf record --quiet --freq 4999 --event cpu-clock --output {samples} {bench} --bench {only} {words...}"
    )
    .run()?;
    let report = cmd!(
        sh,
        "perf report --input {samples} --stdio --no-children --call-graph none --fields overhead,dso,symbol --field-separator ;"
    )
    .ignore_stderr()
    .read()?;
    let mut shares: Vec<(&str, f64)> = KINDS.iter().map(|kind| (kind.name, 0.0)).collect();
    for line in report.lines() {
        let Some((share, object, function)) = sample(line) else {
            continue;
        };
        let kind = KINDS.iter().position(|kind| kind.matches(object, function));
        shares[kind.context("the last kind matches")?].1 += share;
    }
    // Kinds of one name are one.
    let mut merged: Vec<(&str, f64)> = Vec::new();
    for (name, share) in shares {
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += share,
            None => merged.push((name, share)),
        }
    }
    let compiling = merged.remove(0).1;
    let all: f64 = merged.iter().map(|(_, share)| share).sum();
    if all < 50.0 {
        bail!("{compiling:.0} % of the samples are compilation: choose a smaller row");
    }
    for (_, share) in &mut merged {
        *share *= 100.0 / all;
    }
    Ok(merged)
}

/// Splits a line into percent, object and function.
fn sample(line: &str) -> Option<(f64, &str, &str)> {
    let mut fields = line.splitn(3, ';').map(str::trim);
    let share = fields.next()?.strip_suffix('%')?.parse().ok()?;
    let object = fields.next()?;
    // `[k] name` or `[.] name`.
    let function = fields.next()?;
    Some((share, object, function.get(4..).unwrap_or_default()))
}

impl Kind {
    fn matches(&self, object: &str, function: &str) -> bool {
        let is_function = |name: &&str| function.starts_with(*name);
        object.contains(self.object)
            && (self.functions.is_empty() || self.functions.iter().any(is_function))
    }
}

fn table(columns: &[Vec<(&'static str, f64)>]) -> String {
    let mut table = format!("| share of samples | {} |\n", SETTINGS.join(" | "));
    table += &format!("|---|{}\n", "--:|".repeat(SETTINGS.len()));
    for (nth, (name, _)) in columns[0].iter().enumerate() {
        let cells = columns
            .iter()
            .map(|column| format!("{:.1} %", column[nth].1));
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    table
}

fn page(words: &[&str], version: &str, table: &str) -> String {
    format!(
        "# Where a request's time goes\n\n\
         [Requests](requests.md) of the row \"{}\", each with an instance of its own, sampled by\n\
         {version} (`cpu-clock`). Compilation, which comes first, is left out. Written by\n\n\
         ```sh\ncargo xtask engines profile --write\n```\n\n{table}",
        words.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_kinds() {
        let line = "    10.29%;[kernel.kallsyms]  ;[k] pagemap_scan_pmd_entry";
        let (share, object, function) = sample(line).expect("a sample");
        assert!((share - 10.29).abs() < 1e-9);
        let kind = |object, function| {
            let mut kinds = KINDS.iter().filter(|it| it.matches(object, function));
            kinds.next().expect("the last kind matches").name
        };
        assert_eq!(kind(object, function), "kernel: finds written pages");
        assert_eq!(kind("[JIT] tid 17", "0x00007f50c231304e"), "guest");
        assert_eq!(kind("libc.so.6", "_int_free"), "allocator");
        assert_eq!(
            kind("requests-a1", "wasmtime::runtime::store::new"),
            "wasmtime"
        );
        assert_eq!(
            kind("requests-a1", "alloc::vec::from"),
            KINDS[KINDS.len() - 1].name
        );
        assert_eq!(sample("# Samples: 4K"), None);
    }
}
