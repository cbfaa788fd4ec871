//! `diff`: compares the memories of two modules or artifacts, or of one under two policies.

use std::path::{Path, PathBuf};

use clap::Args;
use wasm_meminit::analysis::{Assumption, Global, GlobalIndex, Module, Plan, Value};
use wasm_meminit::image_builder::{Artifact, Bundle};

use super::dump::for_modules_only;
use crate::contents::Contents;
use crate::diff::{Diff, ModuleDiff, json, text};
use crate::error::{Error, Outcome, Result};
use crate::input::args::{KnownArgs, PolicyArgs, Preset, Start};
use crate::input::{self, Input, Source, artifacts, globals, modules};
use crate::progress::Progress;
use crate::report::{instances, promise};
use crate::text::printable::printable;
use crate::text::terminal::{self, Look};
use crate::text::units::number;

const EXAMPLES: &str = "\
Examples:
  wasm-meminit diff old.wasm new.wasm           Show what a new build changes
  wasm-meminit diff old.meminit new.meminit     Compare two artifacts, page by page
  wasm-meminit diff app.wasm app.meminit        Check whether an artifact is up to date
  wasm-meminit diff app.wasm --with-policy smallest
                                                Show what another policy changes

Exit codes:
  0  no difference
  1  a difference
  2  bad usage, or a file that cannot be read";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// A module, component or artifact; - reads stdin
    a: PathBuf,

    /// The other one. Default: the same file, with another policy
    #[arg(required_unless_present_any = ["with_policy", "with_start_function"])]
    b: Option<PathBuf>,

    #[command(flatten)]
    known: KnownArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Choose how images of B are laid out. Default: as for A
    #[arg(long, value_enum, value_name = "POLICY")]
    with_policy: Option<Preset>,

    /// Choose how to treat data that the start function of B copies. Default: as for A
    #[arg(long, value_enum, value_name = "TREATMENT")]
    with_start_function: Option<Start>,

    /// Select a core module of components by its number. Default: compare all of them
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    nth: Option<usize>,

    /// Print the differences as JSON; see docs/schema/diff.schema.json
    #[arg(long)]
    json: bool,

    /// Use ASCII characters only
    #[arg(long)]
    ascii: bool,
}

/// What is known of one side: its core modules with their numbers.
type Side<'a> = Vec<(Option<usize>, Contents<'a>)>;

pub(crate) fn run(args: &DiffArgs) -> Result<Outcome> {
    let paths: [&Path; 2] = [&args.a, args.b.as_ref().unwrap_or(&args.a)];
    let sources = paths.map(Source);
    if args.b.is_some() && sources[0].is_stdin() && sources[1].is_stdin() {
        return Err(Error::usage("only one of the two files can be stdin"));
    }
    let progress = Progress::start();
    let first = input::module_or_artifact(sources[0], &progress)?;
    let second = match args.b {
        Some(_) => Some(input::module_or_artifact(sources[1], &progress)?),
        None => None,
    };
    let inputs = [&first, second.as_ref().unwrap_or(&first)];
    progress.phase("comparing", None);
    let is_artifact = |it: &Input| matches!(it, Input::Artifact(_));
    if inputs.into_iter().all(is_artifact) {
        let is_bundle = |it: &Input| matches!(it, Input::Artifact(it) if Bundle::is_bundle(it));
        let nth = args.nth.filter(|_| !inputs.into_iter().any(is_bundle));
        for_modules_only(sources[0], &args.known, &args.policy, nth)?;
    }
    let other = args.policy.with(args.with_policy, args.with_start_function);
    if is_artifact(inputs[1]) && (args.with_policy.is_some() || args.with_start_function.is_some())
    {
        let cause =
            "--with-policy and --with-start-function apply to modules, but this is an artifact";
        return Err(Error::of(&sources[1], cause));
    }
    // An artifact is of one core module, so one is selected on the other side too.
    let is_single = |it: &Input| matches!(it, Input::Artifact(bytes) if !Bundle::is_bundle(bytes));
    let one = args.nth.is_some() || inputs.into_iter().any(is_single);
    let mut decoded: [Vec<Artifact<'_>>; 2] = [Vec::new(), Vec::new()];
    for ((decoded, input), source) in decoded.iter_mut().zip(inputs).zip(sources) {
        if let Input::Artifact(bytes) = input {
            *decoded = artifacts::decode(source, bytes)?;
            if one {
                let nth = args.nth.filter(|_| !is_single(input));
                *decoded = vec![artifacts::select(source, core::mem::take(decoded), nth)?];
            }
        }
    }
    let number = |nth: usize| args.nth.filter(|_| one).unwrap_or(nth);
    let is_default = args.known.is_default() && other.is_default();
    let side = |nth: usize, policy: &PolicyArgs| -> Result<Side<'_>> {
        let Input::Module(binary) = inputs[nth] else {
            let number = |at| (!is_single(inputs[nth])).then(|| number(at));
            let artifacts = decoded[nth].iter().enumerate();
            let sides = artifacts.map(|(at, it)| (number(at), Contents::of_artifact(it)));
            return Ok(sides.collect());
        };
        let modules = modules::parse(sources[nth], binary, &args.known, args.nth)?;
        let instances = instances::instances(binary, &modules);
        let modules = match one {
            true => vec![modules::select(sources[nth], modules, args.nth)?],
            false => modules.into_iter().enumerate().collect(),
        };
        let policy = policy.policy(&args.known);
        let sides = modules
            .into_iter()
            .enumerate()
            .map(|(at, (number, module))| {
                // As the artifact on the other side records.
                let recorded = decoded[1 - nth].get(at).filter(|_| is_default);
                let (module, policy) = match recorded {
                    Some(artifact) => (assuming(module, artifact.assumptions()), artifact.policy()),
                    None => {
                        let policy =
                            promise::policy(sources[nth], number, &module, &instances, policy);
                        (module, policy)
                    }
                };
                let plan = Plan::new(&module, &policy);
                let module = match is_artifact(inputs[1 - nth]) {
                    true => relied_on(module, &plan),
                    false => module,
                };
                (Some(number), Contents::of_module(module, &plan))
            });
        Ok(sides.collect())
    };
    let sides = [side(0, &args.policy)?, side(1, &other)?];
    let n_modules = sides[0].len().max(sides[1].len());
    let modules = (0..n_modules).map(|nth| {
        let both = [sides[0].get(nth), sides[1].get(nth)];
        let numbers = both.map(|it| it.and_then(|it| it.0));
        ModuleDiff::new(numbers, both.map(|it| it.map(|it| &it.1)))
    });
    let diff = Diff {
        names: names(args, sources, &other),
        modules: modules.collect(),
    };
    let outcome = match diff.is_equal() {
        true => Outcome::Fine,
        false => Outcome::Reported(1),
    };
    let report = match args.json {
        true => json::report(&diff).map_err(|err| Error::of(&sources[0], err))?,
        false => text::report(&diff, Look::detect(args.ascii)),
    };
    drop(progress);
    for (name, side) in diff.names.iter().zip(&sides) {
        warn_of_start(name, side);
    }
    match args.json {
        true => terminal::print_data(&report)?,
        false => terminal::print(&report)?,
    }
    Ok(outcome)
}

/// Says why what a start function copies is in no image, where that was asked for: images without
/// it may be equal.
fn warn_of_start(name: &str, side: &Side<'_>) {
    for (nth, contents) in side {
        let Some(why) = contents.start_left else {
            continue;
        };
        let of = match nth {
            Some(nth) if 1 < side.len() => format!("core module {nth}: "),
            _ => String::new(),
        };
        terminal::warn(&format!(
            "{}: {of}the start function's data is in no image: {why}",
            printable(name)
        ));
    }
}

/// Returns the module with what the plan relies on, and nothing else that the user states about the
/// host: an artifact records no more.
fn relied_on<'a>(module: Module<'a>, plan: &Plan<'_>) -> Module<'a> {
    assuming(
        module.without_supplied(),
        plan.assumptions().iter().cloned(),
    )
}

/// Returns the module with what an artifact records about its host. What does not apply is
/// left out: it is part of the difference.
fn assuming<'a>(
    mut module: Module<'a>,
    assumptions: impl Iterator<Item = Assumption>,
) -> Module<'a> {
    for it in assumptions {
        match it {
            // Checked first, because a copy of the module for each value would be quadratic.
            Assumption::GlobalValue { global, value, .. } if is_open(&module, global, value) => {
                module = module.with_global(global, value).unwrap_or_default();
            }
            // One for each imported memory, at most.
            Assumption::MemorySize { memory, bytes, .. } => {
                let supplied = module.clone().with_memory_size(memory, bytes);
                module = supplied.unwrap_or(module);
            }
            _ => {}
        }
    }
    module
}

/// Whether an imported global can be given this value.
fn is_open(module: &Module<'_>, global: GlobalIndex, value: Value) -> bool {
    let ty = module.globals().get(global).and_then(Global::ty);
    globals::import_name(module, global).is_some()
        && module.global_value(global).is_none()
        && ty == Some(value.ty())
}

/// Returns the names of both sides, with what distinguishes them if the file is the same.
fn names(args: &DiffArgs, sources: [Source<'_>; 2], other: &PolicyArgs) -> [String; 2] {
    let policies = [&args.policy, other];
    let named = |nth: usize| {
        let name = sources[nth].to_string();
        if args.b.is_some() && other.name() == args.policy.name() {
            return name;
        }
        let mut text = format!("{name} (policy {}", policies[nth].name());
        if args.with_start_function.is_some() {
            text.push_str(&format!(", start function {}", policies[nth].start_name()));
        }
        text + ")"
    };
    [named(0), named(1)]
}
