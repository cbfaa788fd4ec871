//! Handles requests, each in a new instance.
//!
//! `cargo run --release -p wasm-meminit-wasmtime --example requests`
#![allow(
    clippy::std_instead_of_core,
    reason = "programs need not do without std"
)]

// ANCHOR: program
use std::num::NonZeroUsize;

use wasm_meminit_wasmtime::wasmtime::{self, Config, Linker, Store};
use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, Prepared};

const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// Adds the request to a number in memory. No instance sees what another one added.
const GUEST: &str = r#"(module
    (memory 1)
    (data (i32.const 8) "\28")
    (func (export "handle") (param i32) (result i32)
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0)))
        (i32.load (i32.const 8))))"#;

fn main() -> wasmtime::Result<()> {
    let wasm = wat::parse_str(GUEST)?; // or `std::fs::read("guest.wasm")?`
    // ANCHOR: start
    let memories = Memories::new(MemoriesConfig::new(MAX_MEMORIES));
    let engine = memories.engine(&mut Config::new())?;
    let prepared = Prepared::new(&engine, &wasm, &Options::new())?; // once for each module
    let linker = Linker::new(&engine);
    for request in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker)?; // maps the image
        let handle = instance.get_typed_func::<i32, i32>(&mut store, "handle")?;
        println!("{}", handle.call(&mut store, request)?);
    } // the memory is reset when the store is dropped
    // ANCHOR_END: start
    println!("slots: {}", memories.stats().n_slots);
    Ok(())
}
// ANCHOR_END: program
