//! Describes how a threaded module's start function is treated.

use wasm_meminit_analysis::{StartFunction, StartInit, StartReason};

use crate::survey::ModuleSurvey;
use crate::units::counted;

/// Returns one line, without a newline, or `None` if there is nothing to say.
pub(crate) fn line(survey: &ModuleSurvey<'_>) -> Option<String> {
    let start = survey.start.as_ref()?;
    let text = match (&start.init, start.why_not) {
        (Ok(init), None) => baked(survey, init),
        (Ok(init), Some(StartReason::NotAsked)) => format!(
            "the start function (wasm-ld) copies {}, {}: see --start-function",
            segments(init),
            counted(n_bytes(survey, init), "byte")
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

fn n_bytes(survey: &ModuleSurvey<'_>, init: &StartInit) -> u64 {
    let len = |segment| survey.module.segments()[segment].data.len() as u64;
    init.writes().iter().map(|it| len(it.0)).sum()
}

fn segments(init: &StartInit) -> String {
    counted(init.writes().len() as u64, "segment")
}
