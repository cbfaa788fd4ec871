//! Describes how a threaded module's start function is treated.

use wasm_meminit::analysis::{StartFunction, StartInit, StartReason};

use crate::report::module::ModuleSurvey;
use crate::text::units::counted;

/// Returns one line, without a newline, or `None` if there is nothing to say.
pub(crate) fn line(survey: &ModuleSurvey<'_>) -> Option<String> {
    let start = survey.start.as_ref()?;
    let text = match (&start.init, start.why_not) {
        (Ok(init), None) => baked(survey, init),
        (Ok(init), Some(StartReason::NotAsked)) => format!(
            "the start function (wasm-ld) copies {}, {}: see --start-function",
            segments(init),
            counted(survey.copied_bytes(init), "byte")
        ),
        (_, Some(why)) => format!("the start function's data is in no image: {why}"),
        (Err(why), None) => format!("the start function: {why}"),
    };
    Some(text)
}

fn baked(survey: &ModuleSurvey<'_>, init: &StartInit) -> String {
    let rest = match (survey.plan.start_function(), init.thread_local()) {
        (StartFunction::WritesStripped, _) => "build --strip leaves it nothing to copy".to_owned(),
        (_, None) => "it finds the flag set and copies nothing".to_owned(),
        (_, Some(it)) => format!(
            "for the first thread, the host must set global {} to {:#x} or to other storage",
            it.global.as_u32(),
            it.addr
        ),
    };
    format!(
        "the image of memory {} holds {} of the start function, with its flag at {:#x}; {rest}",
        init.memory().as_u32(),
        segments(init),
        init.flag()
    )
}

fn segments(init: &StartInit) -> String {
    counted(init.writes().len() as u64, "segment")
}
