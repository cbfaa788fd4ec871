//! `inspect`: shows the initial contents of each memory of a module, and the reasons; or what
//! an artifact holds; or one row for each of several files.

use core::result;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command, ValueEnum};
use wasm_meminit::image_builder::{Artifact, Bundle};

use super::dump::for_modules_only;
use crate::error::{Error, Outcome, Result};
use crate::input::args::{KnownArgs, PolicyArgs};
use crate::input::listing::listing;
use crate::input::{self, Binary, Input, Source, modules};
use crate::output::{Content, Outputs};
use crate::progress::Progress;
use crate::report::artifact::{self, ArtifactSurvey, Part};
use crate::report::file::FileFacts;
use crate::report::headline::Headline;
use crate::report::hint::{self, PlanOptions};
use crate::report::html::PageOptions;
use crate::report::many::{self, Row};
use crate::report::module::ModuleSurvey;
use crate::report::require::{self, Finding, Requirement};
use crate::report::survey::Survey;
use crate::report::{github, html, json, json_artifact, json_many, svg, text};
use crate::report::{instances, promise};
use crate::text::terminal::{self, Look};
use crate::text::units;

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Core modules or components, binary or text (.wat), or artifacts; - reads stdin
    ///
    /// A folder stands for the files in it, at any depth, that end with .wasm, .wat or
    /// .meminit.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    known: KnownArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// List every data segment: where it is in the file and in memory, and what becomes of it
    #[arg(long)]
    segments: bool,

    /// Fail with exit code 1 if a file does not meet a condition
    ///
    /// static: all data that instantiation writes is in images; no segment is left to the host,
    /// and none, as far as that can be told, to a start function. What a start function computes
    /// is not data. no-replay: the host replays no segment. max-image=BYTES: all images of the
    /// file together have at most this many bytes; K, M and G are units. Each violation is one
    /// line on stderr. May be repeated.
    ///
    /// An artifact does not record what is left to a start function: for modules with threads,
    /// inspect the module.
    #[arg(long, value_name = "CONDITION", value_parser = Conditions, hide_possible_values = true)]
    require: Vec<Requirement>,

    /// Choose the format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,

    /// Print the report as JSON, like --format json; see docs/schema/inspect.schema.json
    ///
    /// The number "format" changes only with incompatible changes.
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Also write the layout as an HTML page; with - for stdout, the report goes to stderr
    #[arg(long, value_name = "PAGE")]
    html: Option<PathBuf>,

    /// Set the size of the largest file whose bytes the page contains
    ///
    /// The page of a larger file shows no contents. 0 leaves them out, K, M and G are units.
    #[arg(long, value_name = "BYTES", default_value = "8M", value_parser = units::bytes, requires = "html")]
    contents: u64,

    /// Also draw the layout as an SVG picture; with - for stdout, the report goes to stderr
    #[arg(long, value_name = "PICTURE")]
    svg: Option<PathBuf>,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,
}

/// Parses the values of `--require`, and lists them for completions.
#[derive(Clone, Copy, Debug)]
struct Conditions;

impl TypedValueParser for Conditions {
    type Value = Requirement;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> result::Result<Requirement, clap::Error> {
        let parse = |text: &str| text.parse::<Requirement>();
        parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            Requirement::FORMS.into_iter().map(PossibleValue::new),
        ))
    }
}

/// The values of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    Text,
    /// JSON
    Json,
    /// Annotations for GitHub Actions, one for each violation
    Github,
}

/// The report on one file, ready to be printed.
#[derive(Debug, Default)]
struct Report {
    text: String,
    /// The files that were requested, in the order of the options.
    files: Vec<String>,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome> {
    let listing = listing(&args.files);
    match (&listing.files[..], listing.has_folder) {
        ([Ok(file)], false) => {
            let outcome = one(args, file);
            if let (Err(err), Format::Github) = (&outcome, args.format()) {
                terminal::print_data(&annotated_error(err))?;
            }
            outcome
        }
        _ => several(args, listing.files),
    }
}

/// Reports on the only file.
fn one(args: &InspectArgs, file: &Path) -> Result<Outcome> {
    let source = Source(file);
    let targets = args.targets();
    let outputs = Outputs::new(source, &targets)?;
    let format = args.format();
    if let Some(nth) = outputs.nth_is_stdout().filter(|_| format != Format::Text) {
        let option = if args.json { "--json" } else { "--format" };
        let (other, _) = targets[nth];
        let cause = format_args!("{option} and {other} both write to stdout");
        return Err(Error::usage(cause));
    }
    let progress = Progress::start();
    let report = match input::module_or_artifact(source, &progress)? {
        Input::Module(binary) => {
            let survey = survey(source, &binary, args, &progress)?;
            module_report(args, source, &survey)?
        }
        Input::Artifact(bytes) => {
            let survey = artifact_survey(source, &bytes, args, &progress)?;
            artifact_report(args, source, &survey)?
        }
    };
    let mut writers: Vec<_> = report.files.iter().map(writer).collect();
    let mut contents: Vec<Content<'_>> = writers.iter_mut().map(|it| it as Content<'_>).collect();
    outputs.write(&mut contents)?;
    drop(progress);
    match format {
        Format::Text => outputs.report(&report.text)?,
        Format::Json | Format::Github => terminal::print_data(&report.text)?,
    }
    let name = source.to_string();
    let findings = report.findings.iter().map(|it| (&*name, it));
    Ok(outcome(format, findings, 0))
}

fn writer(text: &String) -> impl FnMut(&mut dyn Write) -> io::Result<()> {
    |to| to.write_all(text.as_bytes())
}

fn module_report(args: &InspectArgs, source: Source<'_>, survey: &Survey<'_>) -> Result<Report> {
    let look = Look::detect(args.ascii);
    let findings = require::of_modules(&args.require, survey, look);
    let text = match args.format() {
        Format::Text => text::report(survey, look),
        Format::Json => json::report(survey, &findings).map_err(|err| Error::of(&source, err))?,
        Format::Github => annotated(
            &survey.file,
            &survey.headline.sentence(survey.page_size),
            &findings,
        ),
    };
    let options = || PageOptions {
        policies: args.policy.all(&args.known),
        max_contents: args.contents,
    };
    let page = args.html.is_some().then(|| html::page(survey, &options()));
    let picture = args.svg.is_some().then(|| svg::picture(survey));
    Ok(Report {
        text,
        files: page.into_iter().chain(picture).collect(),
        findings,
    })
}

fn artifact_report(
    args: &InspectArgs,
    source: Source<'_>,
    survey: &ArtifactSurvey<'_>,
) -> Result<Report> {
    for_modules_only(source, &args.known, &args.policy, None)?;
    for (option, is_given) in [
        ("--html", args.html.is_some()),
        ("--svg", args.svg.is_some()),
        ("--segments", args.segments),
    ] {
        if is_given {
            let cause = format_args!("{option} needs a module, and this is an artifact");
            return Err(Error::of(&source, cause));
        }
    }
    let findings = require::of_artifact(&args.require, survey);
    let text = match args.format() {
        Format::Text => artifact::text(survey, Look::detect(args.ascii)),
        Format::Json => {
            json_artifact::report(survey, &findings).map_err(|err| Error::of(&source, err))?
        }
        Format::Github => annotated(&survey.file, &survey.sentence(), &findings),
    };
    Ok(Report {
        text,
        files: Vec::new(),
        findings,
    })
}

/// Reports on several files, one after another, so that only one is in memory.
fn several(args: &InspectArgs, files: Vec<Result<PathBuf>>) -> Result<Outcome> {
    for (option, is_given) in [
        ("--html", args.html.is_some()),
        ("--svg", args.svg.is_some()),
        ("--segments", args.segments),
        ("--global", !args.known.globals.is_empty()),
        ("--memory", !args.known.memories.is_empty()),
    ] {
        if is_given {
            let cause = format_args!("{option} applies to a single file");
            return Err(Error::usage(cause));
        }
    }
    let format = args.format();
    let progress = Progress::start();
    let mut rows: Vec<Row> = Vec::new();
    let mut failed: Vec<Error> = Vec::new();
    for file in files {
        let row = file.and_then(|it| row(args, Source(&it), &progress));
        match row {
            Ok(row) => rows.push(row),
            Err(err) => failed.push(err),
        }
    }
    drop(progress);
    match format {
        Format::Text => {
            terminal::print(&many::text(&rows, failed.len(), Look::detect(args.ascii)))?;
        }
        Format::Json => {
            let page_size = args.policy.policy(&args.known).page_size().bytes();
            let report = json_many::report(&rows, &failed, args.policy.name(), page_size);
            terminal::print_data(&report.map_err(Error::usage)?)?;
        }
        Format::Github => {
            let mut text: String = rows.iter().map(annotated_row).collect();
            text.extend(failed.iter().map(annotated_error));
            terminal::print_data(&text)?;
        }
    }
    failed.iter().for_each(terminal::print_error);
    let findings = rows
        .iter()
        .flat_map(|row| row.findings.iter().map(|it| (&*row.file.name, it)));
    Ok(outcome(format, findings, failed.len()))
}

fn row(args: &InspectArgs, source: Source<'_>, progress: &Progress) -> Result<Row> {
    let look = Look::detect(args.ascii);
    Ok(match input::module_or_artifact(source, progress)? {
        Input::Module(binary) => {
            let survey = survey(source, &binary, args, progress)?;
            let findings = require::of_modules(&args.require, &survey, look);
            Row::of_modules(&survey, findings)
        }
        Input::Artifact(bytes) => {
            let survey = artifact_survey(source, &bytes, args, progress)?;
            let findings = require::of_artifact(&args.require, &survey);
            Row::of_artifact(&survey, findings)
        }
    })
}

/// Prints the findings, unless the report has annotations for them, and returns the exit code.
fn outcome<'s>(
    format: Format,
    findings: impl Iterator<Item = (&'s str, &'s Finding)>,
    n_failed: usize,
) -> Outcome {
    let mut n_findings = 0;
    for (file, finding) in findings {
        n_findings += 1;
        if format != Format::Github {
            let (requirement, text) = (finding.requirement, &finding.text);
            terminal::print_finding(&format!("{file}: --require {requirement}: {text}"));
        }
    }
    match (n_failed, n_findings) {
        (0, 0) => Outcome::Fine,
        (0, _) => Outcome::Reported(1),
        _ => Outcome::Reported(2),
    }
}

fn annotated(file: &FileFacts, sentence: &str, findings: &[Finding]) -> String {
    let mut text = github::line(&file.name, sentence);
    for finding in findings {
        let title = format!("wasm-meminit: --require {}", finding.requirement);
        text.push_str(&github::error(Some(&file.name), &title, &finding.text));
    }
    text
}

fn annotated_error(err: &Error) -> String {
    github::error(err.subject(), "wasm-meminit", &err.to_string())
}

fn annotated_row(row: &Row) -> String {
    annotated(&row.file, row.verdict.word(), &row.findings)
}

impl InspectArgs {
    /// Returns the files to write, each with its option.
    fn targets(&self) -> Vec<(&'static str, &Path)> {
        let targets = [("--html", &self.html), ("--svg", &self.svg)].into_iter();
        targets
            .filter_map(|(option, path)| Some((option, path.as_deref()?)))
            .collect()
    }

    const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

fn survey<'a>(
    source: Source<'_>,
    binary: &'a Binary,
    args: &InspectArgs,
    progress: &Progress,
) -> Result<Survey<'a>> {
    let has_hash = args.format() == Format::Json;
    let file = FileFacts::of_module(source, binary, has_hash, progress);
    progress.phase("planning", None);
    let policy = args.policy.policy(&args.known);
    let modules = modules::parse(source, binary, &args.known, None)?;
    let instances = instances::instances(binary, &modules);
    let policies = promise::policies(source, &modules, &instances, policy);
    let mut modules: Vec<ModuleSurvey<'a>> = modules
        .into_iter()
        .zip(&policies)
        .map(|(it, policy)| ModuleSurvey::new(it, policy))
        .collect();
    if has_hash {
        for module in &mut modules {
            let bytes = module.module.binary().unwrap_or(&binary.bytes);
            module.sha256 = Some(binary.hash_of(bytes, progress));
        }
    }
    let options = PlanOptions {
        policy,
        zeroed_imports: args.known.assume_zeroed_imports,
    };
    Ok(Survey {
        binary: &binary.bytes,
        policy: args.policy.name(),
        page_size: policy.page_size().bytes(),
        headline: Headline::of(&modules),
        hint: hint::hint(
            modules.iter().enumerate(),
            modules.len(),
            &instances,
            options,
        ),
        instances,
        modules,
        has_segments: args.segments,
        file,
    })
}

fn artifact_survey<'a>(
    source: Source<'_>,
    bytes: &'a [u8],
    args: &InspectArgs,
    progress: &Progress,
) -> Result<ArtifactSurvey<'a>> {
    let has_hash = args.format() == Format::Json;
    let file = FileFacts::of_artifact(source, bytes, has_hash, progress);
    progress.phase("checking", None);
    let parts = parts(source, bytes)?;
    Ok(ArtifactSurvey { file, parts })
}

/// Decodes an artifact, or the artifacts of a bundle.
fn parts<'a>(source: Source<'_>, bytes: &'a [u8]) -> Result<Vec<Part<'a>>> {
    if !Bundle::is_bundle(bytes) {
        let artifact = Artifact::decode(bytes).map_err(|err| Error::of(&source, err))?;
        return Ok(vec![Part {
            offset: 0,
            artifact,
        }]);
    }
    let bundle = Bundle::decode(bytes).map_err(|err| Error::of(&source, err))?;
    let part = |(nth, artifact): (usize, &Artifact<'a>)| Part {
        offset: bundle.part(nth).map_or(0, |it| it.0),
        artifact: artifact.clone(),
    };
    Ok(bundle.artifacts().iter().enumerate().map(part).collect())
}
