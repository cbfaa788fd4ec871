//! `inspect`: what each memory of a module holds at the start, and why.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{ModuleArgs, PolicyArgs};
use crate::error::{Error, Outcome, Result};
use crate::input::{self, Binary, Source};
use crate::progress::Progress;
use crate::survey::{Kind, ModuleSurvey, Survey};
use crate::terminal::{self, Look};
use crate::{html, json, modules, output, report};

/// Shows what each memory holds at the start, and why not all of it is in an image
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    module: ModuleArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Print the report as JSON; its "format" number changes only with its meaning
    #[arg(long)]
    json: bool,

    /// Also draw the layout, as a page of its own
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
}

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    let survey = survey(source, &binary, args, &progress)?;
    if let Some(file) = &args.html {
        let page = html::page(&survey);
        output::write(file, |file| file.write_all(page.as_bytes()))?;
    }
    let text = if args.json {
        json::report(&survey).map_err(|err| Error::of(&source, err))?
    } else {
        report::text(&survey, Look::detect(args.ascii))
    };
    drop(progress);
    terminal::print(&text)?;
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
    Ok(Survey {
        name: source.to_string(),
        kind: Kind {
            is_component: binary.is_component(),
            was_text: binary.was_text,
        },
        n_bytes: binary.bytes.len() as u64,
        policy: args.policy.name(),
        page_size: policy.page_size().bytes(),
        modules: modules
            .into_iter()
            .map(|it| ModuleSurvey::new(it, &policy))
            .collect(),
    })
}
