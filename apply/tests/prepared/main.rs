//! One call initialises all memories of a module, whatever was baked and whatever
//! memories the host provides.

extern crate alloc;

mod errors;
mod generated;
mod hosts;
mod memories;
mod module;
mod traps;

use wasm_meminit_analysis::{Assumption, Module, Plan, Policy, Value};
use wasm_meminit_apply::{Host, MemorySlot, PreparedModule, SlotConfig};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

const WASM_PAGE: usize = 1 << 16;

/// Prepares a module from its artifact, which is dropped.
fn prepare(wat: &str, policy: &Policy) -> PreparedModule {
    let wasm = wat::parse_str(wat).unwrap_or_else(|err| panic!("{wat}: {err}"));
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, policy);
    let image = ModuleImage::build(&module, &plan).expect("small");
    let artifact = image.encode().expect("small");
    let artifact = Artifact::decode(&artifact).expect("just encoded");
    PreparedModule::for_host(&artifact, &right_host(&artifact)).expect("small")
}

/// Returns a host that satisfies all assumptions of the artifact.
fn right_host(artifact: &Artifact<'_>) -> Host {
    artifact
        .assumptions()
        .fold(Host::new(), |host, it| match it {
            Assumption::GlobalValue {
                module,
                name,
                value,
                ..
            } => host.with_global(&module, &name, value),
            // If a memory is declared twice, the first entry counts: zeroed memories come
            // first.
            Assumption::ZeroedMemory { module, name, .. } => {
                host.with_fresh_memory(&module, &name, u64::MAX)
            }
            Assumption::MemorySize {
                module,
                name,
                bytes,
                ..
            } => host.with_memory(&module, &name, bytes),
            Assumption::StartFunction { treatment, .. } => host.with_start_function(treatment),
            it => panic!("{it}"),
        })
}

fn slot() -> MemorySlot {
    MemorySlot::new(&SlotConfig::new(1 << 20)).expect("room")
}

fn at(base: i32) -> impl Fn(wasm_meminit_analysis::GlobalIndex) -> Option<Value> {
    move |_| Some(Value::I32(base))
}

#[track_caller]
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: size");
    let wrong = (0..found.len()).find(|&at| found[at] != expected[at]);
    assert_eq!(wrong, None, "{what}: first wrong address");
}
