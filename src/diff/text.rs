//! The report of `diff` as text.

use core::fmt::Display;

use wasm_meminit::analysis::IndexType;

use super::facts::Facts;
use super::pages::Pages;
use super::segments::{Change, Difference};
use super::{Diff, MemoryDiff, MemorySide, ModuleDiff};
use crate::contents::SegmentView;
use crate::contents::offset::shown;
use crate::report::decision::word;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, CYAN, GREEN, Look, RED, paint};
use crate::text::units::{counted, grouped, size};

/// How many segments are listed for one core module.
const MAX_SEGMENTS: usize = 40;

/// How many memories are listed for one core module.
const MAX_MEMORIES: usize = 40;

/// How many ranges of addresses are listed for one memory.
const MAX_RANGES: usize = 4;

/// How many assumptions are listed for one side of a core module.
const MAX_ASSUMPTIONS: usize = 10;

/// How many core modules of a component are described.
const MAX_MODULES: usize = 40;

/// Returns the report.
pub(crate) fn report(diff: &Diff<'_, '_>, look: Look) -> String {
    let [a, b] = diff.names.each_ref().map(|it| printable(it).into_owned());
    let mut out = format!("{} {a}\n{} {b}\n", paint(RED, "A"), paint(GREEN, "B"));
    if diff.is_equal() {
        out.push_str("\nno difference\n");
    }
    let changed = diff.modules.iter().filter(|it| !it.is_equal());
    for (nth, module) in changed.enumerate() {
        if nth == MAX_MODULES {
            out.push_str("\nand more core modules: see --json\n");
            break;
        }
        if 1 < diff.modules.len() {
            let number = module.numbers.iter().flatten().next().unwrap_or(&0);
            out.push_str(&format!(
                "\n{}",
                paint(BOLD, format_args!("core module {number}"))
            ));
            if module.exists != [true; 2] {
                let side = usize::from(!module.exists[0]);
                out.push_str(&format!(": only in {}", side_name(side)));
            }
            out.push('\n');
        }
        module_text(&mut out, module, look);
    }
    out
}

const fn side_name(side: usize) -> &'static str {
    if side == 0 { "A" } else { "B" }
}

fn module_text(out: &mut String, module: &ModuleDiff<'_, '_>, look: Look) {
    let changed: Vec<&MemoryDiff<'_>> =
        module.memories.iter().filter(|it| !it.is_equal()).collect();
    for memory in changed.iter().take(MAX_MEMORIES) {
        out.push('\n');
        memory_text(out, memory, module.page_size, look);
    }
    if MAX_MEMORIES < changed.len() {
        let n = counted((changed.len() - MAX_MEMORIES) as u64, "memory");
        out.push_str(&format!("\nand {n} more: see --json\n"));
    }
    if !module.facts.are_equal() && module.exists == [true; 2] {
        facts_text(out, &module.facts, look);
    }
    let segments = &module.segments;
    if segments.changes.is_empty() {
        return;
    }
    let title = format!(
        "segments: {} equal, {} different",
        grouped(segments.n_equal),
        grouped(segments.changes.len() as u64)
    );
    out.push_str(&format!("\n{}\n", paint(BOLD, title)));
    for change in segments.changes.iter().take(MAX_SEGMENTS) {
        out.push_str(&format!("  {}\n", segment_text(change, look)));
    }
    if MAX_SEGMENTS < segments.changes.len() {
        let n = counted(
            (segments.changes.len() - MAX_SEGMENTS) as u64,
            "more segment",
        );
        out.push_str(&format!("  and {n}: see --json\n"));
    }
}

fn facts_text(out: &mut String, facts: &Facts<'_>, look: Look) {
    if facts.assumptions.iter().any(|it| !it.is_empty()) {
        out.push_str(&format!("\n{}\n", paint(BOLD, "assumptions")));
    }
    for (side, list) in facts.assumptions.iter().enumerate() {
        for it in list.iter().take(MAX_ASSUMPTIONS) {
            let text = it.to_string();
            let side = side_name(side);
            out.push_str(&format!("  only in {side}: {}\n", printable(&text)));
        }
        if MAX_ASSUMPTIONS < list.len() {
            let n = counted((list.len() - MAX_ASSUMPTIONS) as u64, "more assumption");
            out.push_str(&format!("  and {n}: see --json\n"));
        }
    }
    let mut lines = Vec::new();
    let trap = facts.elements_may_trap.map(|it| match it {
        Some(true) => "may trap",
        _ => "never trap",
    });
    if trap[0] != trap[1] {
        lines.push(("element segments", arrow(trap[0], trap[1], look)));
    }
    if facts.starts[0] != facts.starts[1] {
        let [a, b] = facts.start_texts();
        lines.push(("start function", arrow(a, b, look)));
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    for (name, text) in lines {
        out.push_str(&format!("{}: {text}\n", paint(BOLD, name)));
    }
}

fn memory_text(out: &mut String, memory: &MemoryDiff<'_>, page_size: u64, look: Look) {
    out.push_str(&paint(BOLD, format_args!("memory {}", memory.index)));
    if let [None, _] | [_, None] = memory.sides {
        let side = usize::from(memory.sides[0].is_none());
        out.push_str(&format!(": only in {}", side_name(side)));
    }
    out.push('\n');
    let mut line = |name: &str, text: &str| out.push_str(&format!("  {name:<9} {text}\n"));
    match memory.sides {
        [Some(a), Some(b)] => {
            let rows = rows([a, b]).into_iter();
            for (name, [a, b]) in rows.filter(|(_, it)| it[0] != it[1]) {
                line(name, &arrow(a, b, look));
            }
        }
        sides => {
            for it in sides.into_iter().flatten() {
                for (name, [text, _]) in rows([it, it]) {
                    line(name, &text);
                }
            }
        }
    }
    let pages = &memory.pages;
    let counts = format!(
        "of {}: {} equal, {} changed, {} only in A, {} only in B",
        size(page_size),
        grouped(pages.equal),
        grouped(pages.changed),
        grouped(pages.only[0]),
        grouped(pages.only[1])
    );
    line("pages", &counts);
    if !pages.different.is_empty() {
        line("differ", &ranges(pages));
    }
    if pages.read_equal() && !pages.are_equal() {
        line(
            "",
            "those in one image only are zero, so every byte reads the same",
        );
    }
}

/// Returns the first addresses at which the images differ.
fn ranges(pages: &Pages) -> String {
    let first = pages.different.iter().take(MAX_RANGES);
    let first: Vec<String> = first
        .map(|it| format!("{:#x}..{:#x}", it.start, it.end))
        .collect();
    let text = first.join(", ");
    match pages.n_different - first.len() as u64 {
        0 => text,
        n => format!("{text} and {}", counted(n, "more range")),
    }
}

/// Returns what is compared of a memory: its name, and how each side shows it.
fn rows(sides: [MemorySide<'_>; 2]) -> Vec<(&'static str, [String; 2])> {
    let image = |it: MemorySide<'_>| {
        format!(
            "{} in {}",
            counted(it.image_bytes, "byte"),
            counted(it.n_runs, "run")
        )
    };
    let kind = |it: MemorySide<'_>| {
        let addresses = match it.ty.index_type {
            IndexType::I32 => "32-bit",
            IndexType::I64 => "64-bit",
        };
        let imported = if it.is_imported { ", imported" } else { "" };
        let shared = if it.ty.shared { ", shared" } else { "" };
        let page = it.ty.page_size.bytes();
        format!("{addresses}, pages of {}{imported}{shared}", size(page))
    };
    let maximum = |it: MemorySide<'_>| match it.ty.max {
        None => "none".to_owned(),
        Some(_) => it.ty.max_bytes().map_or("2^64 bytes".to_owned(), size),
    };
    let import = |it: MemorySide<'_>| it.import.map_or("none".to_owned(), shown);
    let mut rows = vec![
        ("type", sides.map(kind)),
        (
            "size",
            sides.map(|it| it.size.map_or("2^64 bytes".to_owned(), size)),
        ),
        ("maximum", sides.map(maximum)),
        ("decision", sides.map(|it| word(it.decision).to_owned())),
        ("image", sides.map(image)),
        (
            "replayed",
            sides.map(|it| counted(it.n_replayed, "segment")),
        ),
    ];
    if sides[0].import != sides[1].import {
        rows.insert(1, ("import", sides.map(import)));
    }
    rows
}

fn arrow(a: impl Display, b: impl Display, look: Look) -> String {
    format!("{a} {} {b}", look.either("→", "->"))
}

fn segment_text(change: &Change<'_, '_>, look: Look) -> String {
    let [a, b] = change.sides;
    let name = |it: &SegmentView<'_>| match it.name {
        Some(name) => format!("segment {} ({})", it.index, look.name(name)),
        None => format!("segment {}", it.index),
    };
    let (Some(a), Some(b)) = (a, b) else {
        let side = usize::from(a.is_none());
        return a.or(b).map_or_else(String::new, |it| {
            let place = match it.addr {
                Some(addr) => format!(" at {addr:#x}"),
                None => String::new(),
            };
            let len = counted(it.len(), "byte");
            format!("{}: only in {}, {len}{place}", name(it), side_name(side))
        });
    };
    let who = match a.index == b.index && a.name == b.name {
        true => name(a),
        false => arrow(name(a), name(b), look),
    };
    let what = change.differences();
    let what: Vec<String> = what.iter().map(|it| difference(change, it, look)).collect();
    format!("{who}: {}", what.join(", "))
}

fn difference(change: &Change<'_, '_>, it: &Difference, look: Look) -> String {
    let address = |side: usize| {
        let addr = change.sides[side]?.addr;
        addr.map(|it| format!("{it:#x}")).or(change.offset(side))
    };
    let address = |side: usize| address(side).unwrap_or("not known".to_owned());
    let memory = |it: Option<u32>| it.map_or("none".to_owned(), |it| it.to_string());
    match *it {
        Difference::Memory([a, b]) => format!("memory {}", arrow(memory(a), memory(b), look)),
        Difference::Moved => match [address(0), address(1)] {
            [a, b] if a == b => format!("moved {a}, which differs in what is not shown"),
            [a, b] => format!("moved {}", arrow(a, b, look)),
        },
        Difference::Len([a, b]) if a < b => {
            format!("grew by {} to {}", counted(b - a, "byte"), grouped(b))
        }
        Difference::Len([a, b]) => {
            format!("shrank by {} to {}", counted(a - b, "byte"), grouped(b))
        }
        Difference::Bytes => "other bytes".to_owned(),
        Difference::NoLongerStatic(reason) => {
            let why = reason.map_or_else(String::new, |it| format!(": {it}"));
            paint(RED, format_args!("no longer static{why}"))
        }
        Difference::NowStatic => paint(GREEN, "static now"),
        Difference::Order => "written in another order".to_owned(),
        Difference::Fate => paint(CYAN, "initialised in another way"),
    }
}
