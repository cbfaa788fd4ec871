//! Components: each core instance starts from the image of its own core module.
#![cfg(feature = "component-model")]

mod support;

use wasm_meminit_wasmtime::{Engine, Options, PrepareError, PreparedComponent};
use wasmtime::component::{Component, Linker, Val};
use wasmtime::{Instance, Module, Store, StoreContextMut};

use support::{engine, memory, wasm};

/// Two core modules of the same types; the second is instantiated first, and the first twice;
/// one of them in a nested component, and another that is never instantiated.
const COMPONENT: &str = r#"(component
    (core module $a
      (memory (export "memory") 1)
      (data (i32.const 100) "\01")
      (func (export "bump") (result i32)
        (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 16)))
        (i32.load8_u (i32.const 100))))
    (core module $never (memory 1) (data (i32.const 100) "\05"))
    (core module $b
      (import "a" "memory" (memory $a 1))
      (memory 1)
      (data (memory 1) (i32.const 100) "\02")
      (data (memory $a) (i32.const 200) "\07")
      (func (export "bump") (result i32)
        (i32.store8 1 (i32.const 100)
          (i32.add (i32.load8_u 1 (i32.const 100)) (i32.const 16)))
        (i32.add
          (i32.load8_u 1 (i32.const 100))
          (i32.mul (i32.const 256) (i32.load8_u $a (i32.const 200))))))
    (component $nested
      (core module $c
        (memory 1)
        (data (i32.const 100) "\03")
        (func (export "bump") (result i32)
          (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 16)))
          (i32.load8_u (i32.const 100))))
      (core instance $c (instantiate $c))
      (func (export "c") (result u32) (canon lift (core func $c "bump"))))
    (instance $n1 (instantiate $nested))
    (core instance $a1 (instantiate $a))
    (core instance $b1 (instantiate $b (with "a" (instance $a1))))
    (instance $n2 (instantiate $nested))
    (core instance $a2 (instantiate $a))
    (func (export "a1") (result u32) (canon lift (core func $a1 "bump")))
    (func (export "a2") (result u32) (canon lift (core func $a2 "bump")))
    (func (export "b1") (result u32) (canon lift (core func $b1 "bump")))
    (export "c1" (func $n1 "c"))
    (export "c2" (func $n2 "c")))"#;

/// The exports of [`COMPONENT`], with what two calls return.
const EXPECTED: [(&str, [u32; 2]); 5] = [
    ("a1", [0x11, 0x21]),
    ("a2", [0x11, 0x21]),
    ("b1", [0x712, 0x722]),
    ("c1", [0x13, 0x23]),
    ("c2", [0x13, 0x23]),
];

fn prepare(engine: &Engine, wat: &str) -> PreparedComponent {
    PreparedComponent::new(engine, &wasm(wat), &Options::new())
        .unwrap_or_else(|err| panic!("{err}"))
}

#[test]
fn each_core_instance_has_its_own_image() {
    let engine = engine(5);
    let prepared = prepare(&engine, COMPONENT);
    assert_eq!((prepared.n_memories(), prepared.n_images()), (5, 5));
    let linker = Linker::new(&engine);
    let pre = prepared.instantiate_pre(&linker).expect("no imports");
    for round in 0..4 {
        let mut store = Store::new(&engine, ());
        let instance = match round % 2 {
            0 => prepared.instantiate(&mut store, &linker),
            _ => pre.instantiate(&mut store),
        };
        let instance = instance.expect("works");
        for nth in 0..2 {
            for (name, results) in EXPECTED {
                let bump = instance.get_typed_func::<(), (u32,)>(&mut store, name);
                let bump = bump.expect("exported");
                let found = bump.call(&mut store, ()).expect("no trap");
                assert_eq!(found, (results[nth],), "{name}");
            }
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 5);
}

/// Strings cross from one component to another, through a module that wasmtime adds.
#[test]
fn components_that_call_each_other() {
    let wat = r#"(component
        (component $callee
          (core module $m
            (memory (export "memory") 1)
            (data (i32.const 8) "!")
            (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $next)
              (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "f") (param i32 i32) (result i32)
              (i32.add (i32.load8_u (local.get 0)) (i32.load8_u (i32.const 8)))))
          (core instance $i (instantiate $m))
          (func (export "f") (param "s" string) (result u32)
            (canon lift (core func $i "f")
              (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
        (component $caller
          (import "f" (func $f (param "s" string) (result u32)))
          (core module $memory (memory (export "memory") 1) (data (i32.const 4) "A"))
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $f) (memory (core memory $memory "memory"))))
          (core module $m
            (import "" "f" (func $f (param i32 i32) (result i32)))
            (func (export "g") (result i32) (call $f (i32.const 4) (i32.const 1))))
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          (func (export "g") (result u32) (canon lift (core func $i "g"))))
        (instance $callee (instantiate $callee))
        (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
        (export "g" (func $caller "g")))"#;
    let engine = engine(2);
    let prepared = prepare(&engine, wat);
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &Linker::new(&engine));
        let instance = instance.expect("works");
        let g = instance.get_func(&mut store, "g").expect("exported");
        let mut results = [Val::Bool(false)];
        g.call(&mut store, &[], &mut results).expect("no trap");
        assert_eq!(results, [Val::U32(u32::from(b'A') + u32::from(b'!'))]);
    }
}

#[test]
fn components_that_are_not_prepared() {
    let engine = engine(5);
    let component = Component::new(&engine, wasm(COMPONENT)).expect("valid");
    let linker = Linker::new(&engine);
    for _ in 0..2 {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).expect("works");
        for (name, results) in EXPECTED {
            let bump = instance.get_typed_func::<(), (u32,)>(&mut store, name);
            let found = bump.expect("exported").call(&mut store, ());
            assert_eq!(found.expect("no trap"), (results[0],), "{name}");
        }
    }
}

/// An element segment that may trap: wasmtime writes the data of that core module.
#[test]
fn a_core_module_whose_elements_may_trap() {
    let engine = engine(1);
    let wat = |at| {
        format!(
            r#"(component
             (core module $t (table (export "t") 2 funcref) (global (export "at") i32 (i32.const {at})))
             (core module $m
               (import "t" "t" (table 2 funcref)) (import "t" "at" (global $at i32))
               (memory 1) (data (i32.const 3) "\09")
               (func $f (result i32) (i32.load8_u (i32.const 3)))
               (elem (global.get $at) $f) (export "f" (func $f)))
             (core instance $t (instantiate $t))
             (core instance $m (instantiate $m (with "t" (instance $t))))
             (func (export "f") (result u32) (canon lift (core func $m "f"))))"#
        )
    };
    for (at, is_in_bounds) in [(1, true), (2, false), (1, true)] {
        let prepared = prepare(&engine, &wat(at));
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &Linker::new(&engine));
        assert_eq!(instance.is_ok(), is_in_bounds);
        if let Ok(instance) = instance {
            let f = instance.get_typed_func::<(), (u32,)>(&mut store, "f");
            let found = f.expect("exported").call(&mut store, ());
            assert_eq!(found.expect("no trap"), (9,));
        }
    }
}

/// A start function calls the host before all memories of the component exist.
#[test]
fn host_functions_instantiate_between_core_instances() {
    let engine = engine(4);
    let wat = r#"(component
        (import "start" (func $start))
        (core func $start (canon lower (func $start)))
        (core module $first
          (import "" "start" (func $start))
          (memory 1) (data (i32.const 100) "\01") (start $start)
          (func (export "get") (result i32) (i32.load8_u (i32.const 100))))
        (core module $second
          (memory 1) (data (i32.const 100) "\02")
          (func (export "get") (result i32) (i32.load8_u (i32.const 100))))
        (core instance $first
          (instantiate $first (with "" (instance (export "start" (func $start))))))
        (core instance $second (instantiate $second))
        (func (export "first") (result u32) (canon lift (core func $first "get")))
        (func (export "second") (result u32) (canon lift (core func $second "get"))))"#;
    let same = r#"(module (memory (export "m") 1))"#;
    let other = r#"(module (memory (export "m") 1 2))"#;
    let prepared = prepare(&engine, wat);
    assert_eq!((prepared.n_memories(), prepared.n_images()), (2, 1));
    for plain in [same, other] {
        let plain = Module::new(&engine, wasm(plain)).expect("valid");
        let mut linker = Linker::new(&engine);
        let of_host = engine.clone();
        let start = move |_: StoreContextMut<'_, ()>, (): ()| {
            let mut store = Store::new(&of_host, ());
            let instance = Instance::new(&mut store, &plain, &[])?;
            let memory = memory(&mut store, instance, "m");
            assert!(memory.data(&store).iter().all(|byte| *byte == 0));
            Ok(())
        };
        linker.root().func_wrap("start", start).expect("new");
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker).expect("works");
        for (name, expected) in [("first", 1), ("second", 2)] {
            let get = instance.get_typed_func::<(), (u32,)>(&mut store, name);
            let found = get.expect("exported").call(&mut store, ());
            assert_eq!(found.expect("no trap"), (expected,), "{name}");
        }
    }
}

#[test]
fn imported_core_modules_are_refused() {
    let engine = engine(1);
    let wat = r#"(component
        (import "m" (core module $m (export "f" (func))))
        (core instance (instantiate $m)))"#;
    let err = PreparedComponent::new(&engine, &wasm(wat), &Options::new());
    assert!(matches!(err, Err(PrepareError::ImportsModules)), "{err:?}");
    // A core module that nothing instantiates has no effect.
    let wat = r#"(component (core module (memory 1) (data (i32.const 0) "x")))"#;
    assert_eq!(prepare(&engine, wat).n_memories(), 0);
    // A module is not a component.
    let module = wasm("(module)");
    assert!(Module::new(&engine, &module).is_ok());
    let err = PreparedComponent::new(&engine, &module, &Options::new());
    assert!(err.is_err());
    let err = PreparedComponent::new(&engine, b"(component)", &Options::new());
    let err = err.expect_err("not binary").to_string();
    assert!(err.contains("hint: "), "{err}");
}
