//! Instantiations that fail: what can be observed afterwards, and that nothing is left for the
//! next instance.

mod support;

use core::panic::AssertUnwindSafe;

use wasm_meminit_wasmtime::{Options, Prepared};
use wasmtime::{
    Engine, Func, FuncType, Global, GlobalType, Linker, Module, Mutability, Ref, RefType, Store,
    Table, TableType, Trap, Val, ValType,
};

use support::{PAGE, contents, engine, memory, prepare, soil, wasm};

/// A store with what the modules below import.
struct World {
    store: Store<()>,
    linker: Linker<()>,
    table: Table,
}

impl World {
    fn new(engine: &Engine, at: u32) -> Self {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let ty = TableType::new(RefType::FUNCREF, 4, None);
        let table = Table::new(&mut store, ty, Ref::Func(None)).expect("room");
        linker.define(&store, "", "table", table).expect("new");
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let at = Val::I32(at.cast_signed());
        let at = Global::new(&mut store, ty, at).expect("valid");
        linker.define(&store, "", "at", at).expect("new");
        Self {
            store,
            linker,
            table,
        }
    }

    /// Reads a byte of the memory of an instance that may have failed, through a function that
    /// it has put in the table.
    fn peek(&mut self, addr: i32) -> i32 {
        let function = self.table.get(&mut self.store, 0).expect("in bounds");
        let function = *function.as_func().expect("a function").expect("not null");
        let mut results = [Val::I32(0)];
        function
            .call(&mut self.store, &[addr.into()], &mut results)
            .expect("in bounds");
        results[0].unwrap_i32()
    }
}

/// Fails with `at`, then reads three bytes of the failed instance's memory. Does so on our engine
/// and on the reference, compares, and checks that the next instance starts clean.
#[track_caller]
fn check(body: &str, at: u32, trap: Trap, expected: [u8; 3]) {
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

    let plain = support::reference();
    let module = Module::new(&plain, wasm(&wat)).expect("valid");
    let mut world = World::new(&plain, at);
    let err = world.linker.instantiate(&mut world.store, &module);
    assert_eq!(err.expect_err("a trap").downcast_ref(), Some(&trap));
    assert_eq!(read(&mut world), expected, "the reference");

    let engine = engine(1);
    let prepared = prepare(&engine, &wat);
    // The same slot with and without failure.
    for _ in 0..2 {
        let mut world = World::new(&engine, at);
        let err = prepared.instantiate(&mut world.store, &world.linker);
        assert_eq!(err.expect_err("a trap").downcast_ref(), Some(&trap));
        assert_eq!(read(&mut world), expected, "with our memory");
        drop(world);
        succeed(&prepared);
    }
    assert_eq!(engine.memories().stats().n_slots, 1);
}

/// Instantiates a module of [`check`] so that it does not fail.
fn succeed(prepared: &Prepared) {
    let mut world = World::new(prepared.engine(), 1);
    let instance = prepared.instantiate(&mut world.store, &world.linker);
    let instance = instance.expect("in bounds");
    let memory = memory(&mut world.store, instance, "m");
    let found = memory.data(&world.store)[8..].to_vec();
    let mut expected = contents(PAGE - 8, &[(2, b"a")]);
    for (at, byte) in [(12, b'b'), (22, b'c')] {
        // Not all modules write them.
        expected[at] = if found[at] == 0 { 0 } else { byte };
    }
    assert!(found == expected);
    soil(memory.data_mut(&mut world.store));
}

#[test]
fn an_element_segment_traps() {
    let body = r#"(elem (global.get $at) $peek) (data (i32.const 10) "a")"#;
    check(body, 4, Trap::TableOutOfBounds, [0; 3]);
}

#[test]
fn an_element_segment_traps_where_a_data_segment_would() {
    let body = r#"
        (elem (global.get $at) $peek)
        (data (i32.const 10) "a") (data (global.get $at) "?")"#;
    check(body, 70_000, Trap::TableOutOfBounds, [0; 3]);
}

#[test]
fn an_element_segment_traps_and_a_function_names_the_data() {
    let body = r#"
        (elem (global.get $at) $peek)
        (data $d (i32.const 10) "a")
        (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)))"#;
    check(body, 4, Trap::TableOutOfBounds, [0; 3]);
}

#[test]
fn an_element_segment_traps_before_a_start_function() {
    let body = r#"
        (elem (global.get $at) $peek) (data (i32.const 10) "a")
        (func $start (i32.store8 (i32.const 20) (i32.const 98))) (start $start)"#;
    check(body, 4, Trap::TableOutOfBounds, [0; 3]);
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
    check(body, 2, Trap::TableOutOfBounds, *b"ab\0");
}

#[test]
fn a_data_segment_traps() {
    let body = r#"
        (data (i32.const 10) "a") (data (global.get $at) "?") (data (i32.const 30) "c")"#;
    check(body, 0x1_0000, Trap::MemoryOutOfBounds, *b"a\0\0");
}

#[test]
fn a_data_segment_traps_where_an_element_segment_could_have() {
    let body = r#"
        (elem (i32.const 3) $peek) (table $own 0x10001 funcref)
        (elem (table $own) (global.get $at) func $peek)
        (data (i32.const 10) "a") (data (global.get $at) "?") (data (i32.const 30) "c")"#;
    check(body, 0x1_0000, Trap::MemoryOutOfBounds, *b"a\0\0");
}

#[test]
fn a_start_function_traps() {
    let body = r#"
        (data (i32.const 10) "a") (data (i32.const 30) "c")
        (func $start
          (i32.store8 (i32.const 20) (i32.const 98))
          (if (i32.eq (global.get $at) (i32.const 5)) (then unreachable)))
        (start $start)"#;
    check(body, 5, Trap::UnreachableCodeReached, *b"abc");
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
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap("", "panic", || -> () { panic!("on purpose") })
            .expect("new");
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut store = Store::new(&engine, ());
            drop(prepared.instantiate(&mut store, &linker));
        }));
        assert!(panicked.is_err());
        // Nothing is left of the instantiation on this thread.
        let mut store = Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &plain, &[]).expect("works");
        let memory = memory(&mut store, instance, "m");
        assert!(memory.data(&store) == contents(PAGE, &[]));
        soil(memory.data_mut(&mut store));
    }
}

#[test]
fn a_limiter_refuses() {
    let engine = engine(2);
    let prepared = prepare(
        &engine,
        r#"(module (memory 1) (memory 2) (memory 3) (data (memory 1) (i32.const 0) "x"))"#,
    );
    for _ in 0..3 {
        let limits = wasmtime::StoreLimitsBuilder::new();
        let limits = limits.memory_size(2 * PAGE).build();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        let err = prepared.instantiate(&mut store, &Linker::new(&engine));
        let err = err.expect_err("the third memory is too large").to_string();
        assert!(err.contains("exceeds memory limits"), "{err}");
    }
    assert_eq!(engine.memories().stats().n_slots, 2);
}

/// `Func` is only named to check that stores of failed instances stay usable.
#[test]
fn a_store_survives_a_failed_instantiation() {
    let engine = engine(1);
    let prepared = prepare(&engine, r#"(module (memory 1) (memory 1))"#);
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    assert!(prepared.instantiate(&mut store, &linker).is_err());
    let ty = FuncType::new(&engine, [], []);
    let function = Func::new(&mut store, ty, |_, _, _| Ok(()));
    function.call(&mut store, &[], &mut []).expect("works");
    // The one memory that was created has returned.
    let one = prepare(&engine, r#"(module (memory 1))"#);
    one.instantiate(&mut store, &linker).expect("room");
}

/// What wasmtime's own functions accept, or what is for another type, gets a hint.
#[test]
fn errors_say_what_to_use_instead() {
    let engine = engine(1);
    let text = Prepared::new(&engine, b"(module)", &Options::new());
    let component = Prepared::new(&engine, &wasm("(component)"), &Options::new());
    for (prepared, hint) in [(text, "wat::parse_str"), (component, "PreparedComponent")] {
        let err = prepared.expect_err("not a binary module").to_string();
        let (_, found) = err.split_once("\nhint: ").expect("a hint");
        assert!(found.contains(hint), "{err}");
    }
    let truncated = Prepared::new(&engine, &wasm("(module (memory 1))")[..10], &Options::new());
    let err = truncated.expect_err("truncated").to_string();
    assert!(!err.contains("hint"), "{err}");
}
