//! Instances of prepared modules have the memories that the specification requires.

mod support;

use wasm_meminit_wasmer::{MemoryImports, Options, PrepareError, Prepared, Unsupported};
use wasmer::{
    ExternType, Function, Global, Imports, Instance, Memory, MemoryType, Module, Store, Value,
    imports,
};

use support::{PAGE, Piece, bytes, contents, engine, memory, plain, prepare, soil, start, wasm};

#[test]
fn several_modules_on_one_engine() {
    let engine = engine(1);
    let modules: Vec<_> = (1..9)
        .map(|nth| {
            let wat = format!(
                r#"(module (memory (export "m") {nth}) (data (i32.const {nth}) "module {nth}"))"#
            );
            let expected = contents(nth * PAGE, &[(nth, format!("module {nth}").as_bytes())]);
            (prepare(&engine, &wat), expected)
        })
        .collect();
    // One slot for all, in an order that repeats some at once.
    for nth in [0, 1, 1, 2, 7, 3, 0, 4, 5, 5, 6, 2, 0, 7] {
        let (prepared, expected) = &modules[nth];
        let (store, instance) = start(prepared);
        let memory = memory(&instance, "m");
        assert!(bytes(&store, &memory) == *expected, "module {nth}");
        soil(&store, &memory);
    }
    let stats = engine.memories().stats();
    assert_eq!(stats.n_slots, 1);
    assert!(0 < stats.n_hits);
}

#[test]
fn several_memories() {
    let engine = engine(4);
    let prepared = prepare(
        &engine,
        r#"(module
             (memory (export "a") 2 5) (memory (export "b") 1) (memory (export "c") 0)
             (memory (export "d") 1 1)
             (data (memory 0) (i32.const 65536) "zero") (data (memory 1) (i32.const 3) "one")
             (data (memory 3) (i32.const 9) "three")
             (func (export "read") (param i32) (result i32)
               (i32.load8_u 1 (local.get 0))))"#,
    );
    for _ in 0..3 {
        let (mut store, instance) = start(&prepared);
        let expected: [(&str, usize, &[Piece<'_>]); 4] = [
            ("a", 2 * PAGE, &[(65536, b"zero")]),
            ("b", PAGE, &[(3, b"one")]),
            ("c", 0, &[]),
            ("d", PAGE, &[(9, b"three")]),
        ];
        let read = support::call(&mut store, &instance, "read", 4);
        assert_eq!(read.expect("in bounds"), i32::from(b'n'));
        for (name, len, pieces) in expected {
            let memory = memory(&instance, name);
            assert!(bytes(&store, &memory) == contents(len, pieces), "{name}");
            soil(&store, &memory);
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 4);
}

#[test]
fn a_module_without_memory() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (func (export "f") (param i32) (result i32) (local.get 0)) (data "passive"))"#,
    );
    let (mut store, instance) = start(&prepared);
    let answer = support::call(&mut store, &instance, "f", 7);
    assert_eq!(answer.expect("no trap"), 7);
    assert_eq!(engine.memories().stats().n_slots, 0);
}

#[test]
fn data_that_only_the_host_knows_is_written_over_the_image() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module
             (import "host" "two" (global $g i32)) (memory (export "m") 1)
             (data (i32.const 0) "abcdef") (data (global.get $g) "XY") (data "passive")
             (func $start (memory.init 2 (i32.const 20) (i32.const 0) (i32.const 7)))
             (start $start))"#,
    );
    for _ in 0..2 {
        let mut store = Store::new(&engine);
        let two = Global::new(&mut store, Value::I32(2));
        let imports = imports! { "host" => { "two" => two } };
        let instance = prepared.instantiate(&mut store, &imports).expect("works");
        let memory = memory(&instance, "m");
        let expected = contents(PAGE, &[(0, b"abXYef"), (20, b"passive")]);
        assert!(bytes(&store, &memory) == expected);
        soil(&store, &memory);
    }
}

#[test]
fn other_memories_of_the_store() {
    let engine = engine(3);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "ours"))"#,
    );
    let other = wasm(r#"(module (memory (export "m") 1) (data (i32.const 0) "theirs"))"#);
    let other = Module::new(&engine, other).expect("valid");
    for _ in 0..3 {
        let (mut store, instance) = start(&prepared);
        let ours = memory(&instance, "m");
        let instance = Instance::new(&mut store, &other, &Imports::new()).expect("works");
        let theirs = memory(&instance, "m");
        let made = Memory::new(&mut store, MemoryType::new(1, None, false)).expect("room");
        for (memory, data) in [(&ours, &b"ours"[..]), (&theirs, b"theirs"), (&made, b"")] {
            assert!(bytes(&store, memory) == contents(PAGE, &[(0, data)]));
        }
        // The host's memory grows too, and is reset.
        assert_eq!(made.grow(&mut store, 2).expect("room").0, 1);
        made.grow_at_least(&mut store, 3 * PAGE as u64 + 1)
            .expect("room");
        made.grow_at_least(&mut store, 5).expect("large enough");
        assert_eq!(made.size(&store).0, 4);
        for memory in [&ours, &theirs, &made] {
            soil(&store, memory);
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 3);
}

#[test]
fn the_stripped_module_alone_has_a_zeroed_memory() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "data"))"#,
    );
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, prepared.module(), &Imports::new()).expect("works");
    assert!(bytes(&store, &memory(&instance, "m")) == contents(PAGE, &[]));
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

#[track_caller]
fn check_imports(store: &Store, instance: &Instance) {
    let expected: [(&str, usize, Piece<'_>); 3] = [
        ("m", PAGE, (1, b"imported")),
        ("n", 2 * PAGE, (2, b"also imported")),
        ("own", PAGE, (3, b"defined")),
    ];
    for (name, len, piece) in expected {
        let memory = memory(instance, name);
        assert!(bytes(store, &memory) == contents(len, &[piece]), "{name}");
        soil(store, &memory);
    }
}

fn function(store: &mut Store) -> Function {
    Function::new_typed(store, |_: i32| ())
}

#[test]
fn imported_memories_from_the_imports() {
    let engine = engine(3);
    let prepared = prepare(&engine, IMPORTS);
    for _ in 0..2 {
        let mut store = Store::new(&engine);
        let m = Memory::new(&mut store, MemoryType::new(1, Some(4), false)).expect("room");
        let n = Memory::new(&mut store, MemoryType::new(2, None, false)).expect("room");
        let f = function(&mut store);
        let imports = imports! { "env" => { "m" => m, "n" => n, "f" => f } };
        let instance = prepared.instantiate(&mut store, &imports).expect("works");
        check_imports(&store, &instance);
    }
}

/// The two have the same style.
#[test]
fn a_memory_of_the_pool_is_imported_by_a_plain_module() {
    let engine = engine(2);
    let ours = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#,
    );
    let importer = wasm(
        r#"(module (import "" "m" (memory 1)) (data (i32.const 1) "y")
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    for importer in [
        Module::new(&engine, &importer).expect("valid"),
        Module::new(&wasmer::Engine::from(plain()), &importer).expect("valid"),
    ] {
        let (mut store, instance) = start(&ours);
        let m = memory(&instance, "m");
        let imports = imports! { "" => { "m" => m.clone() } };
        let instance = Instance::new(&mut store, &importer, &imports).expect("works");
        assert!(bytes(&store, &m) == contents(PAGE, &[(0, b"xy")]));
        let grown = support::call(&mut store, &instance, "grow", 1);
        assert_eq!(grown.expect("no trap"), 1);
        assert!(bytes(&store, &m) == contents(2 * PAGE, &[(0, b"xy")]));
        soil(&store, &m);
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
    let mut imported = prepared.module().imports();
    assert!(imported.all(|it| matches!(it.ty(), ExternType::Function(_))));
    for _ in 0..3 {
        let mut store = Store::new(&engine);
        let f = function(&mut store);
        let imports = imports! { "env" => { "f" => f } };
        let instance = prepared.instantiate(&mut store, &imports).expect("works");
        check_imports(&store, &instance);
    }
    assert_eq!(engine.memories().stats().n_slots, 3);
}

/// The imports' memory is left alone, and the module's own is complete when its code first runs.
#[test]
fn a_provided_memory_is_an_export() {
    let engine = engine(2);
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let wat = r#"(module (import "env" "m" (memory 1)) (data (i32.const 3) "seen")
        (func $start (memory.copy (i32.const 100) (i32.const 3) (i32.const 4))) (start $start))"#;
    let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
    for _ in 0..2 {
        let mut store = Store::new(&engine);
        let other = Memory::new(&mut store, MemoryType::new(1, None, false)).expect("room");
        let imports = imports! { "env" => { "m" => other.clone() } };
        let instance = prepared.instantiate(&mut store, &imports).expect("works");
        let own = memory(&instance, "m");
        assert!(bytes(&store, &own) == contents(PAGE, &[(3, b"seen"), (100, b"seen")]));
        assert!(bytes(&store, &other) == contents(PAGE, &[]));
        soil(&store, &own);
        soil(&store, &other);
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
    for memory_imports in [MemoryImports::Provide, MemoryImports::Link] {
        let options = Options::new().with_memory_imports(memory_imports);
        let wat = r#"(module (import "env" "m" (memory 1)) (import "env" "f" (func)))"#;
        let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
        let mut store = Store::new(&engine);
        let m = Memory::new(&mut store, MemoryType::new(1, None, false)).expect("room");
        let imports = imports! { "env" => { "m" => m } };
        let err = prepared.instantiate(&mut store, &imports);
        let err = err.expect_err("no function").to_string();
        assert!(err.contains(r#""env"."f""#), "{err}");
    }
}

#[test]
fn shared_memories_are_the_engine_s_own() {
    let engine = engine(1);
    let own = r#"(module (memory (export "m") 1 3 shared) (memory (export "n") 1)
        (data (i32.const 7) "shared") (data (memory 1) (i32.const 8) "not shared")
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let imported = own.replace(r#"(memory (export "m")"#, r#"(import "" "m" (memory"#);
    let imported = imported.replace("1 3 shared)", r#"1 3 shared)) (export "m" (memory 0))"#);
    let provide = Options::new().with_memory_imports(MemoryImports::Provide);
    for (wat, options) in [(own, Options::new()), (&imported, provide)] {
        let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
        assert!(prepared.memories().iter().all(|it| it.image().is_none()));
        for _ in 0..2 {
            let (mut store, instance) = start(&prepared);
            let shared = memory(&instance, "m");
            assert!(shared.ty(&store).shared);
            assert!(shared.as_shared(&store).is_some());
            assert!(bytes(&store, &shared) == contents(PAGE, &[(7, b"shared")]));
            let n = memory(&instance, "n");
            assert!(bytes(&store, &n) == contents(PAGE, &[(8, b"not shared")]));
            // A memory of the pool is not shared.
            assert!(n.as_shared(&store).is_none());
            assert!(n.copy(&store).is_err());
            let read = support::call(&mut store, &instance, "load", 7);
            assert_eq!(read.expect("in bounds"), i32::from(b's'));
            soil(&store, &n);
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 1);
}

/// wasmer panics on such modules if its features allow them.
#[test]
fn memories_that_the_engine_does_not_implement_are_refused() {
    let mut features = wasmer::sys::Features::default();
    features.memory64(true);
    let builder = wasmer::sys::EngineBuilder::new(wasmer::sys::Singlepass::default());
    let memories = engine(1).memories().clone();
    let engine = memories.engine(builder.set_features(Some(features)).engine());
    let engine = engine.expect("guards");
    for (wat, expected) in [
        ("(memory i64 1)", Unsupported::Memory64),
        (r#"(import "" "" (memory i64 1))"#, Unsupported::Memory64),
        ("(memory 9 (pagesize 1))", Unsupported::PageSize),
    ] {
        let wasm = wasm(&format!("(module {wat})"));
        for memory_imports in [MemoryImports::Provide, MemoryImports::Link] {
            let options = Options::new().with_memory_imports(memory_imports);
            let err = Prepared::new(&engine, &wasm, &options).expect_err("not implemented");
            let PrepareError::Unsupported { unsupported, .. } = err else {
                panic!("{wat}: {err}");
            };
            assert_eq!(unsupported, expected);
        }
    }
}

#[test]
fn modules_that_cannot_be_prepared() {
    let engine = engine(1);
    let prepare = |wasm: &[u8]| Prepared::new(&engine, wasm, &Options::new());
    assert!(matches!(prepare(b"wasm"), Err(PrepareError::Parse(_))));
    let invalid = wasm("(module (memory 1) (func (result i32)))");
    assert!(matches!(prepare(&invalid), Err(PrepareError::Compile(_))));
}
