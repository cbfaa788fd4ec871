//! `inspect --html`: the layout as one self-contained page.
//!
//! Everything from the module is passed to maud as text, which escapes it.

use core::ops::Range;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wasm_meminit::analysis::{IndexType, MemoryIndex};

use crate::input::import::Dotted;
use crate::report::decision::word;
use crate::report::hint::Hint;
use crate::report::map::{self, Cell, MemoryMap, Scale};
use crate::report::module::ModuleSurvey;
use crate::report::survey::Survey;
use crate::report::{instances, reasons, start};
use crate::text::printable::printable;
use crate::text::terminal::Look;
use crate::text::units::{counted, grouped, percent, size};

/// Cells in one map: about as many as a wide screen has distinguishable pixel columns.
const N_CELLS: u64 = 1200;

/// The most runs and groups of reasons that are listed.
const MAX_ROWS: usize = 1000;

const STYLE: &str = include_str!("html.css");

/// The most memories shown and rectangles drawn for one file, so that no file makes a page
/// of more than a few MB.
const MAX_MEMORIES: usize = 500;
const MAX_RECTANGLES: usize = 20_000;

const LOOK: Look = Look {
    columns: 80,
    ascii: false,
};

/// How many more memories and rectangles may be shown for one file.
struct Budget {
    memories: usize,
    rectangles: usize,
}

/// Returns the whole page.
pub(crate) fn page(survey: &Survey<'_>) -> String {
    let mut budget = Budget {
        memories: MAX_MEMORIES,
        rectangles: MAX_RECTANGLES,
    };
    let name = printable(&survey.file.name);
    let title = format!("{name}: initial contents of linear memory");
    let kind = if survey.is_component() {
        "component"
    } else {
        "core module"
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (name) }
                p {
                    (kind) ", " (counted(survey.binary.len() as u64, "byte")) "; policy " (survey.policy)
                    ", host pages of " (size(survey.page_size))
                }
                p class="headline" { (survey.headline.sentence(survey.page_size)) }
                @if let Some(hint) = &survey.hint { (more(survey, hint)) }
                @let instances = instances::list(&survey.instances);
                @if !instances.is_empty() { h2 { (instances::HEADING) } pre { (instances) } }
                (legend())
                @for (nth, module) in survey.modules.iter().enumerate() {
                    (section(survey, nth, module, &mut budget))
                }
            }
        }
    };
    page.into_string()
}

fn section(
    survey: &Survey<'_>,
    nth: usize,
    module: &ModuleSurvey<'_>,
    budget: &mut Budget,
) -> Markup {
    let maps = map::maps(&module.module, &module.plan);
    let n_shown = maps.len().min(budget.memories);
    budget.memories -= n_shown;
    html! {
        section {
            @if survey.is_component() || module.module.name().is_some() {
                h2 {
                    "core module " (nth) " "
                    (printable(module.module.name().unwrap_or_default()))
                }
            }
            p {
                (counted(module.n_baked() + module.n_replayed(), "active data segment")) ": "
                (grouped(module.n_baked())) " in images, "
                (grouped(module.n_replayed())) " replayed; "
                (grouped(module.n_passive())) " passive"
                @if module.plan.elements_may_trap() { "; an element segment may trap" }
            }
            @if let Some(line) = start::line(module) { p { (line) } }
            @for (index, map) in (0..).zip(&maps).take(n_shown) {
                (memory(module, MemoryIndex::from_u32(index), map, budget))
            }
            @if n_shown < maps.len() {
                p { "and " (counted((maps.len() - n_shown) as u64, "memory")) " not shown" }
            }
            (why_not(module))
        }
    }
}

fn memory(
    module: &ModuleSurvey<'_>,
    index: MemoryIndex,
    map: &MemoryMap<'_, '_>,
    budget: &mut Budget,
) -> Markup {
    let plan = map.plan;
    let extent = map.extent();
    let zoom = extent.clone().filter(|it| it.end - it.start < map.size / 2);
    html! {
        h3 {
            "memory " (index.as_u32()) " "
            span class={ "decision " (word(plan.decision())) } { (word(plan.decision())) }
        }
        @if map.size != 0 { (bar(map, &(0..map.size), "the whole memory", budget)) }
        @if let Some(zoom) = zoom { (bar(map, &zoom, "its extent", budget)) }
        (facts(module, index, map))
        @if !plan.runs().is_empty() {
            details {
                summary { (counted(plan.runs().len() as u64, "run")) }
                table {
                    tr { th { "address" } th { "bytes" } }
                    @for run in plan.runs().iter().take(MAX_ROWS) {
                        tr { td { (hex(run.addr)) } td { (grouped(run.len)) } }
                    }
                }
                @if MAX_ROWS < plan.runs().len() {
                    p { "and " (grouped((plan.runs().len() - MAX_ROWS) as u64)) " more" }
                }
            }
        }
    }
}

fn facts(module: &ModuleSurvey<'_>, index: MemoryIndex, map: &MemoryMap<'_, '_>) -> Markup {
    let plan = map.plan;
    let ty = plan.ty();
    let import = module.module.memories()[index].import;
    let bits = match ty.index_type {
        IndexType::I32 => "32-bit",
        IndexType::I64 => "64-bit",
    };
    let page_size = module.plan.page_size().bytes();
    let none = || "none".to_owned();
    let rows = [
        (
            "imported",
            import.map_or("no".to_owned(), |it| LOOK.name(&Dotted(it).to_string())),
        ),
        ("addresses", bits.to_owned()),
        ("shared", if ty.shared { "yes" } else { "no" }.to_owned()),
        ("wasm page", size(ty.page_size.bytes())),
        (
            "initial bytes",
            ty.min_bytes().map_or("2^64".to_owned(), grouped),
        ),
        ("data bytes", grouped(map.data_bytes)),
        (
            "extent",
            map.extent()
                .map_or_else(none, |it| format!("{:#x}..{:#x}", it.start, it.end)),
        ),
        ("density", map.density().map_or_else(none, percent)),
        ("image bytes", grouped(plan.image_bytes())),
        (
            "host pages in the image",
            grouped(plan.image_bytes() / page_size),
        ),
        ("nonzero host pages", grouped(plan.n_nonzero_pages())),
        (
            "segments in the image",
            grouped(plan.n_baked() + plan.n_baked_passive()),
        ),
        ("segments replayed", grouped(plan.n_replayed())),
        ("at addresses not yet known", grouped(map.n_unplaced)),
    ];
    html! {
        dl { @for (label, value) in rows { div { dt { (label) } dd { (value) } } } }
    }
}

/// Draws an address range as a row of rectangles, each with its addresses as a tooltip.
fn bar(map: &MemoryMap<'_, '_>, addresses: &Range<u64>, what: &str, budget: &mut Budget) -> Markup {
    let scale = Scale::new(addresses, N_CELLS);
    let cells = map.cells(addresses, N_CELLS);
    let n_rectangles = cells.chunk_by(|a, b| a == b).count();
    let Some(left) = budget.rectangles.checked_sub(n_rectangles) else {
        return html! { p { (what) ": not drawn, too many maps" } };
    };
    budget.rectangles = left;
    let view = format!("0 0 {} 10", cells.len());
    let mut at = 0;
    let stretches = cells.chunk_by(|a, b| a == b).map(|stretch| {
        let from = at;
        at += stretch.len();
        (
            stretch[0],
            from,
            stretch.len(),
            scale.bound(from as u64)..scale.bound(at as u64),
        )
    });
    html! {
        figure {
            svg viewBox=(view) preserveAspectRatio="none" role="img" aria-label=(what) {
                @for (cell, from, len, range) in stretches {
                    rect class=(class(cell)) x=(from) y="0" width=(len) height="10" {
                        title {
                            (hex(range.start)) ".." (hex(range.end)) ": " (cell.meaning())
                        }
                    }
                }
            }
            figcaption {
                span { (hex(addresses.start)) }
                span { (what) ", " (size(addresses.end - addresses.start)) }
                span { (hex(addresses.end)) }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        ul class="legend" {
            @for cell in Cell::ALL {
                li {
                    svg viewBox="0 0 10 10" { rect class=(class(cell)) width="10" height="10" {} }
                    " " (cell.meaning())
                }
            }
        }
    }
}

fn why_not(module: &ModuleSurvey<'_>) -> Markup {
    let groups = reasons::group(&module.reasons);
    html! {
        @if !groups.is_empty() {
            h3 { "Not in an image" }
            ul {
                @for group in groups.iter().take(MAX_ROWS) {
                    li {
                        (group.segments(LOOK)) " (" (group.place()) "): "
                        (group.why(&module.module, LOOK))
                    }
                }
                @if let Some(rest) = groups.get(MAX_ROWS..).filter(|it| !it.is_empty()) {
                    li { "and " (counted(reasons::n_segments(rest), "segment")) " more" }
                }
            }
        }
    }
}

/// Returns what would put more data into images: the command to paste, and its condition.
fn more(survey: &Survey<'_>, hint: &Hint) -> Markup {
    html! {
        p {
            (survey.headline.with_hint(hint))
            @if let Some(command) = &hint.command { " with:" pre { code { (command) } } }
            @else { " with options that would make the command too long to paste" }
        }
        @if let Some(condition) = hint.condition() { p { "provided that " (condition) } }
    }
}

const fn class(cell: Cell) -> &'static str {
    match cell {
        Cell::Zero => "zero",
        Cell::Stored => "stored",
        Cell::Sparse => "sparse",
        Cell::Dense => "dense",
        Cell::Replayed => "replayed",
    }
}

fn hex(addr: u64) -> String {
    format!("{addr:#x}")
}
