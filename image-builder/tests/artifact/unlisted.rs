//! Artifacts that hide an assumption: whatever the user knows about the host, comparing them
//! with their module finds it, because another host would use them too.

use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy, StartFunction, Value};
use wasm_meminit_image_builder::verify::verify;
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use crate::encode::encode;
use crate::format::{At, File, Value as FileValue, What, decode};
use crate::inputs::{Recipe, hash, hello_with_globals, modules, page, recipes, wat};

/// Checks that a file is not correct for the module, with and without what the user knows.
#[track_caller]
fn is_found(what: &str, known: &Module<'_>, file: &File) {
    let bytes = encode(file).expect("small");
    let Ok(artifact) = Artifact::decode(&bytes) else {
        return;
    };
    for module in [known.clone(), known.clone().without_supplied()] {
        let result = verify(module, hash(1), &artifact);
        assert!(result.is_err(), "{what}: {:?}", file.assumptions);
    }
}

/// Deletes each assumption in turn. Returns their number.
fn delete_each(name: &str, known: &Module<'_>, bytes: &[u8]) -> usize {
    let artifact = Artifact::decode(bytes).expect("own");
    verify(known.clone(), hash(1), &artifact).expect("correct");
    let plain = known.clone().without_supplied();
    verify(plain, hash(1), &artifact).expect("correct");
    let base = decode(bytes).expect("own");
    for (nth, it) in base.assumptions.iter().enumerate() {
        let mut file = base.clone();
        file.assumptions.remove(nth);
        is_found(name, known, &file);
        if let What::Size(..) = it.what {
            // The type has the assumed size.
            let memory = MemoryIndex::from_u32(it.index);
            let declared = known.memories().get(memory).expect("checked").ty.min;
            file.memories[it.index as usize].min = declared;
            is_found(name, known, &file);
        }
    }
    base.assumptions.len()
}

#[test]
fn no_assumption_can_be_deleted() {
    let mut n = 0;
    for (name, wasm, recipe) in recipes() {
        let bytes = recipe.build(&wasm).expect("small");
        n += delete_each(name, &recipe.module(&wasm), &bytes);
    }
    let (wasm, recipe) = hello_with_globals();
    let bytes = recipe.build(&wasm).expect("small");
    n += delete_each("hello, with globals", &recipe.module(&wasm), &bytes);
    let fresh = Policy::smallest(page(4096)).with_zeroed_imports(true);
    for (name, wasm) in modules() {
        let mut known = Module::parse(&wasm).expect("a module");
        for (global, _) in known.clone().global_imports() {
            for value in [Value::I32(64), Value::I64(64)] {
                known = known.clone().with_global(global, value).unwrap_or(known);
            }
        }
        for treatment in [
            StartFunction::Unchanged,
            StartFunction::AlreadyInitialized,
            StartFunction::AlreadyInitializedTls,
            StartFunction::WritesStripped,
        ] {
            let policy = fresh.with_start_function(treatment);
            let plan = Plan::new(&known, &policy);
            let image = ModuleImage::build(&known, &plan).expect("small");
            let bytes = image.with_source(hash(1)).encode().expect("small");
            n += delete_each(&name, &known, &bytes);
        }
    }
    println!("{n} assumptions");
    assert!(40 < n);
}

/// Regression: a size that the artifact does not assume allowed a segment of zeros past the end
/// of the declared memory, where it traps.
#[test]
fn zeros_past_the_declared_size() {
    let wasm = wat(r#"(module (import "env" "memory" (memory 1))
            (data (i32.const 8) "x") (data (i32.const 65536) "\00\00"))"#);
    let mut recipe = Recipe::new(Policy::default().with_zeroed_imports(true));
    recipe.sizes = vec![(0, 131_072)];
    let bytes = recipe.build(&wasm).expect("small");
    assert_eq!(delete_each("zeros", &recipe.module(&wasm), &bytes), 2);
}

/// Regression: with the value that the user stated, a constant equals the expression.
#[test]
fn a_replayed_segment_at_the_address_of_one_host() {
    let wasm = wat(
        r#"(module (import "env" "base" (global i32)) (import "env" "memory" (memory 1))
            (data (global.get 0) "x"))"#,
    );
    let mut recipe = Recipe::new(Policy::default());
    recipe.globals = vec![(0, Value::I32(1024))];
    let known = recipe.module(&wasm);
    let bytes = recipe.build(&wasm).expect("small");
    assert_eq!(delete_each("replayed", &known, &bytes), 0);
    let mut file = decode(&bytes).expect("own");
    file.replay[0].at = At::Value(FileValue::I32(1024));
    is_found("a constant", &known, &file);
}

/// A size that is no more than what the module declares is no assumption.
#[test]
fn a_size_below_the_declared_one() {
    let wasm = wat(r#"(module (import "env" "memory" (memory 2)) (data (i32.const 8) "x"))"#);
    let recipe = Recipe::new(Policy::default().with_zeroed_imports(true));
    let known = recipe.module(&wasm);
    let mut file = decode(&recipe.build(&wasm).expect("small")).expect("own");
    let names = ["env".to_owned(), "memory".to_owned()];
    for pages in [1, 2] {
        file.memories[0].min = pages;
        file.assumptions.truncate(1);
        file.assumptions.push(crate::format::Assumption {
            index: 0,
            what: What::Size(names.clone(), pages << 16),
        });
        is_found("a size", &known, &file);
    }
}
