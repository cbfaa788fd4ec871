//! What each policy would make of a memory, side by side.

use core::ops::Range;

use maud::{Markup, html};
use wasm_meminit::analysis::{MemoryIndex, MemoryPlan, Module, Plan, Policy};

use super::budget::{Budget, N_COLUMNS};
use super::row::row;
use crate::report::decision::word;
use crate::report::map;
use crate::report::picture::Row;
use crate::text::units::grouped;

/// What one policy makes of one memory.
pub(super) struct Choice {
    name: &'static str,
    is_chosen: bool,
    decision: &'static str,
    image_bytes: u64,
    n_runs: usize,
    n_nonzero: u64,
    n_baked: u64,
    n_replayed: u64,
    picture: Row,
}

/// Returns the choices for each memory with a view, which is `None` if nothing is to be drawn.
pub(super) fn choices(
    module: &Module<'_>,
    policies: &[(&'static str, Policy)],
    chosen: &str,
    views: &[Option<Range<u64>>],
) -> Vec<Vec<Choice>> {
    let mut all: Vec<Vec<Choice>> = views.iter().map(|_| Vec::new()).collect();
    if views.iter().all(Option::is_none) {
        return all;
    }
    for (name, policy) in policies {
        let plan = Plan::new(module, policy);
        let maps = map::maps(module, &plan);
        for ((list, map), view) in all.iter_mut().zip(&maps).zip(views) {
            let picture = view.as_ref().map(|it| Row::image(map, it, N_COLUMNS));
            list.push(Choice {
                is_chosen: *name == chosen,
                ..Choice::new(name, map.plan, picture.unwrap_or_default())
            });
        }
    }
    all
}

impl Choice {
    fn new(name: &'static str, plan: &MemoryPlan<'_>, picture: Row) -> Self {
        Self {
            name,
            is_chosen: false,
            decision: word(plan.decision()),
            image_bytes: plan.image_bytes(),
            n_runs: plan.runs().len(),
            n_nonzero: plan.n_nonzero_pages(),
            n_baked: plan.n_baked() + plan.n_baked_passive(),
            n_replayed: plan.n_replayed(),
            picture,
        }
    }
}

/// Returns the choices as a table.
pub(super) fn table(
    memory: MemoryIndex,
    choices: &[Choice],
    page_size: u64,
    budget: &mut Budget,
) -> Markup {
    let caption = format!("memory {} under each policy", memory.as_u32());
    html! {
        div class="scroll" {
            table class="policies" {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "policy" } th scope="col" { "decision" }
                    th scope="col" class="picture" { "image" }
                    th scope="col" { "bytes" } th scope="col" { "host pages" }
                    th scope="col" { "nonzero" }
                    th scope="col" { "runs" } th scope="col" { "in image" }
                    th scope="col" { "replayed" }
                } }
                tbody { @for it in choices {
                    tr class=[it.is_chosen.then_some("chosen")] {
                        th scope="row" {
                            (it.name) @if it.is_chosen { span class="dim" { " (this page)" } }
                        }
                        td { (decision(it.decision)) }
                        td class="picture" { (row(&it.picture, budget)) }
                        td { (grouped(it.image_bytes)) }
                        td { (grouped(it.image_bytes / page_size.max(1))) }
                        td { (grouped(it.n_nonzero)) }
                        td { (grouped(it.n_runs as u64)) }
                        td { (grouped(it.n_baked)) }
                        td { (grouped(it.n_replayed)) }
                    }
                } }
            }
        }
    }
}

/// Returns a decision, marked as one.
pub(super) fn decision(word: &str) -> Markup {
    html! { span class={ "decision " (word) } { (word) } }
}
