//! What is said of a threaded module's start function.

use wasm_meminit_analysis::{StartFunction, StartInit, StartReason};

use crate::survey::ModuleSurvey;
use crate::units::counted;

/// One line, without a line break; `None` where there is nothing to say.
pub(crate) fn line(survey: &ModuleSurvey<'_>) -> Option<String> {
    let start = survey.start.as_ref()?;
    let text = match (&start.init, start.why_not) {
        (Ok(init), None) => baked(survey, init),
        (Ok(init), Some(StartReason::NotAsked)) => format!(
            "the start function writes {}, {} (wasm-ld): see --start-function",
            segments(init),
            counted(n_bytes(survey, init), "byte")
        ),
        (_, Some(why)) => format!("what the start function writes is in no image: {why}"),
        (Err(why), None) => format!("the start function: {why}"),
    };
    Some(text)
}

fn baked(survey: &ModuleSurvey<'_>, init: &StartInit) -> String {
    let rest = match (survey.plan.start_function(), init.thread_local()) {
        (StartFunction::Emptied, _) => "build --strip leaves it nothing to write".to_owned(),
        (_, None) => "it finds its work done".to_owned(),
        (_, Some(it)) => format!(
            "the host gives the first thread its storage: {:#x} in global {}, or its own",
            it.address,
            it.global.as_u32()
        ),
    };
    format!(
        "{} of the start function in the image of memory {}, its flag at {:#x}; {rest}",
        segments(init),
        init.memory().as_u32(),
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
