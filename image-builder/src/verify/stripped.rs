//! Checks that a stripped module and an artifact can be used together.

use alloc::vec::Vec;

use wasm_meminit_analysis::{Assumption, DataIndex, MemoryInitializer, Module};

use super::finding::Finding;
use super::head::{same_head, same_segment};
use crate::Artifact;

/// Checks that a stripped module and an artifact can be used together, and returns the
/// artifact's assumptions about the host.
///
/// Compares everything except the bytes of the image, which a stripped module no longer has: the
/// types of the memories, the artifact's assumptions about the host, and the replay list against
/// the module's remaining segments.
///
/// # Errors
///
/// The first [`Finding`].
pub fn verify_stripped(
    module: Module<'_>,
    artifact: &Artifact<'_>,
) -> Result<Vec<Assumption>, Finding> {
    let (module, assumed) = same_head(module, artifact)?;
    // Stripped segments are empty or removed, so other segments may have new indices.
    let has_data = |it: &MemoryInitializer<'_>| !it.data.is_empty();
    let mut replay = artifact.replay().filter(has_data);
    for segment in module.active_segments().filter(has_data) {
        match replay.next() {
            Some(it) if same_segment(&module, &it, &segment) => {}
            Some(it) => {
                return Err(Finding::ReplayList {
                    segment: it.segment,
                });
            }
            None => {
                return Err(Finding::NotStripped {
                    segment: segment.segment,
                });
            }
        }
    }
    if let Some(left) = replay.next() {
        return Err(Finding::ReplayList {
            segment: left.segment,
        });
    }
    match still_copied(&module, artifact) {
        Some(segment) => Err(Finding::NotStripped { segment }),
        None => Ok(assumed.list),
    }
}

/// Returns a segment that the start function copies although the image has it.
fn still_copied(module: &Module<'_>, artifact: &Artifact<'_>) -> Option<DataIndex> {
    artifact.start().filter(|it| !it.is_done)?;
    let init = module.start_init().ok()?;
    let mut segments = init.writes().iter().map(|(segment, _)| *segment);
    segments.find(|it| {
        let segment = module.segments().get(*it);
        segment.is_some_and(|it| !it.data.is_empty())
    })
}

#[cfg(all(test, feature = "rewrite"))]
mod tests {
    use wasm_meminit_analysis::{HostPageSize, Plan, Policy};

    use super::*;
    use crate::ModuleImage;
    use crate::rewrite::{strip, strip_renumbered};

    /// A forged artifact may contain the hash of any module.
    #[test]
    fn what_is_left_in_the_module_is_what_is_replayed() {
        let wasm = wat::parse_str(
            r#"(module (import "env" "at" (global $at i32)) (memory 1)
                (data (i32.const 8) "baked") (data (global.get $at) "replayed"))"#,
        );
        let wasm = wasm.expect("well formed");
        let module = Module::parse(&wasm).expect("valid");
        let plan = Plan::new(&module, &Policy::balanced(HostPageSize::KIB_4));
        let built = ModuleImage::build(&module, &plan).expect("small");
        let bytes = built.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("just encoded");

        for strip in [strip, strip_renumbered] {
            let stripped = strip(&module, &plan).expect("stripped");
            let stripped = Module::parse(&stripped).expect("valid");
            assert_eq!(verify_stripped(stripped, &artifact), Ok(Vec::new()));
        }
        let segment = DataIndex::from_u32(1);
        let unlike = Err(Finding::ReplayList { segment });
        assert_eq!(verify_stripped(module, &artifact), unlike);

        let other = wat::parse_str(
            r#"(module (import "env" "at" (global $at i32)) (memory 1)
                (data (global.get $at) "replayed") (data (i32.const 8) "more"))"#,
        );
        let other = other.expect("well formed");
        let other = Module::parse(&other).expect("valid");
        let unlike = Err(Finding::NotStripped { segment });
        assert_eq!(verify_stripped(other, &artifact), unlike);
    }
}
