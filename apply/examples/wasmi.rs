//! Starts an engine from our memory: `cargo run --example wasmi`.
//!
//! The module's data goes into an image, and its memory becomes an import: wasmi runs the
//! rest of the module on a memory that holds the image. The segment whose address only
//! the host knows stays in the module, so wasmi writes it.

use core::error::Error;

use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_apply::{Artifact, PreparedModule};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{DEFAULT_IMPORT_MODULE, externalize, strip};
use wasmi::{Engine, Global, Linker, Memory, MemoryType, Mutability, Store, Val};

const MODULE: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory (export "memory") 1)
    (data (i32.const 0x1000) "\01\02\03\04")
    (data (i32.const 0x8000) "\05\06")
    (data (global.get $base) "\07")
    (func (export "sum") (param $at i32) (param $len i32) (result i32)
        (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (local.tee $len (i32.sub (local.get $len) (i32.const 1)))))
        (local.get $sum)))"#;

fn main() -> Result<(), Box<dyn Error>> {
    // Ahead of time.
    let wasm = wat::parse_str(MODULE)?;
    let module = Module::parse(&wasm)?;
    let plan = Plan::new(&module, &Policy::default());
    let artifact = ModuleImage::build(&module, &plan)?.encode()?;
    let stripped = strip(&module, &plan)?;
    let stripped = Module::parse(&stripped)?;
    let external = externalize(&stripped, DEFAULT_IMPORT_MODULE, &|_| "memory".into())?;

    // Once for each module.
    let prepared = PreparedModule::new(&Artifact::decode(&artifact)?)?;
    let engine = Engine::default();
    let module = wasmi::Module::new(&engine, &external)?;

    // Once for each instance. The buffer is leaked: it lives as long as the program.
    let mut store = Store::new(&engine, ());
    let buffer: &'static mut [u8] = Box::leak(vec![0; 1 << 20].into_boxed_slice());
    // Growth beyond the buffer would panic, so the maximum is 16 wasm pages.
    let ty = MemoryType::new(1, Some(16));
    let memory = Memory::new_static(&mut store, ty, buffer)?;
    // wasmi has filled the memory with zeros, so the image must be written afterwards.
    prepared.place_images(&mut [memory.data_mut(&mut store).into()])?;

    let mut linker = Linker::new(&engine);
    linker.define(DEFAULT_IMPORT_MODULE, "memory", memory)?;
    let base = Global::new(&mut store, Val::I32(0x4000), Mutability::Const);
    linker.define("env", "base", base)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let sum = instance.get_typed_func::<(i32, i32), i32>(&store, "sum")?;
    let sum = sum.call(&mut store, (0x1000, 0x8000))?;
    println!("1 + 2 + 3 + 4 + 5 + 6 + 7 = {sum}");
    assert_eq!(sum, 28);
    Ok(())
}
