//! `verify`: compares an artifact with its module, byte by byte.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use wasm_meminit::analysis::Module;
use wasm_meminit::image_builder::verify::{verify, verify_stripped};
use wasm_meminit::image_builder::{Artifact, Bundle, ModuleRole, SourceHash};

use crate::commands::strip::is_as_named;
use crate::error::{Error, Outcome, Result};
use crate::input::args::ModuleArgs;
use crate::input::hash::{hex, sha256};
use crate::input::{self, Source, modules};
use crate::progress::Progress;
use crate::report::file::FileFacts;
use crate::report::json_verify::{self, Comparison};
use crate::text::printable::printable;
use crate::text::terminal;
use crate::text::units::{counted, grouped, number};

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The artifact or bundle, as written by build; - reads stdin
    artifact: PathBuf,

    /// Select a core module of a component by its number. Default: the one that the artifact names
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    nth: Option<usize>,

    /// State which module name the artifact's stripped module imports its memories from
    ///
    /// Only needed if build was given --externalize=MODULE with a name other than meminit, and
    /// FILE is the module that was not stripped.
    #[arg(long, value_name = "MODULE", require_equals = true)]
    externalize: Option<String>,

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
    let bytes = input::artifact(artifact_source, &progress)?;
    progress.phase("checking", None);
    let modules = modules::parse(source, &binary, &args.module.known, args.nth)?;
    let is_bundle = Bundle::is_bundle(&bytes);
    let pairs = match is_bundle {
        true => {
            let bundle = Bundle::decode(&bytes);
            let bundle = bundle.map_err(|err| Error::of(&artifact_source, err))?;
            let (n_artifacts, n_modules) = (bundle.artifacts().len(), modules.len());
            if n_artifacts != n_modules {
                return Ok(Outcome::Finding(format!(
                    "{artifact_source}: a bundle of {}, but the file has {}",
                    counted(n_artifacts as u64, "artifact"),
                    counted(n_modules as u64, "core module")
                )));
            }
            in_bundle(source, modules, &bundle, args.nth)?
        }
        false => {
            let artifact = Artifact::decode(&bytes);
            let artifact = artifact.map_err(|err| Error::of(&artifact_source, err))?;
            let nth = args
                .nth
                .or_else(|| named(&modules, artifact.source()?, &progress));
            let (nth, module) = modules::select(source, modules, nth)?;
            vec![(nth, module, artifact)]
        }
    };
    progress.phase("comparing", None);
    let mut all = Vec::new();
    for (nth, module, artifact) in pairs {
        let hash = binary.hash_of(module.binary().unwrap_or(&binary.bytes), &progress);
        let mut comparison = compare(nth, module.clone(), hash, &artifact);
        let externalize = args.externalize.as_deref();
        if comparison.verified.is_some() && !is_as_named(&module, &artifact, externalize, &progress)
        {
            comparison.finding = Some(UNLIKE_STRIPPED.to_owned());
            comparison.verified = None;
        }
        all.push(comparison);
    }
    // The module's number, where there are several.
    let number = |it: &Comparison| match is_bundle {
        true => format!("core module {}: ", it.nth),
        false => String::new(),
    };
    let finding = all.iter().find_map(|it| {
        let finding = it.finding.as_ref()?;
        Some(format!("{artifact_source}: {}{finding}", number(it)))
    });
    if args.json {
        let module = FileFacts::of_module(source, &binary, true, &progress);
        let artifact = FileFacts::of_artifact(artifact_source, &bytes, true, &progress);
        drop(progress);
        let report = json_verify::report(&module, &artifact, &all);
        terminal::print_data(&report.map_err(|err| Error::of(&source, err))?)?;
        return Ok(finding.map_or(Outcome::Fine, Outcome::Finding));
    }
    drop(progress);
    if let Some(finding) = finding {
        return Ok(Outcome::Finding(finding));
    }
    for it in &all {
        let names = match it.is_stripped {
            true => format!("{artifact_source}: {}belongs to {source}", number(it)),
            false => format!("{artifact_source}: {}correct for {source}", number(it)),
        };
        terminal::print(&summary(&names, it))?;
    }
    Ok(Outcome::Fine)
}

/// A core module and the artifact that it is compared with.
type Pair<'a> = (usize, Module<'a>, Artifact<'a>);

/// Returns the core modules of a component, each with its artifact; or only the `wanted` one.
fn in_bundle<'a>(
    source: Source<'_>,
    modules: Vec<Module<'a>>,
    bundle: &Bundle<'a>,
    wanted: Option<usize>,
) -> Result<Vec<Pair<'a>>> {
    let pairs = |(nth, module): (usize, Module<'a>)| {
        Some((nth, module, bundle.artifacts().get(nth)?.clone()))
    };
    Ok(match wanted {
        Some(_) => {
            let selected = modules::select(source, modules, wanted)?;
            pairs(selected).into_iter().collect()
        }
        None => modules.into_iter().enumerate().filter_map(pairs).collect(),
    })
}

/// Compares a core module, of which this is the hash, with its artifact.
fn compare(
    nth: usize,
    module: Module<'_>,
    hash: SourceHash,
    artifact: &Artifact<'_>,
) -> Comparison {
    let is_source = artifact.source() == Some(hash);
    let is_stripped = artifact.module_role(hash) == Some(ModuleRole::Stripped) && !is_source;
    let (finding, verified, assumptions) = if is_stripped {
        match verify_stripped(module, artifact) {
            Ok(assumptions) => (None, None, assumptions),
            Err(finding) => (Some(finding.to_string()), None, Vec::new()),
        }
    } else {
        match verify(module, hash, artifact) {
            Ok(verified) => {
                let assumptions = verified.assumptions.clone();
                (None, Some(verified), assumptions)
            }
            Err(finding) => {
                let line = source_line(artifact.source(), hash);
                (Some(format!("{finding}; {line}")), None, Vec::new())
            }
        }
    };
    Comparison {
        nth,
        sha256: hash,
        source: artifact.source(),
        is_stripped,
        finding,
        verified,
        assumptions,
    }
}

/// The report for a stripped module, which no longer has the segments to compare with.
const STRIPPED: &str = "  the hash is that of the module without the segments that are in the image
  no bytes were compared; to compare them, pass the module that both were built from
";

/// A host takes the module with that hash for this one, so it must be this one, stripped.
const UNLIKE_STRIPPED: &str = "the artifact names a stripped module that is not this one without \
     the segments in the image (if build was given --externalize=MODULE, pass that)";

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

fn summary(names: &str, it: &Comparison) -> String {
    let mut text = format!("{}\n", printable(names));
    // Writing to a `String` never fails.
    let Some(verified) = &it.verified else {
        text.push_str(STRIPPED);
        for assumption in &it.assumptions {
            let _ = writeln!(text, "  assumes: {}", printable(&assumption.to_string()));
        }
        return text;
    };
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
    for assumption in &it.assumptions {
        let _ = write!(text, "\n  assumes: {}", printable(&assumption.to_string()));
    }
    let _ = writeln!(
        text,
        "\n  {} ({})",
        source_line(it.source, it.sha256),
        hex(it.sha256)
    );
    text
}
