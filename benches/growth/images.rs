//! Building, encoding, decoding and rewriting images, each on input that is made to be slow.

use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, pack, strip};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use crate::analysis::active;
use crate::fit::Row;
use crate::wasm::{Wasm, unsigned};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "build and encode, a run for each segment",
        input: runs,
        run: |wasm| drop(encode(wasm)),
    },
    Row {
        name: "build and encode, all segments on one page",
        input: one_page,
        run: |wasm| drop(encode(wasm)),
    },
    Row {
        name: "build and encode, all segments replayed",
        input: replayed,
        run: |wasm| drop(encode(wasm)),
    },
    Row {
        name: "decode, a run for each segment",
        input: |n| encode(&runs(n)),
        run: decode,
    },
    Row {
        name: "decode, all segments replayed",
        input: |n| encode(&replayed(n)),
        run: decode,
    },
    Row {
        name: "strip, a run for each segment",
        input: runs,
        run: |wasm| {
            let module = Module::parse(wasm).expect("valid");
            let plan = Plan::new(&module, &policy());
            strip(&module, &plan).expect("stripped");
        },
    },
    Row {
        name: "pack for size, a run for each segment",
        input: runs,
        run: |wasm| {
            let module = Module::parse(wasm).expect("valid");
            let options = PackOptions::default().with_objective(PackFor::Size);
            pack(&module, &options).expect("packed");
        },
    },
];

fn runs(n: u32) -> Vec<u8> {
    active(n, |nth, _| (0, nth * 64, vec![1]))
}

fn one_page(n: u32) -> Vec<u8> {
    active(n, |nth, n| (0, (n - nth) % 1024, vec![1, 2]))
}

/// At addresses that only the host knows.
fn replayed(n: u32) -> Vec<u8> {
    let wasm = Wasm::new().imported_globals(1).memories(1);
    let wasm = wasm.section(11, n, |_, out| {
        out.extend_from_slice(&[0, 0x23]);
        unsigned(0, out);
        out.extend_from_slice(&[0x0b, 1, 1]);
    });
    wasm.finish()
}

/// Pages so small that 100,000 runs have a size that any machine holds.
fn policy() -> Policy {
    Policy::smallest(HostPageSize::new(16).expect("a power of two"))
}

fn encode(wasm: &[u8]) -> Vec<u8> {
    let module = Module::parse(wasm).expect("valid");
    let plan = Plan::new(&module, &policy());
    let image = ModuleImage::build(&module, &plan).expect("small");
    image.encode().expect("small")
}

fn decode(artifact: &[u8]) {
    let artifact = Artifact::decode(artifact).expect("its own");
    drop(artifact.initialization());
}
