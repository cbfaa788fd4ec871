//! Instantiations within host functions of an instantiation, and on several threads.

mod support;

use core::cell::Cell;

use wasm_meminit_wasmer::{InstantiateError, MemoryImports, Options, Prepared};
use wasmer::sys::NativeEngineExt as _;
use wasmer::{
    Function, FunctionEnv, FunctionEnvMut, Imports, Instance, Memory, MemoryStyle, MemoryType,
    Module, Store, imports,
};

use support::{PAGE, bytes, contents, engine, memory, prepare, soil, start, wasm};

const OUTER: &str = r#"(module
    (import "" "host" (func $host))
    (memory (export "a") 1) (memory (export "b") 1)
    (data (memory 0) (i32.const 0) "outer a") (data (memory 1) (i32.const 0) "outer b")
    (start $host))"#;

/// What the host function instantiates.
struct Inner {
    prepared: Prepared,
    provided: Prepared,
    plain: Module,
}

/// All in the store of the outer instance, and in another one.
#[test]
fn a_start_function_instantiates() {
    let engine = engine(10);
    let inner = r#"(module (memory (export "m") 1) (data (i32.const 0) "inner"))"#;
    let provided = r#"(module (import "" "" (memory 1)) (export "m" (memory 0))
        (data (i32.const 0) "provided"))"#;
    let provide = Options::new().with_memory_imports(MemoryImports::Provide);
    let outer = prepare(&engine, OUTER);
    for _ in 0..3 {
        let inner = Inner {
            prepared: prepare(&engine, inner),
            provided: Prepared::new(&engine, &wasm(provided), &provide).expect("valid"),
            plain: Module::new(&engine, wasm(r#"(module (memory (export "m") 1))"#))
                .expect("valid"),
        };
        let mut store = Store::new(&engine);
        let env = FunctionEnv::new(&mut store, inner);
        let host =
            Function::new_typed_with_env(&mut store, &env, |env: FunctionEnvMut<'_, Inner>| {
                nested(env);
            });
        let imports = imports! { "" => { "host" => host } };
        let instance = outer.instantiate(&mut store, &imports).expect("works");
        for (name, data) in [("a", b"outer a"), ("b", b"outer b")] {
            let memory = memory(&instance, name);
            assert!(
                bytes(&store, &memory) == contents(PAGE, &[(0, data)]),
                "{name}"
            );
            soil(&store, &memory);
        }
        // All at once; those with images of `inner` are dropped with it.
        assert_eq!(engine.memories().stats().n_slots, 10);
    }
}

fn nested(mut env: FunctionEnvMut<'_, Inner>) {
    let (inner, mut store) = env.data_and_store_mut();
    let none = Imports::new();
    let mut other = Store::new(inner.prepared.engine());
    instantiate_all(inner, &mut store, &none);
    instantiate_all(inner, &mut other, &none);
}

fn instantiate_all(inner: &Inner, store: &mut impl wasmer::AsStoreMut, none: &Imports) {
    let made = Memory::new(store, MemoryType::new(1, None, false)).expect("room");
    let instance = inner.prepared.instantiate(store, none).expect("room");
    let prepared = memory(&instance, "m");
    let instance = inner.provided.instantiate(store, none).expect("room");
    let provided = memory(&instance, "m");
    let instance = Instance::new(store, &inner.plain, none).expect("room");
    let plain = memory(&instance, "m");
    let expected: [(&Memory, &[u8]); 4] = [
        (&made, b""),
        (&prepared, b"inner"),
        (&provided, b"provided"),
        (&plain, b""),
    ];
    for (memory, data) in expected {
        assert!(bytes(store, memory) == contents(PAGE, &[(0, data)]));
        soil(store, memory);
    }
}

/// What fails within a host function is not why the instantiation failed.
#[test]
fn a_nested_failure_is_not_the_outer_one() {
    let engine = engine(2);
    let wat = OUTER.replace(
        "(start $host)",
        "(func $start call $host unreachable) (start $start)",
    );
    let outer = prepare(&engine, &wat);
    let mut store = Store::new(&engine);
    let env = FunctionEnv::new(&mut store, ());
    let host = Function::new_typed_with_env(&mut store, &env, |mut env: FunctionEnvMut<'_, ()>| {
        let ty = MemoryType::new(1, None, false);
        assert!(Memory::new(&mut env, ty).is_err(), "the pool is full");
    });
    let imports = imports! { "" => { "host" => host } };
    let err = outer.instantiate(&mut store, &imports);
    let err = err.map(drop).expect_err("a trap");
    assert!(matches!(err, InstantiateError::Wasmer(_)), "{err}");
    assert_eq!(
        err.as_runtime_error().expect("a trap").message(),
        "unreachable"
    );
}

/// Stores stay on their threads, but memories may be used by any thread next.
#[test]
fn a_memory_is_used_by_one_thread_after_another() {
    std::thread_local! {
        static HELD: Cell<Option<Store>> = const { Cell::new(None) };
    }
    let engine = engine(1);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#,
    );
    for _ in 0..4 {
        let prepared = prepared.clone();
        let used = std::thread::spawn(move || {
            let (store, instance) = start(&prepared);
            let ours = memory(&instance, "m");
            assert!(bytes(&store, &ours) == contents(PAGE, &[(0, b"x")]));
            soil(&store, &ours);
            // Dropped when the thread has ended.
            HELD.set(Some(store));
        });
        used.join().expect("no panic");
    }
    let stats = engine.memories().stats();
    assert_eq!((stats.n_slots, stats.n_ready, stats.n_hits), (1, 1, 3));
}

/// Unlike stores, memories by themselves can be sent.
#[test]
fn a_memory_is_dropped_on_another_thread() {
    let engine = engine(1);
    let ty = MemoryType::new(1, None, false);
    for _ in 0..3 {
        let made = engine
            .tunables()
            .create_host_memory(&ty, &MemoryStyle::Static);
        let made = made.expect("room");
        assert_eq!(made.get_runtime_size(), 1);
        std::thread::spawn(move || drop(made))
            .join()
            .expect("no panic");
    }
    let stats = engine.memories().stats();
    assert_eq!((stats.n_slots, stats.n_ready), (1, 1));
}

/// Threads instantiate many modules, some of which fail, in fewer slots than modules.
#[test]
fn many_modules_on_many_threads() {
    const MODULES: usize = 60;
    const THREADS: usize = 6;
    const ROUNDS: usize = 300;
    let engine = engine(2 * THREADS);
    let modules: Vec<_> = (0..MODULES)
        .map(|nth| {
            let pages = 1 + nth % 3;
            let fails = if nth % 10 == 9 { "unreachable" } else { "" };
            let wat = format!(
                r#"(module (memory (export "m") {pages}) (memory (export "n") 1)
                     (data (memory 0) (i32.const {nth}) "module {nth}")
                     (data (memory 1) (i32.const {at}) "second {nth}")
                     (func $start {fails}) (start $start))"#,
                at = 4096 * (nth % 15),
            );
            prepare(&engine, &wat)
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let modules = &modules;
            scope.spawn(move || {
                let mut random = thread as u64 + 1;
                for _ in 0..ROUNDS {
                    // xorshift
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    one(modules, (random % MODULES as u64) as usize);
                }
            });
        }
    });
    assert!(engine.memories().stats().n_slots <= 2 * THREADS as u64);
}

fn one(modules: &[Prepared], nth: usize) {
    let prepared = &modules[nth];
    let mut store = Store::new(prepared.engine());
    let instance = prepared.instantiate(&mut store, &Imports::new());
    if nth % 10 == 9 {
        assert!(instance.is_err_and(|it| it.as_runtime_error().is_some()));
        return;
    }
    let instance = instance.expect("room");
    let (m, n) = (memory(&instance, "m"), memory(&instance, "n"));
    let first = contents(
        (1 + nth % 3) * PAGE,
        &[(nth, format!("module {nth}").as_bytes())],
    );
    assert!(bytes(&store, &m) == first, "module {nth}");
    let at = 4096 * (nth % 15);
    let second = contents(PAGE, &[(at, format!("second {nth}").as_bytes())]);
    assert!(bytes(&store, &n) == second, "module {nth}");
    soil(&store, &m);
    soil(&store, &n);
}

/// A frame of one pool is not for the memories of another.
#[test]
fn two_pools_on_one_thread() {
    let [a, b] = [engine(2), engine(1)];
    let outer = prepare(&a, OUTER);
    let inner = prepare(
        &b,
        r#"(module (memory (export "m") 1) (data (i32.const 0) "inner"))"#,
    );
    for _ in 0..2 {
        let mut store = Store::new(&a);
        let env = FunctionEnv::new(&mut store, inner.clone());
        let host =
            Function::new_typed_with_env(&mut store, &env, |env: FunctionEnvMut<'_, Prepared>| {
                let (store, instance) = start(env.data());
                let memory = memory(&instance, "m");
                assert!(bytes(&store, &memory) == contents(PAGE, &[(0, b"inner")]));
                soil(&store, &memory);
            });
        let imports = imports! { "" => { "host" => host } };
        let instance = outer.instantiate(&mut store, &imports).expect("works");
        let memory = memory(&instance, "b");
        assert!(bytes(&store, &memory) == contents(PAGE, &[(0, b"outer b")]));
        soil(&store, &memory);
    }
    assert_eq!(a.memories().stats().n_slots, 2);
    assert_eq!(b.memories().stats().n_slots, 1);
}
