//! Modules that allocate garbage-collected objects: the engine asks our pool for their heap.

mod support;

use wasmtime::{ExternRef, Instance, Linker, Module, Store};

use support::{PAGE, contents, engine, memory, prepare, soil, start};

/// Needs a heap: for a table, for a global, in the start function, and later.
const BODIES: [&str; 4] = [
    "(table 4 externref)",
    "(global (ref $s) (struct.new $s (i32.const 1)))",
    "(func $start (drop (struct.new $s (i32.const 1)))) (start $start)",
    "",
];

fn module(body: &str) -> String {
    // The first memory has exactly the type of a heap.
    format!(
        r#"(module
             (type $s (struct (field i32)))
             (memory (export "z") 0) (memory (export "m") 1)
             (data (memory 1) (i32.const 4) "ours")
             {body}
             (func (export "allocate") (result i32)
               (struct.get $s 0 (struct.new $s (i32.const 42)))))"#
    )
}

#[test]
fn heaps_are_told_from_memories() {
    let engine = engine(3);
    for body in BODIES {
        let prepared = prepare(&engine, &module(body));
        for _ in 0..3 {
            let (mut store, instance) = start(&prepared);
            let empty = memory(&mut store, instance, "z");
            assert_eq!(empty.data_size(&store), 0);
            let ours = memory(&mut store, instance, "m");
            let allocate = instance.get_typed_func::<(), i32>(&mut store, "allocate");
            let allocate = allocate.expect("exported");
            for _ in 0..1000 {
                assert_eq!(allocate.call(&mut store, ()).expect("room"), 42);
            }
            assert!(ours.data(&store) == contents(PAGE, &[(4, b"ours")]));
            soil(ours.data_mut(&mut store));
            let stats = engine.memories().stats();
            assert_eq!(stats.n_slots - stats.n_ready, 3);
            empty.grow(&mut store, 1).expect("room");
            assert!(empty.data(&store) == contents(PAGE, &[]));
            soil(empty.data_mut(&mut store));
        }
    }
}

#[test]
fn heaps_of_host_objects_and_plain_modules() {
    let engine = engine(3);
    let plain = Module::new(&engine, support::wasm(&module(BODIES[0]))).expect("valid");
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let object = ExternRef::new(&mut store, "text").expect("room");
        let instance = Instance::new(&mut store, &plain, &[]).expect("works");
        let memory = memory(&mut store, instance, "m");
        assert!(memory.data(&store) == contents(PAGE, &[(4, b"ours")]));
        soil(memory.data_mut(&mut store));
        let data = object.data(&store).expect("alive").expect("ours");
        assert_eq!(data.downcast_ref::<&str>(), Some(&"text"));
    }
    assert_eq!(engine.memories().stats().n_slots, 3);
}

#[test]
fn a_heap_needs_a_memory_of_the_pool() {
    let engine = engine(2);
    let prepared = prepare(&engine, &module(BODIES[0]));
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    assert!(prepared.instantiate(&mut store, &linker).is_err());
}
