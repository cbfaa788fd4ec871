//! What `strip` leaves out, and what it keeps because the program could notice.

use wasm_meminit_analysis::wasmparser::{Parser, Payload};
use wasm_meminit_analysis::{Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::rewrite::{strip, strip_renumbered};

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

/// Returns the lengths of the segments that are left.
fn lengths(wasm: &[u8]) -> Vec<usize> {
    let module = Module::parse(wasm).expect("valid");
    module.segments().values().map(|it| it.data.len()).collect()
}

#[track_caller]
fn check(wasm: &[u8], policy: &Policy, stripped: &[usize], renumbered: &[usize]) {
    let module = Module::parse(wasm).expect("valid");
    let plan = Plan::new(&module, policy);
    let found = strip(&module, &plan).expect("stripped");
    assert_eq!(lengths(&found), stripped);
    let found = strip_renumbered(&module, &plan).expect("stripped");
    assert_eq!(lengths(&found), renumbered);
}

/// A function that a trapping element segment has left in a table can name a segment.
#[test]
fn a_named_segment_stays_only_if_elements_may_trap() {
    let text = |at: u32, code: &str| {
        wasm(&format!(
            r#"(module (memory 1) (table 1 funcref) (elem (i32.const {at}) $f) (func $f {code})
                 (data (i32.const 0) "baked"))"#
        ))
    };
    let policy = Policy::default();
    check(&text(0, ""), &policy, &[0], &[]);
    check(&text(0, "data.drop 0"), &policy, &[0], &[0]);
    check(&text(1, ""), &policy, &[0], &[]);
    check(&text(1, "data.drop 0"), &policy, &[5], &[5]);
}

/// Other threads' instances initialise their thread-local storage from a segment.
#[test]
fn a_segment_that_another_function_names_keeps_its_bytes() {
    let wasm = wasm(include_str!("../../../tests/modules/threads.wat"));
    let policy = Policy::default()
        .with_zeroed_imports(true)
        .with_start_function(StartFunction::WritesStripped);
    check(&wasm, &policy, &[0, 8, 0], &[0, 8, 0]);
}

/// One empty segment replaces all segments that code names: it is none of them.
#[test]
fn names_of_removed_segments_are_removed() {
    let wasm = wasm(
        r#"(module (memory 1) (func $drops data.drop $named data.drop $kept)
             (data $baked (i32.const 0) "baked") (data $named (i32.const 8) "named")
             (data $kept "passive"))"#,
    );
    let names = |wasm: &[u8]| {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::CustomSection(section) = payload.expect("valid") else {
                continue;
            };
            let wasmparser::KnownCustom::Name(subsections) = section.as_known() else {
                continue;
            };
            for subsection in subsections {
                if let wasmparser::Name::Data(map) = subsection.expect("valid") {
                    for name in map {
                        let name = name.expect("valid");
                        names.push((name.index, name.name.to_owned()));
                    }
                }
            }
        }
        names
    };
    let name = |nth: u32, it: &str| (nth, it.to_owned());
    let all = [name(0, "baked"), name(1, "named"), name(2, "kept")];
    assert_eq!(names(&wasm), all);
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    let found = strip_renumbered(&module, &plan).expect("stripped");
    assert_eq!(lengths(&found), [0, 7]);
    assert_eq!(names(&found), [name(1, "kept")]);
    // Where all indices stay, so do the names.
    assert_eq!(names(&strip(&module, &plan).expect("stripped")), all);
}
