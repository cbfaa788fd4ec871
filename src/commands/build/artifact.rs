//! `build` of one core module: an artifact.

use core::fmt::Write as _;

use wasm_meminit::analysis::Module;

use super::args::BuildArgs;
use super::built::{Built, BuiltFile, plan_text};
use super::survey;
use crate::commands::strip::strip;
use crate::error::{Error, Outcome, Result};
use crate::input::hash::{hex, sha256};
use crate::input::{Binary, Source, modules};
use crate::output::{Outputs, shown};
use crate::progress::Progress;
use crate::report::file::FileKind;
use crate::report::instances::Instances;
use crate::report::{hint, promise};
use crate::text::units::counted;

/// Builds the artifact of the selected core module, or of the only one with a memory.
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
    let n_modules = modules.len();
    let (nth, module) = modules::select(source, modules, args.nth)?;
    let policy = promise::policy(source, nth, &module, instances, args.options().policy);
    let bytes = module.binary().unwrap_or(&binary.bytes);
    let mut survey = survey::survey(args, module, &policy, bytes)?;
    let only = [(nth, &survey)].into_iter();
    let hint = hint::hint(only, n_modules, instances, args.options());
    survey.sha256 = Some(binary.hash_of(bytes, progress));
    let (module, plan) = (&survey.module, &survey.plan);

    progress.phase("building", None);
    let mut image = survey::image(&survey).map_err(|err| fail(&err))?;
    let stripped = match args.strip {
        Some(_) => {
            Some(strip(module, plan, args.externalize.as_deref()).map_err(|err| fail(&err))?)
        }
        None => None,
    };
    if let Some(wasm) = &stripped {
        image = image.with_stripped(sha256(wasm, progress));
    }
    let artifact = image.encode_parts().map_err(|err| fail(&err))?;
    let parts = core::iter::once(artifact.head()).chain(artifact.payload().iter().copied());
    let mut files = vec![BuiltFile {
        option: "--output",
        path: &args.output,
        parts: parts.collect(),
        kind: FileKind::Artifact,
    }];
    let size = counted(files[0].len() as u64, "byte");
    let mut text = format!("{}: {size}\n", shown(&args.output));
    text.push_str(&plan_text(plan));
    // Writing to a `String` never fails.
    let hash = survey.sha256.map(hex).unwrap_or_default();
    let _ = writeln!(text, "  source sha256 {hash}");
    if let (Some(path), Some(wasm)) = (args.strip.as_deref(), &stripped) {
        files.push(BuiltFile {
            option: "--strip",
            path,
            parts: vec![wasm],
            kind: FileKind::Module,
        });
        let size = counted(wasm.len() as u64, "byte");
        let part = match binary.is_component() {
            true => format!(", only core module {nth} of the component"),
            false => String::new(),
        };
        let _ = writeln!(text, "{}: {size}{part}", shown(path));
    }
    let built = Built {
        args,
        binary,
        surveys: core::slice::from_ref(&survey),
        first: nth,
        hint,
        files,
        text,
    };
    built.finish(outputs, progress)
}
