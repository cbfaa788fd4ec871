//! `build`: an artifact of a module's memories.

use core::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, StartReason};
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, RewriteError, externalize, strip_renumbered,
};
use wasm_meminit_image_builder::{EncodedArtifact, ModuleImage, SourceHash, Tool};

use crate::cli::{ModuleArgs, PolicyArgs};
use crate::error::{Error, Outcome, Result};
use crate::hash::{hex, sha256};
use crate::input::{self, Source};
use crate::progress::Progress;
use crate::report::word;
use crate::units::{counted, grouped};
use crate::{modules, output, terminal};

/// Builds an artifact: images of the memories, and what must still be replayed
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The file to write; it appears as a whole or not at all
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Which core module of a component, counted from 0 as inspect does
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,

    /// Also write the module without the segments that are in the image
    ///
    /// For engines that start from the image and would write those segments again.
    #[arg(long, value_name = "STRIPPED")]
    strip: Option<PathBuf>,

    /// Have the stripped module import its memories, as meminit.memory0 and so on
    ///
    /// For hosts that make the memories themselves. The number is the memory's index; a
    /// module name other than meminit may be given behind an equals sign.
    #[arg(
        long,
        value_name = "MODULE",
        requires = "strip",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_IMPORT_MODULE
    )]
    externalize: Option<String>,
}

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
    if args.strip.as_ref() == Some(&args.output) {
        return Err(Error::usage("--strip and --output name the same file"));
    }
    let source = Source(&args.module.file);
    let fail = |err: &dyn core::error::Error| Error::of(&source, err);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    let modules = modules::parse(source, &binary, &args.module.known)?;
    let module = modules::select(source, modules, args.nth)?;
    let plan = Plan::new(&module, &args.policy.policy(&args.module.known));

    progress.phase("building", None);
    let image = ModuleImage::build(&module, &plan).map_err(|err| fail(&err))?;
    let hash = sha256(module.binary().unwrap_or(&binary.bytes), &progress);
    let stripped = stripped(args, &module, &plan).map_err(|err| fail(&err))?;
    let mut image = image.with_source(hash).with_tool(Tool {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    });
    if let Some(wasm) = &stripped {
        image = image.with_stripped(sha256(wasm, &progress));
    }
    let artifact = image.encode_parts().map_err(|err| fail(&err))?;
    output::write(&args.output, |file| write(file, &artifact, &progress))?;
    if let (Some(target), Some(wasm)) = (&args.strip, &stripped) {
        output::write(target, |file| file.write_all(wasm))?;
    }
    drop(progress);
    let mut text = summary(args, &plan, &artifact, hash);
    if let (Some(target), Some(wasm)) = (&args.strip, &stripped) {
        let name = target.display().to_string();
        let size = counted(wasm.len() as u64, "byte");
        let _ = writeln!(text, "{}: {size}", terminal::printable(&name));
    }
    terminal::print(&text)?;
    Ok(Outcome::Fine)
}

/// The module without what is in the image, where it is wanted.
fn stripped(
    args: &BuildArgs,
    module: &Module<'_>,
    plan: &Plan<'_>,
) -> core::result::Result<Option<Vec<u8>>, RewriteError> {
    if args.strip.is_none() {
        return Ok(None);
    }
    // First, so that the plan is of the module that is stripped.
    let stripped = strip_renumbered(module, plan)?;
    let Some(import_module) = &args.externalize else {
        return Ok(Some(stripped));
    };
    // Never an error: it is what the parser has read, with fewer segments.
    let module = Module::parse(&stripped).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    let name = |memory: MemoryIndex| format!("memory{}", memory.as_u32());
    externalize(&module, import_module, &name).map(Some)
}

fn len(artifact: &EncodedArtifact<'_>) -> usize {
    let payload: usize = artifact.payload().iter().map(|it| it.len()).sum();
    artifact.head().len() + payload
}

fn write(file: &mut File, artifact: &EncodedArtifact<'_>, progress: &Progress) -> io::Result<()> {
    progress.phase("writing", Some(len(artifact)));
    for part in core::iter::once(artifact.head()).chain(artifact.payload().iter().copied()) {
        for piece in part.chunks(1 << 20) {
            file.write_all(piece)?;
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
    // A `String` takes whatever is written to it.
    let name = args.output.display().to_string();
    let size = counted(len(artifact) as u64, "byte");
    let _ = writeln!(text, "{}: {size}", terminal::printable(&name));
    for (index, memory) in plan.memories() {
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
            let _ = write!(text, ", {segments} in {runs} of {bytes}");
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
            "  the start function writes its segments itself: {why}"
        );
    }
    let _ = writeln!(text, "  source sha256 {}", hex(hash));
    text
}
