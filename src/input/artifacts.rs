//! The artifacts of a file: one, or those of a bundle.

use wasm_meminit::image_builder::{Artifact, Bundle};

use super::source::Source;
use crate::error::{Error, Result};

/// Decodes an artifact, or all those of a bundle, and checks all of it.
///
/// # Errors
///
/// The file is damaged, or is neither.
pub(crate) fn decode<'a>(source: Source<'_>, bytes: &'a [u8]) -> Result<Vec<Artifact<'a>>> {
    if !Bundle::is_bundle(bytes) {
        let artifact = Artifact::decode(bytes).map_err(|err| Error::of(&source, err))?;
        return Ok(vec![artifact]);
    }
    let bundle = Bundle::decode(bytes).map_err(|err| Error::of(&source, err))?;
    Ok(bundle.artifacts().to_vec())
}

/// Returns the artifact of the `wanted` core module, or the only one.
///
/// # Errors
///
/// There is no such core module, or more than one.
pub(crate) fn select<'a>(
    source: Source<'_>,
    mut artifacts: Vec<Artifact<'a>>,
    wanted: Option<usize>,
) -> Result<Artifact<'a>> {
    let n_artifacts = artifacts.len();
    match wanted {
        None if n_artifacts == 1 => Ok(artifacts.swap_remove(0)),
        None => Err(Error::of(
            &source,
            format_args!("the bundle has the artifacts of {n_artifacts} core modules"),
        )
        .with_hint("select one with --module")),
        Some(wanted) if wanted < n_artifacts => Ok(artifacts.swap_remove(wanted)),
        Some(wanted) => {
            let there = match n_artifacts {
                0 => "the bundle has no artifact".to_owned(),
                1 => "the file has only the artifact of one core module".to_owned(),
                _ => format!(
                    "the bundle has the artifacts of core modules 0 to {}",
                    n_artifacts - 1
                ),
            };
            Err(Error::of(
                &source,
                format_args!("--module {wanted}: {there}"),
            ))
        }
    }
}
