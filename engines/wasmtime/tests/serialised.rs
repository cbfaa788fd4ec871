//! Prepared modules as bytes.
#![allow(unsafe_code, reason = "compiled code is loaded as it is")]

mod support;

use wasm_meminit_wasmtime::{Engine, LoadError, MemoryImports, Options, Prepared};
use wasmtime::{Config, Linker, Store};

use support::{PAGE, contents, engine, memory, soil, wasm};

const WAT: &str = r#"(module
    (import "" "in" (memory 1))
    (memory (export "m") 2)
    (data (memory 0) (i32.const 1) "imported")
    (data (memory 1) (i32.const 70000) "defined")
    (func $start (i32.store8 1 (i32.const 0) (i32.const 97)))
    (start $start)
    (export "in" (memory 0)))"#;

fn precompiled(engine: &Engine) -> Vec<u8> {
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    Prepared::precompile(engine, &wasm(WAT), &options).expect("valid")
}

fn load(engine: &Engine, bytes: &[u8]) -> Result<Prepared, LoadError> {
    // SAFETY: `precompile` wrote these bytes; where a test changed them, the checksum is wrong,
    // and they are refused before any code is loaded.
    unsafe { Prepared::deserialize(engine, bytes) }
}

#[test]
fn modules_survive_the_round_trip() {
    let bytes = precompiled(&engine(2));
    let engine = engine(2);
    let prepared = load(&engine, &bytes).expect("the same configuration");
    drop(bytes);
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &Linker::new(&engine));
        let instance = instance.expect("works");
        for (name, expected) in [
            ("in", contents(PAGE, &[(1, b"imported")])),
            ("m", contents(2 * PAGE, &[(0, b"a"), (70_000, b"defined")])),
        ] {
            let memory = memory(&mut store, instance, name);
            assert!(memory.data(&store) == expected, "{name}");
            soil(memory.data_mut(&mut store));
        }
    }
}

/// Loaded modules know whether a start function runs, so nested modules work.
#[test]
fn start_functions_may_instantiate() {
    let engine = engine(2);
    let wat = r#"(module (import "" "f" (func $f)) (memory 1) (start $f))"#;
    let bytes = Prepared::precompile(&engine, &wasm(wat), &Options::new()).expect("valid");
    let prepared = load(&engine, &bytes).expect("just written");
    let plain = wasmtime::Module::new(&engine, wasm("(module (memory 1))")).expect("valid");
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("", "f", move |mut caller: wasmtime::Caller<'_, ()>| {
            wasmtime::Instance::new(&mut caller, &plain, &[]).map(drop)
        })
        .expect("new");
    let mut store = Store::new(&engine, ());
    prepared.instantiate(&mut store, &linker).expect("works");
}

#[test]
fn damage_is_found() {
    let engine = engine(1);
    let bytes = precompiled(&engine);
    // Every byte of the header, and some of the rest.
    for at in (0..40).chain((40..bytes.len()).step_by(977)) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        let err = load(&engine, &bytes).expect_err("damaged");
        let is_expected = match at {
            0..8 => matches!(err, LoadError::NotPrepared),
            8..12 => matches!(err, LoadError::Version { .. }),
            24..40 => matches!(err, LoadError::Length { .. }),
            _ => matches!(err, LoadError::Checksum),
        };
        assert!(is_expected, "byte {at}: {err:?}");
    }
    for len in [0, 7, 8, 11, 39, 40, bytes.len() - 1] {
        assert!(load(&engine, &bytes[..len]).is_err(), "{len} bytes");
    }
    let err = load(&engine, &wasm(WAT)).expect_err("a module");
    assert_eq!(err.to_string(), "not a prepared module");
}

#[test]
fn an_engine_of_another_configuration() {
    let ours = engine(1);
    let bytes = precompiled(&ours);
    let mut config = support::config();
    config.epoch_interruption(true);
    let other = ours.memories().engine(&mut config).expect("valid");
    let err = load(&other, &bytes).expect_err("another configuration");
    assert!(matches!(err, LoadError::Engine(_)), "{err:?}");
    // Another reservation, on which compiled code depends.
    let small = wasm_meminit_wasmtime::MemoriesConfig::new(core::num::NonZeroUsize::MIN);
    let small = wasm_meminit_wasmtime::Memories::new(small.with_reservation(1 << 20));
    let small = small.engine(&mut support::config()).expect("valid");
    let err = load(&small, &bytes).expect_err("another reservation");
    assert!(matches!(err, LoadError::Engine(_)), "{err:?}");
    let plain = ours.memories().engine(&mut Config::new()).expect("valid");
    assert!(matches!(load(&plain, &bytes), Err(LoadError::Engine(_))));
}

#[cfg(feature = "component-model")]
mod components {
    use wasm_meminit_wasmtime::PreparedComponent;
    use wasmtime::component::Linker;
    use wasmtime::{Instance, Module, StoreContextMut};

    use super::*;

    /// `$b` is instantiated before `$a`, and `$never` is not instantiated.
    const COMPONENT: &str = r#"(component
        (core module $never (memory 1) (data (i32.const 0) "\09"))
        (core module $a
          (memory 1) (data (i32.const 0) "\01")
          (func (export "f") (result i32) (i32.load8_u (i32.const 0))))
        (core module $b
          (memory 1) (data (i32.const 0) "\02")
          (func (export "f") (result i32)
            (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 16)))
            (i32.load8_u (i32.const 0))))
        (core instance $b1 (instantiate $b))
        (core instance $a1 (instantiate $a))
        (core instance $b2 (instantiate $b))
        (func (export "b1") (result u32) (canon lift (core func $b1 "f")))
        (func (export "a1") (result u32) (canon lift (core func $a1 "f")))
        (func (export "b2") (result u32) (canon lift (core func $b2 "f"))))"#;

    fn precompiled(engine: &Engine) -> Vec<u8> {
        PreparedComponent::precompile(engine, &wasm(COMPONENT), &Options::new()).expect("valid")
    }

    fn load(engine: &Engine, bytes: &[u8]) -> Result<PreparedComponent, LoadError> {
        // SAFETY: `precompile` wrote these bytes; where a test changed them, the checksum is
        // wrong, and they are refused before any code is loaded.
        unsafe { PreparedComponent::deserialize(engine, bytes) }
    }

    #[test]
    fn components_survive_the_round_trip() {
        let bytes = precompiled(&engine(3));
        let engine = engine(3);
        let prepared = load(&engine, &bytes).expect("the same configuration");
        drop(bytes);
        assert_eq!((prepared.n_memories(), prepared.n_images()), (3, 3));
        for _ in 0..3 {
            let mut store = Store::new(&engine, ());
            let instance = prepared.instantiate(&mut store, &Linker::new(&engine));
            let instance = instance.expect("works");
            for (name, expected) in [("b1", 0x12), ("a1", 1), ("b2", 0x12)] {
                let f = instance.get_typed_func::<(), (u32,)>(&mut store, name);
                let found = f.expect("exported").call(&mut store, ());
                assert_eq!(found.expect("no trap"), (expected,), "{name}");
            }
        }
    }

    /// The file says which memories are created before the host's functions can be called.
    #[test]
    fn host_functions_may_instantiate() {
        let wat = r#"(component
            (import "start" (func $start))
            (core func $start (canon lower (func $start)))
            (core module $a (import "" "start" (func $start)) (start $start))
            (core module $b
              (memory 1) (data (i32.const 0) "\07")
              (func (export "f") (result i32) (i32.load8_u (i32.const 0))))
            (core instance (instantiate $a (with "" (instance (export "start" (func $start))))))
            (core instance $b (instantiate $b))
            (func (export "f") (result u32) (canon lift (core func $b "f"))))"#;
        let engine = engine(2);
        let bytes = PreparedComponent::precompile(&engine, &wasm(wat), &Options::new());
        let prepared = load(&engine, &bytes.expect("valid")).expect("whole");
        let plain = Module::new(&engine, wasm("(module (memory 1 2))")).expect("valid");
        let mut linker = Linker::new(&engine);
        let start = move |mut store: StoreContextMut<'_, ()>, (): ()| {
            Instance::new(&mut store, &plain, &[]).map(drop)
        };
        linker.root().func_wrap("start", start).expect("new");
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker).expect("works");
        let f = instance.get_typed_func::<(), (u32,)>(&mut store, "f");
        let found = f.expect("exported").call(&mut store, ());
        assert_eq!(found.expect("no trap"), (7,));
    }

    #[test]
    fn damage_is_found() {
        let engine = engine(3);
        let bytes = precompiled(&engine);
        for at in (0..100).chain((100..bytes.len()).step_by(977)) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            assert!(load(&engine, &bytes).is_err(), "byte {at}");
        }
        for len in [0, 8, 12, 39, 40, 48, bytes.len() - 1] {
            assert!(load(&engine, &bytes[..len]).is_err(), "{len} bytes");
        }
        let mut config = support::config();
        config.epoch_interruption(true);
        let other = engine.memories().engine(&mut config).expect("valid");
        let err = load(&other, &bytes).expect_err("another configuration");
        assert!(matches!(err, LoadError::Engine(_)), "{err:?}");
    }

    #[test]
    fn modules_and_components_are_not_confused() {
        let engine = engine(3);
        let err = load(&engine, &super::precompiled(&engine)).expect_err("a module");
        assert_eq!(err.to_string(), "not a prepared component");
        let err = super::load(&engine, &precompiled(&engine)).expect_err("a component");
        assert_eq!(err.to_string(), "not a prepared module");
    }
}
