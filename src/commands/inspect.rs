//! `inspect`: shows the initial contents of each memory of a module, and the reasons.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Outcome, Result};
use crate::input::args::{ModuleArgs, PolicyArgs};
use crate::input::{self, Binary, Source, modules};
use crate::output::Outputs;
use crate::progress::Progress;
use crate::report::hint::{self, PlanOptions};
use crate::report::module::ModuleSurvey;
use crate::report::survey::{Kind, Survey};
use crate::report::{html, json, text};
use crate::text::terminal::{self, Look};

/// Show the initial contents of each memory, and why some of it is not in an image
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    module: ModuleArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Print the report as JSON; the number "format" changes only with incompatible changes
    #[arg(long)]
    json: bool,

    /// Also write the layout as an HTML page; with - for stdout, the report goes to stderr
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,
}

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let html = args.html.as_deref();
    let targets: Vec<_> = html.into_iter().map(|it| ("--html", it)).collect();
    let outputs = Outputs::new(source, &targets)?;
    if args.json && outputs.use_stdout() {
        return Err(Error::usage("--json and --html both write to stdout"));
    }
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    let survey = survey(source, &binary, args, &progress)?;
    let text = if args.json {
        json::report(&survey).map_err(|err| Error::of(&source, err))?
    } else {
        text::report(&survey, Look::detect(args.ascii))
    };
    if html.is_some() {
        let page = html::page(&survey);
        outputs.write(&mut [&mut |to| to.write_all(page.as_bytes())])?;
    }
    drop(progress);
    if args.json {
        terminal::print_data(&text)?;
    } else {
        outputs.report(&text)?;
    }
    Ok(Outcome::Fine)
}

fn survey<'a>(
    source: Source<'_>,
    binary: &'a Binary,
    args: &InspectArgs,
    progress: &Progress,
) -> Result<Survey<'a>> {
    progress.phase("planning", None);
    let policy = args.policy.policy(&args.module.known);
    let modules = modules::parse(source, binary, &args.module.known)?;
    let modules: Vec<ModuleSurvey<'a>> = modules
        .into_iter()
        .map(|it| ModuleSurvey::new(it, &policy))
        .collect();
    let options = PlanOptions {
        policy,
        zeroed_imports: args.module.known.assume_zeroed_imports,
    };
    Ok(Survey {
        name: source.to_string(),
        kind: Kind {
            is_component: binary.is_component(),
            was_text: binary.was_text,
        },
        n_bytes: binary.bytes.len() as u64,
        policy: args.policy.name(),
        page_size: policy.page_size().bytes(),
        hint: hint::hint(modules.iter().enumerate(), modules.len(), options),
        modules,
    })
}
