//! `extract`: writes the image of one memory as a plain file.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use wasm_meminit::analysis::{MemoryIndex, Run};

use crate::error::{Error, Outcome, Result};
use crate::input::{self, Source, artifacts};
use crate::output::{Outputs, shown};
use crate::progress::Progress;
use crate::report::file::FileFacts;
use crate::report::json_extract::{self, Extracted};
use crate::text::terminal;
use crate::text::units::{counted, grouped, number};

const EXAMPLES: &str = "\
Examples:
  wasm-meminit extract app.meminit 0 -o memory0.bin
  wasm-meminit extract app.meminit 0 -o - | xxd -a
  wasm-meminit build app.wasm -o - | wasm-meminit extract - 0 -o memory0.bin";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExtractArgs {
    /// The artifact, as written by build; - reads stdin
    artifact: PathBuf,

    /// The index of the memory
    #[arg(value_parser = number::<u32>)]
    memory: u32,

    /// Select a core module of a bundle by its number, counted from 0 as in inspect
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    nth: Option<usize>,

    /// Write the bytes to this file, completely or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Print what was written as JSON; see docs/schema/extract.schema.json
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ExtractArgs) -> Result<Outcome> {
    let source = Source(&args.artifact);
    let outputs = Outputs::new(source, &[("--output", &args.output)])?;
    if args.json && outputs.use_stdout() {
        return Err(Error::usage("--json and --output both write to stdout"));
    }
    let progress = Progress::start();
    let bytes = input::artifact(source, &progress)?;
    progress.phase("checking", None);
    let decoded = artifacts::decode(source, &bytes)?;
    let artifact = artifacts::select(source, decoded, args.nth)?;
    let index = MemoryIndex::from_u32(args.memory);
    let (Some(image), Some(memory)) = (artifact.image(index), artifact.head().memory(index)) else {
        let there = match artifact.memories().len() {
            0 => "the artifact has no memory".to_owned(),
            1 => "the artifact has only memory 0".to_owned(),
            n => format!("the artifact has memories 0 to {}", n - 1),
        };
        return Err(Error::of(
            &source,
            format_args!("memory {}: {there}", args.memory),
        ));
    };
    // With wasm pages of one byte, the last host page may extend past the memory.
    let end = image.end().min(memory.ty().min_bytes().unwrap_or(u64::MAX));
    progress.phase("writing", None);
    let runs: Vec<_> = image.runs().collect();
    let pieces: Vec<(u64, &[u8])> = runs
        .iter()
        .map(|run| {
            let len = end.saturating_sub(run.addr).min(run.data.len() as u64);
            (run.addr, &run.data[..len as usize])
        })
        .collect();
    outputs.write_sparse(&pieces, end)?;

    let replayed = artifact.replay().filter(|it| it.memory_index == index);
    let n_replayed = replayed.count() as u64;
    if args.json {
        let report = json_extract::report(&Extracted {
            artifact: &FileFacts::of_artifact(source, &bytes, true, &progress),
            output: &args.output.display().to_string(),
            memory: args.memory,
            bytes: end,
            runs: image.layout(),
            n_replayed,
        });
        drop(progress);
        terminal::print_data(&report.map_err(|err| Error::of(&source, err))?)?;
        return Ok(Outcome::Fine);
    }
    drop(progress);
    outputs.report(&summary(args, image.layout(), end, n_replayed))?;
    Ok(Outcome::Fine)
}

fn summary(args: &ExtractArgs, runs: &[Run], end: u64, n_replayed: u64) -> String {
    let mut text = String::new();
    // Writing to a `String` never fails.
    let name = shown(&args.output);
    let _ = write!(
        text,
        "{name}: {}, addresses 0x0..{end:#x}",
        counted(end, "byte")
    );
    let _ = match runs {
        [] => write!(text, "\n  memory {} has no image", args.memory),
        [first, ..] => {
            let stored: u64 = runs.iter().map(|it| it.len).sum();
            write!(
                text,
                "\n  memory {}: {} of {} bytes, the first at {:#x}",
                args.memory,
                counted(runs.len() as u64, "run"),
                grouped(stored),
                first.addr
            )
        }
    };
    if n_replayed != 0 {
        let n = counted(n_replayed, "segment");
        let _ = write!(text, "\n  without {n} still to be replayed");
    }
    text.push('\n');
    text
}
