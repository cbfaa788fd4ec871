//! `build` of a component with several memories: one file with the artifacts of all its core
//! modules.

use core::fmt::Write as _;

use wasm_meminit::analysis::{MemoryPlan, Module};
use wasm_meminit::image_builder::rewrite::{RewriteError, map_modules};
use wasm_meminit::image_builder::{Bundle, SourceHash};

use super::args::BuildArgs;
use super::built::{Built, BuiltFile, plan_text};
use super::survey;
use crate::commands::strip::strip;
use crate::error::{Error, Outcome, Result};
use crate::input::hash::{hex, sha256};
use crate::input::{Binary, Source};
use crate::output::{Outputs, shown};
use crate::progress::Progress;
use crate::report::file::FileKind;
use crate::report::instances::Instances;
use crate::report::module::ModuleSurvey;
use crate::report::{hint, promise};
use crate::text::units::counted;

/// The most bytes of all images together: as many as one module has by default.
const MAX_IMAGE_BYTES: u64 = 1 << 30;

/// Builds the artifacts of all core modules.
pub(super) fn run(
    args: &BuildArgs,
    outputs: &Outputs,
    binary: &Binary,
    modules: Vec<Module<'_>>,
    instances: &Instances,
    progress: &Progress,
) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let fail = |err: &dyn core::error::Error| Error::of(&source, err);
    if args.externalize.is_some() {
        let cause = "--externalize applies to one core module, and this component has several";
        return Err(Error::of(&source, cause).with_hint("select one with --module"));
    }
    let mut surveys = Vec::new();
    let policies = promise::policies(source, &modules, instances, args.options().policy);
    for (module, policy) in modules.into_iter().zip(&policies) {
        let bytes = module.binary().unwrap_or(&[]);
        let mut survey = survey::survey(args, module, policy, bytes)?;
        survey.sha256 = Some(sha256(bytes, progress));
        surveys.push(survey);
    }
    check_size(source, &surveys)?;
    let modules = surveys.iter().enumerate();
    let hint = hint::hint(modules, surveys.len(), instances, args.options());

    progress.phase("building", None);
    let stripped = match args.strip {
        Some(_) => Some(stripped(binary, &surveys, progress).map_err(|err| fail(&err))?),
        None => None,
    };
    let mut artifacts = Vec::new();
    for (nth, survey) in surveys.iter().enumerate() {
        let mut image = survey::image(survey).map_err(|err| fail(&err))?;
        if let Some(hash) = stripped.as_ref().and_then(|it| it.hashes.get(nth)) {
            image = image.with_stripped(*hash);
        }
        artifacts.push(image.encode().map_err(|err| fail(&err))?);
    }
    let parts: Vec<&[u8]> = artifacts.iter().map(Vec::as_slice).collect();
    let bundle = Bundle::encode(&parts).map_err(|err| fail(&err))?;
    drop(artifacts);

    let mut files = vec![BuiltFile {
        option: "--output",
        path: &args.output,
        parts: vec![&bundle],
        kind: FileKind::Bundle,
    }];
    let mut text = summary(args, &surveys, bundle.len());
    if let (Some(path), Some(stripped)) = (args.strip.as_deref(), &stripped) {
        files.push(BuiltFile {
            option: "--strip",
            path,
            parts: vec![&stripped.component],
            kind: FileKind::Component,
        });
        let size = counted(stripped.component.len() as u64, "byte");
        // Writing to a `String` never fails.
        let _ = writeln!(text, "{}: {size}", shown(path));
    }
    let built = Built {
        args,
        binary,
        surveys: &surveys,
        first: 0,
        hint,
        files,
        text,
    };
    built.finish(outputs, progress)
}

/// Refuses images that are too large together: all of them are in memory at once.
fn check_size(source: Source<'_>, surveys: &[ModuleSurvey<'_>]) -> Result<()> {
    let memories = surveys.iter().flat_map(|it| it.plan.memories().values());
    let n_bytes: u64 = memories.map(MemoryPlan::image_bytes).sum();
    if n_bytes <= MAX_IMAGE_BYTES {
        return Ok(());
    }
    let cause = format_args!(
        "the images of all core modules have {} together; at most 1 GiB fits a bundle",
        counted(n_bytes, "byte")
    );
    Err(Error::of(&source, cause).with_hint("select one core module with --module"))
}

/// A component without the data that is in images.
struct Stripped {
    component: Vec<u8>,
    /// The hashes of its core modules.
    hashes: Vec<SourceHash>,
}

fn stripped(
    binary: &Binary,
    surveys: &[ModuleSurvey<'_>],
    progress: &Progress,
) -> core::result::Result<Stripped, RewriteError> {
    let mut hashes = Vec::new();
    // In the order in which `map_modules` visits them.
    let mut surveys = surveys.iter();
    let component = map_modules::<RewriteError>(&binary.bytes, &mut |module| {
        let wasm = match surveys.next() {
            Some(survey) => strip(&survey.module, &survey.plan, None)?,
            None => module.binary().unwrap_or_default().to_vec(),
        };
        hashes.push(sha256(&wasm, progress));
        Ok(wasm)
    })?;
    Ok(Stripped { component, hashes })
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
        text.push_str(&plan_text(&survey.plan));
    }
    text
}
