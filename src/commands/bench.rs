//! `bench`: what a first state costs on this machine.

use core::time::Duration;

use clap::Args;
use wasm_meminit_analysis::Plan;
use wasm_meminit_image_builder::ModuleImage;

use crate::bench::{self, Order};
use crate::cli::{ModuleArgs, PolicyArgs};
use crate::error::{Error, Outcome, Result};
use crate::input::{self, Source};
use crate::modules;
use crate::progress::Progress;
use crate::terminal::{self, Look};

/// Measures starts and resets of a module's memories on this machine
///
/// A start brings a fresh memory to its first state: by replaying the segments, by copying
/// the image, by mapping it. A reset brings a used memory back: each line is a use that
/// writes to so many pages, as far apart as they can be. All ways take turns; shown are
/// medians, which mean little on another machine, and ratios.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    module: ModuleArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Which core module of a component, counted from 0 as inspect does
    #[arg(long = "module", value_name = "N")]
    nth: Option<usize>,

    /// How many pages a use writes to; what a memory has not is left out
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_values_t = [0, 1, 16, 64, 256, 1024],
        value_parser = clap::value_parser!(u64).range(..=1 << 32)
    )]
    pages: Vec<u64>,

    /// How long to measure for each line, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    time: u64,

    /// Print the measurements as JSON; its "format" number changes only with its meaning
    #[arg(long)]
    json: bool,

    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
}

pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    let modules = modules::parse(source, &binary, &args.module.known)?;
    let (_, module) = modules::select(source, modules, args.nth)?;
    let plan = Plan::new(&module, &args.policy.policy(&args.module.known));
    progress.phase("building", None);
    let image = ModuleImage::build(&module, &plan).map_err(|err| Error::of(&source, err))?;
    let order = Order {
        name: source.to_string(),
        module: &module,
        plan: &plan,
        image: &image,
        n_pages: &args.pages,
        time: Duration::from_millis(args.time),
    };
    let report = bench::run(order, &progress);
    let text = if args.json {
        bench::json(&report).map_err(|err| Error::of(&source, err))?
    } else {
        bench::text(&report, Look::detect(args.ascii))
    };
    drop(progress);
    if args.json {
        terminal::print_data(&text)?;
    } else {
        terminal::print(&text)?;
    }
    Ok(Outcome::Fine)
}
