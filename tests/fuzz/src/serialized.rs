//! Serialised plans and initialisations, in a binary format and as JSON.

use serde_json::Value;
use wasm_meminit_analysis::{MemoryInitialization, Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;

use crate::allocation::at_most_each;

/// What reading may allocate for each byte.
const EACH_BYTE: usize = 64;

/// The first byte selects a format and a type. Returns whether the others are accepted.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((kind, bytes)) = bytes.split_first() else {
        return false;
    };
    let plan = |plan: Option<Plan<'_>>| plan.inspect(check_plan).is_some();
    let init =
        |init: Option<MemoryInitialization<'_>>| init.inspect(check_initialization).is_some();
    match kind % 4 {
        0 => plan(read(bytes, || postcard::from_bytes(bytes).ok())),
        1 => init(read(bytes, || postcard::from_bytes(bytes).ok())),
        2 => plan(read(bytes, || serde_json::from_slice(bytes).ok())),
        _ => init(read(bytes, || serde_json::from_slice(bytes).ok())),
    }
}

fn read<T>(bytes: &[u8], read: impl FnOnce() -> Option<T>) -> Option<T> {
    at_most_each(EACH_BYTE, bytes, read)
}

/// An accepted plan can be shown, and gives itself again.
fn check_plan(plan: &Plan<'_>) {
    for reason in plan.reasons() {
        let _ = reason.reason.to_string();
    }
    for memory in plan.memories().values() {
        assert!(memory.ty().is_valid());
        let _ = (memory.image_bytes(), memory.decision(), memory.extent());
        for pair in memory.runs().windows(2) {
            assert!(pair[0].end() < pair[1].addr, "{pair:?}");
        }
    }
    let bytes = postcard::to_allocvec(plan).expect("serialises");
    let again: Plan<'_> = postcard::from_bytes(&bytes).expect("just serialised");
    assert!(postcard::to_allocvec(&again).as_ref() == Ok(&bytes));
    let json = serde_json::to_value(plan).expect("serialises");
    let again: Value = serde_json::to_value(&again).expect("serialises");
    assert_eq!(json, again);
    // It is of another module.
    let module = Module::parse(b"\0asm\x01\0\0\0").expect("empty");
    if !plan.matches(&module) {
        assert!(ModuleImage::build(&module, plan).is_err());
    }
}

fn check_initialization(init: &MemoryInitialization<'_>) {
    let bytes = postcard::to_allocvec(init).expect("serialises");
    let again: MemoryInitialization<'_> = postcard::from_bytes(&bytes).expect("just serialised");
    assert!(postcard::to_allocvec(&again).as_ref() == Ok(&bytes));
    let json = serde_json::to_string(init).expect("serialises");
    let again: MemoryInitialization<'_> = serde_json::from_str(&json).expect("just serialised");
    assert!(postcard::to_allocvec(&again).as_ref() == Ok(&bytes));
}

/// Returns the plan and the initialisation of a small module in both formats.
pub(crate) fn seeds(wasm: &[u8]) -> Vec<Vec<u8>> {
    let Ok(module) = Module::parse(wasm) else {
        return Vec::new();
    };
    if 512 < wasm.len() {
        return Vec::new();
    }
    let policy = Policy::default()
        .with_zeroed_imports(true)
        .with_max_image_size(8192);
    let plan = Plan::new(&module, &policy);
    let Ok(image) = ModuleImage::build(&module, &plan) else {
        return Vec::new();
    };
    let init = image.initialization();
    let lists = [
        postcard::to_allocvec(&plan).expect("serialises"),
        postcard::to_allocvec(&init).expect("serialises"),
        serde_json::to_vec(&plan).expect("serialises"),
        serde_json::to_vec(&init).expect("serialises"),
    ];
    let named = (0_u8..).zip(lists);
    named
        .map(|(kind, bytes)| [&[kind][..], &bytes].concat())
        .collect()
}
