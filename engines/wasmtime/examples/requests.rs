//! Handles requests, each in a new instance.
//!
//! `cargo run --release -p wasm-meminit-wasmtime --example requests`

use core::num::NonZeroUsize;

use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, Prepared};
use wasmtime::{Config, Linker, Store};

const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(100).unwrap();

fn main() -> wasmtime::Result<()> {
    // Adds the request to a counter. No instance sees what another one added.
    let wasm = wat::parse_str(
        r#"(module
             (memory (export "memory") 1)
             (data (i32.const 8) "\28")
             (func (export "handle") (param i32) (result i32)
               (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0)))
               (i32.load (i32.const 8))))"#,
    )?;
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
    let stats = memories.stats();
    println!(
        "{} memory served {} instances",
        stats.n_slots,
        stats.n_hits + stats.n_blank
    );
    Ok(())
}
