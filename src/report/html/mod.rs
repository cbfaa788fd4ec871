//! `inspect --html`: the layout as one self-contained page.
//!
//! Everything from the module is passed to maud as text, which escapes it, or is in the JSON of
//! `data.rs`. The page works without its scripts; they add zoom, details and contents. Its
//! content security policy allows these scripts and nothing else.

mod budget;
mod data;
mod memory;
mod policies;
mod row;

use alloc::collections::BTreeSet;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use wasm_meminit::analysis::{MemoryIndex, Policy};

use self::budget::{Budget, MAX_ROWS};
use self::data::Data;
use self::memory::View;
use crate::report::decision::word;
use crate::report::hint::{Hint, NO_COMMAND};
use crate::report::map::{self, Cell, MemoryMap};
use crate::report::meaning::Meaning;
use crate::report::module::ModuleSurvey;
use crate::report::picture::{HEIGHT, Style, first_view};
use crate::report::placed::{self, Kind};
use crate::report::survey::Survey;
use crate::report::{instances, reasons, summary};
use crate::text::printable::printable;
use crate::text::terminal::Look;
use crate::text::units::{counted, grouped, size};

const STYLE: &str = concat!(include_str!("../palette.css"), include_str!("page.css"));

/// In one block, so that they share their names with no other script.
const SCRIPT: &str = concat!(
    "\"use strict\";\n{\n",
    include_str!("map.js"),
    include_str!("bytes.js"),
    include_str!("page.js"),
    "}\n"
);

const LOOK: Look = Look {
    columns: 80,
    ascii: false,
};

/// What the page shows besides the survey.
pub(crate) struct PageOptions {
    /// The policies to compare, with the other options of this one.
    pub(crate) policies: Vec<(&'static str, Policy)>,
    /// The page has the bytes of files up to this size.
    pub(crate) max_contents: u64,
}

/// Returns the whole page.
pub(crate) fn page(survey: &Survey<'_>, options: &PageOptions) -> String {
    let mut budget = Budget::new();
    let mut data = Data::new(survey.page_size);
    let mut kinds: Vec<Kind> = Vec::new();
    let mut sections: Vec<Markup> = Vec::new();
    for (nth, module) in survey.modules.iter().enumerate() {
        let has_bytes = survey.binary.len() as u64 <= options.max_contents;
        let mut to = Page {
            survey,
            policies: &options.policies,
            has_bytes,
            budget: &mut budget,
            data: &mut data,
            kinds: &mut kinds,
        };
        sections.push(to.section(nth, module));
    }
    let name = printable(&survey.file.name);
    let short = printable(survey.file.base_name());
    let kind = survey.file.kind.word();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(security_policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (short) ": initial contents of linear memory" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (short) }
                    p class="dim" {
                        @if short.len() < name.len() { (name) ": " }
                        (kind) ", " (counted(survey.binary.len() as u64, "byte"))
                        "; policy " (survey.policy)
                        ", host pages of " (size(survey.page_size))
                    }
                    p class="headline" { (survey.headline.sentence(survey.page_size)) }
                    @if let Some(hint) = &survey.hint { (more(survey, hint)) }
                }
                main {
                    (contents(survey))
                    @let instances = instances::list(&survey.instances);
                    @if !instances.is_empty() { h2 { (instances::HEADING) } pre { (instances) } }
                    (legend(&kinds))
                    @for section in &sections { (section) }
                    (meanings(survey))
                }
                (controls())
                script type="application/json" id="data" { (PreEscaped(data.json())) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Allows the page's own style and scripts, which are known by their hashes, and nothing else.
fn security_policy() -> String {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// A page that is being written.
struct Page<'p, 's, 'a> {
    survey: &'s Survey<'a>,
    policies: &'p [(&'static str, Policy)],
    has_bytes: bool,
    budget: &'p mut Budget,
    data: &'p mut Data<'s>,
    /// The kinds of segments that occur.
    kinds: &'p mut Vec<Kind>,
}

impl<'s, 'a: 's> Page<'_, 's, 'a> {
    fn section(&mut self, nth: usize, module: &'s ModuleSurvey<'a>) -> Markup {
        let maps = map::maps(&module.module, &module.plan);
        let n_shown = maps.len().min(self.budget.memories);
        self.budget.memories -= n_shown;
        let memories = self.memories(nth, module, &maps[..n_shown]);
        let mut summary = summary::text(module);
        let body = html! {
            @for line in summary.lines().skip(1) { p { (line) } }
            (memories)
            @if n_shown < maps.len() {
                p { "and " (counted((maps.len() - n_shown) as u64, "memory")) " not shown" }
            }
            (why_not(module))
        };
        summary.truncate(summary.find('\n').unwrap_or(summary.len()));
        let name = html! {
            "core module " (nth) " " (printable(module.module.name().unwrap_or_default()))
        };
        let is_component = self.survey.is_component();
        let has_data = !module.module.segments().is_empty();
        html! {
            @if is_component && !has_data {
                details class="module" { summary { (name) ": " (summary) } (body) }
            } @else {
                section class="module" {
                    @if is_component || module.module.name().is_some() { h2 { (name) } }
                    p { (summary) }
                    (body)
                }
            }
        }
    }

    fn memories(
        &mut self,
        nth: usize,
        survey: &'s ModuleSurvey<'a>,
        maps: &[MemoryMap<'_, 'a>],
    ) -> Markup {
        let segments = placed::placed(survey, self.survey.binary, maps);
        for kind in Kind::ALL {
            let mut all = segments.iter().flatten();
            if !self.kinds.contains(&kind) && all.any(|it| it.kind == kind) {
                self.kinds.push(kind);
            }
        }
        let page_size = self.survey.page_size;
        let views = maps.iter().zip(&segments);
        let views: Vec<_> = views
            .map(|(map, segments)| first_view(map, segments, page_size))
            .collect();
        let chosen = self.survey.policy;
        let instances = &self.survey.instances;
        let policies = self.policies.iter();
        let policies: Vec<(&str, Policy)> = policies
            .map(|(name, it)| (*name, instances.policy_of(nth, *it)))
            .collect();
        let choices = policies::choices(&survey.module, &policies, chosen, &views);
        let is_promised = survey.plan.policy().assumes_zeroed_imports();
        let mut markup = Vec::new();
        let memories = maps.iter().zip(&segments).zip(views).zip(&choices);
        for (index, (((map, segments), view), choices)) in (0..).zip(memories) {
            let memory = MemoryIndex::from_u32(index);
            let is_distinct = !survey.module.is_imported_twice(memory);
            let is_zeroed = !map.plan.is_imported() || (is_promised && is_distinct);
            let first_view = view.clone();
            let place = view.map(|it| self.data.add(map, it, is_zeroed, segments, self.has_bytes));
            let view = View {
                survey,
                index: memory,
                map,
                segments,
                // Nothing to choose between.
                choices: if place.is_some() { choices } else { &[] },
                first_view,
                anchor: format!("m{nth}-{index}"),
                place,
            };
            markup.push(view.markup(self.budget));
        }
        html! { @for it in &markup { (it) } }
    }
}

/// Lists the memories that have data, if there are several, with links to them.
fn contents(survey: &Survey<'_>) -> Markup {
    let all = survey.modules.iter().enumerate().flat_map(|(nth, module)| {
        let memories = module.plan.memories().iter();
        memories.map(move |(index, plan)| (nth, module, index.as_u32(), plan))
    });
    let shown: Vec<_> = all.take(Budget::new().memories).collect();
    html! {
        @if 1 < shown.len() {
            div class="scroll" { table class="memories" {
                caption { "memories" }
                thead { tr {
                    th scope="col" { "memory" } th scope="col" { "decision" }
                    th scope="col" { "image bytes" } th scope="col" { "runs" }
                    th scope="col" { "segments in image" } th scope="col" { "replayed" }
                } }
                tbody { @for (nth, module, index, plan) in &shown {
                    tr {
                        th scope="row" {
                            a href={ "#m" (nth) "-" (index) } {
                                @if survey.is_component() { "core module " (nth) ", " }
                                "memory " (index)
                            }
                            @if survey.is_component() {
                                " " (printable(module.module.name().unwrap_or_default()))
                            }
                        }
                        td { (policies::decision(word(plan.decision()))) }
                        td { (grouped(plan.image_bytes())) }
                        td { (grouped(plan.runs().len() as u64)) }
                        td { (grouped(plan.n_baked() + plan.n_baked_passive())) }
                        td { (grouped(plan.n_replayed())) }
                    }
                } }
            } }
        }
    }
}

fn legend(kinds: &[Kind]) -> Markup {
    let list = |title: &str, styles: &[Style]| {
        html! {
            div { span { (title) } ul { @for it in styles { li {
                svg viewBox={ "0 0 10 " (HEIGHT) } aria-hidden="true" {
                    @for (top, bottom) in it.bands {
                        rect class=(it.class) y=(top) width="10" height=(bottom - top) {}
                    }
                }
                " " (it.meaning)
            } } } }
        }
    };
    let kinds: Vec<Style> = kinds.iter().map(|it| it.style()).collect();
    html! {
        div class="legend" {
            (list("image", &Cell::ALL.map(Cell::style)))
            @if !kinds.is_empty() { (list("segments", &kinds)) }
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
                        (group.why(module, LOOK))
                    }
                }
                @if let Some(rest) = groups.get(MAX_ROWS..).filter(|it| !it.is_empty()) {
                    li { "and " (counted(reasons::n_segments(rest), "segment")) " more" }
                }
            }
        }
    }
}

/// Explains the decisions and reasons that occur.
fn meanings(survey: &Survey<'_>) -> Markup {
    let mut decisions: BTreeSet<Meaning> = BTreeSet::new();
    let mut reasons: BTreeSet<Meaning> = BTreeSet::new();
    for module in &survey.modules {
        let plans = module.plan.memories().values();
        decisions.extend(plans.map(|it| Meaning::of_decision(it.decision())));
        reasons.extend(
            module
                .reasons
                .iter()
                .filter_map(|it| Meaning::of_reason(&it.reason)),
        );
        if module.start.as_ref().is_some_and(|it| it.why_not.is_some()) {
            reasons.insert(Meaning::of_start_function());
        }
    }
    html! {
        @if !decisions.is_empty() {
            section class="meanings" {
                h2 { "What the words mean" }
                dl { @for it in decisions.iter().chain(&reasons) {
                    dt { (it.word.replace('_', " ")) }
                    dd { (it.sentence) " " a href=(it.link()) rel="noreferrer" { "guide" } }
                } }
            }
        }
    }
}

/// Returns what would put more data into images: the command to paste, and its condition.
fn more(survey: &Survey<'_>, hint: &Hint) -> Markup {
    html! {
        p {
            (survey.headline.with_hint(hint))
            @if let Some(command) = &hint.command { " with:" pre tabindex="0" { code { (command) } } }
            @else { " " (NO_COMMAND) }
        }
        @if let Some(condition) = hint.condition() { p { "provided that " (condition) } }
    }
}

/// What the script adds to each address space.
fn controls() -> Markup {
    html! {
        template id="controls" {
            div class="tools" role="group" aria-label="view" {
                button type="button" data-do="left" aria-label="move left" { "◀" }
                button type="button" data-do="right" aria-label="move right" { "▶" }
                button type="button" data-do="in" aria-label="zoom in" { "+" }
                button type="button" data-do="out" aria-label="zoom out" { "−" }
                button type="button" data-do="whole" { "whole memory" }
                button type="button" data-do="extent" { "extent" }
                button type="button" data-do="before" aria-label="previous segment" { "‹ segment" }
                button type="button" data-do="after" aria-label="next segment" { "segment ›" }
                button type="button" data-do="bytes" { "contents" }
            }
            p class="details" role="status" {}
            p class="help dim" {
                "Wheel or pinch zooms, drag moves; keys: ← → move, + − zoom, 0 the whole memory, "
                "↑ ↓ segments, Enter contents."
            }
            section class="bytes" hidden {
                div class="tools" {
                    button type="button" data-do="previous" aria-label="previous page" { "◀" }
                    button type="button" data-do="next" aria-label="next page" { "▶" }
                    button type="button" data-do="close" { "close" }
                    span class="title" {}
                }
                p class="absent" {
                    "The bytes are not in this page, because the file is larger than the limit of "
                    code { "--contents" } "."
                }
                pre tabindex="0" aria-label="contents in hexadecimal and as text" {}
                pre tabindex="0" class="origins" aria-label="origins of the contents" {}
            }
        }
    }
}
