//! `dump`: shows the bytes of a memory, and where they come from.

use std::path::PathBuf;

use clap::Args;
use wasm_meminit::analysis::Plan;
use wasm_meminit::image_builder::Bundle;

use crate::contents::{Contents, MemoryContents, hex};
use crate::error::{Error, Outcome, Result};
use crate::input::args::{KnownArgs, PolicyArgs};
use crate::input::{self, Input, Source, artifacts, modules};
use crate::progress::Progress;
use crate::report::file::FileFacts;
use crate::report::{instances, json_dump, promise};
use crate::text::terminal::{self, Look};
use crate::text::units::{bytes, counted, number, size};

const EXAMPLES: &str = "\
Examples:
  wasm-meminit dump app.wasm 0x400              Show 256 bytes at an address
  wasm-meminit dump app.wasm 1M 4K              Show 4 KiB at address 1 MiB
  wasm-meminit dump app.meminit 0 64            Show what an artifact has at address 0
  wasm-meminit dump app.wasm 0 --memory-index 1 Show another memory
  wasm-meminit dump app.wasm 0 --json | jq .ranges[].origin";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DumpArgs {
    /// A core module or component, binary or text (.wat), or an artifact; - reads stdin
    file: PathBuf,

    /// The first address: decimal, hexadecimal with 0x, or with a suffix K, M or G
    #[arg(value_parser = bytes)]
    addr: u64,

    /// How many bytes to show, in the same forms. Default: 256, or fewer at the memory's end
    #[arg(value_parser = bytes)]
    len: Option<u64>,

    /// Select a memory by its index
    #[arg(short = 'm', long, value_name = "INDEX", default_value_t = 0, value_parser = number::<u32>)]
    memory_index: u32,

    /// Select a core module of a component or bundle by its number, counted from 0 as in inspect
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    nth: Option<usize>,

    #[command(flatten)]
    known: KnownArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,

    /// Print the bytes and their origins as JSON; see docs/schema/dump.schema.json
    #[arg(long)]
    json: bool,
}

/// How many bytes are shown by default.
const DEFAULT_LEN: u64 = 256;

pub(crate) fn run(args: &DumpArgs) -> Result<Outcome> {
    let source = Source(&args.file);
    let progress = Progress::start();
    let input = input::module_or_artifact(source, &progress)?;
    progress.phase("planning", None);
    let artifact;
    let contents = match &input {
        Input::Module(binary) => {
            let modules = modules::parse(source, binary, &args.known, args.nth)?;
            let instances = instances::instances(binary, &modules);
            let (nth, module) = modules::select(source, modules, args.nth)?;
            let policy = args.policy.policy(&args.known);
            let policy = promise::policy(source, nth, &module, &instances, policy);
            let plan = Plan::new(&module, &policy);
            Contents::of_module(module, &plan)
        }
        Input::Artifact(bytes) => {
            let nth = args.nth.filter(|_| !Bundle::is_bundle(bytes));
            for_modules_only(source, &args.known, &args.policy, nth)?;
            artifact = artifacts::select(source, artifacts::decode(source, bytes)?, args.nth)?;
            Contents::of_artifact(&artifact)
        }
    };
    let memory = memory(source, &contents, args.memory_index)?;
    let len = match args.len {
        Some(len) => len,
        None => DEFAULT_LEN
            .min(memory.end().saturating_sub(args.addr))
            .max(1),
    };
    let end = args
        .addr
        .checked_add(len)
        .filter(|end| *end <= memory.end());
    let Some(end) = end else {
        let error = out_of_range(source, memory, args, len);
        return Err(match memory.is_imported && !contents.is_artifact {
            true => error.with_hint("set the size that the host gives it with --memory NAME=BYTES"),
            false => error,
        });
    };
    let dump = hex::Dump {
        name: source.to_string(),
        contents: &contents,
        memory,
        index: args.memory_index,
        range: args.addr..end,
    };
    if args.json {
        let file = match &input {
            Input::Module(binary) => FileFacts::of_module(source, binary, true, &progress),
            Input::Artifact(bytes) => FileFacts::of_artifact(source, bytes, true, &progress),
        };
        drop(progress);
        let report = json_dump::report(&file, &dump).map_err(|err| Error::of(&source, err))?;
        terminal::print_data(&report)?;
        return Ok(Outcome::Fine);
    }
    drop(progress);
    let look = Look::detect(args.ascii);
    terminal::stream(|to| dump.write(to, look))?;
    Ok(Outcome::Fine)
}

/// Refuses options that say how to plan a module: an artifact records its own.
pub(super) fn for_modules_only(
    source: Source<'_>,
    known: &KnownArgs,
    policy: &PolicyArgs,
    nth: Option<usize>,
) -> Result<()> {
    let option = match (policy.changed(), nth) {
        _ if !known.globals.is_empty() => "--global",
        _ if !known.memories.is_empty() => "--memory",
        _ if known.assume_zeroed_imports => "--assume-zeroed-imports",
        (Some(option), _) => option,
        (None, Some(_)) => "--module",
        (None, None) => return Ok(()),
    };
    let cause =
        format!("{option} applies to modules, but this is an artifact, which is planned already");
    Err(Error::of(&source, cause))
}

fn memory<'c, 'a>(
    source: Source<'_>,
    contents: &'c Contents<'a>,
    index: u32,
) -> Result<&'c MemoryContents<'a>> {
    let memories = &contents.memories;
    memories.get(index as usize).ok_or_else(|| {
        let there = match memories.len() {
            0 => "the module has no memory".to_owned(),
            1 => "the module has only memory 0".to_owned(),
            n => format!("the module has memories 0 to {}", n - 1),
        };
        Error::of(&source, format_args!("memory {index}: {there}"))
    })
}

fn out_of_range(
    source: Source<'_>,
    memory: &MemoryContents<'_>,
    args: &DumpArgs,
    len: u64,
) -> Error {
    let (index, addr) = (args.memory_index, args.addr);
    let (size, exact) = match memory.size {
        Some(bytes) => (size(bytes), format!(" ({bytes:#x} bytes)")),
        None => ("2^64 bytes".to_owned(), String::new()),
    };
    let what = match memory.is_imported {
        true => "is known to have",
        false => "has",
    };
    Error::of(
        &source,
        format_args!(
            "{} at address {addr:#x} {} past memory {index}, which {what} {size}{exact}",
            counted(len, "byte"),
            if len == 1 { "ends" } else { "end" }
        ),
    )
}
