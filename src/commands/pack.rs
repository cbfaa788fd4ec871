//! `pack`: the same module with the smallest list of active segments.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use wasm_meminit_image_builder::rewrite::{DataSize, PackOptions, RewriteError, map_modules, pack};

use crate::cli::ModuleArgs;
use crate::error::{Error, Outcome, Result};
use crate::input::{self, Source};
use crate::modules;
use crate::output::{Outputs, shown};
use crate::progress::Progress;
use crate::units::{counted, grouped};

/// Packs a module: the same program with the smallest list of active segments
///
/// Zeros are left out and neighbours joined where that makes the module smaller; it
/// never gets larger. Of a component every core module is packed.
#[derive(Args, Debug)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// The file to write, as a whole or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// At most this many segments in a module, as far as it gets no larger by that
    ///
    /// Fewer segments start faster. 0 is for as few as the size of the module allows.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_segments: usize,
}

pub(crate) fn run(args: &PackArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let outputs = Outputs::new(source, &[("--output", &args.output)])?;
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("packing", None);
    // In the order in which `map_modules` comes to them.
    let known = modules::parse(source, &binary, &args.module.known)?;
    let mut known = known.iter();
    let options = PackOptions::default()
        .with_max_segments(args.max_segments)
        .assume_zeroed_imports(args.module.known.assume_zeroed_imports);
    let mut sizes = Vec::new();
    let wasm = map_modules::<RewriteError>(&binary.bytes, &mut |module| {
        let packed = pack(known.next().unwrap_or(module), &options)?;
        sizes.push((packed.before, packed.after));
        Ok(packed.wasm)
    });
    let wasm = wasm.map_err(|err| Error::of(&source, err))?;
    outputs.write(&mut [&mut |to| to.write_all(&wasm)])?;
    drop(progress);
    outputs.report(&summary(args, binary.bytes.len(), wasm.len(), &sizes))?;
    Ok(Outcome::Fine)
}

fn summary(args: &PackArgs, before: usize, after: usize, sizes: &[(DataSize, DataSize)]) -> String {
    let mut text = String::new();
    // A `String` takes whatever is written to it.
    let name = shown(&args.output);
    let size = counted(after as u64, "byte");
    let _ = writeln!(text, "{name}: {size}, {}", change(before, after));
    for (nth, (before, after)) in sizes.iter().enumerate() {
        if before.segments == 0 && 1 < sizes.len() {
            continue;
        }
        let number = |number: usize| grouped(number as u64);
        let _ = writeln!(
            text,
            "  module {nth}: segments {} -> {}, bytes of the data section {} -> {}",
            number(before.segments),
            number(after.segments),
            number(before.bytes),
            number(after.bytes)
        );
    }
    text
}

fn change(before: usize, after: usize) -> String {
    match before.checked_sub(after) {
        None | Some(0) => "as large as before".to_owned(),
        Some(saved) => format!("{} less than before", grouped(saved as u64)),
    }
}
