//! A slot serves one instance after the other: `cargo run --example slot`.
//!
//! The image is built once; each start maps it copy-on-write, or finds it still in place.

extern crate alloc;

use alloc::sync::Arc;
use core::error::Error;
use std::time::Instant;

use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

/// One greeting low in memory, one 32 MiB above it: two pages, and nothing in between.
const MODULE: &str = r#"(module
    (memory 600)
    (data (i32.const 0x1000) "hello")
    (data (i32.const 0x2000000) "from far away"))"#;

fn main() -> Result<(), Box<dyn Error>> {
    let wasm = wat::parse_str(MODULE)?;
    // Ahead of time, perhaps on another machine.
    // ANCHOR: build
    let module = Module::parse(&wasm)?;
    let plan = Plan::new(&module, &Policy::default());
    for reason in plan.reasons() {
        println!("segment {}: {}", reason.segment.as_u32(), reason.reason);
    }
    let artifact = ModuleImage::build(&module, &plan)?.encode()?;
    // ANCHOR_END: build
    println!("the artifact has {} bytes", artifact.len());

    // ANCHOR: start
    // Once for each module: everything is checked, nothing copied, then mapped.
    let artifact = Artifact::decode(&artifact)?;
    let image = artifact.image(MemoryIndex::from_u32(0));
    let image = Arc::new(MemoryImage::new(image.ok_or("nothing is baked")?)?);

    // Once for each instance: in memory that an engine's instructions can reach.
    let bytes = 600 << 16;
    let mut slot = MemorySlot::new(&SlotConfig::new(bytes))?;
    slot.instantiate(Some(&image), bytes)?;
    assert_eq!(slot.as_slice()[0x1000..0x1005], *b"hello");

    // And when it is done: the first state again, for the next one.
    slot.reset()?;
    // ANCHOR_END: start
    for nth in 1..=3 {
        let start = Instant::now();
        slot.instantiate(Some(&image), bytes)?;
        let started = start.elapsed();

        let memory = slot.as_mut_slice();
        assert_eq!(memory[0x1000..0x1005], *b"hello");
        assert_eq!(memory[0x200_0000..0x200_000d], *b"from far away");
        // What a program does to its memory, the next one does not see.
        memory[0x1000..0x3000].fill(0xff);

        let start = Instant::now();
        let report = slot.reset()?;
        println!(
            "use {nth}: {} bytes, started in {started:?}, reset in {:?}: {report:?}",
            bytes,
            start.elapsed()
        );
    }
    Ok(())
}
