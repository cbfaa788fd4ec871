//! What rewriting allocates, for modules and components that consist of many small items.

use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, RewriteError, externalize, internalize,
    map_modules, pack, pack_memory, strip, strip_renumbered,
};

use wasm_meminit_test_oracle::costs::{
    CONSTANT, EACH_COPIED_BYTE, EACH_REWRITTEN_BYTE, EACH_REWRITTEN_SEGMENT,
};

use super::components::{COMPONENT, SMALL_MODULES, repeated, without_modules};
use super::modules;
use crate::{Tally, alone, measured};

type Rewrite = fn(&Module<'_>, &Plan<'_>) -> Result<Vec<u8>, RewriteError>;

const REWRITES: &[(&str, Rewrite)] = &[
    ("strip", strip),
    ("strip_renumbered", strip_renumbered),
    ("externalize", |module, _| {
        let name = |it: MemoryIndex| it.as_u32().to_string();
        externalize(module, DEFAULT_IMPORT_MODULE, &name)
    }),
    ("internalize", |module, _| internalize(module)),
    ("pack", |module, _| packed(module, PackFor::Balanced)),
    ("pack for size", |module, _| packed(module, PackFor::Size)),
    ("pack for compressed", |module, _| {
        packed(module, PackFor::Compressed)
    }),
    ("pack for start", |module, _| packed(module, PackFor::Start)),
    ("pack_memory", |module, _| {
        let image = Image::capture(&[1, 0, 2]).expect("small");
        let index = MemoryIndex::from_u32(0);
        match pack_memory(module, index, image.as_ref(), 3, &PackOptions::default()) {
            Ok(packed) => Ok(packed.wasm),
            Err(RewriteError::UnknownMemory { .. }) => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    }),
];

fn packed(module: &Module<'_>, objective: PackFor) -> Result<Vec<u8>, RewriteError> {
    let options = PackOptions::default().with_objective(objective);
    Ok(pack(module, &options)?.wasm)
}

#[test]
fn dense_rewrites() {
    let _alone = alone();
    let mut tally = Tally::default();
    for (name, wasm) in modules() {
        let module = Module::parse(&wasm).expect("well formed");
        let plan = Plan::new(&module, &Policy::default());
        for (rewrite, run) in REWRITES {
            let (rewritten, allocated) = measured(|| run(&module, &plan));
            rewritten.unwrap_or_else(|err| panic!("{rewrite}: {name}: {err}"));
            let budget = CONSTANT
                + EACH_REWRITTEN_BYTE * wasm.len()
                + EACH_REWRITTEN_SEGMENT * module.segments().len();
            tally
                .spend(&format!("{rewrite}: {name}"), allocated, budget, wasm.len())
                .unwrap_or_else(|err| panic!("{err}"));
        }
        tally.n_inputs += 1;
    }
    tally.report("dense rewrites");
}

/// Replaces each module by itself.
fn identity(wasm: &[u8]) -> Result<Vec<u8>, RewriteError> {
    map_modules(wasm, &mut |it| {
        it.binary()
            .map(<[u8]>::to_vec)
            .ok_or(RewriteError::NoBinary)
    })
}

#[test]
fn dense_components_are_copied() {
    let _alone = alone();
    let mut tally = Tally::default();
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, text) in SMALL_MODULES {
        let module = wat::parse_str(format!("(module {text})")).expect("well formed");
        inputs.push((format!("modules with {name}"), repeated(1, &module, 10_000)));
        let nested = repeated(4, &repeated(1, &module, 1), 10_000);
        inputs.push((format!("components of a module with {name}"), nested));
    }
    let flat = without_modules().into_iter().filter(|it| it.2 < 64);
    inputs.extend(flat.map(|(name, wasm, _)| (name.to_owned(), wasm)));
    // A large section at each depth.
    let large = repeated(0, &[&b"\x01x"[..], &[7; 1 << 20]].concat(), 1);
    let deep = (0..62).fold(large, |inner, _| repeated(4, &inner, 1));
    inputs.push(("a large section 62 levels deep".to_owned(), deep));
    let module = wat::parse_str("(module)").expect("well formed");
    let many = repeated(1, &module, 1_000);
    let deep = (0..62).fold(many, |inner, _| {
        let outer = repeated(4, &inner, 1);
        [
            outer.as_slice(),
            &repeated(4, COMPONENT, 1_000)[COMPONENT.len()..],
        ]
        .concat()
    });
    inputs.push(("many components at each of 62 levels".to_owned(), deep));
    for (name, wasm) in inputs {
        let (copied, allocated) = measured(|| identity(&wasm));
        assert!(copied.as_deref() == Ok(&*wasm), "{name}: changed");
        let budget = CONSTANT + EACH_COPIED_BYTE * wasm.len();
        tally
            .spend(&name, allocated, budget, wasm.len())
            .unwrap_or_else(|err| panic!("{err}"));
        tally.n_inputs += 1;
    }
    tally.report("dense components, copied");
}
