//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use core::num::NonZeroUsize;

use wasm_meminit_wasmer::{Engine, Memories, MemoriesConfig, Options, Prepared};
use wasmer::sys::{EngineBuilder, Singlepass};
use wasmer::{AsStoreMut, AsStoreRef, Imports, Instance, Memory, Store};

pub(crate) const PAGE: usize = 1 << 16;

/// Returns an engine whose pool has `max_memories` memories.
pub(crate) fn engine(max_memories: usize) -> Engine {
    let max_memories = NonZeroUsize::new(max_memories).expect("not 0");
    engine_with(MemoriesConfig::new(max_memories))
}

pub(crate) fn engine_with(memories: MemoriesConfig) -> Engine {
    let engine = Memories::new(memories).engine(plain());
    engine.unwrap_or_else(|err| panic!("{err}"))
}

/// Returns an engine with its own memories.
pub(crate) fn plain() -> wasmer::sys::engine::Engine {
    EngineBuilder::new(Singlepass::default()).engine()
}

pub(crate) fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|err| panic!("{err}"))
}

pub(crate) fn prepare(engine: &Engine, wat: &str) -> Prepared {
    Prepared::new(engine, &wasm(wat), &Options::new()).unwrap_or_else(|err| panic!("{err}"))
}

/// Instantiates a module without imports.
pub(crate) fn start(prepared: &Prepared) -> (Store, Instance) {
    let mut store = Store::new(prepared.engine());
    let instance = prepared
        .instantiate(&mut store, &Imports::new())
        .unwrap_or_else(|err| panic!("{err}"));
    (store, instance)
}

pub(crate) fn memory(instance: &Instance, name: &str) -> Memory {
    let memory = instance.exports.get_memory(name);
    memory.unwrap_or_else(|err| panic!("{name}: {err}")).clone()
}

pub(crate) fn bytes(store: &impl AsStoreRef, memory: &Memory) -> Vec<u8> {
    memory.view(store).copy_to_vec().expect("in bounds")
}

/// Calls an exported function of numbers.
pub(crate) fn call(
    store: &mut impl AsStoreMut,
    instance: &Instance,
    name: &str,
    arg: i32,
) -> Result<i32, wasmer::RuntimeError> {
    let function = instance.exports.get_typed_function::<i32, i32>(store, name);
    let function = function.unwrap_or_else(|err| panic!("{name}: {err}"));
    function.call(store, arg)
}

/// Bytes and their address.
pub(crate) type Piece<'a> = (usize, &'a [u8]);

/// Returns a memory of `len` bytes with these pieces.
pub(crate) fn contents(len: usize, pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, piece) in pieces {
        bytes[*at..at + piece.len()].copy_from_slice(piece);
    }
    bytes
}

/// Writes to every page, so that a leak into the next use would show.
pub(crate) fn soil(store: &impl AsStoreRef, memory: &Memory) {
    let view = memory.view(store);
    for addr in (0..view.data_size()).step_by(512) {
        view.write_u8(addr, 0xa5).expect("in bounds");
    }
}
