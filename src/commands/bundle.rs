//! `build` of a component with several memories: one file with the artifacts of all its core
//! modules.

use core::fmt::Write as _;

use wasm_meminit::analysis::Module;
use wasm_meminit::image_builder::rewrite::{RewriteError, map_modules, strip_renumbered};
use wasm_meminit::image_builder::{Bundle, ModuleImage};

use crate::commands::build::{self, BuildArgs, TOOL};
use crate::error::{Error, Outcome, Result};
use crate::input::hash::{hex, sha256};
use crate::input::{Binary, Source};
use crate::output::{Content, Outputs, shown};
use crate::progress::Progress;
use crate::report::file::{FileFacts, FileKind};
use crate::report::headline::Headline;
use crate::report::hint::{self, PlanOptions};
use crate::report::json_build::{self, Built};
use crate::report::module::ModuleSurvey;
use crate::text::terminal::{self, Look};
use crate::text::units::counted;

/// Builds the artifacts of all core modules.
pub(super) fn run(
    args: &BuildArgs,
    outputs: &Outputs,
    binary: &Binary,
    modules: Vec<Module<'_>>,
    progress: Progress,
) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let fail = |err: &dyn core::error::Error| Error::of(&source, err);
    if args.externalize.is_some() {
        let cause = "--externalize applies to one core module, and this component has several";
        return Err(Error::of(&source, cause).with_hint("select one with --module"));
    }
    let options = PlanOptions {
        policy: args.policy.policy(&args.module.known),
        zeroed_imports: args.module.known.assume_zeroed_imports,
    };
    let mut surveys = Vec::new();
    for module in modules {
        let bytes = module.binary().unwrap_or(&[]);
        build::linked(source, &module, bytes, args.strip.is_some())?;
        let hash = sha256(bytes, &progress);
        let mut survey = ModuleSurvey::new(module, &options.policy);
        survey.sha256 = Some(hash);
        surveys.push(survey);
    }

    progress.phase("building", None);
    let stripped = match args.strip {
        Some(_) => Some(stripped(binary, &surveys).map_err(|err| fail(&err))?),
        None => None,
    };
    let mut artifacts = Vec::new();
    for (nth, survey) in surveys.iter().enumerate() {
        let image = ModuleImage::build(&survey.module, &survey.plan).map_err(|err| fail(&err))?;
        let mut image = image.with_tool(TOOL);
        if let Some(hash) = survey.sha256 {
            image = image.with_source(hash);
        }
        if let Some(wasm) = stripped.as_ref().and_then(|it| it.modules.get(nth)) {
            image = image.with_stripped(sha256(wasm, &progress));
        }
        artifacts.push(image.encode().map_err(|err| fail(&err))?);
    }
    let parts: Vec<&[u8]> = artifacts.iter().map(Vec::as_slice).collect();
    let bundle = Bundle::encode(&parts).map_err(|err| fail(&err))?;
    let component = stripped.as_ref().map(|it| it.component.as_slice());
    write(outputs, &bundle, component, &progress)?;

    let all = surveys.iter().enumerate();
    let hint = hint::hint(all.clone(), surveys.len(), options);
    let headline = Headline::of(&surveys);
    let page_size = options.policy.page_size().bytes();
    if args.json {
        let of_output = |path, bytes, kind| FileFacts::of_output(path, &[bytes], kind, &progress);
        let mut files = vec![(
            "--output",
            of_output(&args.output, &bundle, FileKind::Bundle),
        )];
        if let (Some(path), Some(wasm)) = (&args.strip, component) {
            files.push(("--strip", of_output(path, wasm, FileKind::Component)));
        }
        let report = json_build::report(&Built {
            input: &FileFacts::of_module(source, binary, true, &progress),
            modules: &all.collect::<Vec<_>>(),
            page_size,
            policy: args.policy.name(),
            headline: &headline,
            hint: hint.as_ref(),
            outputs: &files,
        });
        drop(progress);
        terminal::print_data(&report.map_err(|err| fail(&err))?)?;
        return Ok(Outcome::Fine);
    }
    drop(progress);
    let mut text = summary(args, &surveys, bundle.len());
    if let (Some(target), Some(wasm)) = (&args.strip, component) {
        let size = counted(wasm.len() as u64, "byte");
        // Writing to a `String` never fails.
        let _ = writeln!(text, "{}: {size}", shown(target));
    }
    headline.text(&mut text, page_size, hint.as_ref(), Look::detect(false));
    outputs.report(&text)?;
    Ok(Outcome::Fine)
}

fn write(
    outputs: &Outputs,
    bundle: &[u8],
    component: Option<&[u8]>,
    progress: &Progress,
) -> Result<()> {
    progress.phase("writing", None);
    let mut write_bundle = |to: &mut dyn std::io::Write| to.write_all(bundle);
    let mut write_component =
        |to: &mut dyn std::io::Write| to.write_all(component.unwrap_or_default());
    let mut contents: Vec<Content<'_>> = vec![&mut write_bundle];
    if component.is_some() {
        contents.push(&mut write_component);
    }
    outputs.write(&mut contents)
}

/// A component without the data that is in images.
struct Stripped {
    component: Vec<u8>,
    /// Its core modules.
    modules: Vec<Vec<u8>>,
}

fn stripped(
    binary: &Binary,
    surveys: &[ModuleSurvey<'_>],
) -> core::result::Result<Stripped, RewriteError> {
    let mut modules = Vec::new();
    // In the order in which `map_modules` visits them.
    let mut surveys = surveys.iter();
    let component = map_modules::<RewriteError>(&binary.bytes, &mut |module| {
        let wasm = match surveys.next() {
            Some(survey) => strip_renumbered(&survey.module, &survey.plan)?,
            None => module.binary().unwrap_or_default().to_vec(),
        };
        modules.push(wasm.clone());
        Ok(wasm)
    })?;
    Ok(Stripped { component, modules })
}

fn summary(args: &BuildArgs, surveys: &[ModuleSurvey<'_>], len: usize) -> String {
    let size = counted(len as u64, "byte");
    let n_artifacts = counted(surveys.len() as u64, "artifact");
    let mut text = format!(
        "{}: {size}, a bundle of {n_artifacts}\n",
        shown(&args.output)
    );
    for (nth, survey) in surveys.iter().enumerate() {
        let hash = survey.sha256.map(hex).unwrap_or_default();
        // Writing to a `String` never fails.
        let _ = writeln!(text, "core module {nth}, source sha256 {hash}");
        text.push_str(&build::plan_text(&survey.plan));
    }
    text
}
