//! Plans that were changed as text: those that the crate could not have made are refused, and so
//! are those that leave something out when they are used.

use serde_json::{Value as Json, json};
use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::rewrite::{RewriteError, strip, strip_renumbered};

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

fn fresh() -> Policy {
    Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true)
}

/// Returns whether the plan is refused after all these edits.
fn is_refused(plan: &Plan<'_>, edits: &[(&str, Json)]) -> bool {
    let mut json = serde_json::to_value(plan).expect("serialises");
    for (at, value) in edits {
        let place = json.pointer_mut(at).unwrap_or_else(|| panic!("{at}"));
        *place = value.clone();
    }
    serde_json::from_str::<Plan<'_>>(&json.to_string()).is_err()
}

/// Checks which values at which places of the plan are refused.
#[track_caller]
fn check(plan: &Plan<'_>, edits: &[(&str, Json, bool)]) {
    for (at, value, expected) in edits {
        let found = is_refused(plan, &[(at, value.clone())]);
        assert_eq!(found, *expected, "{at} = {value}");
    }
}

/// Returns the place of the first assumption that has this field.
fn assumption(plan: &Plan<'_>, field: &str) -> String {
    let json = serde_json::to_value(plan).expect("serialises");
    let places = (0..plan.assumptions().len()).map(|nth| format!("/assumptions/{nth}/{field}"));
    let mut places = places.filter(|at| json.pointer(at).is_some());
    places.next().expect("listed")
}

/// A barrier is before the segments that it keeps from being baked.
#[test]
fn a_segment_is_not_its_own_barrier() {
    let wasm = wasm(
        r#"(module (import "e" "late" (global i32)) (memory 1)
             (data (i32.const 0) "baked") (data (global.get 0) "late")
             (data (i32.const 8) "after"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    assert_eq!(plan.replay().len(), 2);
    let barrier = |nth: u32, is_refused| ("/reasons/1/barrier", json!(nth), is_refused);
    check(
        &plan,
        &[barrier(1, false), barrier(2, true), barrier(3, true)],
    );
}

/// Runs that touch are one run. An extent is that of segments that write something.
#[test]
fn runs_and_extents_are_as_a_plan_has_them() {
    let across = "x".repeat(200);
    let wasm = wasm(&format!(
        r#"(module (memory 1) (data (i32.const 4000) "{across}") (data (i32.const 32768) "y"))"#
    ));
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    let memory = plan.memories().values().next().expect("one");
    let runs: Vec<_> = memory.runs().iter().map(|it| (it.addr, it.len)).collect();
    assert_eq!(runs, [(0, 8192), (32_768, 4096)]);
    let run = |addr: u64, len: u64| json!({"addr": addr, "len": len});
    let runs = |list: &[Json], is_refused| ("/memories/0/runs", json!(list), is_refused);
    let extent = memory.extent().expect("has data");
    assert_eq!((extent.n_segments, extent.n_overlapping), (2, 0));
    let at = |field: &'static str, value: u64, is_refused| (field, json!(value), is_refused);
    check(
        &plan,
        &[
            runs(&[run(0, 8192), run(32_768, 4096)], false),
            runs(&[run(0, 8192), run(32_768, 8192)], false),
            runs(&[run(0, 4096), run(4096, 4096), run(32_768, 4096)], true),
            runs(&[run(0, 8192), run(4096, 4096), run(32_768, 4096)], true),
            at("/memories/0/extent/n_overlapping", 1, false),
            at("/memories/0/extent/n_overlapping", 2, true),
            at("/memories/0/extent/n_out_of_order", 1, false),
            at("/memories/0/extent/n_out_of_order", 2, true),
            at("/memories/0/extent/n_segments", 0, true),
            at("/memories/0/extent/written_bytes", 0, true),
            at("/memories/0/extent/min", extent.max, true),
        ],
    );
}

/// Nothing but the extent itself says so where all bytes are zero: there are no runs.
#[test]
fn an_extent_of_zeros_is_of_segments_that_write_something() {
    let wasm = wasm(r#"(module (memory 1) (data (i32.const 4000) "\00\00"))"#);
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    let memory = plan.memories().values().next().expect("one");
    assert!(memory.runs().is_empty());
    let written = |n: u64, is_refused| ("/memories/0/extent/written_bytes", json!(n), is_refused);
    check(
        &plan,
        &[written(2, false), written(1, false), written(0, true)],
    );
}

/// Regression: an extent could end past its memory, and more pages could have data than the extent
/// has.
#[test]
fn an_extent_is_in_bounds_and_has_the_pages_with_data() {
    let wasm = wasm(
        r#"(module (import "e" "m" (memory 1 4)) (memory 1)
             (data (i32.const 4000) "x") (data (memory 1) (i32.const 4000) "x")
             (data (memory 1) (i32.const 9000) "y"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    let mut edits = Vec::new();
    // The host's memory may be larger than the declared minimum.
    for (memory, end) in [(0, 4 << 16), (1, 1 << 16)] {
        let at = move |field: &str| format!("/memories/{memory}/{field}");
        edits.push((at("extent/max"), json!(end), false));
        edits.push((at("extent/max"), json!(end + 1), true));
        edits.push((at("extent/min"), json!(4000), false));
        edits.push((at("extent/min"), json!(4001), true));
        edits.push((at("extent"), Json::Null, true));
        edits.push((at("n_nonzero_pages"), json!(1), false));
        edits.push((at("n_nonzero_pages"), json!(1 + memory), false));
        edits.push((at("n_nonzero_pages"), json!(2 + memory), true));
        edits.push((at("n_nonzero_pages"), json!(u64::MAX), true));
    }
    edits.push(("/memories/1/extent/max".to_owned(), json!(9000), true));
    for (at, value, expected) in &edits {
        check(&plan, &[(at, value.clone(), *expected)]);
    }
}

/// Bytes of an image are those of segments that are in it.
#[test]
fn a_memory_that_is_only_replayed_has_no_bytes() {
    let wasm = wasm(r#"(module (import "e" "m" (memory 1)) (data (i32.const 0) "x"))"#);
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh().with_zeroed_imports(false));
    assert_eq!(plan.replay().len(), 1);
    assert!(!is_refused(&plan, &[]));
    let piece = json!([{"addr": 0, "data": [0]}]);
    assert!(is_refused(&plan, &[("/memories/0/pieces", piece)]));
    let run = json!([{"addr": 0, "len": 4096}]);
    assert!(is_refused(&plan, &[("/memories/0/runs", run)]));
}

/// The size that a plan relies on is the one that its image is for.
#[test]
fn an_assumed_size_is_that_of_the_memory() {
    let wasm = wasm(r#"(module (import "e" "m" (memory 1)) (data (i32.const 70000) "x"))"#);
    let memory = MemoryIndex::from_u32(0);
    let module = Module::parse(&wasm).expect("valid");
    let module = module.with_memory_size(memory, 2 << 16).expect("imported");
    let plan = Plan::new(&module, &fresh());
    assert!(plan.replay().is_empty());
    assert!(!is_refused(&plan, &[]));
    let bytes = assumption(&plan, "memory_size/bytes");
    assert!(!is_refused(&plan, &[(&bytes, json!(2 << 16))]));
    assert!(is_refused(&plan, &[(&bytes, json!(3 << 16))]));
    assert!(is_refused(&plan, &[(&bytes, json!(1 << 16))]));
}

/// A host resolves one name to one memory.
#[test]
fn memories_with_one_name_are_not_assumed_to_be_distinct() {
    let wasm = wasm(
        r#"(module (import "e" "a" (memory $a 1)) (import "e" "b" (memory $b 1))
             (data (memory $a) (i32.const 0) "x") (data (memory $b) (i32.const 0) "y"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    assert_eq!(plan.assumptions().len(), 2);
    let name = |name: &str, is_refused| {
        let at = "/assumptions/1/zeroed_memory/name";
        (at, json!(name), is_refused)
    };
    check(
        &plan,
        &[name("b", false), name("c", false), name("a", true)],
    );
}

/// What the policy does not ask for is not baked, even if the plan says that it assumes it.
#[test]
fn a_start_function_that_runs_unchanged_is_not_baked() {
    let wasm = wasm(include_str!("../modules/threads.wat"));
    let module = Module::parse(&wasm).expect("valid");
    let policy = fresh().with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &policy);
    let assumed = assumption(&plan, "start_function/treatment");
    let both = |treatment: &str| {
        let edits = [
            ("/policy/start_function", json!(treatment)),
            (&*assumed, json!(treatment)),
        ];
        is_refused(&plan, &edits)
    };
    assert!(!both("writes_stripped"));
    assert!(!both("already_initialized_tls"));
    assert!(both("unchanged"));
    // Regression: nobody sets up the storage of the first thread.
    assert!(both("already_initialized"));
}

/// Regression: an artifact of such a plan could not be decoded.
#[test]
fn assumptions_are_unique() {
    let wasm = wasm(include_str!("../modules/threads.wat"));
    let module = Module::parse(&wasm).expect("valid");
    let policy = fresh().with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &policy);
    let list = serde_json::to_value(plan.assumptions()).expect("serialises");
    let list = list.as_array().expect("a list");
    let [zeroed, start] = &list[..] else {
        panic!("{list:?}")
    };
    for (edited, expected) in [
        (json!([zeroed, start]), false),
        (json!([start, zeroed]), true),
        (json!([zeroed, zeroed, start]), true),
        (json!([zeroed, start, start]), true),
    ] {
        let what = edited.to_string();
        let edits = [("/assumptions", edited)];
        assert_eq!(is_refused(&plan, &edits), expected, "{what}");
    }
}

/// Such a segment might overwrite what the start function wrote.
#[test]
fn no_replayed_segment_of_the_start_functions_memory() {
    let wasm = wasm(&include_str!("../modules/threads.wat").replace(
        "(global $tls_base",
        r#"(memory $other 1) (data (memory $other) (i32.const 8) "other") (global $tls_base"#,
    ));
    let module = Module::parse(&wasm).expect("valid");
    let policy = fresh().with_start_function(StartFunction::WritesStripped);
    // No room for an image of the other memory.
    let plan = Plan::new(&module, &policy.with_max_image_size(2 * 4096));
    assert!(plan.start().is_ok());
    assert_eq!(plan.replay().len(), 1);
    let of = |memory: u32| {
        let edits = [
            ("/replay/0/memory_index", json!(memory)),
            ("/reasons/0/memory", json!(memory)),
        ];
        is_refused(&plan, &edits)
    };
    assert!(!of(1));
    assert!(of(0));
}

/// What a start function fills with zeros lies within its memory.
#[test]
fn zeroed_ranges_are_within_the_memory() {
    let wasm = wasm(include_str!("../modules/threads.wat"));
    let module = Module::parse(&wasm).expect("valid");
    let policy = fresh().with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &policy);
    let zeroed = plan.start().as_ref().expect("baked").zeroed();
    assert_eq!(zeroed.first(), Some(&(0x1_0010..0x1_1010)));
    let end = |at: u64, is_refused| ("/start/Ok/zeroed/0/end", json!(at), is_refused);
    let start = |at: u64, is_refused| ("/start/Ok/zeroed/0/start", json!(at), is_refused);
    check(
        &plan,
        &[
            end(0x1_1010, false),
            end(0x2_0000, false),
            end(0x2_0001, true),
            end(0x1_000f, true),
            start(0x1_1010, false),
            start(0x1_1011, true),
        ],
    );
}

/// Each of these ranges is filled after a number of writes, and in their order.
#[test]
fn zeroed_ranges_have_a_place_among_the_writes() {
    let wasm = wasm(include_str!("../modules/threads.wat"));
    let module = Module::parse(&wasm).expect("valid");
    let policy = fresh().with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &policy);
    let start = plan.start().expect("baked");
    assert_eq!((start.writes().len(), start.zeroed_after()), (3, &[3][..]));
    let after = |list: &[usize], is_refused| ("/start/Ok/zeroed_after", json!(list), is_refused);
    check(
        &plan,
        &[
            after(&[3], false),
            after(&[0], false),
            after(&[4], true),
            after(&[], true),
            after(&[3, 3], true),
        ],
    );
}

/// Such a plan is of the module, and consistent, but an engine would never write the segment.
#[test]
fn a_plan_that_leaves_out_a_segment_strips_nothing() {
    let wasm = wasm(
        r#"(module (import "e" "late" (global i32)) (memory 1)
             (data (i32.const 0) "baked") (data (global.get 0) "late"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &fresh());
    let mut json = serde_json::to_value(&plan).expect("serialises");
    let text = json.to_string();
    let same: Plan<'_> = serde_json::from_str(&text).expect("its own");
    assert_eq!(strip(&module, &same), strip(&module, &plan));
    json["replay"] = json!([]);
    json["reasons"] = json!([]);
    let text = json.to_string();
    let forged: Plan<'_> = serde_json::from_str(&text).expect("consistent");
    assert!(forged.matches(&module));
    for strip in [strip, strip_renumbered] {
        assert_eq!(strip(&module, &forged), Err(RewriteError::WrongPlan));
    }
}
