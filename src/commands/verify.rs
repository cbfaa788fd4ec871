//! `verify`: compares an artifact with its module, byte by byte.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use wasm_meminit::analysis::{Assumption, Module};
use wasm_meminit::image_builder::verify::{Verified, verify, verify_stripped};
use wasm_meminit::image_builder::{Artifact, ModuleRole, SourceHash};

use crate::error::{Error, Outcome, Result};
use crate::input::args::ModuleArgs;
use crate::input::hash::{hex, sha256};
use crate::input::{self, Source, modules};
use crate::progress::Progress;
use crate::report::file::FileFacts;
use crate::report::json_verify::{self, Comparison};
use crate::text::printable::printable;
use crate::text::terminal;
use crate::text::units::{counted, grouped};

/// Replay a module and compare every byte of its memories with an artifact
///
/// Compares the image before any segment is replayed, the memories after the replay and, if
/// the image replaces the work of a start function, the memories after that function. The
/// artifact records its assumptions about the host; values given as options are compared with
/// them. The exit code is 0 if nothing differs. Otherwise it is 1, and stderr names the first
/// difference. An artifact built from another module is a difference, even if every byte
/// matches. A module written by build --strip is recognised by its hash, but only the module
/// that it was made from can be compared.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The artifact, as written by build; - reads stdin
    artifact: PathBuf,

    /// Select a core module of a component by its number. Default: the one that the artifact names
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,

    /// Print what was compared as JSON; see docs/schema/verify.schema.json
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let artifact_source = Source(&args.artifact);
    if args.module.file.as_os_str() == "-" && args.artifact.as_os_str() == "-" {
        return Err(Error::usage("only one of the two files can be stdin"));
    }
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    let artifact_bytes = input::artifact(artifact_source, &progress)?;
    progress.phase("checking", None);
    let artifact =
        Artifact::decode(&artifact_bytes).map_err(|err| Error::of(&artifact_source, err))?;

    let modules = modules::parse(source, &binary, &args.module.known)?;
    let nth = args
        .nth
        .or_else(|| named(&modules, artifact.source()?, &progress));
    let (nth, module) = modules::select(source, modules, nth)?;
    let hash = sha256(module.binary().unwrap_or(&binary.bytes), &progress);
    // Prints the JSON that was requested instead of the text.
    let json = |is_stripped, finding: Option<&String>, verified, assumptions: &[Assumption]| {
        let report = json_verify::report(&Comparison {
            module: &FileFacts::of_module(source, &binary, true, &progress),
            artifact: &FileFacts::of_artifact(artifact_source, &artifact_bytes, true, &progress),
            nth,
            sha256: hash,
            source: artifact.source(),
            is_stripped,
            finding: finding.cloned(),
            verified,
            assumptions,
        });
        terminal::print_data(&report.map_err(|err| Error::of(&source, err))?)
    };

    let is_source = artifact.source() == Some(hash);
    if artifact.module_role(hash) == Some(ModuleRole::Stripped) && !is_source {
        let verified = verify_stripped(module, &artifact);
        if args.json {
            let finding = verified.as_ref().err().map(ToString::to_string);
            let assumptions = verified.as_deref().unwrap_or_default();
            json(true, finding.as_ref(), None, assumptions)?;
            return Ok(outcome(artifact_source, finding));
        }
        drop(progress);
        return match verified {
            Ok(assumptions) => {
                let names = format!("{artifact_source}: belongs to {source}");
                let mut text = format!("{}\n{STRIPPED}", printable(&names));
                for assumption in assumptions {
                    // Writing to a `String` never fails.
                    let _ = writeln!(text, "  assumes: {}", printable(&assumption.to_string()));
                }
                terminal::print(&text)?;
                Ok(Outcome::Fine)
            }
            Err(finding) => Ok(Outcome::Finding(format!("{artifact_source}: {finding}"))),
        };
    }

    progress.phase("comparing", None);
    let verified = verify(module, hash, &artifact);
    if args.json {
        let finding = verified.as_ref().err().map(ToString::to_string);
        let verified = verified.as_ref().ok();
        let assumptions = verified.map_or(&[][..], |it| &it.assumptions);
        json(false, finding.as_ref(), verified, assumptions)?;
        return Ok(outcome(artifact_source, finding));
    }
    drop(progress);
    match verified {
        Ok(verified) => {
            let names = format!("{artifact_source}: correct for {source}");
            terminal::print(&summary(&names, &verified, artifact.source(), hash))?;
            Ok(Outcome::Fine)
        }
        Err(finding) => Ok(Outcome::Finding(format!(
            "{artifact_source}: {finding}; {}",
            source_line(artifact.source(), hash)
        ))),
    }
}

/// Returns the outcome of a comparison: the finding, if there is one.
fn outcome(artifact: Source<'_>, finding: Option<String>) -> Outcome {
    finding.map_or(Outcome::Fine, |it| {
        Outcome::Finding(format!("{artifact}: {it}"))
    })
}

/// The report for a stripped module, which no longer has the segments to compare with.
const STRIPPED: &str = "  the hash is that of the module without the segments that are in the image
  no bytes were compared; to compare them, pass the module that both were built from
";

/// Returns the core module of a component whose hash the artifact has.
fn named(modules: &[Module<'_>], hash: SourceHash, progress: &Progress) -> Option<usize> {
    if modules.len() < 2 {
        return None;
    }
    let is_source = |it: &Module<'_>| it.binary().is_some_and(|it| sha256(it, progress) == hash);
    modules.iter().position(is_source)
}

fn source_line(found: Option<SourceHash>, expected: SourceHash) -> String {
    match found {
        None => "the artifact has no source hash".to_owned(),
        Some(found) if found == expected => "the source hash matches".to_owned(),
        Some(_) => "the source hash differs: the artifact is from another module".to_owned(),
    }
}

fn summary(
    names: &str,
    verified: &Verified,
    found: Option<SourceHash>,
    expected: SourceHash,
) -> String {
    let mut text = format!("{}\n", printable(names));
    // Writing to a `String` never fails.
    let _ = writeln!(
        text,
        "  {}: compared {} of segment data on {} of 4 KiB",
        counted(verified.n_memories, "memory"),
        counted(verified.data_bytes, "byte"),
        counted(verified.n_pages, "page"),
    );
    let _ = write!(
        text,
        "  {} in images, {} replayed",
        counted(verified.n_baked, "segment"),
        grouped(verified.n_replayed),
    );
    if verified.n_unknown != 0 {
        let _ = write!(
            text,
            " ({} at addresses not yet known)",
            grouped(verified.n_unknown)
        );
    }
    for assumption in &verified.assumptions {
        let _ = write!(text, "\n  assumes: {}", printable(&assumption.to_string()));
    }
    let _ = writeln!(
        text,
        "\n  {} ({})",
        source_line(found, expected),
        hex(expected)
    );
    text
}
