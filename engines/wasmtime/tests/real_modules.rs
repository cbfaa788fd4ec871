//! Real modules: their memories start as they do in wasmtime by itself.
//!
//! `WASM_MEMINIT_CORPUS` names a directory of modules (`cargo xtask corpus` fetches some), relative
//! to the root of the workspace.

mod support;

use std::fs;
use std::path::Path;

use wasm_meminit_wasmtime::{Engine, MemoryImports, Options, Prepared};
use wasmtime::{Extern, ExternType, Instance, Linker, Memory, Module, Store, Trap};

use support::{engine, soil};

/// The contents of each memory that can be observed, in any order, or the trap.
type Outcome = Result<Vec<Vec<u8>>, String>;

fn linker(store: &mut Store<()>, module: &Module) -> wasmtime::Result<Linker<()>> {
    let mut linker = Linker::new(module.engine());
    linker.define_unknown_imports_as_default_values(&mut *store, module)?;
    Ok(linker)
}

fn outcome(
    store: &mut Store<()>,
    instance: wasmtime::Result<Instance>,
    mut memories: Vec<Memory>,
) -> Outcome {
    match instance {
        Ok(instance) => {
            let exports = instance.exports(&mut *store);
            memories.extend(exports.filter_map(wasmtime::Export::into_memory));
        }
        Err(err) => match err.downcast_ref::<Trap>() {
            Some(trap) => return Err(trap.to_string()),
            None => panic!("{err:?}"),
        },
    }
    // One may be imported and exported.
    memories.sort_unstable_by_key(|it| it.data_ptr(&*store));
    memories.dedup_by_key(|it| it.data_ptr(&*store));
    let contents = memories.iter().map(|it| it.data(&*store).to_vec());
    let mut contents: Vec<_> = contents.collect();
    contents.sort_unstable();
    Ok(contents)
}

fn imported(store: &mut Store<()>, linker: &Linker<()>, module: &Module) -> Vec<Memory> {
    let imports = module.imports();
    let memories = imports.filter(|it| matches!(it.ty(), ExternType::Memory(_)));
    memories
        .filter_map(|it| linker.get_by_import(&mut *store, &it))
        .filter_map(Extern::into_memory)
        .collect()
}

/// Returns how many memories were compared; `None` if wasmtime cannot run the module by itself.
fn check(engine: &Engine, wasm: &[u8]) -> Option<usize> {
    let reference = support::reference();
    let module = Module::new(&reference, wasm).ok()?;
    let mut store = Store::new(&reference, ());
    let defaults = linker(&mut store, &module).ok()?;
    let instance = defaults.instantiate(&mut store, &module);
    let memories = imported(&mut store, &defaults, &module);
    let expected = outcome(&mut store, instance, memories);

    for imports in [MemoryImports::Link, MemoryImports::Provide] {
        let options = Options::new().with_memory_imports(imports);
        let prepared = Prepared::new(engine, wasm, &options);
        let prepared = prepared.unwrap_or_else(|err| panic!("{err}"));
        for _ in 0..3 {
            let mut store = Store::new(engine, ());
            let defaults = linker(&mut store, prepared.module()).expect("as above");
            let memories = imported(&mut store, &defaults, prepared.module());
            let instance = prepared.instantiate(&mut store, &defaults);
            let to_soil = memories.clone();
            let exported = instance.as_ref().ok().map(|instance| {
                let exports = instance.exports(&mut store);
                let memories = exports.filter_map(wasmtime::Export::into_memory);
                memories.collect::<Vec<_>>()
            });
            assert!(outcome(&mut store, instance, memories) == expected);
            for memory in to_soil.into_iter().chain(exported.into_iter().flatten()) {
                soil(memory.data_mut(&mut store));
            }
        }
    }
    Some(expected.map_or(0, |it| it.len()))
}

#[test]
fn real_modules_start_from_images() {
    let Some(directory) = std::env::var_os("WASM_MEMINIT_CORPUS") else {
        eprintln!("skipped: WASM_MEMINIT_CORPUS is not set");
        return;
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(directory);
    let engine = engine(8);
    let mut n_compared = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|it| it != "wasm") {
            continue;
        }
        let wasm = fs::read(&path).expect("readable");
        match check(&engine, &wasm) {
            Some(n_memories) => {
                eprintln!("{}: {n_memories} memories", path.display());
                n_compared += n_memories;
            }
            None => eprintln!("{}: wasmtime cannot run it by itself", path.display()),
        }
    }
    assert_ne!(n_compared, 0, "no memories");
}
