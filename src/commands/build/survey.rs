//! What is known of a module before its image is built, and the image's provenance.

use wasm_meminit::analysis::{Module, Policy};
use wasm_meminit::image_builder::{BuildError, ModuleImage, Tool};

use super::args::BuildArgs;
use crate::error::{Error, Result};
use crate::input::Source;
use crate::input::object::{Relocation, relocation};
use crate::report::module::ModuleSurvey;
use crate::text::printable::printable;
use crate::text::terminal;

/// The tool that the artifact's provenance names.
const TOOL: Tool<'_> = Tool {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
};

/// Plans a module that is linked.
pub(super) fn survey<'a>(
    args: &BuildArgs,
    module: Module<'a>,
    policy: &Policy,
    bytes: &[u8],
) -> Result<ModuleSurvey<'a>> {
    linked(
        Source(&args.module.file),
        &module,
        bytes,
        args.strip.is_some(),
    )?;
    Ok(ModuleSurvey::new(module, policy))
}

/// Builds the image of a module, which says what it was built from and by what.
pub(super) fn image<'s>(
    survey: &'s ModuleSurvey<'_>,
) -> core::result::Result<ModuleImage<'s>, BuildError> {
    let image = ModuleImage::build(&survey.module, &survey.plan)?.with_tool(TOOL);
    Ok(match survey.sha256 {
        Some(hash) => image.with_source(hash),
        None => image,
    })
}

/// Refuses a module that is not linked yet: the linker will still change its data.
fn linked(source: Source<'_>, module: &Module<'_>, binary: &[u8], strip: bool) -> Result<()> {
    match relocation(module, binary) {
        Relocation::None => Ok(()),
        Relocation::Object => Err(Error::of(
            &source,
            "this is an object file; its data segments are not relocated yet",
        )
        .with_hint("link it first, then build from the linker's output")),
        Relocation::Kept(section) if strip => Err(Error::of(
            &source,
            format_args!(
                "custom section {} refers to bytes of data segments that --strip would remove",
                printable(section)
            ),
        )
        .with_hint("link without --emit-relocs, or remove that section first")),
        Relocation::Kept(section) => {
            terminal::warn(&format!(
                "{source}: custom section {section} is meant for a linker; the image holds the \
                 data as it is now"
            ));
            Ok(())
        }
    }
}
