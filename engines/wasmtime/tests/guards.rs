//! Systems on which memories have no guards, and move when they grow: compiled code would access
//! other data of the process. `cargo xtask engines test wasmtime` runs these tests on both kinds.

mod support;

use core::num::NonZeroUsize;

use wasm_meminit_wasmtime::apply::MemorySlot;
use wasm_meminit_wasmtime::{Memories, MemoriesConfig, MemoryError};
use wasmtime::{Engine, Instance, Module, SharedMemory, Store};

use support::{config, wasm};

fn memories() -> Memories {
    Memories::new(MemoriesConfig::new(NonZeroUsize::MIN))
}

/// Returns an engine that was configured, but not accepted.
fn configured(memories: &Memories) -> Engine {
    let mut config = config();
    memories.configure(&mut config);
    Engine::new(&config).expect("valid")
}

#[track_caller]
fn refused<T>(result: wasmtime::Result<T>) {
    let found = result.as_ref().err().map(|err| err.downcast_ref());
    let expected = (!MemorySlot::HAS_GUARDS).then_some(Some(&MemoryError::NoGuards));
    assert_eq!(found, expected);
}

#[test]
fn engines_need_guards() {
    let memories = memories();
    refused(memories.engine(&mut config()));
    refused(memories.adopt(configured(&memories)));
}

/// Those of an engine that nothing of ours has accepted.
#[test]
fn memories_need_guards() {
    for wat in [
        "(module (memory 1))",
        "(module (memory 0))",
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        // The heap for garbage-collected objects.
        "(module (type $s (struct)) (start $f) (func $f (drop (struct.new $s))))",
    ] {
        let memories = memories();
        let engine = configured(&memories);
        let module = Module::new(&engine, wasm(wat)).expect("valid");
        let result = Instance::new(&mut Store::new(&engine, ()), &module, &[]);
        let stats = memories.stats();
        match MemorySlot::HAS_GUARDS {
            true => {
                result.expect("room");
                assert_eq!(stats.n_slots, 1, "{wat}");
            }
            false => {
                // wasmtime passes on the text only.
                let err = format!("{:#}", result.expect_err(wat));
                assert!(err.contains(&MemoryError::NoGuards.to_string()), "{err}");
                assert_eq!(stats.n_slots, 0, "{wat}");
            }
        }
    }
}

/// The engine's own, which it does not request.
#[test]
fn the_engines_own_memories_are_not_refused() {
    let engine = configured(&memories());
    let ty = wasmtime::MemoryType::shared(1, 2);
    SharedMemory::new(&engine, ty).expect("room");
}
