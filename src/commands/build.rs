//! `build`: an artifact of a module's memories.

use core::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, StartReason};
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, RewriteError, externalize, strip_renumbered,
};
use wasm_meminit_image_builder::{EncodedArtifact, ModuleImage, SourceHash, Tool};

use crate::cli::{ModuleArgs, PolicyArgs};
use crate::error::{self, Error, Outcome, Result};
use crate::hash::{hex, sha256};
use crate::hint::{self, Told};
use crate::input::{self, Source};
use crate::modules;
use crate::object::{Relocation, relocation};
use crate::output::{Content, Outputs, shown};
use crate::printable::printable;
use crate::progress::Progress;
use crate::report::{self, word};
use crate::survey::ModuleSurvey;
use crate::terminal::Look;
use crate::units::{counted, grouped};

/// Builds an artifact: images of the memories, and what must still be replayed
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The file to write, as a whole or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Which core module of a component, counted from 0 as inspect does
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,

    /// Also write the module without the segments that are in the image
    ///
    /// For engines that start from the image and would write those segments again. Of a
    /// component it is the core module alone. Both files are written, or neither.
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

/// What the artifact says of who built it.
const TOOL: Tool<'_> = Tool {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let strip = args.strip.as_deref();
    let mut targets = vec![("--output", args.output.as_path())];
    targets.extend(strip.map(|it| ("--strip", it)));
    let outputs = Outputs::new(source, &targets)?;
    let fail = |err: &dyn core::error::Error| Error::of(&source, err);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    let modules = modules::parse(source, &binary, &args.module.known)?;
    let n_modules = modules.len();
    let (nth, module) = modules::select(source, modules, args.nth)?;
    let bytes = module.binary().unwrap_or(&binary.bytes);
    linked(source, &module, bytes, strip.is_some())?;
    let told = Told {
        policy: args.policy.policy(&args.module.known),
        zeroed_imports: args.module.known.assume_zeroed_imports,
    };
    let survey = ModuleSurvey::new(module, &told.policy);
    let (module, plan) = (&survey.module, &survey.plan);

    progress.phase("building", None);
    let image = ModuleImage::build(module, plan).map_err(|err| fail(&err))?;
    let hash = sha256(bytes, &progress);
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
    drop(progress);

    let mut text = summary(args, plan, &artifact, hash);
    if let (Some(target), Some(wasm)) = (strip, &stripped) {
        let size = counted(wasm.len() as u64, "byte");
        let part = match binary.is_component() {
            true => format!(", core module {nth} of the component, alone"),
            false => String::new(),
        };
        let _ = writeln!(text, "{}: {size}{part}", shown(target));
    }
    if let Some(hint) = hint::hint(core::iter::once((nth, &survey)), n_modules, told) {
        report::hint_text(&mut text, &hint, Look::detect(false));
    }
    outputs.report(&text)?;
    Ok(Outcome::Fine)
}

/// Refuses what is not linked yet: its data are not what they will be.
fn linked(source: Source<'_>, module: &Module<'_>, binary: &[u8], strip: bool) -> Result<()> {
    match relocation(module, binary) {
        Relocation::None => Ok(()),
        Relocation::Object => Err(Error::of(
            &source,
            "an object file: its data segments are yet to be relocated",
        )
        .with_hint("link it first, and build from what the linker writes")),
        Relocation::Kept(section) if strip => Err(Error::of(
            &source,
            format_args!(
                "custom section {} names bytes of data segments that --strip would take out",
                printable(section)
            ),
        )
        .with_hint("link without --emit-relocs, or remove that section first")),
        Relocation::Kept(section) => {
            error::warn(&format!(
                "{source}: custom section {section} is for a linker; the image is of the data as \
                 they are"
            ));
            Ok(())
        }
    }
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

fn write(
    to: &mut dyn Write,
    artifact: &EncodedArtifact<'_>,
    progress: &Progress,
) -> io::Result<()> {
    progress.phase("writing", Some(len(artifact)));
    for part in core::iter::once(artifact.head()).chain(artifact.payload().iter().copied()) {
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
    // A `String` takes whatever is written to it.
    let size = counted(len(artifact) as u64, "byte");
    let _ = writeln!(text, "{}: {size}", shown(&args.output));
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
