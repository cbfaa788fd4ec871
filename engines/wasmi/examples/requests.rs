//! Serves requests, each with an instance of its own.

use wasm_meminit_wasmi::{Options, Prepared};
use wasmi::{Engine, Linker, Store};

/// Counts in its memory how often it was called, from 42 on.
const MODULE: &str = r#"
(module
  (memory (export "memory") 1)
  (data (i32.const 0x100) "\2a")
  (func (export "handle") (param $n i32) (result i32)
    (i32.store8 (i32.const 0x100) (i32.add (local.get $n) (i32.load8_u (i32.const 0x100))))
    (i32.load8_u (i32.const 0x100))))
"#;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let wasm = wat::parse_str(MODULE)?;
    // ANCHOR: start
    let engine = Engine::default();
    let prepared = Prepared::new(&engine, &wasm, &Options::new())?; // once for each module
    let linker = Linker::new(&engine);
    for request in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker)?; // writes few segments
        let handle = instance.get_typed_func::<i32, i32>(&store, "handle")?;
        println!("{}", handle.call(&mut store, request)?);
    }
    // ANCHOR_END: start
    Ok(())
}
