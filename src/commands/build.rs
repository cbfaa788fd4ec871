//! `build`: writes an artifact with the images of a module's memories.

use core::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use wasm_meminit::analysis::{MemoryIndex, Module, Plan, StartReason};
use wasm_meminit::image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, RewriteError, externalize, strip_renumbered,
};
use wasm_meminit::image_builder::{EncodedArtifact, ModuleImage, SourceHash, Tool};

use crate::commands::bundle;
use crate::error::{Error, Outcome, Result};
use crate::input::args::{ModuleArgs, PolicyArgs};
use crate::input::hash::{hex, sha256};
use crate::input::object::{Relocation, relocation};
use crate::input::{self, Source, modules};
use crate::output::{Content, Outputs, shown};
use crate::progress::Progress;
use crate::report::decision::word;
use crate::report::file::{FileFacts, FileKind};
use crate::report::headline::Headline;
use crate::report::hint::{self, PlanOptions};
use crate::report::json_build::{self, Built};
use crate::report::module::ModuleSurvey;
use crate::text::printable::printable;
use crate::text::terminal::{self, Look};
use crate::text::units::{counted, grouped};

/// Build an artifact: images of the memories, and the segments that must still be replayed
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(super) module: ModuleArgs,

    /// Write the artifact to this file, completely or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,

    #[command(flatten)]
    pub(super) policy: PolicyArgs,

    /// Select a core module of a component by its number, counted from 0 as in inspect
    ///
    /// Without it, a component with several memories gives a bundle: one file with the
    /// artifacts of all its core modules.
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,

    /// Also write the module without the segments that are in the image
    ///
    /// For engines that start from the image and would otherwise write those segments again.
    /// For a component, this is the selected core module alone, or else the whole component.
    /// Either both files are written
    /// or neither.
    #[arg(long, value_name = "STRIPPED")]
    pub(super) strip: Option<PathBuf>,

    /// Make the stripped module import its memories, as meminit.memory0 and so on
    ///
    /// For hosts that create the memories themselves. The number is the memory's index. For a
    /// module name other than meminit, use --externalize=MODULE.
    #[arg(
        long,
        value_name = "MODULE",
        requires = "strip",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_IMPORT_MODULE
    )]
    pub(super) externalize: Option<String>,

    /// Print what was built as JSON; see docs/schema/build.schema.json
    #[arg(long)]
    pub(super) json: bool,
}

/// The tool that the artifact's provenance names.
pub(super) const TOOL: Tool<'_> = Tool {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let strip = args.strip.as_deref();
    let mut targets = vec![("--output", args.output.as_path())];
    targets.extend(strip.map(|it| ("--strip", it)));
    let outputs = Outputs::new(source, &targets)?;
    if args.json && outputs.use_stdout() {
        return Err(Error::usage("--json and an output both write to stdout"));
    }
    let fail = |err: &dyn core::error::Error| Error::of(&source, err);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    let modules = modules::parse(source, &binary, &args.module.known)?;
    let n_modules = modules.len();
    if args.nth.is_none() && binary.is_component() && 1 < modules::with_memory(&modules).len() {
        return bundle::run(args, &outputs, &binary, modules, progress);
    }
    let (nth, module) = modules::select(source, modules, args.nth)?;
    let bytes = module.binary().unwrap_or(&binary.bytes);
    linked(source, &module, bytes, strip.is_some())?;
    let options = PlanOptions {
        policy: args.policy.policy(&args.module.known),
        zeroed_imports: args.module.known.assume_zeroed_imports,
    };
    let mut survey = ModuleSurvey::new(module, &options.policy);
    let hash = sha256(bytes, &progress);
    survey.sha256 = Some(hash);
    let survey = survey;
    let (module, plan) = (&survey.module, &survey.plan);

    progress.phase("building", None);
    let image = ModuleImage::build(module, plan).map_err(|err| fail(&err))?;
    let stripped = stripped(args, module, plan).map_err(|err| fail(&err))?;
    let mut image = image.with_source(hash).with_tool(TOOL);
    if let Some(wasm) = &stripped {
        image = image.with_stripped(sha256(wasm, &progress));
    }
    let artifact = image.encode_parts().map_err(|err| fail(&err))?;
    let mut write_artifact = |to: &mut dyn Write| write(to, &artifact, &progress);
    let mut write_stripped = |to: &mut dyn Write| to.write_all(stripped.as_deref().unwrap_or(&[]));
    let mut contents: Vec<Content<'_>> = vec![&mut write_artifact];
    if strip.is_some() {
        contents.push(&mut write_stripped);
    }
    outputs.write(&mut contents)?;
    let hint = hint::hint(core::iter::once((nth, &survey)), n_modules, options);
    let headline = Headline::of(core::slice::from_ref(&survey));
    let page_size = options.policy.page_size().bytes();
    if args.json {
        let parts: Vec<&[u8]> = parts(&artifact).collect();
        let of_output =
            |path, parts: &[&[u8]], kind| FileFacts::of_output(path, parts, kind, &progress);
        let artifact = of_output(&args.output, &parts, FileKind::Artifact);
        let mut outputs = vec![("--output", artifact)];
        if let (Some(path), Some(wasm)) = (strip, &stripped) {
            outputs.push(("--strip", of_output(path, &[wasm], FileKind::Module)));
        }
        let report = json_build::report(&Built {
            input: &FileFacts::of_module(source, &binary, true, &progress),
            modules: &[(nth, &survey)],
            page_size,
            policy: args.policy.name(),
            headline: &headline,
            hint: hint.as_ref(),
            outputs: &outputs,
        });
        drop(progress);
        terminal::print_data(&report.map_err(|err| fail(&err))?)?;
        return Ok(Outcome::Fine);
    }
    drop(progress);

    let mut text = summary(args, plan, &artifact, hash);
    if let (Some(target), Some(wasm)) = (strip, &stripped) {
        let size = counted(wasm.len() as u64, "byte");
        let part = match binary.is_component() {
            true => format!(", only core module {nth} of the component"),
            false => String::new(),
        };
        let _ = writeln!(text, "{}: {size}{part}", shown(target));
    }
    headline.text(&mut text, page_size, hint.as_ref(), Look::detect(false));
    outputs.report(&text)?;
    Ok(Outcome::Fine)
}

/// Refuses a module that is not linked yet: the linker will still change its data.
pub(super) fn linked(
    source: Source<'_>,
    module: &Module<'_>,
    binary: &[u8],
    strip: bool,
) -> Result<()> {
    match relocation(module, binary) {
        Relocation::None => Ok(()),
        Relocation::Object => Err(Error::of(
            &source,
            "this is an object file; its data segments are not relocated yet",
        )
        .with_hint("link it first, then build from the linker's output")),
        Relocation::Kept(section) if strip => Err(Error::of(
            &source,
            format_args!(
                "custom section {} refers to bytes of data segments that --strip would remove",
                printable(section)
            ),
        )
        .with_hint("link without --emit-relocs, or remove that section first")),
        Relocation::Kept(section) => {
            terminal::warn(&format!(
                "{source}: custom section {section} is meant for a linker; the image holds the \
                 data as it is now"
            ));
            Ok(())
        }
    }
}

/// Returns the module without the baked segments, if `--strip` asks for it.
fn stripped(
    args: &BuildArgs,
    module: &Module<'_>,
    plan: &Plan<'_>,
) -> core::result::Result<Option<Vec<u8>>, RewriteError> {
    if args.strip.is_none() {
        return Ok(None);
    }
    // Strip first: the plan belongs to the module as it was read.
    let stripped = strip_renumbered(module, plan)?;
    let Some(import_module) = &args.externalize else {
        return Ok(Some(stripped));
    };
    // Never an error: this is the module that was parsed before, with fewer segments.
    let module = Module::parse(&stripped).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    let name = |memory: MemoryIndex| format!("memory{}", memory.as_u32());
    externalize(&module, import_module, &name).map(Some)
}

/// Returns the parts of the file, in order.
fn parts<'s>(artifact: &'s EncodedArtifact<'_>) -> impl Iterator<Item = &'s [u8]> {
    core::iter::once(artifact.head()).chain(artifact.payload().iter().copied())
}

fn len(artifact: &EncodedArtifact<'_>) -> usize {
    parts(artifact).map(<[u8]>::len).sum()
}

fn write(
    to: &mut dyn Write,
    artifact: &EncodedArtifact<'_>,
    progress: &Progress,
) -> io::Result<()> {
    progress.phase("writing", Some(len(artifact)));
    for part in parts(artifact) {
        for piece in part.chunks(1 << 20) {
            to.write_all(piece)?;
            progress.advance(piece.len());
        }
    }
    Ok(())
}

fn summary(
    args: &BuildArgs,
    plan: &Plan<'_>,
    artifact: &EncodedArtifact<'_>,
    hash: SourceHash,
) -> String {
    let mut text = String::new();
    // Writing to a `String` never fails.
    let size = counted(len(artifact) as u64, "byte");
    let _ = writeln!(text, "{}: {size}", shown(&args.output));
    text.push_str(&plan_text(plan));
    let _ = writeln!(text, "  source sha256 {}", hex(hash));
    text
}

/// Returns what became of each memory, one per line.
pub(super) fn plan_text(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    for (index, memory) in plan.memories() {
        // Writing to a `String` never fails.
        let _ = write!(
            text,
            "  memory {}: {}",
            index.as_u32(),
            word(memory.decision())
        );
        let n_baked = memory.n_baked() + memory.n_baked_passive();
        if n_baked != 0 {
            let segments = counted(n_baked, "segment");
            let runs = counted(memory.runs().len() as u64, "run");
            let bytes = counted(memory.image_bytes(), "byte");
            let _ = write!(text, ", {segments} in {runs}, {bytes}");
        }
        if memory.n_replayed() != 0 {
            let _ = write!(text, ", {} to replay", grouped(memory.n_replayed()));
        }
        text.push('\n');
    }
    if let Err(why) = plan.start()
        && !matches!(why, StartReason::NotAsked | StartReason::Nothing)
    {
        let _ = writeln!(
            text,
            "  the start function still copies its segments: {why}"
        );
    }
    text
}
