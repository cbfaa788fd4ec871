//! The arguments of `build`.

use std::path::PathBuf;

use clap::Args;
use wasm_meminit::image_builder::rewrite::DEFAULT_IMPORT_MODULE;

use crate::input::args::{ModuleArgs, PolicyArgs};
use crate::report::hint::PlanOptions;
use crate::text::units::number;

#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(super) module: ModuleArgs,

    /// Write the artifact to this file, completely or not at all; - is stdout
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,

    #[command(flatten)]
    pub(super) policy: PolicyArgs,

    /// Select a core module of a component by its number, counted from 0 as in inspect
    ///
    /// Without it, a component with several memories gives a bundle: one file with the
    /// artifacts of all its core modules. With it, a --global or --memory that names no core
    /// module is about this one.
    #[arg(long = "module", value_name = "N", value_parser = number::<usize>)]
    pub(super) nth: Option<usize>,

    /// Also write the module without the segments that are in the image
    ///
    /// For engines that start from the image and would otherwise write those segments again.
    /// For a component, this is the selected core module alone, or else the whole component.
    /// Either both files are written or neither.
    #[arg(long, value_name = "STRIPPED")]
    pub(super) strip: Option<PathBuf>,

    /// Make the stripped module import its memories, as meminit.memory0 and so on
    ///
    /// For hosts that create the memories themselves. The number is the memory's index. For a
    /// module name other than meminit, use --externalize=MODULE.
    #[arg(
        long,
        value_name = "MODULE",
        requires = "strip",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_IMPORT_MODULE
    )]
    pub(super) externalize: Option<String>,

    /// Print what was built as JSON; see docs/schema/build.schema.json
    #[arg(long)]
    pub(super) json: bool,
}

impl BuildArgs {
    pub(super) fn options(&self) -> PlanOptions {
        PlanOptions {
            policy: self.policy.policy(&self.module.known),
            zeroed_imports: self.module.known.assume_zeroed_imports,
        }
    }
}
