//! The comparison of an artifact with its module.

use wasm_meminit_analysis::Module;

use super::finding::{Finding, Moment};
use super::head::{Which, same_head, same_segment};
use super::sides::Sides;
use super::start;
use super::verified::Verified;
use crate::{Artifact, SourceHash};

/// Verifies an artifact against the module with this hash.
///
/// The artifact records what it assumes about the host. What the caller knows about the host is
/// set on the module ([`Module::with_global`], [`Module::with_memory_size`]) and compared with
/// that. The time is about linear in the number of segments and the size of the data.
///
/// # Errors
///
/// The first [`Finding`].
pub fn verify(
    module: Module<'_>,
    hash: SourceHash,
    artifact: &Artifact<'_>,
) -> Result<Verified, Finding> {
    let (module, assumed) = same_head(module, artifact, Which::Source)?;
    let mut replay = artifact.replay().peekable();
    let mut sides = Sides::new(&module, artifact, &assumed);
    for segment in module.active_segments() {
        match replay.next_if(|it| it.segment == segment.segment) {
            Some(it) if same_segment(&module, &it, &segment) => sides.replayed(&segment),
            Some(it) => {
                return Err(Finding::ReplayList {
                    segment: it.segment,
                });
            }
            None => sides.baked(&segment)?,
        }
    }
    // Any segment left over is not active, or follows one with a higher index.
    if let Some(left) = replay.next() {
        return Err(Finding::ReplayList {
            segment: left.segment,
        });
    }
    sides.only_allowed_runs(artifact)?;
    let moment = match artifact.start() {
        Some(baked) => {
            start::run(&mut sides, &baked, artifact.policy().start_function())?;
            Moment::Started
        }
        None => Moment::Replayed,
    };
    let verified = sides.compare(moment)?;
    match artifact.source() {
        Some(found) if found != hash => Err(Finding::Source {
            expected: hash,
            found,
        }),
        _ => Ok(Verified {
            assumptions: assumed.list,
            ..verified
        }),
    }
}
