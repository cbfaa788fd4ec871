//! Instantiations that fail: what can be observed afterwards, and that nothing is left for the
//! next instance.

mod support;

use core::panic::AssertUnwindSafe;

use wasm_meminit_wasmer::Prepared;
use wasmer::{
    Engine, Function, Global, Imports, Instance, InstantiationError, Module, Store, Table,
    TableType, Type, Value, imports,
};

use support::{PAGE, bytes, contents, engine, memory, plain, prepare, soil, wasm};

const TABLE: &str = "undefined element: out of bounds table access";
const MEMORY: &str = "out of bounds memory access";
const UNREACHABLE: &str = "unreachable";

/// A store with what the modules below import.
struct World {
    store: Store,
    imports: Imports,
    table: Table,
}

impl World {
    fn new(engine: impl Into<Engine>, at: u32) -> Self {
        let mut store = Store::new(engine);
        let ty = TableType::new(Type::FuncRef, 4, None);
        let table = Table::new(&mut store, ty, Value::FuncRef(None)).expect("room");
        let at = Global::new(&mut store, Value::I32(at.cast_signed()));
        let imports = imports! { "" => { "table" => table.clone(), "at" => at } };
        Self {
            store,
            imports,
            table,
        }
    }

    /// Reads a byte of the memory of an instance that may have failed, through a function that
    /// it has put in the table.
    fn peek(&mut self, addr: i32) -> i32 {
        let function = self.table.get(&mut self.store, 0).expect("in bounds");
        let function = function.funcref().cloned().flatten().expect("not null");
        let results = function.call(&mut self.store, &[addr.into()]);
        results.expect("in bounds")[0].unwrap_i32()
    }
}

/// Fails with `at`, then reads three bytes of the failed instance's memory. Does so on our engine
/// and on one with its own memories, compares, and checks that the next instance starts clean.
#[track_caller]
fn check(body: &str, at: u32, trap: &str, expected: [u8; 3]) {
    let wat = format!(
        r#"(module
             (import "" "table" (table 4 funcref))
             (import "" "at" (global $at i32))
             (memory (export "m") 1)
             (func $peek (param i32) (result i32) (i32.load8_u (local.get 0)))
             (elem (i32.const 0) $peek)
             {body})"#
    );
    let read = |world: &mut World| [10, 20, 30].map(|addr| world.peek(addr));
    let expected = expected.map(i32::from);

    let plain = Engine::from(plain());
    let module = Module::new(&plain, wasm(&wat)).expect("valid");
    let mut world = World::new(plain, at);
    match Instance::new(&mut world.store, &module, &world.imports) {
        Err(InstantiationError::Start(err)) => assert_eq!(err.message(), trap),
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(read(&mut world), expected, "the reference");

    let engine = engine(1);
    let prepared = prepare(&engine, &wat);
    // The same slot with and without failure.
    for _ in 0..2 {
        let mut world = World::new(&engine, at);
        let err = prepared.instantiate(&mut world.store, &world.imports);
        let err = err.map(drop).expect_err("a trap");
        assert_eq!(err.as_runtime_error().expect("a trap").message(), trap);
        assert_eq!(read(&mut world), expected, "with our memory");
        drop(world);
        succeed(&prepared);
    }
    assert_eq!(engine.memories().stats().n_slots, 1);
}

/// Instantiates a module of [`check`] so that it does not fail.
fn succeed(prepared: &Prepared) {
    let mut world = World::new(prepared.engine(), 1);
    let instance = prepared.instantiate(&mut world.store, &world.imports);
    let instance = instance.map_err(|err| err.to_string()).expect("in bounds");
    let memory = memory(&instance, "m");
    let found = bytes(&world.store, &memory)[8..].to_vec();
    let mut expected = contents(PAGE - 8, &[(2, b"a")]);
    for (at, byte) in [(12, b'b'), (22, b'c')] {
        // Not all modules write them.
        expected[at] = if found[at] == 0 { 0 } else { byte };
    }
    assert!(found == expected);
    soil(&world.store, &memory);
}

#[test]
fn an_element_segment_traps() {
    let body = r#"(elem (global.get $at) $peek) (data (i32.const 10) "a")"#;
    check(body, 4, TABLE, [0; 3]);
}

#[test]
fn an_element_segment_traps_where_a_data_segment_would() {
    let body = r#"
        (elem (global.get $at) $peek)
        (data (i32.const 10) "a") (data (global.get $at) "?")"#;
    check(body, 70_000, TABLE, [0; 3]);
}

#[test]
fn an_element_segment_traps_before_a_start_function() {
    let body = r#"
        (elem (global.get $at) $peek) (data (i32.const 10) "a")
        (func $start (i32.store8 (i32.const 20) (i32.const 98))) (start $start)"#;
    check(body, 4, TABLE, [0; 3]);
}

#[test]
fn a_start_function_traps_as_an_element_segment_would() {
    let body = r#"
        (elem (global.get $at) $peek) (data (i32.const 10) "a")
        (elem $e func $peek)
        (func $start
          (i32.store8 (i32.const 20) (i32.const 98))
          (if (i32.eq (global.get $at) (i32.const 2))
            (then (table.init $e (i32.const 4) (i32.const 0) (i32.const 1)))))
        (start $start)"#;
    check(body, 2, TABLE, *b"ab\0");
}

#[test]
fn a_data_segment_traps() {
    let body = r#"
        (data (i32.const 10) "a") (data (global.get $at) "?") (data (i32.const 30) "c")"#;
    check(body, 0x1_0000, MEMORY, *b"a\0\0");
}

/// Known ahead of time: what follows it is not in the image.
#[test]
fn a_data_segment_always_traps() {
    let engine = engine(1);
    let wat = r#"(module
        (import "" "table" (table 4 funcref))
        (memory 1) (func $peek (param i32) (result i32) (i32.load8_u (local.get 0)))
        (elem (i32.const 0) $peek)
        (data (i32.const 10) "a") (data (i32.const 65535) "??") (data (i32.const 30) "c"))"#;
    let prepared = prepare(&engine, wat);
    for _ in 0..2 {
        let mut world = World::new(&engine, 0);
        let err = prepared.instantiate(&mut world.store, &world.imports);
        let err = err.map(drop).expect_err("a trap");
        assert_eq!(err.as_runtime_error().expect("a trap").message(), MEMORY);
        let read = [10, 65535, 30].map(|addr| world.peek(addr));
        assert_eq!(read, [97, 0, 0]);
    }
}

#[test]
fn a_start_function_traps() {
    let body = r#"
        (data (i32.const 10) "a") (data (i32.const 30) "c")
        (func $start
          (i32.store8 (i32.const 20) (i32.const 98))
          (if (i32.eq (global.get $at) (i32.const 5)) (then unreachable)))
        (start $start)"#;
    check(body, 5, UNREACHABLE, *b"abc");
}

#[test]
fn a_host_function_panics() {
    let engine = engine(1);
    let wat = r#"(module
        (import "" "panic" (func $panic))
        (memory (export "m") 1) (data (i32.const 3) "ours") (start $panic))"#;
    let prepared = prepare(&engine, wat);
    let plain = Module::new(&engine, wasm(r#"(module (memory (export "m") 1))"#)).expect("valid");
    for _ in 0..2 {
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut store = Store::new(&engine);
            let panic = Function::new_typed(&mut store, || -> () { panic!("on purpose") });
            let imports = imports! { "" => { "panic" => panic } };
            drop(prepared.instantiate(&mut store, &imports));
        }));
        assert!(panicked.is_err());
        // Nothing is left of the instantiation on this thread.
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &plain, &Imports::new());
        let memory = memory(&instance.expect("works"), "m");
        assert!(bytes(&store, &memory) == contents(PAGE, &[]));
        soil(&store, &memory);
    }
}
