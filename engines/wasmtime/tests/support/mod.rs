//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use core::num::NonZeroUsize;

use wasm_meminit_wasmtime::{Engine, Memories, MemoriesConfig, Options, Prepared};
use wasmtime::{Config, Instance, Linker, Memory, Store};

pub(crate) const PAGE: usize = 1 << 16;

/// Returns an engine with every feature, whose pool has `max_memories` memories.
pub(crate) fn engine(max_memories: usize) -> Engine {
    let max_memories = NonZeroUsize::new(max_memories).expect("not 0");
    engine_with(MemoriesConfig::new(max_memories))
}

pub(crate) fn engine_with(memories: MemoriesConfig) -> Engine {
    let engine = Memories::new(memories).engine(&mut config());
    engine.expect("a valid configuration")
}

pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_custom_page_sizes(true)
        .wasm_threads(true)
        .shared_memory(true)
        .wasm_reference_types(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true);
    config
}

/// Returns an engine with its own memories, as a reference.
///
/// It has no images: with them, wasmtime 48.0.8 leaves data in the memory of an instance whose
/// element segment traps, which the specification forbids.
pub(crate) fn reference() -> wasmtime::Engine {
    let mut config = config();
    config.memory_init_cow(false);
    wasmtime::Engine::new(&config).expect("a valid configuration")
}

pub(crate) fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|err| panic!("{err}"))
}

pub(crate) fn prepare(engine: &Engine, wat: &str) -> Prepared {
    Prepared::new(engine, &wasm(wat), &Options::new()).unwrap_or_else(|err| panic!("{err}"))
}

/// Instantiates a module without imports.
pub(crate) fn start(prepared: &Prepared) -> (Store<()>, Instance) {
    let mut store = Store::new(prepared.engine(), ());
    let instance = prepared
        .instantiate(&mut store, &Linker::new(prepared.engine()))
        .unwrap_or_else(|err| panic!("{err:?}"));
    (store, instance)
}

pub(crate) fn memory<T>(store: &mut Store<T>, instance: Instance, name: &str) -> Memory {
    let memory = instance.get_memory(store, name);
    memory.unwrap_or_else(|| panic!("no memory {name}"))
}

/// Returns a memory of `len` bytes with these pieces, each with its address.
pub(crate) fn contents(len: usize, pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, piece) in pieces {
        bytes[*at..at + piece.len()].copy_from_slice(piece);
    }
    bytes
}

/// Writes to every page, so that a leak into the next use would show.
pub(crate) fn soil(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().step_by(512) {
        *byte = 0xa5;
    }
}
