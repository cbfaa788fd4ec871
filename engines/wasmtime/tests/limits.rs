//! The limits of a pool and of its memories, and engines that do not agree with them.

mod support;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::thread;

use wasm_meminit_wasmtime::{
    AcquireError, EngineMismatch, LoadError, Memories, MemoriesConfig, MemoryError, Options,
    PrepareError, Prepared,
};
use wasmtime::{Config, Linker, Store, Trap};

use support::{PAGE, contents, engine, engine_with, memory, prepare, soil, start, wasm};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

#[test]
fn a_full_pool_is_an_error_that_passes() {
    let engine = engine(2);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#,
    );
    let held = [start(&prepared), start(&prepared)];
    let try_start = || {
        let mut store = Store::new(&engine, ());
        prepared
            .instantiate(&mut store, &Linker::new(&engine))
            .map(drop)
    };
    let err = try_start().expect_err("full");
    assert_eq!(
        err.downcast_ref(),
        Some(&MemoryError::Acquire(AcquireError::Exhausted {
            max_slots: 2
        }))
    );
    assert_eq!(err.to_string(), "all 2 slots of the pool are in use");
    drop(held);
    try_start().expect("room again");
}

#[test]
fn waiting_for_a_memory() {
    let engine = engine_with(MemoriesConfig::new(TWO).with_wait(Duration::from_millis(1)));
    let prepared = prepare(&engine, "(module (memory 1) (memory 1))");
    let held = start(&prepared);
    let mut store = Store::new(&engine, ());
    let err = prepared.instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("full");
    let timed_out = MemoryError::Acquire(AcquireError::TimedOut { max_slots: 2 });
    assert_eq!(err.downcast_ref(), Some(&timed_out));
    drop(held);

    let engine = engine_with(MemoriesConfig::new(TWO).with_wait(Duration::MAX));
    let prepared = prepare(&engine, "(module (memory 1))");
    let held = [start(&prepared), start(&prepared)];
    thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(start(&prepared)));
        while engine.memories().stats().n_waits == 0 {
            thread::yield_now();
        }
        drop(held);
        waiting.join().expect("gets one");
    });
}

#[test]
fn growth_to_the_declared_maximum() {
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1 4) (data (i32.const 65535) "x")
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    for _ in 0..2 {
        let (mut store, instance) = start(&prepared);
        let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow");
        let grow = grow.expect("exported");
        let memory = memory(&mut store, instance, "m");
        let base = memory.data_ptr(&store);
        for (by, before) in [(0, 1), (2, 1), (2, -1), (1, 3), (1, -1), (0, 4)] {
            assert_eq!(grow.call(&mut store, by).expect("no trap"), before);
        }
        assert_eq!(memory.data_ptr(&store), base);
        assert!(memory.data(&store) == contents(4 * PAGE, &[(65535, b"x")]));
        soil(memory.data_mut(&mut store));
    }
}

#[test]
fn growth_to_the_reservation() {
    let small = MemoriesConfig::new(TWO)
        .with_reservation(3 * PAGE as u64 - 1)
        .with_guard(1);
    let engine = engine_with(small);
    let wat = |bits| {
        format!(
            r#"(module (memory (export "m") i{bits} 1) (data (i{bits}.const 9) "x")
             (func (export "grow") (result i{bits}) (memory.grow (i{bits}.const 1)))
             (func (export "load") (param i{bits}) (result i32)
               (i32.load8_u offset=0x12345 (local.get 0))))"#
        )
    };
    let prepared = [prepare(&engine, &wat(32)), prepare(&engine, &wat(64))];
    for _ in 0..2 {
        for (nth, prepared) in prepared.iter().enumerate() {
            let (mut store, instance) = start(prepared);
            let grow = instance.get_func(&mut store, "grow").expect("exported");
            let mut grown = [wasmtime::Val::I32(0)];
            for _ in 0..4 {
                grow.call(&mut store, &[], &mut grown).expect("no trap");
            }
            match grown[0] {
                wasmtime::Val::I32(grown) => assert_eq!((nth, grown), (0, -1)),
                wasmtime::Val::I64(grown) => assert_eq!((nth, grown), (1, -1)),
                _ => panic!("a number"),
            }
            let memory = memory(&mut store, instance, "m");
            assert!(memory.data(&store) == contents(3 * PAGE, &[(9, b"x")]));
            let load = instance.get_func(&mut store, "load").expect("exported");
            let mut check = |at: u32, is_in_bounds: bool| {
                let at = match nth {
                    0 => wasmtime::Val::I32(at.cast_signed()),
                    _ => wasmtime::Val::I64(at.into()),
                };
                let loaded = load.call(&mut store, &[at], &mut [wasmtime::Val::I32(0)]);
                let trap = loaded
                    .err()
                    .map(|err| *err.downcast_ref::<Trap>().expect("a trap"));
                assert_eq!(trap, (!is_in_bounds).then_some(Trap::MemoryOutOfBounds));
            };
            check(3 * (1 << 16) - 0x12346, true);
            for at in [3 * (1 << 16) - 0x12345, 0x8000_0000, u32::MAX] {
                check(at, false);
            }
            soil(memory.data_mut(&mut store));
        }
    }
    let large = wasm("(module (memory 1) (memory 4))");
    let err = Prepared::new(&engine, &large, &Options::new()).expect_err("too large");
    assert!(matches!(
        err,
        PrepareError::Load(LoadError::TooLarge { .. })
    ));
    assert_eq!(
        err.to_string(),
        "memory 1 starts with 0x40000 bytes, but the pool reserves 0x30000"
    );
}

#[test]
fn a_memory_larger_than_32_bits_reach() {
    let engine = engine_with(MemoriesConfig::new(TWO).with_reservation(6 << 30));
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") i64 1) (data (i64.const 9) "x")
             (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
             (func (export "store") (param i64) (i64.store (local.get 0) (i64.const 7)))
             (func (export "load") (param i64) (result i64) (i64.load (local.get 0))))"#,
    );
    let last = (4_i64 << 30) + (1 << 16) - 8;
    for _ in 0..2 {
        let (mut store, instance) = start(&prepared);
        let grow = instance.get_typed_func::<i64, i64>(&mut store, "grow");
        let grow = grow.expect("exported");
        assert_eq!(grow.call(&mut store, 1 << 16).expect("no trap"), 1);
        let load = instance.get_typed_func::<i64, i64>(&mut store, "load");
        let load = load.expect("exported");
        let put = instance.get_typed_func::<i64, ()>(&mut store, "store");
        let put = put.expect("exported");
        assert_eq!(load.call(&mut store, last).expect("in bounds"), 0);
        put.call(&mut store, last).expect("in bounds");
        assert_eq!(load.call(&mut store, last).expect("in bounds"), 7);
        for at in [last + 1, 6 << 30, i64::MAX, -1] {
            assert!(load.call(&mut store, at).is_err(), "{at:#x}");
        }
        assert_eq!(grow.call(&mut store, 1 << 17).expect("no trap"), -1);
    }
}

#[test]
fn settings_are_replaced() {
    let memories = Memories::new(MemoriesConfig::new(TWO));
    let mut config = Config::new();
    config
        .memory_reservation(1 << 20)
        .memory_guard_size(0)
        .gc_heap_reservation(1 << 20)
        .memory_init_cow(true)
        .allocation_strategy(wasmtime::PoolingAllocationConfig::new());
    let engine = memories.engine(&mut config).expect("valid");
    let wat = r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#;
    let (mut store, instance) = start(&prepare(&engine, wat));
    let memory = memory(&mut store, instance, "m");
    assert_eq!(memory.data(&store)[..2], *b"x\0");
    assert_eq!(memories.stats().n_slots, 1);
}

type Change<'a> = &'a dyn Fn(&mut Config);

#[test]
fn engines_that_disagree_are_refused() {
    let memories = Memories::new(MemoriesConfig::new(TWO));
    let refused = |change: Change<'_>| {
        let mut config = Config::new();
        memories.configure(&mut config);
        change(&mut config);
        let engine = wasmtime::Engine::new(&config).expect("valid");
        let err = memories.adopt(engine).expect_err("it disagrees");
        err.downcast::<EngineMismatch>().expect("typed")
    };
    let settings: [(&str, Change<'_>); 4] = [
        ("memory_reservation", &|it| {
            it.memory_reservation(8 << 30);
        }),
        ("memory_guard_size", &|it| {
            it.memory_guard_size(64 << 20);
        }),
        ("gc_heap_guard_size", &|it| {
            it.gc_heap_guard_size(32 << 20);
        }),
        ("memory_init_cow", &|it| {
            it.memory_init_cow(true);
        }),
    ];
    for (name, change) in settings {
        let err = refused(change);
        assert!(
            matches!(err, EngineMismatch::Setting { setting, .. } if setting == name),
            "{name}: {err}"
        );
    }
    // Other memories, with the same settings.
    let other = Memories::new(MemoriesConfig::new(TWO));
    let err = refused(&|config| other.configure(config));
    assert_eq!(err, EngineMismatch::OtherMemories);
    let err = refused(&|config| {
        let mut pooling = wasmtime::PoolingAllocationConfig::new();
        pooling.total_memories(2).total_core_instances(2);
        config.gc_heap_guard_size(config_guard());
        config.gc_support(false);
        config.allocation_strategy(pooling);
    });
    assert_eq!(err, EngineMismatch::OtherMemories);

    let mut config = Config::new();
    memories.configure(&mut config);
    let engine = wasmtime::Engine::new(&config).expect("valid");
    let engine = memories.adopt(engine).expect("it agrees");
    start(&prepare(&engine, "(module (memory 1))"));
    assert_eq!(memories.stats().n_slots, 1);
}

/// An engine that was not adopted, and whose compiled code relies on more than a slot has.
#[test]
fn requests_that_disagree_are_refused() {
    let memories = Memories::new(MemoriesConfig::new(TWO));
    let changes: [Change<'_>; 2] = [
        &|it| {
            it.memory_reservation(8 << 30);
        },
        &|it| {
            it.memory_guard_size(64 << 20);
        },
    ];
    for change in changes {
        let mut config = Config::new();
        memories.configure(&mut config);
        change(&mut config);
        let engine = wasmtime::Engine::new(&config).expect("valid");
        let module = wasmtime::Module::new(&engine, wasm("(module (memory 1))"));
        let mut store = Store::new(&engine, ());
        let err = wasmtime::Instance::new(&mut store, &module.expect("valid"), &[]);
        let err = err.expect_err("it disagrees").to_string();
        assert!(err.ends_with("which are not the pool's"), "{err}");
    }
    assert_eq!(memories.stats().n_slots, 0);
}

/// The guard of heaps: 64 KiB more than that of memories.
fn config_guard() -> u64 {
    (32 << 20) + 0x1_0000
}

#[test]
fn engines_with_one_pool() {
    let memories = Memories::new(MemoriesConfig::new(TWO));
    let wat = r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#;
    let mut all = Vec::new();
    for _ in 0..3 {
        let engine = memories.engine(&mut Config::new()).expect("valid");
        all.push(prepare(&engine, wat));
    }
    for prepared in &all {
        let (mut store, instance) = start(prepared);
        let memory = memory(&mut store, instance, "m");
        assert_eq!(memory.data(&store)[..2], *b"x\0");
        soil(memory.data_mut(&mut store));
    }
    // Each has its own image, and the pool has room for two.
    let stats = memories.stats();
    assert_eq!((stats.n_slots, stats.n_maps + stats.n_blank), (2, 3));
}

#[test]
fn a_store_of_another_engine() {
    let [ours, other] = [engine(1), engine(1)];
    let prepared = prepare(&ours, "(module (memory 1))");
    let mut store = Store::new(&other, ());
    let err = prepared.instantiate(&mut store, &Linker::new(&other));
    let err = format!("{:#}", err.expect_err("another engine"));
    assert!(err.contains("cross-`Engine`"), "{err}");
}

#[test]
fn unloaded_modules_leave_no_images() {
    let engine = engine(2);
    let prepared = prepare(&engine, r#"(module (memory 1) (data (i32.const 0) "x"))"#);
    drop(start(&prepared));
    assert_ne!(engine.memories().stats().image_bytes, 0);
    let running = start(&prepared);
    drop(prepared);
    drop(running);
    assert_eq!(engine.memories().stats().image_bytes, 0);
}
