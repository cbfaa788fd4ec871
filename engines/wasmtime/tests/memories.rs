//! Each kind of memory: what it starts with, and that the next one sees nothing of it.

mod support;

use wasm_meminit_wasmtime::{MemoryImports, Options, Prepared};
use wasmtime::{Caller, Extern, Instance, Linker, Memory, MemoryType, Module, Store};

use support::{PAGE, contents, engine, memory, prepare, soil, start, wasm};

/// Starts three instances, soils their memories, and checks that each had these contents.
fn check(wat: &str, expected: &[(&str, Vec<u8>)]) {
    let engine = engine(expected.len().max(1));
    let prepared = prepare(&engine, wat);
    for _ in 0..3 {
        let (mut store, instance) = start(&prepared);
        for (name, expected) in expected {
            let memory = memory(&mut store, instance, name);
            assert!(memory.data(&store) == expected, "{name}");
            soil(memory.data_mut(&mut store));
        }
    }
    let stats = engine.memories().stats();
    assert_eq!(stats.n_slots, expected.len() as u64);
}

#[test]
fn a_module_without_memory() {
    check("(module)", &[]);
    check(r#"(module (func) (export "f" (func 0)) (start 0))"#, &[]);
}

#[test]
fn one_memory() {
    check(
        r#"(module (memory (export "m") 3)
             (data (i32.const 5) "abc") (data (i32.const 131070) "def"))"#,
        &[("m", contents(3 * PAGE, &[(5, b"abc"), (131_070, b"def")]))],
    );
}

#[test]
fn memories_without_data_or_pages() {
    check(
        r#"(module (memory (export "m") 1) (memory (export "n") 0))"#,
        &[("m", contents(PAGE, &[])), ("n", Vec::new())],
    );
}

#[test]
fn several_memories() {
    // Two of the same type.
    check(
        r#"(module
             (memory (export "a") 1) (memory (export "b") 2) (memory (export "c") 1)
             (data (memory 0) (i32.const 1) "a")
             (data (memory 1) (i32.const 2) "b")
             (data (memory 2) (i32.const 3) "c"))"#,
        &[
            ("a", contents(PAGE, &[(1, b"a")])),
            ("b", contents(2 * PAGE, &[(2, b"b")])),
            ("c", contents(PAGE, &[(3, b"c")])),
        ],
    );
}

#[test]
fn memory64() {
    check(
        r#"(module (memory (export "m") i64 1 4) (data (i64.const 100) "sixty-four"))"#,
        &[("m", contents(PAGE, &[(100, b"sixty-four")]))],
    );
}

#[test]
fn custom_page_sizes() {
    check(
        r#"(module (memory (export "m") 5001 9000 (pagesize 1)) (data (i32.const 4999) "ab"))"#,
        &[("m", contents(5001, &[(4999, b"ab")]))],
    );
}

#[test]
fn data_that_is_written_by_the_engine() {
    let engine = engine(1);
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (memory (export "m") 1)
        (data (i32.const 8) "baked")
        (data (global.get $base) "at start"))"#;
    let prepared = prepare(&engine, wat);
    for base in [10, 200] {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let ty = wasmtime::GlobalType::new(wasmtime::ValType::I32, wasmtime::Mutability::Const);
        let global = wasmtime::Global::new(&mut store, ty, base.into()).expect("a global");
        linker.define(&store, "env", "base", global).expect("new");
        let instance = prepared.instantiate(&mut store, &linker).expect("works");
        let at = usize::try_from(base).expect("small");
        let memory = memory(&mut store, instance, "m");
        let expected = contents(PAGE, &[(8, b"baked"), (at, b"at start")]);
        assert!(memory.data(&store) == expected);
        soil(memory.data_mut(&mut store));
    }
}

#[test]
fn passive_segments_and_start_functions() {
    check(
        r#"(module (memory (export "m") 1)
             (data (i32.const 0) "active") (data $p "passive")
             (func $start (memory.init $p (i32.const 3) (i32.const 0) (i32.const 7)))
             (start $start))"#,
        &[("m", contents(PAGE, &[(0, b"act"), (3, b"passive")]))],
    );
}

#[test]
fn plain_modules_and_memories_on_the_same_engine() {
    let engine = engine(2);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "ours"))"#,
    );
    let plain = wasm(r#"(module (memory (export "m") 1) (data (i32.const 0) "theirs"))"#);
    let plain = Module::new(&engine, plain).expect("valid");
    for _ in 0..3 {
        let (mut store, instance) = start(&prepared);
        let ours = memory(&mut store, instance, "m");
        let instance = Instance::new(&mut store, &plain, &[]).expect("works");
        let theirs = memory(&mut store, instance, "m");
        assert!(ours.data(&store) == contents(PAGE, &[(0, b"ours")]));
        assert!(theirs.data(&store) == contents(PAGE, &[(0, b"theirs")]));
        let made = Memory::new(&mut store, MemoryType::new(1, None)).expect("room");
        assert!(made.data(&store) == contents(PAGE, &[]));
        for memory in [ours, theirs, made] {
            soil(memory.data_mut(&mut store));
        }
    }
    // `Memory::new` does not ask for a memory.
    assert_eq!(engine.memories().stats().n_slots, 2);
}

#[test]
fn the_stripped_module_alone_has_a_zeroed_memory() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "data"))"#,
    );
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, prepared.module(), &[]).expect("works");
    let memory = memory(&mut store, instance, "m");
    assert!(memory.data(&store) == contents(PAGE, &[]));
}

const IMPORTS: &str = r#"(module
    (import "env" "m" (memory 1 4))
    (import "env" "f" (func (param i32)))
    (import "env" "n" (memory 2))
    (memory (export "own") 1)
    (data (memory 0) (i32.const 1) "imported")
    (data (memory 1) (i32.const 2) "also imported")
    (data (memory 2) (i32.const 3) "defined")
    (export "m" (memory 0)) (export "n" (memory 1)))"#;

fn imported() -> [(&'static str, Vec<u8>); 3] {
    [
        ("m", contents(PAGE, &[(1, b"imported")])),
        ("n", contents(2 * PAGE, &[(2, b"also imported")])),
        ("own", contents(PAGE, &[(3, b"defined")])),
    ]
}

#[test]
fn imported_memories_from_the_linker() {
    let engine = engine(1);
    let prepared = prepare(&engine, IMPORTS);
    for _ in 0..2 {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "f", |_: i32| ()).expect("new");
        let ty = MemoryType::new(1, Some(4));
        let m = Memory::new(&mut store, ty).expect("room");
        linker.define(&store, "env", "m", m).expect("new");
        let n = Memory::new(&mut store, MemoryType::new(2, None)).expect("room");
        linker.define(&store, "env", "n", n).expect("new");
        let instance = prepared.instantiate(&mut store, &linker).expect("works");
        for (name, expected) in imported() {
            let memory = memory(&mut store, instance, name);
            assert!(memory.data(&store) == expected, "{name}");
            soil(memory.data_mut(&mut store));
        }
    }
}

#[test]
fn imported_memories_that_are_provided() {
    let engine = engine(3);
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    // Without exports of their own.
    let wat = IMPORTS.replace(r#"(export "m" (memory 0)) (export "n" (memory 1))"#, "");
    assert_ne!(wat, IMPORTS);
    let prepared = Prepared::new(&engine, &wasm(&wat), &options).expect("valid");
    assert!(prepared.memories().iter().all(|it| it.image().is_some()));
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "f", |_: i32| ()).expect("new");
    let ready = prepared.instantiate_pre(&linker).expect("all imports");
    for is_ready in [false, true, true, false] {
        let mut store = Store::new(&engine, ());
        let instance = match is_ready {
            true => ready.instantiate(&mut store),
            false => prepared.instantiate(&mut store, &linker),
        };
        let instance = instance.expect("works");
        for (name, expected) in imported() {
            let memory = memory(&mut store, instance, name);
            assert!(memory.data(&store) == expected, "{name}");
            soil(memory.data_mut(&mut store));
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 3);
}

/// Host functions find the memory while the start function runs.
#[test]
fn a_provided_memory_is_an_export() {
    let engine = engine(1);
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let wat = r#"(module (import "env" "m" (memory 1)) (import "env" "look" (func $look))
        (data (i32.const 3) "seen") (func $start (call $look)) (start $start))"#;
    let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
    let mut linker = Linker::new(&engine);
    let look = |mut caller: Caller<'_, Vec<u8>>| {
        let memory = caller.get_export("m").and_then(Extern::into_memory);
        let seen = memory.expect("exported").data(&caller)[3..7].to_vec();
        *caller.data_mut() = seen;
    };
    linker.func_wrap("env", "look", look).expect("new");
    for _ in 0..2 {
        let mut store = Store::new(&engine, Vec::new());
        prepared.instantiate(&mut store, &linker).expect("works");
        assert_eq!(store.data(), b"seen");
    }
}

#[test]
fn a_memory_that_is_imported_twice_is_not_provided() {
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let twice = r#"(module (import "" "m" (memory 1)) (import "" "m" (memory 1)))"#;
    let err = Prepared::new(&engine(1), &wasm(twice), &options).expect_err("twice");
    assert_eq!(
        err.to_string(),
        "memory 1 is imported under the name of another one"
    );
}

#[test]
fn a_missing_import_is_named() {
    let engine = engine(2);
    for imports in [MemoryImports::Provide, MemoryImports::Link] {
        let options = Options::new().with_memory_imports(imports);
        let wat = r#"(module (import "env" "m" (memory 1)) (import "env" "f" (func)))"#;
        let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("room");
        linker.define(&store, "env", "m", memory).expect("new");
        let err = prepared.instantiate(&mut store, &linker);
        let err = err.expect_err("no function").to_string();
        assert_eq!(err, "unknown import: `env::f` has not been defined");
    }
}

#[test]
fn shared_memories() {
    let engine = engine(2);
    let own = r#"(module (memory (export "m") 1 3 shared) (data (i32.const 7) "shared")
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "grow") (result i32) (memory.grow (i32.const 2))))"#;
    let imported = own.replace(r#"(memory (export "m")"#, r#"(import "" "m" (memory"#);
    let imported = imported.replace("1 3 shared)", "1 3 shared))");
    let provide = Options::new().with_memory_imports(MemoryImports::Provide);
    for (wat, options) in [(own, Options::new()), (&imported, provide)] {
        let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
        assert!(prepared.memories()[0].image().is_some());
        for _ in 0..2 {
            let (mut store, instance) = start(&prepared);
            let load = instance.get_typed_func::<i32, i32>(&mut store, "load");
            let load = load.expect("exported");
            let read: Vec<_> = (6..14)
                .map(|at| load.call(&mut store, at).expect("in bounds"))
                .collect();
            assert_eq!(read, b"\0shared\0".map(i32::from));
            assert!(load.call(&mut store, 1 << 16).is_err());
            let grow = instance.get_typed_func::<(), i32>(&mut store, "grow");
            let grow = grow.expect("exported");
            assert_eq!(grow.call(&mut store, ()).expect("room"), 1);
            assert_eq!(load.call(&mut store, 1 << 16).expect("now"), 0);
            let put = instance.get_typed_func::<(i32, i32), ()>(&mut store, "store");
            let put = put.expect("exported");
            for at in [6, 8, 1 << 16] {
                put.call(&mut store, (at, 0xa5)).expect("in bounds");
            }
        }
    }
}

/// The memory outlives its store: other threads may have it.
#[test]
fn a_shared_memory_is_reset_after_its_last_handle() {
    let engine = engine(1);
    let wat = r#"(module (memory (export "m") 1 1 shared) (data (i32.const 0) "x"))"#;
    let prepared = prepare(&engine, wat);
    let (mut store, instance) = start(&prepared);
    let Some(Extern::SharedMemory(memory)) = instance.get_export(&mut store, "m") else {
        panic!("a shared memory");
    };
    drop(store);
    let mut store = Store::new(&engine, ());
    let err = prepared.instantiate(&mut store, &Linker::new(&engine));
    assert!(err.is_err(), "the only memory is still in use");
    drop(memory);
    start(&prepared);
}

#[test]
fn instances_ahead_of_time() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 1) "pre"))"#,
    );
    let pre = prepared
        .instantiate_pre(&Linker::new(&engine))
        .expect("no imports");
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = pre.clone().instantiate(&mut store).expect("works");
        let memory = memory(&mut store, instance, "m");
        assert!(memory.data(&store) == contents(PAGE, &[(1, b"pre")]));
        soil(memory.data_mut(&mut store));
    }
}
