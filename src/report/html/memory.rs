//! One memory: its address space, its facts, policies, runs and segments.

use core::ops::Range;

use maud::{Markup, html};
use wasm_meminit::analysis::{IndexType, MemoryIndex};

use super::budget::{Budget, N_COLUMNS};
use super::policies::{self, Choice, decision};
use super::row::row;
use crate::input::import::Dotted;
use crate::report::decision::word;
use crate::report::map::MemoryMap;
use crate::report::module::ModuleSurvey;
use crate::report::picture::Row;
use crate::report::placed::Placed;
use crate::text::printable::printable;
use crate::text::terminal::Look;
use crate::text::units::{counted, grouped, percent, size};

const LOOK: Look = Look {
    columns: 80,
    ascii: false,
};

/// What is shown of one memory.
pub(super) struct View<'v, 'a> {
    pub(super) survey: &'v ModuleSurvey<'a>,
    pub(super) index: MemoryIndex,
    pub(super) map: &'v MemoryMap<'v, 'a>,
    pub(super) segments: &'v [Placed<'a>],
    pub(super) choices: &'v [Choice],
    /// The name of the section in links.
    pub(super) anchor: String,
    /// What is shown first, if its address space is drawn, and its place in the script's list.
    pub(super) first_view: Option<Range<u64>>,
    pub(super) place: Option<usize>,
}

impl View<'_, '_> {
    pub(super) fn markup(&self, budget: &mut Budget) -> Markup {
        let (index, map) = (self.index, self.map);
        let bytes = map.plan.ty().min_bytes();
        html! {
            section class="memory" id=(self.anchor) {
                h3 {
                    "memory " (index.as_u32()) " " (decision(word(map.plan.decision())))
                    " " span class="dim" { (bytes.map_or("2^64 bytes".to_owned(), size)) }
                }
                @if let (Some(view), Some(place)) = (self.first_view.clone(), self.place) {
                    (self.viewer(&view, place, budget))
                }
                (self.notes())
                (self.facts())
                @if !self.choices.is_empty() {
                    (policies::table(index, self.choices, self.survey.plan.page_size().bytes(), budget))
                }
                (self.runs(budget))
                (self.segment_table(budget))
            }
        }
    }

    /// Draws the whole memory, and below it the addresses that are shown first. The script
    /// replaces both, and adds what needs a script.
    fn viewer(&self, view: &Range<u64>, place: usize, budget: &mut Budget) -> Markup {
        let map = self.map;
        let name = format!("address space of memory {}", self.index.as_u32());
        let whole = Row::image(map, &(0..map.size), N_COLUMNS);
        let image = Row::image(map, view, N_COLUMNS);
        let segments = Row::segments(self.segments, view, N_COLUMNS);
        html! {
            div class="viewer" data-place=(place) {
                figure class="overview" {
                    div class="strip" { (row(&whole, budget)) }
                    figcaption {
                        span { "0x0" } span { "the whole memory, " (size(map.size)) }
                        span { (hex(map.size)) }
                    }
                }
                figure class="plot" aria-label=(name) {
                    div class="lane" { span { "image" } (row(&image, budget)) }
                    div class="lane" { span { "segments" } (row(&segments, budget)) }
                    figcaption {
                        span { (hex(view.start)) }
                        span { (size(view.end - view.start)) } span { (hex(view.end)) }
                    }
                }
            }
        }
    }

    /// Says what the picture does not show.
    fn notes(&self) -> Markup {
        let map = self.map;
        html! {
            @if map.n_unplaced != 0 {
                p { (counted(map.n_unplaced, "segment")) " (" (counted(map.unplaced_bytes, "byte"))
                    ") at addresses not yet known" }
            }
        }
    }

    fn facts(&self) -> Markup {
        let (map, plan) = (self.map, self.map.plan);
        let ty = plan.ty();
        let import = self.survey.module.memories()[self.index].import;
        let bits = match ty.index_type {
            IndexType::I32 => "32-bit",
            IndexType::I64 => "64-bit",
        };
        let page_size = self.survey.plan.page_size().bytes();
        let none = || "none".to_owned();
        let range = |it: Range<u64>| format!("{:#x}..{:#x}", it.start, it.end);
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
                "start function copies",
                grouped(self.survey.left_to_start(self.index)),
            ),
            ("extent", map.extent().map_or_else(none, range)),
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
            dl class="facts" { @for (label, value) in rows { div { dt { (label) } dd { (value) } } } }
        }
    }

    fn runs(&self, budget: &mut Budget) -> Markup {
        let runs = self.map.plan.runs();
        let n_shown = budget.take_rows(runs.len());
        html! {
            @if !runs.is_empty() {
                details {
                    summary { (counted(runs.len() as u64, "run")) }
                    div class="scroll" { table class="runs" {
                        thead { tr { th scope="col" { "address" } th scope="col" { "bytes" } } }
                        tbody { @for run in &runs[..n_shown] {
                            tr { td { (hex(run.addr)) } td { (grouped(run.len)) } }
                        } }
                    } }
                    (more(runs.len() - n_shown, "run"))
                }
            }
        }
    }

    fn segment_table(&self, budget: &mut Budget) -> Markup {
        let segments: Vec<&Placed<'_>> = self
            .segments
            .iter()
            .filter(|it| it.index.is_some())
            .collect();
        let n_shown = budget.take_rows(segments.len());
        html! {
            @if !segments.is_empty() {
                details {
                    summary { (counted(segments.len() as u64, "segment")) " at known addresses" }
                    div class="scroll" { table class="segments" {
                        thead { tr {
                            th scope="col" { "segment" } th scope="col" { "name" }
                            th scope="col" { "address" } th scope="col" { "bytes" }
                            th scope="col" { "what becomes of it" }
                        } }
                        tbody { @for it in &segments[..n_shown] {
                            tr {
                                th scope="row" { (it.index.unwrap_or_default()) }
                                td class="name" { (printable(it.name.unwrap_or("–"))) }
                                td { (hex(it.addr)) } td { (grouped(it.data.len() as u64)) }
                                td class="name" { (it.kind.meaning()) }
                            }
                        } }
                    } }
                    (more(segments.len() - n_shown, "segment"))
                }
            }
        }
    }
}

fn more(n_left: usize, what: &str) -> Markup {
    html! { @if n_left != 0 { p { "and " (counted(n_left as u64, what)) " more: see --segments --json" } } }
}

fn hex(addr: u64) -> String {
    format!("{addr:#x}")
}
