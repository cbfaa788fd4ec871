//! `build`: writes an artifact with the images of a module's memories, or those of all core
//! modules of a component.

mod args;
mod artifact;
mod built;
mod bundle;
mod survey;

use std::thread;

use crate::error::{Error, Outcome, Result};
use crate::input::{self, Source, modules};
use crate::output::Outputs;
use crate::progress::Progress;
use crate::report::instances;

pub(crate) use self::args::BuildArgs;

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
    let source = Source(&args.module.file);
    let mut targets = vec![("--output", args.output.as_path())];
    targets.extend(args.strip.as_deref().map(|it| ("--strip", it)));
    let outputs = Outputs::new(source, &targets)?;
    if let Some(nth) = outputs.nth_is_stdout().filter(|_| args.json) {
        let (option, _) = targets[nth];
        let cause = format_args!("--json and {option} both write to stdout");
        return Err(Error::usage(cause));
    }
    let progress = Progress::start();
    let binary = input::module(source, &progress)?;
    progress.phase("planning", None);
    thread::scope(|scope| {
        // Of a component, only the modules are hashed.
        if !binary.is_component() {
            binary.hash_early(scope, &progress);
        }
        let modules = modules::parse(source, &binary, &args.module.known, args.nth)?;
        let instances = instances::instances(&binary, &modules);
        if args.nth.is_none() && binary.is_component() && 1 < modules::with_memory(&modules).len() {
            return bundle::run(args, &outputs, &binary, modules, &instances, &progress);
        }
        artifact::run(args, &outputs, &binary, modules, &instances, &progress)
    })
}
