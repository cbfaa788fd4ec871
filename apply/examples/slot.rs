//! One slot serves several instances in turn: `cargo run --example slot`.
//!
//! The image is built once. Each start maps it copy-on-write, or finds it still mapped,
//! and then replays the segment whose address only the host knows.

use core::error::Error;
use std::time::Instant;

/// One greeting low in memory, one 32 MiB higher, and one at an address that the host
/// chooses.
const MODULE: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 600)
    (data (i32.const 0x1000) "hello")
    (data (i32.const 0x2000000) "from far away")
    (data (global.get $base) "and from here"))"#;

/// Builds the artifact ahead of time, perhaps on another machine.
pub(crate) fn build(wasm: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    // ANCHOR: build
    use wasm_meminit_analysis::{Module, Plan, Policy};
    use wasm_meminit_image_builder::ModuleImage;

    let module = Module::parse(wasm)?;
    let plan = Plan::new(&module, &Policy::default());
    for reason in plan.reasons() {
        println!("segment {}: {}", reason.segment.as_u32(), reason.reason);
    }
    let artifact = ModuleImage::build(&module, &plan)?.encode()?;
    // ANCHOR_END: build
    Ok(artifact)
}

/// Initialises a memory for three instances in turn, with the host's value for the
/// imported global, and calls `run` for each.
pub(crate) fn start(
    artifact: &[u8],
    base: i32,
    mut run: impl FnMut(&mut [u8]),
) -> Result<(), Box<dyn Error>> {
    // ANCHOR: start
    use wasm_meminit_apply::{Artifact, MemorySlot, PreparedModule, SlotConfig, Value};

    let module = PreparedModule::new(&Artifact::decode(artifact)?)?; // once for each module
    let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
    for _ in 0..3 {
        // Once for each instance: maps the image, then replays what could not be baked.
        module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(base)))?;
        run(slot.as_mut_slice());
        slot.reset()?; // the next instance sees nothing of what this one wrote
    }
    // ANCHOR_END: start
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let artifact = build(&wat::parse_str(MODULE)?)?;
    println!("the artifact has {} bytes", artifact.len());

    let mut last = Instant::now();
    start(&artifact, 0x3000, |memory| {
        println!("{} bytes, ready after {:?}", memory.len(), last.elapsed());
        assert_eq!(memory[0x1000..0x1005], *b"hello");
        assert_eq!(memory[0x200_0000..0x200_000d], *b"from far away");
        assert_eq!(memory[0x3000..0x300d], *b"and from here");
        // The next instance does not see what this one writes.
        memory[0x1000..0x4000].fill(0xff);
        last = Instant::now();
    })
}
