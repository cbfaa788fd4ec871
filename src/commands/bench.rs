//! `bench`: what initialising and resetting memories costs on this machine.

use core::ops::RangeInclusive;
use core::time::Duration;

use clap::Args;
use wasm_meminit::analysis::Plan;
use wasm_meminit::image_builder::ModuleImage;

use crate::bench::{self, Request};
use crate::error::{Error, Outcome, Result};
use crate::input::args::{ModuleArgs, PolicyArgs};
use crate::input::{self, Source, modules};
use crate::progress::Progress;
use crate::report::{instances, promise};
use crate::text::terminal::{self, Look};
use crate::text::units::{grouped, number};

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    module: ModuleArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Select a core module of a component by its number, counted from 0 as in inspect
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    nth: Option<usize>,

    /// Set how many pages a use writes to; counts larger than the memory are skipped
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_values_t = [0, 1, 16, 64, 256, 1024],
        value_parser = pages
    )]
    pages: Vec<u64>,

    /// Set how long to measure for each row, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 200,
        value_parser = milliseconds
    )]
    time: u64,

    /// Print the measurements as JSON; see docs/schema/bench.schema.json
    #[arg(long)]
    json: bool,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,
}

fn pages(text: &str) -> core::result::Result<u64, String> {
    in_range(text, 0..=1 << 32)
}

fn milliseconds(text: &str) -> core::result::Result<u64, String> {
    in_range(text, 1..=3_600_000)
}

/// Parses a number, and checks that it is in a range.
fn in_range(text: &str, range: RangeInclusive<u64>) -> core::result::Result<u64, String> {
    let parsed = number(text)?;
    let (min, max) = (grouped(*range.start()), grouped(*range.end()));
    match range.contains(&parsed) {
        true => Ok(parsed),
        false => Err(format!("expected a number from {min} to {max}")),
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    let modules = modules::parse(source, &binary, &args.module.known, args.nth)?;
    let instances = instances::instances(&binary, &modules);
    let (nth, module) = modules::select(source, modules, args.nth)?;
    let policy = args.policy.policy(&args.module.known);
    let policy = promise::policy(source, nth, &module, &instances, policy);
    let plan = Plan::new(&module, &policy);
    progress.phase("building", None);
    let image = ModuleImage::build(&module, &plan).map_err(|err| Error::of(&source, err))?;
    let request = Request {
        name: source.to_string(),
        module: &module,
        plan: &plan,
        image: &image,
        n_pages: &args.pages,
        time: Duration::from_millis(args.time),
    };
    let report = bench::run(request, &progress);
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
