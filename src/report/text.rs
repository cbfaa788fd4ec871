//! The report as text: for each core module a table of its memories, maps of their address
//! spaces, and the reasons for what is not in an image.

use crate::report::bar::Detail;
use crate::report::map::{self, Cell, MemoryMap};
use crate::report::module::ModuleSurvey;
use crate::report::reasons::{self, MAX_GROUPS};
use crate::report::survey::Survey;
use crate::report::{bar, instances, segments, single, summary, table};
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, Look, paint};
use crate::text::units::counted;

/// The most maps that are shown for one module.
const MAX_MAPS: usize = 16;

/// How many more memories and maps may be shown for one file, so that no file makes an
/// endless report.
#[derive(Debug)]
struct Budget {
    memories: usize,
    maps: usize,
}

/// Returns the whole report.
pub(crate) fn report(survey: &Survey<'_>, look: Look) -> String {
    let mut out = title(survey, look);
    let hint = survey.hint.as_ref();
    survey.headline.text(&mut out, survey.page_size, hint, look);
    if let ([module], false) = (&survey.modules[..], survey.is_component())
        && module.module.memories().len() == 1
    {
        single::report(&mut out, module, look);
        if survey.has_segments {
            let mut n_left = segments::MAX_ROWS;
            segments::text(&mut out, module, survey.binary, &mut n_left, look);
        }
        return out;
    }
    let mut n_segments = segments::MAX_ROWS;
    out.push_str(&instances::text(&survey.instances));
    let mut budget = Budget {
        memories: 400,
        maps: 64,
    };
    for (nth, module) in survey.modules.iter().enumerate() {
        out.push('\n');
        if survey.is_component() {
            let name = module.module.name().map(|it| format!(" {}", look.name(it)));
            let title = format!("core module {nth}{}", name.unwrap_or_default());
            out.push_str(&format!("{}\n", paint(BOLD, title)));
        }
        module_text(&mut out, module, look, &mut budget);
        if survey.has_segments {
            segments::text(&mut out, module, survey.binary, &mut n_segments, look);
        }
    }
    out
}

/// Returns the line that names the file.
fn title(survey: &Survey<'_>, look: Look) -> String {
    let n_modules = survey.modules.len() as u64;
    let mut kind = match survey.is_component() {
        true => format!("component with {}", counted(n_modules, "core module")),
        false => "core module".to_owned(),
    };
    if let (false, Some(name)) = (
        survey.is_component(),
        survey.modules.first().and_then(|it| it.module.name()),
    ) {
        kind.push_str(&format!(" {}", look.name(name)));
    }
    let text = if survey.file.is_text {
        " from text"
    } else {
        ""
    };
    let name = printable(&survey.file.name);
    let size = counted(survey.binary.len() as u64, "byte");
    format!("{}: {kind}{text}, {size}\n", paint(BOLD, name))
}

fn module_text(out: &mut String, survey: &ModuleSurvey<'_>, look: Look, budget: &mut Budget) {
    out.push_str(&summary::text(survey));
    let maps = map::maps(&survey.module, &survey.plan);
    let shown = &maps[..maps.len().min(budget.memories)];
    budget.memories -= shown.len();
    if !shown.is_empty() {
        out.push('\n');
        out.push_str(&table::text(survey, shown, look));
    }
    if shown.len() < maps.len() {
        let more = counted((maps.len() - shown.len()) as u64, "memory");
        out.push_str(&format!("\nand {more} not shown\n"));
    }
    let drawn: Vec<(usize, &MemoryMap<'_, '_>)> = maps
        .iter()
        .enumerate()
        .filter(|(_, map)| map.is_worth_drawing())
        .collect();
    let mut seen: Vec<Cell> = Vec::new();
    let n_drawn = drawn.len().min(MAX_MAPS).min(budget.maps);
    budget.maps -= n_drawn;
    for (memory, map) in drawn.iter().take(n_drawn) {
        out.push('\n');
        bar::draw(out, *memory, map, Detail::MemoryAndExtent, look, &mut seen);
    }
    if n_drawn < drawn.len() {
        let more = counted((drawn.len() - n_drawn) as u64, "more map");
        out.push_str(&format!("\nand {more}: see --html\n"));
    }
    if !seen.is_empty() {
        out.push('\n');
        bar::legend(out, look, &seen);
    }
    let groups = reasons::group(&survey.reasons);
    if !groups.is_empty() {
        out.push('\n');
        out.push_str(&reasons::text(survey, &groups, MAX_GROUPS, look));
    }
}
