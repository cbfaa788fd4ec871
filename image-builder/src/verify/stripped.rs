//! Checks that a stripped module and an artifact can be used together.

use alloc::vec::Vec;

use wasm_meminit_analysis::{
    Assumption, Memory, MemoryIndex, MemoryInitializer, Module, StartInit,
};

use super::finding::{Finding, Moment, StartDifference};
use super::head::{Which, same_head, same_segment};
use super::sides::Sides;
use super::start::{check_disjoint, same_start};
use crate::Artifact;

/// Checks that a stripped module and an artifact can be used together, and returns what both
/// assume about the host.
///
/// Compares everything except the bytes of the image, which a stripped module no longer has: the
/// types of the memories, the artifact's assumptions about the host, the replay list against the
/// module's remaining segments, and the start function. What else the module still writes must be in
/// the image already.
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
    let (module, mut assumed) = same_head(module, artifact, Which::Stripped)?;
    for (memory, assumption) in external(&module, artifact) {
        if module.is_imported_twice(memory) {
            return Err(Finding::ImportedTwice { memory });
        }
        assumed.zeroed.insert(memory);
        assumed.list.push(assumption);
    }
    let mut sides = Sides::new(&module, artifact, &assumed).over_image();
    replay(&mut sides, artifact)?;
    let moment = match artifact.start() {
        Some(baked) => {
            let treatment = artifact.policy().start_function();
            let init = same_start(module.stripped_start_init(), &baked, treatment)?;
            if !baked.is_done {
                start(&mut sides, artifact, &init)?;
            }
            Moment::Started
        }
        None => Moment::Replayed,
    };
    sides.compare(moment)?;
    Ok(assumed.list)
}

/// Writes the module's active segments over the image. `strip` leaves a module alone if an element
/// segment may trap and its code names a segment: then what is in the image is written again.
fn replay(sides: &mut Sides<'_, '_>, artifact: &Artifact<'_>) -> Result<(), Finding> {
    let module = sides.module;
    let has_effect = |it: &MemoryInitializer<'_>| sides.has_effect(it);
    let active: Vec<_> = module.active_segments().filter(has_effect).collect();
    let replay: Vec<_> = artifact.replay().filter(has_effect).collect();
    let is_left_alone = artifact.elements_may_trap() && replay.len() < active.len();
    let mut replay = replay.into_iter().peekable();
    for segment in active {
        // Stripped segments are empty or removed, so other segments may have new indices.
        let may_be = |it: &MemoryInitializer<'_>| !is_left_alone || it.segment == segment.segment;
        match replay.peek().filter(|it| may_be(it)) {
            Some(it) if same_segment(module, it, &segment) => {
                replay.next();
                sides.replayed(&segment);
            }
            Some(it) => {
                return Err(Finding::ReplayList {
                    segment: it.segment,
                });
            }
            None if is_left_alone => sides.baked(&segment)?,
            None => {
                return Err(Finding::NotStripped {
                    segment: segment.segment,
                });
            }
        }
    }
    replay.next().map_or(Ok(()), |left| {
        Err(Finding::ReplayList {
            segment: left.segment,
        })
    })
}

/// Runs what is left of the start function.
fn start(
    sides: &mut Sides<'_, '_>,
    artifact: &Artifact<'_>,
    init: &StartInit,
) -> Result<(), Finding> {
    let writes = init.writes().iter();
    let writes = writes.map(|&(segment, addr)| (segment, addr, sides.data(segment)));
    let writes: Vec<_> = writes.filter(|(_, _, data)| !data.is_empty()).collect();
    if let (Some(&(segment, ..)), false) = (writes.first(), artifact.elements_may_trap()) {
        return Err(Finding::NotStripped { segment });
    }
    let zeroed = init.zeroed().iter().filter(|it| !it.is_empty());
    let zeroed: Vec<_> = zeroed.collect();
    if let (Some(barrier), false) = (sides.barrier, writes.is_empty() && zeroed.is_empty()) {
        let because = StartDifference::AfterBarrier(barrier);
        return Err(Finding::StartFunction { because });
    }
    check_disjoint(sides, init)?;
    for (_, addr, data) in writes {
        sides.rewrite(init.memory(), |it| it.write(addr, data));
    }
    for range in zeroed {
        let len = range.end.saturating_sub(range.start);
        sides.rewrite(init.memory(), |it| it.zero(range.start, len));
    }
    Ok(())
}

/// Returns the memories that the module imports and the artifact defines, and what is assumed
/// about each.
fn external(module: &Module<'_>, artifact: &Artifact<'_>) -> Vec<(MemoryIndex, Assumption)> {
    let memories = module.memories().iter().zip(artifact.memories());
    let new = memories.filter(|(_, theirs)| !theirs.is_imported());
    let assumption = |((memory, ours), _): ((MemoryIndex, &Memory<'_>), _)| {
        let import = ours.import?;
        let assumption = Assumption::ZeroedMemory {
            memory,
            module: import.module.into(),
            name: import.name.into(),
        };
        Some((memory, assumption))
    };
    new.filter_map(assumption).collect()
}

#[cfg(all(test, feature = "rewrite"))]
mod tests {
    use wasm_meminit_analysis::{
        DataIndex, HostPageSize, Plan, Policy, StartFunction, StartReason,
    };

    use alloc::format;

    use super::super::finding::MustReplay;
    use super::*;
    use crate::ModuleImage;
    use crate::rewrite::{externalize, strip, strip_renumbered};

    /// Builds an artifact of one module, and compares another one with it.
    fn found(policy: &Policy, built: &str, stripped: &str) -> Result<Vec<Assumption>, Finding> {
        let [built, stripped] = [built, stripped].map(|it| wat::parse_str(it).expect("text"));
        let module = Module::parse(&built).expect("valid");
        let plan = Plan::new(&module, policy);
        let image = ModuleImage::build(&module, &plan).expect("small");
        let bytes = image.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("just encoded");
        verify_stripped(Module::parse(&stripped).expect("valid"), &artifact)
    }

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

    /// Regression: one memory was accepted in place of two with an image each.
    #[test]
    fn imported_memories_are_distinct() {
        let wasm = r#"(module (memory 1) (memory 1)
            (data (memory 0) (i32.const 8) "a") (data (memory 1) (i32.const 8) "b"))"#;
        let external = |second: &str| {
            format!(r#"(module (import "h" "m" (memory 1)) (import "h" "{second}" (memory 1)))"#)
        };
        let found = |second| found(&Policy::default(), wasm, &external(second)).map(drop);
        assert_eq!(found("n"), Ok(()));
        let memory = MemoryIndex::from_u32(0);
        assert_eq!(found("m"), Err(Finding::ImportedTwice { memory }));
    }

    /// Regression: a module that `strip` leaves alone was refused if its memories were imports or
    /// its active segments had data.
    #[test]
    fn a_module_may_be_left_alone() {
        let wasm = r#"(module (memory 1) (table 1 funcref) (elem (i32.const 1) $f)
            (func $f (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
            (data $d (i32.const 8) "data") (data (i32.const 9) "o"))"#;
        let policy = Policy::default();
        let module = wat::parse_str(wasm).expect("well formed");
        let module = Module::parse(&module).expect("valid");
        let plan = Plan::new(&module, &policy);
        let stripped = strip(&module, &plan).expect("stripped");
        assert_eq!(stripped, module.binary().expect("whole"), "left alone");
        assert_eq!(found(&policy, wasm, wasm), Ok(Vec::new()));
        let external = wasm.replace("(memory 1)", r#"(import "h" "m" (memory 1))"#);
        assert_eq!(found(&policy, wasm, &external).map(|it| it.len()), Ok(1));

        let byte = |found: Result<_, Finding>| match found {
            Err(Finding::Byte { moment, byte, .. }) => (moment, byte.addr),
            other => panic!("{other:?}"),
        };
        let another = wasm.replace("\"o\"", "\"u\"");
        assert_eq!(byte(found(&policy, wasm, &another)), (Moment::Image, 9));
        let order = wasm.replace("(i32.const 9) \"o\"", "(i32.const 8) \"data\"");
        assert_eq!(byte(found(&policy, wasm, &order)), (Moment::Image, 9));
    }

    /// Regression: segments without bytes were not compared, though they may trap.
    #[test]
    fn empty_segments_that_may_trap_are_compared() {
        let policy = Policy::default();
        let segment = DataIndex::from_u32(1);
        let built = r#"(module (memory 1) (data (i32.const 8) "a"))"#;
        let traps = r#"(module (memory 1) (data (i32.const 0) "")
            (data (i32.const 0x20000) ""))"#;
        let found_in = |built, stripped| found(&policy, built, stripped).map(drop);
        let unlike = Err(Finding::NotStripped { segment });
        assert_eq!(found_in(built, traps), unlike);

        let text = |segments: &str| {
            format!(
                r#"(module (import "e" "g" (global i32)) (memory 1) (table 1 funcref)
                    (func $f (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))
                    {segments})"#
            )
        };
        let built = text(r#"(data (i32.const 8) "a") (data (global.get 0) "")"#);
        let never = text(r#"(data (i32.const 0) "")"#);
        let unlike = Err(Finding::ReplayList { segment });
        assert_eq!(found_in(&built, &never), unlike);

        // Left alone.
        let elem = "(elem (i32.const 1) $f)";
        let built = text(&format!(r#"{elem} (data (i32.const 8) "data")"#));
        assert_eq!(found_in(&built, &built), Ok(()));
        let barrier = text(&format!(
            r#"{elem} (data (global.get 0) "") (data (i32.const 8) "data")"#
        ));
        let first = Err(Finding::MustReplay {
            segment: DataIndex::from_u32(0),
            because: MustReplay::UnknownAddress,
        });
        assert_eq!(found_in(&built, &barrier), first);
    }

    /// Regression: it was accepted with any range.
    #[test]
    fn the_start_function_does_not_clear_the_image() {
        let threads = include_str!("../../../tests/modules/threads.wat");
        let policy = Policy::default()
            .with_zeroed_imports(true)
            .with_start_function(StartFunction::WritesStripped);
        let fill = "i32.const 0x10010\n        i32.const 0\n        i32.const 0x1000";
        assert!(threads.contains(fill));
        let with_fill = |fill_now: &str| {
            // As it is stripped, but for the range that is filled.
            let text = threads.replace(fill, fill_now);
            let lengths = ["29", "8", "12"];
            lengths.iter().fold(text, |text, len| {
                let init = format!("i32.const {len}\n        memory.init");
                assert!(text.contains(&init), "{init}");
                text.replace(&init, "i32.const 0\n        memory.init")
            })
        };
        let found = |fill: &str| found(&policy, threads, &with_fill(fill)).map(drop);
        let nothing = fill.replace("0x1000", "0");
        assert_eq!(found(&nothing.replace("0x10010", "0x10000")), Ok(()));
        assert_eq!(found(&fill.replace("0x10010", "0x10020")), Ok(()), "zero");
        let cleared = found(&fill.replace("0x10010", "0x10000"));
        let Err(Finding::Byte { byte, .. }) = cleared else {
            panic!("{cleared:?}");
        };
        assert_eq!((byte.addr, byte.expected, byte.found), (0x10000, 0, 1));
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
