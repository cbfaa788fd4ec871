//! Components that consist of many small items, and the bundles of their modules.

use wasm_encoder::Encode;
use wasm_meminit_analysis::limits::MAX_MODULES;
use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::{Bundle, ModuleImage};

use wasm_meminit_test_oracle::costs;

use crate::{Tally, alone, measured};

pub(super) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The smallest module, and one of each kind that allocates the most for its length.
pub(super) const SMALL_MODULES: &[(&str, &str)] = &[
    ("nothing", ""),
    ("a memory", "(memory 0)"),
    ("a page of one byte", "(memory 0 (pagesize 1))"),
    ("an imported memory", r#"(import "" "" (memory 0))"#),
    ("an imported table", r#"(import "" "" (table 0 funcref))"#),
    ("an imported global", r#"(import "" "" (global i32))"#),
    (
        "a global that depends on an import",
        r#"(import "" "" (global i32)) (global i32 (global.get 0))"#,
    ),
    ("a passive segment", r#"(data "")"#),
    ("an active segment", r#"(memory 0) (data (i32.const 0) "")"#),
    (
        "one of everything",
        r#"(import "" "" (global i32)) (import "" "" (table 0 funcref)) (memory 0)
           (global i32 (global.get 0)) (data "") (func) (start 0)"#,
    ),
];

/// Just above a power of two, at which a growing list wastes the most, and as many as there may be.
const COUNTS: [usize; 3] = [257, 513, MAX_MODULES];

/// Checks what parsing a component allocates, and returns its modules.
fn parse<'a>(what: &str, wasm: &'a [u8], tally: &mut Tally) -> Vec<Module<'a>> {
    let (modules, allocated) = measured(|| Module::parse_all(wasm));
    let modules = modules.unwrap_or_else(|err| panic!("{what}: {err}"));
    tally
        .spend(what, allocated, costs::of_parsing(wasm), wasm.len())
        .unwrap_or_else(|err| panic!("{err}"));
    tally.n_inputs += 1;
    modules
}

#[test]
fn dense_components() {
    let _alone = alone();
    let mut tally = Tally::default();
    for (name, text) in SMALL_MODULES {
        let module = wat::parse_str(format!("(module {text})")).expect("well formed");
        for n in COUNTS {
            let what = format!("{n} modules with {name}");
            let wasm = repeated(1, &module, n);
            assert_eq!(parse(&what, &wasm, &mut tally).len(), n);
            // Each in a component of its own.
            let wasm = repeated(4, &repeated(1, &module, 1), n);
            assert_eq!(parse(&what, &wasm, &mut tally).len(), n);
        }
    }
    for (name, wasm, _) in without_modules() {
        assert!(parse(name, &wasm, &mut tally).is_empty());
    }
    tally.report("dense components");
}

/// Returns components of many small items none of which is a core module, and their depths.
pub(super) fn without_modules() -> Vec<(&'static str, Vec<u8>, usize)> {
    let nested = |depth| (1..depth).fold(COMPONENT.to_vec(), |inner, _| repeated(4, &inner, 1));
    vec![
        (
            "components side by side",
            repeated(4, COMPONENT, 100_000),
            2,
        ),
        ("components within each other", nested(1025), 1025),
        // Each instantiates module 0 without arguments.
        ("core instances", items(2, &[0, 0, 0]), 1),
        // Each is memory "" of core instance 0.
        ("aliases", items(6, &[0, 2, 1, 0, 0]), 1),
    ]
}

/// Returns a component with a section of 100,000 items.
fn items(id: u8, item: &[u8]) -> Vec<u8> {
    let mut contents = Vec::new();
    100_000_u32.encode(&mut contents);
    contents.extend(item.repeat(100_000));
    repeated(id, &contents, 1)
}

/// Returns a component with the same section `n` times.
pub(super) fn repeated(id: u8, contents: &[u8], n: usize) -> Vec<u8> {
    let mut section = vec![id];
    contents.encode(&mut section);
    [COMPONENT, &section.repeat(n)].concat()
}

#[test]
fn dense_bundles() {
    let _alone = alone();
    let mut tally = Tally::default();
    for (name, text) in SMALL_MODULES {
        let wasm = wat::parse_str(format!("(module {text})")).expect("well formed");
        let module = Module::parse(&wasm).expect("well formed");
        // Without padding between the artifacts.
        let policy = Policy::smallest(HostPageSize::new(1).expect("a power of two"));
        let image = ModuleImage::build(&module, &Plan::new(&module, &policy));
        let artifact = image.expect("small").encode().expect("small");
        for n in COUNTS {
            let bundle = Bundle::encode(&vec![&*artifact; n]).expect("small");
            let (decoded, allocated) = measured(|| Bundle::decode(&bundle));
            assert_eq!(decoded.expect("just encoded").artifacts().len(), n);
            tally
                .spend(name, allocated, costs::of_bundle(&bundle), bundle.len())
                .unwrap_or_else(|err| panic!("{err}"));
            tally.n_inputs += 1;
        }
    }
    tally.report("dense bundles");
}
