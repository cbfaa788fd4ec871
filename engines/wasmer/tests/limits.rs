//! Bounds, growth, and the pool's limits.

mod support;

use core::num::NonZeroUsize;
use core::time::Duration;

use wasm_meminit_wasmer::{
    AcquireError, InstantiateError, MemoriesConfig, MemoryError, MemoryImports, Options, Prepared,
};
use wasmer::sys::{BaseTunables, NativeEngineExt as _};
use wasmer::{Imports, Memory, MemoryType, RuntimeError, Store};

use support::{
    PAGE, bytes, call, contents, engine, engine_with, memory, plain, prepare, soil, start, wasm,
};

/// Accesses at an address, with offsets up to the largest, of one to eight bytes.
const BOUNDS: &str = r#"(module (memory (export "m") 1 MAX) (data (i32.const 65535) "x")
    (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "load64") (param i32) (result i32)
      (i32.wrap_i64 (i64.load (local.get 0))))
    (func (export "offset") (param i32) (result i32)
      (i32.load8_u offset=0xffffffff (local.get 0)))
    (func (export "offset64") (param i32) (result i32)
      (i32.wrap_i64 (i64.load offset=0xffffffff (local.get 0))))
    (func (export "store") (param i32) (result i32)
      (i64.store (local.get 0) (i64.const -1)) (i32.const 0))
    (func (export "fill") (param i32) (result i32)
      (memory.fill (local.get 0) (i32.const 1) (i32.const 2)) (i32.const 0))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

#[track_caller]
fn traps(result: Result<i32, RuntimeError>) {
    let message = result.expect_err("a trap").message();
    assert!(message.contains("out of bounds memory access"), "{message}");
}

#[test]
fn accesses_out_of_bounds_trap() {
    let engine = engine(1);
    let prepared = prepare(&engine, &BOUNDS.replace("MAX", "3"));
    for _ in 0..2 {
        let (mut store, instance) = start(&prepared);
        let mut call = |name, arg: i64| call(&mut store, &instance, name, arg as i32);
        for pages in [1, 3] {
            let end = pages * PAGE as i64;
            let last = if pages == 1 { i32::from(b'x') } else { 0 };
            assert_eq!(call("load8", end - 1).expect("in bounds"), last);
            assert!(call("load64", end - 8).is_ok());
            assert!(call("fill", end - 2).is_ok());
            for at in [end, end + 1, 1 << 31, u32::MAX.into()] {
                traps(call("load8", at));
                traps(call("load64", at - 7));
                traps(call("store", at - 7));
                traps(call("fill", at - 1));
                traps(call("offset", at));
            }
            for at in [0, 1, end, u32::MAX.into()] {
                traps(call("offset", at));
                traps(call("offset64", at));
            }
            if pages == 1 {
                assert_eq!(call("grow", 2).expect("no trap"), 1);
            }
        }
        assert_eq!(call("grow", 1).expect("no trap"), -1);
        assert_eq!(call("grow", -1).expect("no trap"), -1);
        assert_eq!(call("grow", 0).expect("no trap"), 3);
        let memory = memory(&instance, "m");
        assert_eq!(memory.ty(&store).maximum.map(|it| it.0), Some(3));
        assert_eq!(memory.view(&store).data_size(), 3 * PAGE as u64);
        soil(&store, &memory);
    }
}

/// The guard must hold where nothing else is left of the reservation.
#[test]
fn a_memory_grows_to_4_gib() {
    let engine = engine(1);
    let prepared = prepare(&engine, &BOUNDS.replace("MAX", ""));
    for _ in 0..2 {
        let (mut store, instance) = start(&prepared);
        let mut call = |name, arg: i64| call(&mut store, &instance, name, arg as i32);
        assert_eq!(call("grow", 65536).expect("no trap"), -1);
        assert_eq!(call("grow", 65535).expect("no trap"), 1);
        assert_eq!(call("grow", 1).expect("no trap"), -1);
        let end = 1_i64 << 32;
        assert_eq!(call("load64", end - 8).expect("in bounds"), 0);
        assert!(call("store", end - 8).is_ok());
        assert_eq!(call("load8", end - 1).expect("in bounds"), 0xff);
        assert_eq!(call("offset", 0).expect("in bounds"), 0xff);
        for at in [end - 7, end - 1] {
            traps(call("load64", at));
            traps(call("store", at));
        }
        for at in [1, end - 1] {
            traps(call("offset", at));
            traps(call("offset64", at));
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 1);
}

#[test]
fn what_grew_is_reset() {
    let engine = engine(1);
    let prepared = prepare(&engine, &BOUNDS.replace("MAX", "9"));
    for pages in [9, 1, 4, 9] {
        let (mut store, instance) = start(&prepared);
        let grown = call(&mut store, &instance, "grow", pages - 1);
        assert_eq!(grown.expect("no trap"), 1);
        let memory = memory(&instance, "m");
        let expected = contents(pages as usize * PAGE, &[(65535, b"x")]);
        assert!(bytes(&store, &memory) == expected);
        soil(&store, &memory);
    }
}

#[track_caller]
fn exhausted<T>(result: Result<T, InstantiateError>) {
    match result.map(drop) {
        Err(InstantiateError::Memory(MemoryError::Acquire(err))) => {
            assert!(matches!(err, AcquireError::Exhausted { .. }), "{err}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_pool_is_full() {
    let engine = engine(2);
    let wat = r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#;
    let one = prepare(&engine, wat);
    let two = prepare(
        &engine,
        r#"(module (memory 1) (memory 1) (data (i32.const 0) "2"))"#,
    );
    let provide = Options::new().with_memory_imports(MemoryImports::Provide);
    let provided =
        wasm(r#"(module (import "" "" (memory 1)) (memory 1) (data (i32.const 0) "p"))"#);
    let provided = Prepared::new(&engine, &provided, &provide).expect("valid");
    for _ in 0..2 {
        let (first, _) = start(&one);
        // The second memory is refused.
        let mut store = Store::new(&engine);
        exhausted(two.instantiate(&mut store, &Imports::new()));
        // The first stays in the store, as with wasmer itself.
        let mut other = Store::new(&engine);
        exhausted(one.instantiate(&mut other, &Imports::new()));
        let ty = MemoryType::new(1, None, false);
        let err = Memory::new(&mut other, ty).expect_err("full").to_string();
        assert!(err.contains("all 2 slots of the pool are in use"), "{err}");
        drop(store);
        exhausted(provided.instantiate(&mut other, &Imports::new()));
        drop((first, other));
        let (store, instance) = start(&one);
        let memory = memory(&instance, "m");
        assert!(bytes(&store, &memory) == contents(PAGE, &[(0, b"x")]));
        soil(&store, &memory);
    }
    start(&two);
    start(&provided);
    assert_eq!(engine.memories().stats().n_slots, 2);
}

#[test]
fn an_instantiation_waits() {
    let config = MemoriesConfig::new(NonZeroUsize::MIN).with_wait(Duration::from_millis(1));
    let engine = engine_with(config);
    let prepared = prepare(&engine, "(module (memory 1))");
    let first = start(&prepared);
    let mut store = Store::new(&engine);
    let err = prepared.instantiate(&mut store, &Imports::new());
    let expected = AcquireError::TimedOut { max_slots: 1 };
    match err {
        Err(InstantiateError::Memory(err)) => assert_eq!(err, MemoryError::Acquire(expected)),
        other => panic!("{other:?}"),
    }
    drop(first);
    prepared
        .instantiate(&mut store, &Imports::new())
        .expect("room");
}

#[test]
fn a_store_of_another_engine() {
    let wat = r#"(module (memory 1) (data (i32.const 0) "x"))"#;
    let prepared = prepare(&engine(1), wat);
    for mut store in [Store::new(plain()), Store::new(engine(1))] {
        let err = prepared.instantiate(&mut store, &Imports::new());
        assert!(matches!(err, Err(InstantiateError::OtherEngine)), "{err:?}");
    }
}

/// The same engine, but its memories lack their data.
#[test]
fn the_tunables_were_replaced() {
    let engine = engine(1);
    let prepared = prepare(&engine, r#"(module (memory 1) (data (i32.const 0) "x"))"#);
    let mut replaced = wasmer::Engine::from(&engine);
    replaced.set_tunables(BaseTunables::new());
    let mut store = Store::new(replaced);
    let err = prepared.instantiate(&mut store, &Imports::new());
    let expected = MemoryError::NotRequested {
        requested: 0,
        expected: 1,
    };
    match err {
        Err(InstantiateError::Memory(err)) => assert_eq!(err, expected),
        other => panic!("{other:?}"),
    }
    assert_eq!(engine.memories().stats().n_slots, 0);
}

/// As the engine by itself does.
#[test]
fn types_that_no_module_can_have_are_refused() {
    let engine = engine(1);
    for (min, max) in [(65537, None), (1, Some(65537)), (2, Some(1))] {
        let ty = MemoryType::new(min, max, false);
        let refused = |mut store: Store| {
            let err = Memory::new(&mut store, ty).expect_err("invalid");
            err.to_string()
        };
        assert_eq!(refused(Store::new(&engine)), refused(Store::new(plain())));
    }
    assert_eq!(engine.memories().stats().n_slots, 0);
}

/// What a memory grew to stays resident for the next one that grows, and reads as zero.
#[test]
fn what_grew_stays_resident() {
    const GROWN: u64 = 15 * PAGE as u64;
    let engine = engine(1);
    let prepared = prepare(&engine, &BOUNDS.replace("MAX", ""));
    for _ in 0..3 {
        let (mut store, instance) = start(&prepared);
        assert_eq!(call(&mut store, &instance, "grow", 15).expect("no trap"), 1);
        let memory = memory(&instance, "m");
        assert!(bytes(&store, &memory) == contents(16 * PAGE, &[(65535, b"x")]));
        soil(&store, &memory);
        drop(store);
        let stats = engine.memories().stats();
        // Without scans, a kernel can only discard all pages.
        let kept = if stats.n_scan_resets == 0 { 0 } else { GROWN };
        let resident = stats.resident_bytes;
        assert!(kept <= resident, "{resident} bytes of {kept}");
    }
}
