//! `build` of a component with several memories: one file with the artifacts of all its core
//! modules.

use core::fmt::Write as _;

use wasm_meminit::analysis::{MemoryPlan, Module};
use wasm_meminit::image_builder::rewrite::{RewriteError, map_modules};
use wasm_meminit::image_builder::{BundleHead, EncodedArtifact, ModuleImage, SourceHash};

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

/// The most bytes of a bundle. A component of a kilobyte may have many core modules, and each
/// artifact begins at a page, however large that is.
const MAX_BUNDLE_BYTES: u64 = 1 << 30;

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
    let mut images = Vec::new();
    for (nth, survey) in surveys.iter().enumerate() {
        let mut image = survey::image(survey).map_err(|err| fail(&err))?;
        if let Some(hash) = stripped.as_ref().and_then(|it| it.hashes.get(nth)) {
            image = image.with_stripped(*hash);
        }
        images.push(image);
    }
    let artifacts: Vec<EncodedArtifact<'_>> = images
        .iter()
        .map(ModuleImage::encode_parts)
        .collect::<core::result::Result<_, _>>()
        .map_err(|err| fail(&err))?;
    let head = BundleHead::new(&artifacts).map_err(|err| fail(&err))?;
    if MAX_BUNDLE_BYTES < head.file_len() {
        let n_bytes = counted(head.file_len(), "byte");
        let cause = format_args!("the bundle would have {n_bytes}; it may have at most 1 GiB");
        return Err(Error::of(&source, cause)
            .with_hint("select one core module with --module, or pass a smaller --page-size"));
    }

    let bundle = BuiltFile {
        option: "--output",
        path: &args.output,
        parts: parts(&head, &artifacts),
        kind: FileKind::Bundle,
    };
    let mut text = summary(args, &surveys, bundle.len());
    let mut files = vec![bundle];
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

/// Returns the bytes of a bundle, with zeros before each artifact.
fn parts<'a>(head: &'a BundleHead, artifacts: &'a [EncodedArtifact<'_>]) -> Vec<&'a [u8]> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

    let mut parts = vec![head.bytes()];
    let mut at = head.bytes().len() as u64;
    for (artifact, offset) in artifacts.iter().zip(head.offsets()) {
        while at < *offset {
            let n = (*offset - at).min(ZEROS.len() as u64);
            parts.push(&ZEROS[..n as usize]);
            at += n;
        }
        parts.push(artifact.head());
        parts.extend(artifact.payload());
        at += artifact.file_len();
    }
    parts
}

/// Refuses images that are too large together: all of them are in memory at once.
fn check_size(source: Source<'_>, surveys: &[ModuleSurvey<'_>]) -> Result<()> {
    let memories = surveys.iter().flat_map(|it| it.plan.memories().values());
    let n_bytes: u64 = memories.map(MemoryPlan::image_bytes).sum();
    if fits(n_bytes) {
        return Ok(());
    }
    let cause = format_args!(
        "the images of all core modules have {} together; at most 1 GiB fits a bundle",
        counted(n_bytes, "byte")
    );
    Err(Error::of(&source, cause).with_hint("select one core module with --module"))
}

/// Whether so many bytes of images may be in one bundle.
const fn fits(n_bytes: u64) -> bool {
    n_bytes <= MAX_IMAGE_BYTES
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gibibyte_fits() {
        assert!(fits(1 << 30) && !fits((1 << 30) + 1));
    }
}
