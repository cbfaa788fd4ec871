//! Checks that a stripped module and an artifact can be used together.

use alloc::vec::Vec;

use wasm_meminit_analysis::{
    Assumption, DataIndex, Memory, MemoryIndex, MemoryInitializer, Module, StartInit,
};

use super::finding::Finding;
use super::head::{Which, same_head, same_segment};
use super::sides::Sides;
use super::start::same_start;
use crate::Artifact;

/// Checks that a stripped module and an artifact can be used together, and returns what both
/// assume about the host.
///
/// Compares everything except the bytes of the image, which a stripped module no longer has: the
/// types of the memories, the artifact's assumptions about the host, the replay list against the
/// module's remaining segments, and the start function.
///
/// The module may import the memories that the artifact says it defines, as `externalize` leaves
/// it. Then the host supplies them: that they are new is one more assumption.
///
/// # Errors
///
/// The first [`Finding`].
pub fn verify_stripped(
    module: Module<'_>,
    artifact: &Artifact<'_>,
) -> Result<Vec<Assumption>, Finding> {
    let (module, assumed) = same_head(module, artifact, Which::Stripped)?;
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
    if let Some(baked) = artifact.start() {
        let treatment = artifact.policy().start_function();
        let init = same_start(module.stripped_start_init(), &baked, treatment)?;
        let sides = Sides::new(&module, artifact, &assumed);
        if !baked.is_done
            && let Some(segment) = still_copied(&sides, artifact, &init)
        {
            return Err(Finding::NotStripped { segment });
        }
    }
    let mut assumptions = assumed.list;
    assumptions.extend(external(&module, artifact));
    Ok(assumptions)
}

/// Returns a segment that the start function copies although the image has it. `strip` leaves the
/// function alone if an element segment may trap: then it may copy what is in the image.
fn still_copied(
    sides: &Sides<'_, '_>,
    artifact: &Artifact<'_>,
    init: &StartInit,
) -> Option<DataIndex> {
    let writes = init.writes().iter();
    let writes = writes.map(|&(segment, addr)| (segment, addr, sides.data(segment)));
    let copied = writes.filter(|(_, _, data)| !data.is_empty());
    let (first, ..) = copied.clone().next()?;
    let pieces = copied.map(|(_, addr, data)| (addr, data));
    let may_copy = artifact.elements_may_trap() && sides.is_in_image(init.memory(), pieces);
    (!may_copy).then_some(first)
}

/// Returns the assumptions about memories that the module imports and the artifact defines.
fn external(module: &Module<'_>, artifact: &Artifact<'_>) -> Vec<Assumption> {
    let memories = module.memories().iter().zip(artifact.memories());
    let new = memories.filter(|(_, theirs)| !theirs.is_imported());
    let assumption = |((memory, ours), _): ((MemoryIndex, &Memory<'_>), _)| {
        let import = ours.import?;
        Some(Assumption::ZeroedMemory {
            memory,
            module: import.module.into(),
            name: import.name.into(),
        })
    };
    new.filter_map(assumption).collect()
}

#[cfg(all(test, feature = "rewrite"))]
mod tests {
    use wasm_meminit_analysis::{HostPageSize, Plan, Policy, StartFunction, StartReason};

    use alloc::format;

    use super::super::finding::StartDifference;
    use super::*;
    use crate::ModuleImage;
    use crate::rewrite::{externalize, strip, strip_renumbered};

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

    /// Regression: every module whose memories are imports was refused.
    #[test]
    fn the_memories_may_be_imports() {
        let wasm = r#"(module (import "env" "own" (memory 1)) (memory 1) (memory 2)
            (data (memory 1) (i32.const 8) "a") (data (memory 2) (i32.const 8) "b"))"#;
        let wasm = wat::parse_str(wasm).expect("well formed");
        let module = Module::parse(&wasm).expect("valid");
        let plan = Plan::new(&module, &Policy::default());
        let built = ModuleImage::build(&module, &plan).expect("small");
        let bytes = built.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("just encoded");
        let name = |memory: MemoryIndex| format!("memory{}", memory.as_u32());

        let stripped = strip_renumbered(&module, &plan).expect("stripped");
        let stripped = Module::parse(&stripped).expect("valid");
        let external = externalize(&stripped, "host", &name).expect("new names");
        let external = Module::parse(&external).expect("valid");
        let assumption = |index| {
            let memory = MemoryIndex::from_u32(index);
            let (module, name) = ("host".into(), name(memory));
            Assumption::ZeroedMemory {
                memory,
                module,
                name,
            }
        };
        let assumed = Ok(alloc::vec![assumption(1), assumption(2)]);
        assert_eq!(verify_stripped(external, &artifact), assumed);

        for (imports, memory) in [
            // Only one of the two, and another type.
            (r#"(import "a" "b" (memory 1)) (memory 2)"#, 1),
            (
                r#"(import "a" "b" (memory 1)) (import "a" "c" (memory 3))"#,
                2,
            ),
        ] {
            let text = format!(r#"(module (import "env" "own" (memory 1)) {imports})"#);
            let other = wat::parse_str(text).expect("well formed");
            let memory = MemoryIndex::from_u32(memory);
            assert_eq!(
                verify_stripped(Module::parse(&other).expect("valid"), &artifact),
                Err(Finding::MemoryType { memory })
            );
        }
    }

    /// Regression: any start function that is not known was accepted for the one whose writes
    /// are in the image.
    #[test]
    fn the_start_function_is_the_same() {
        let threads = include_str!("../../../tests/modules/threads.wat");
        let trapping = threads.replace(
            "(func $init_memory",
            "(table 1 funcref) (elem (i32.const 1) $f) (func $f) (func $init_memory",
        );
        let moved = threads.replace("0x30c", "0x310");
        let other = threads.replace("(start $init_memory)", "(func $g) (start $g)");
        for treatment in [
            StartFunction::AlreadyInitializedTls,
            StartFunction::WritesStripped,
        ] {
            let policy = Policy::default()
                .with_zeroed_imports(true)
                .with_start_function(treatment);
            let result = |built: &str, found: &str| {
                let [built, found] = [built, found].map(|it| wat::parse_str(it).expect("text"));
                let module = Module::parse(&built).expect("valid");
                let plan = Plan::new(&module, &policy);
                let image = ModuleImage::build(&module, &plan).expect("small");
                let bytes = image.encode().expect("small");
                let artifact = Artifact::decode(&bytes).expect("just encoded");
                let found = Module::parse(&found).expect("valid");
                let plan = Plan::new(&found, &policy);
                let found = strip_renumbered(&found, &plan).expect("stripped");
                verify_stripped(Module::parse(&found).expect("valid"), &artifact).map(drop)
            };
            assert_eq!(result(threads, threads), Ok(()), "{treatment}");
            // Such a module is left alone.
            assert_eq!(result(&trapping, &trapping), Ok(()), "{treatment}");
            let because = StartDifference::Another;
            let unlike = Err(Finding::StartFunction { because });
            assert_eq!(result(threads, &moved), unlike, "{treatment}");
            let found = result(threads, &other);
            let because = StartDifference::Unknown(StartReason::Shape { offset: 1 });
            let unlike = Err(Finding::StartFunction { because });
            assert_eq!(found, unlike, "{treatment}");
        }
    }
}
