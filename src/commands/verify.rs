//! `verify`: whether an artifact is right for a module, byte by byte.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use wasm_meminit_analysis::Module;
use wasm_meminit_image_builder::{Artifact, SourceHash};

use crate::cli::ModuleArgs;
use crate::compare::{Compared, compare};
use crate::error::{Error, Outcome, Result};
use crate::hash::{hex, sha256};
use crate::input::{self, Source};
use crate::progress::Progress;
use crate::units::{counted, grouped};
use crate::{modules, terminal};

/// Replays a module and compares every byte of its memories with an artifact
///
/// Values of globals and promises are given as for build. Without a difference the
/// exit code is 0; otherwise it is 1, and the first difference is named on stderr.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The artifact
    artifact: PathBuf,

    /// Which core module of a component; by default the one that the artifact names
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let artifact_source = Source(&args.artifact);
    if args.module.file.as_os_str() == "-" && args.artifact.as_os_str() == "-" {
        return Err(Error::usage("only one of the two files can be stdin"));
    }
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    let artifact = input::artifact(artifact_source, &progress)?;
    progress.phase("checking", None);
    let artifact = Artifact::decode(&artifact).map_err(|err| Error::of(&artifact_source, err))?;

    let modules = modules::parse(source, &binary, &args.module.known)?;
    let nth = args
        .nth
        .or_else(|| named(&modules, artifact.source()?, &progress));
    let module = modules::select(source, modules, nth)?;
    let hash = sha256(module.binary().unwrap_or(&binary.bytes), &progress);

    progress.phase("comparing", None);
    let compared = compare(&module, &artifact, args.module.known.assume_zeroed_imports);
    drop(progress);
    match compared {
        Ok(compared) => {
            let names = format!("{artifact_source}: right for {source}");
            terminal::print(&summary(&names, &compared, artifact.source(), hash))?;
            Ok(Outcome::Fine)
        }
        Err(difference) => {
            let hash = source_line(artifact.source(), hash);
            Ok(Outcome::Finding(format!(
                "{artifact_source}: {difference}; {hash}"
            )))
        }
    }
}

/// The core module of a component whose hash an artifact carries.
fn named(modules: &[Module<'_>], hash: SourceHash, progress: &Progress) -> Option<usize> {
    if modules.len() < 2 {
        return None;
    }
    let is_source = |it: &Module<'_>| it.binary().is_some_and(|it| sha256(it, progress) == hash);
    modules.iter().position(is_source)
}

fn source_line(found: Option<SourceHash>, expected: SourceHash) -> String {
    match found {
        None => "the artifact carries no source hash".to_owned(),
        Some(found) if found == expected => "the source hash matches".to_owned(),
        Some(_) => "the source hash differs: it was built from another module".to_owned(),
    }
}

fn summary(
    names: &str,
    compared: &Compared,
    found: Option<SourceHash>,
    expected: SourceHash,
) -> String {
    let mut text = format!("{}\n", terminal::printable(names));
    // A `String` takes whatever is written to it.
    let _ = writeln!(
        text,
        "  {}: {} of segments compared on {} of 4 KiB",
        counted(compared.n_memories, "memory"),
        counted(compared.data_bytes, "byte"),
        counted(compared.n_pages, "page"),
    );
    let _ = write!(
        text,
        "  {} in images, {} replayed",
        counted(compared.n_baked, "segment"),
        grouped(compared.n_replayed),
    );
    if compared.n_unknown != 0 {
        let _ = write!(
            text,
            " ({} at addresses not yet known)",
            grouped(compared.n_unknown)
        );
    }
    let _ = writeln!(
        text,
        "\n  {} ({})",
        source_line(found, expected),
        hex(expected)
    );
    text
}
