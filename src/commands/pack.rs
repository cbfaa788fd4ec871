//! `pack`: rewrites a module with the best list of active segments for an objective.

use core::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wasm_meminit::analysis::Policy;
use wasm_meminit::image_builder::rewrite::{
    PackFor, PackOptions, Packed, RewriteError, map_modules, pack,
};

use crate::error::{Error, Outcome, Result};
use crate::input::args::ModuleArgs;
use crate::input::{self, Source, modules};
use crate::output::{Outputs, shown};
use crate::progress::Progress;
use crate::report::file::FileFacts;
use crate::report::{instances, json_pack, promise};
use crate::text::terminal;
use crate::text::units::{counted, grouped, number};

#[derive(Args, Debug)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// Write the module to this file, completely or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Choose what to minimise
    #[arg(long = "for", value_name = "OBJECTIVE", value_enum, default_value_t = Objective::Balanced)]
    objective: Objective,

    /// Limit the number of segments in a module, even if that makes it larger
    ///
    /// Above the limit, the cheapest gaps are filled with zeros; the data grows to at most
    /// twice its size. 0 means as few segments as that allows. Default: the number that is
    /// best for the objective, and at most 10,000 if that does not make the module larger.
    #[arg(long, value_name = "N", value_parser = number::<usize>)]
    max_segments: Option<usize>,

    /// Print what was rewritten as JSON; see docs/schema/pack.schema.json
    #[arg(long)]
    json: bool,
}

/// The values of `--for`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Objective {
    /// Reduce the raw or compressed size, but neither add thousands of segments nor cost an
    /// engine its image
    Balanced,
    /// Minimise the raw size, even if downloads or starts get worse
    Size,
    /// Reduce the compressed size; the raw data may double
    Compressed,
    /// Minimise the cost of a start: few segments, dense enough for an engine's image; the raw
    /// data may double
    Start,
}

impl Objective {
    /// Returns its name, as on the command line.
    const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Size => "size",
            Self::Compressed => "compressed",
            Self::Start => "start",
        }
    }
}

impl From<Objective> for PackFor {
    fn from(objective: Objective) -> Self {
        match objective {
            Objective::Balanced => Self::Balanced,
            Objective::Size => Self::Size,
            Objective::Compressed => Self::Compressed,
            Objective::Start => Self::Start,
        }
    }
}

pub(crate) fn run(args: &PackArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let outputs = Outputs::new(source, &[("--output", &args.output)])?;
    if args.json && outputs.use_stdout() {
        return Err(Error::usage("--json and --output both write to stdout"));
    }
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("packing", None);
    // In the order in which `map_modules` visits them.
    let known = modules::parse(source, &binary, &args.module.known, None)?;
    let instances = instances::instances(&binary, &known);
    let promised = Policy::default().with_zeroed_imports(args.module.known.assume_zeroed_imports);
    let policies = promise::policies(source, &known, &instances, promised);
    let mut known = known.iter().zip(&policies);
    let mut options = PackOptions::default().with_objective(args.objective.into());
    if let Some(max_segments) = args.max_segments {
        options = options.with_max_segments(max_segments);
    }
    let mut reports = Vec::new();
    let wasm = map_modules::<RewriteError>(&binary.bytes, &mut |module| {
        let (module, options) = match known.next() {
            Some((known, it)) => {
                let is_promised = it.assumes_zeroed_imports();
                (known, options.with_zeroed_imports(is_promised))
            }
            None => (module, options),
        };
        let mut packed = pack(module, &options)?;
        let wasm = core::mem::take(&mut packed.wasm);
        reports.push(packed);
        Ok(wasm)
    });
    let wasm = wasm.map_err(|err| Error::of(&source, err))?;
    outputs.write(&mut [&mut |to| to.write_all(&wasm)])?;
    if args.json {
        let input = FileFacts::of_module(source, &binary, true, &progress);
        let output = FileFacts::of_output(&args.output, &[&wasm], input.kind, &progress);
        drop(progress);
        let report = json_pack::report(&input, &output, args.objective.name(), &reports);
        terminal::print_data(&report.map_err(|err| Error::of(&source, err))?)?;
        return Ok(Outcome::Fine);
    }
    drop(progress);
    outputs.report(&summary(args, binary.bytes.len(), wasm.len(), &reports))?;
    Ok(Outcome::Fine)
}

fn summary(args: &PackArgs, before: usize, after: usize, reports: &[Packed]) -> String {
    let mut text = String::new();
    // Writing to a `String` never fails.
    let name = shown(&args.output);
    let size = counted(after as u64, "byte");
    let change = if reports.iter().any(|it| it.is_changed) {
        change(before, after)
    } else {
        "unchanged: this objective gains nothing".to_owned()
    };
    let _ = writeln!(text, "{name}: {size}, {change}");
    for (nth, packed) in reports.iter().enumerate() {
        let (before, after) = (packed.before, packed.after);
        if before.segments == 0 && 1 < reports.len() {
            continue;
        }
        let number = |number: usize| grouped(number as u64);
        let _ = write!(text, "  module {nth}: ");
        let _ = if packed.is_changed {
            writeln!(
                text,
                "segments {} -> {}, data section {} -> {} bytes",
                number(before.segments),
                number(after.segments),
                number(before.bytes),
                number(after.bytes)
            )
        } else {
            writeln!(
                text,
                "unchanged, {} in a data section of {}",
                counted(before.segments as u64, "segment"),
                counted(before.bytes as u64, "byte")
            )
        };
    }
    if let Some(limit) = args.max_segments {
        let most = reports.iter().map(|it| it.after.segments).max();
        if let Some(most) = most.filter(|most| limit.max(1) < *most) {
            let _ = writeln!(
                text,
                "hint: {} remain: fewer would more than double the data, or need --global or \
                 --assume-zeroed-imports",
                counted(most as u64, "segment")
            );
        }
    }
    text
}

fn change(before: usize, after: usize) -> String {
    if let Some(more) = after.checked_sub(before).filter(|more| *more != 0) {
        return format!("{} more than before", grouped(more as u64));
    }
    match before.checked_sub(after) {
        None | Some(0) => "as many as before".to_owned(),
        Some(saved) => format!("{} fewer than before", grouped(saved as u64)),
    }
}
