//! `build`: an artifact of a module's memories.

use core::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use wasm_meminit_analysis::Plan;
use wasm_meminit_image_builder::{EncodedArtifact, ModuleImage, SourceHash};

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
}

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
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
    let image = image.with_source(hash);
    let artifact = image.encode_parts().map_err(|err| fail(&err))?;
    output::write(&args.output, |file| write(file, &artifact, &progress))?;
    drop(progress);
    terminal::print(&summary(args, &plan, &artifact, hash))?;
    Ok(Outcome::Fine)
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
        if memory.n_baked() != 0 {
            let segments = counted(memory.n_baked(), "segment");
            let runs = counted(memory.runs().len() as u64, "run");
            let bytes = counted(memory.image_bytes(), "byte");
            let _ = write!(text, ", {segments} in {runs} of {bytes}");
        }
        if memory.n_replayed() != 0 {
            let _ = write!(text, ", {} to replay", grouped(memory.n_replayed()));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "  source sha256 {}", hex(hash));
    text
}
