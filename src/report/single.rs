//! The report on a module with one memory, which fits a terminal of 80 × 24 characters.

use unicode_width::UnicodeWidthStr;

use crate::report::bar::{self, Detail};
use crate::report::map::{self, MemoryMap};
use crate::report::module::ModuleSurvey;
use crate::report::reasons::{self, Group, MAX_GROUPS};
use crate::report::wrap::paragraph;
use crate::report::{summary, table};
use crate::text::terminal::Look;

/// The lines of a small terminal, without the one for the next prompt.
const MAX_LINES: usize = 23;

/// The most lines that the reasons may take from the map.
const MAX_REASON_LINES: usize = 5;

/// Completes a report that begins with `out`. What does not fit is left out in this order:
/// the map of the extent, reasons, the map of the memory.
pub(super) fn report(out: &mut String, survey: &ModuleSurvey<'_>, look: Look) {
    for line in summary::text(survey).lines() {
        paragraph(out, line, look.columns, "", "  ");
    }
    let maps = map::maps(&survey.module, &survey.plan);
    let Some(map) = maps.first() else { return };
    out.push('\n');
    out.push_str(&table::single(survey, map, look));
    let left = MAX_LINES.saturating_sub(n_lines(out, look));

    let groups = reasons::group(&survey.reasons);
    let all = reasons_within(survey, &groups, left, look);
    let room = left.saturating_sub(n_lines(&all, look));
    let drawn = [Detail::MemoryAndExtent, Detail::Memory].map(|it| drawn(map, it, look));
    let fits = |map: &&String, room: usize| n_lines(map, look) <= room;
    if let Some(map) = drawn.iter().find(|it| fits(it, room)) {
        out.push_str(&all);
        out.push_str(map);
        return;
    }
    let few = reasons_within(survey, &groups, MAX_REASON_LINES, look);
    let room = left.saturating_sub(n_lines(&few, look));
    match drawn.iter().find(|it| fits(it, room)) {
        Some(map) => {
            out.push_str(&few);
            out.push_str(map);
        }
        None => out.push_str(&all),
    }
}

/// Returns as many groups of reasons as fit, and at least one, after an empty line.
fn reasons_within(survey: &ModuleSurvey<'_>, groups: &[Group], most: usize, look: Look) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let text = |n_groups| {
        let text = reasons::text(survey, groups, n_groups, look);
        format!("\n{text}")
    };
    (1..=groups.len().min(MAX_GROUPS))
        .rev()
        .map(text)
        .find(|it| n_lines(it, look) <= most)
        .unwrap_or_else(|| text(1))
}

/// Returns the map after an empty line; nothing if it would show nothing.
fn drawn(map: &MemoryMap<'_, '_>, detail: Detail, look: Look) -> String {
    let mut out = String::new();
    if map.is_worth_drawing() {
        let mut seen = Vec::new();
        out.push('\n');
        bar::draw(&mut out, 0, map, detail, look, &mut seen);
        bar::legend(&mut out, look, &seen);
    }
    out
}

/// Returns how many lines the text takes on the screen, where long ones are wrapped.
fn n_lines(text: &str, look: Look) -> usize {
    let lines = anstream::adapter::strip_str(text).to_string();
    let rows = |line: &str| line.width().div_ceil(look.columns).max(1);
    lines.lines().map(rows).sum()
}
