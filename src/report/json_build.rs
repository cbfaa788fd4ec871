//! `build --json`: what was built, from what. `docs/schema/build.schema.json` documents it.

use serde::Serialize;
use wasm_meminit::analysis::{Decision, StartReason};

use crate::report::file::FileFacts;
use crate::report::headline;
use crate::report::hint;
use crate::report::json::Headline;
use crate::report::json_artifact::AssumptionFields;
use crate::report::json_file::{self, File, Hint, TOOL, Tool};
use crate::report::module::ModuleSurvey;

/// The version of the format.
const FORMAT: u32 = 1;

/// What `build` did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built<'s, 'a> {
    pub(crate) input: &'s FileFacts,
    /// The core modules that images were built of, each with its number in the file.
    pub(crate) modules: &'s [(usize, &'s ModuleSurvey<'a>)],
    pub(crate) page_size: u64,
    pub(crate) policy: &'static str,
    pub(crate) headline: &'s headline::Headline,
    pub(crate) hint: Option<&'s hint::Hint>,
    /// The files that were written, each with the option that names it.
    pub(crate) outputs: &'s [(&'static str, FileFacts)],
}

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    tool: Tool<'static>,
    input: File<'s>,
    outputs: Vec<Output<'s>>,
    headline: Headline,
    modules: Vec<Module<'s>>,
    policy: &'s str,
    host_page_size: u64,
    hint: Option<Hint<'s>>,
}

#[derive(Serialize)]
struct Output<'s> {
    option: &'s str,
    file: File<'s>,
}

#[derive(Serialize)]
struct Module<'s> {
    index: usize,
    name: Option<&'s str>,
    sha256: Option<String>,
    memories: Vec<Memory>,
    /// Why the start function still copies its segments, if it copies any.
    start_function_not_baked: Option<String>,
    assumptions: Vec<AssumptionFields>,
}

#[derive(Serialize)]
struct Memory {
    index: u32,
    decision: Decision,
    image_bytes: u64,
    runs: usize,
    baked: u64,
    replayed: u64,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(built: &Built<'_, '_>) -> serde_json::Result<String> {
    let output = |it: &'_ (&'static str, FileFacts)| (it.0, it.1.clone());
    let outputs: Vec<(&str, FileFacts)> = built.outputs.iter().map(output).collect();
    json_file::document(&Document {
        format: FORMAT,
        tool: TOOL,
        input: File::new(built.input),
        outputs: outputs
            .iter()
            .map(|(option, file)| Output {
                option,
                file: File::new(file),
            })
            .collect(),
        headline: Headline::new(built.headline, built.page_size),
        modules: built.modules.iter().map(|it| module(it.0, it.1)).collect(),
        policy: built.policy,
        host_page_size: built.page_size,
        hint: built.hint.map(Hint::new),
    })
}

fn module<'s>(index: usize, survey: &'s ModuleSurvey<'_>) -> Module<'s> {
    let memories = survey.plan.memories().iter();
    let why_not = survey.plan.start().err();
    Module {
        index,
        name: survey.module.name(),
        sha256: json_file::hash(survey.sha256),
        memories: memories
            .map(|(index, it)| Memory {
                index: index.as_u32(),
                decision: it.decision(),
                image_bytes: it.image_bytes(),
                runs: it.runs().len(),
                baked: it.n_baked() + it.n_baked_passive(),
                replayed: it.n_replayed(),
            })
            .collect(),
        start_function_not_baked: why_not
            .filter(|it| **it != StartReason::Nothing)
            .map(ToString::to_string),
        assumptions: survey
            .plan
            .assumptions()
            .iter()
            .map(AssumptionFields::new)
            .collect(),
    }
}
