//! Handles requests, each in a new instance.
//!
//! `cargo run --release -p wasm-meminit-wasmer --example requests`

use core::error::Error;
use core::num::NonZeroUsize;

use wasm_meminit_wasmer::wasmer::sys::engine::default_engine;
use wasm_meminit_wasmer::wasmer::{Imports, Store};
use wasm_meminit_wasmer::{Memories, MemoriesConfig, Options, Prepared};

const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// Adds the request to a number in memory. No instance sees what another one added.
const GUEST: &str = r#"(module
    (memory 1)
    (data (i32.const 8) "\28")
    (func (export "handle") (param i32) (result i32)
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0)))
        (i32.load (i32.const 8))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    let wasm = wat::parse_str(GUEST)?; // or `std::fs::read("guest.wasm")?`
    // ANCHOR: start
    let memories = Memories::new(MemoriesConfig::new(MAX_MEMORIES));
    let engine = memories.engine(default_engine())?;
    let prepared = Prepared::new(&engine, &wasm, &Options::new())?; // once for each module
    for request in 0..3 {
        let mut store = Store::new(&engine);
        let instance = prepared.instantiate(&mut store, &Imports::new())?; // maps the image
        let exports = &instance.exports;
        let handle = exports.get_typed_function::<i32, i32>(&store, "handle")?;
        println!("{}", handle.call(&mut store, request)?);
    } // the memory is reset when the store is dropped
    // ANCHOR_END: start
    println!("slots: {}", memories.stats().n_slots);
    Ok(())
}
