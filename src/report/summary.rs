//! How many segments a module has, and where they go.

use crate::report::module::ModuleSurvey;
use crate::report::start;
use crate::text::units::{counted, grouped};

/// Returns how many segments there are, and how many are baked and replayed.
pub(super) fn text(survey: &ModuleSurvey<'_>) -> String {
    let (baked, replayed) = (survey.n_baked(), survey.n_replayed());
    let mut text = match (baked + replayed, replayed, baked) {
        (0, _, _) => "no active data segments".to_owned(),
        (all, 0, _) => format!("{}, all in images", counted(all, "active data segment")),
        (all, _, 0) => format!("{}, all replayed", counted(all, "active data segment")),
        (all, ..) => format!(
            "{}: {} in images, {} replayed",
            counted(all, "active data segment"),
            grouped(baked),
            grouped(replayed)
        ),
    };
    if survey.n_passive() != 0 {
        text.push_str(&format!("; {} passive", grouped(survey.n_passive())));
    }
    if survey.plan.elements_may_trap() {
        text.push_str("; an element segment may trap");
    }
    text.push('\n');
    if let Some(line) = start::line(survey) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
