//! A start from the image that a slot holds allocates nothing, whether segments are
//! replayed or not. Where images are copied, they are allocated.
#![cfg(all(unix, not(miri)))]

use peak_alloc::PeakAlloc;
use wasm_meminit_analysis::{Module, Plan, Policy, Value};
use wasm_meminit_apply::{MemorySlot, PreparedModule, SlotConfig};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn prepare(wat: &str) -> PreparedModule {
    let wasm = wat::parse_str(wat).expect("valid");
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("small");
    let artifact = image.encode().expect("small");
    PreparedModule::new(&Artifact::decode(&artifact).expect("just encoded")).expect("small")
}

// A single test: allocations of others would count.
#[test]
fn a_start_allocates_nothing() {
    let base = r#"(import "env" "base" (global $base i32)) (memory 2)"#;
    let hybrid = r#"(data (i32.const 9) "baked")
        (data (i32.add (global.get $base) (i32.const 4)) "replayed")
        (data (i32.const 70000) "replayed")"#;
    for (wat, n_replayed) in [
        (
            format!(r#"(module {base} (data (i32.const 9) "baked"))"#),
            0,
        ),
        (format!("(module {base} {hybrid})"), 2),
    ] {
        let module = prepare(&wat);
        assert_eq!(module.n_replayed(), n_replayed);
        let mut slot = MemorySlot::new(&SlotConfig::new(1 << 20)).expect("room");
        for _ in 0..3 {
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let memory = &mut [(&mut slot).into()];
            module
                .instantiate(memory, &|_| Some(Value::I32(100)))
                .expect("fits");
            assert_eq!(ALLOCATOR.peak_usage(), before);
            slot.reset().expect("works");
        }
    }
    // The counter counts.
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    drop(vec![0_u8; 1]);
    assert_eq!(ALLOCATOR.peak_usage(), before + 1);
}
