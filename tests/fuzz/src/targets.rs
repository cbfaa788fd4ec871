//! The fuzz targets: a valid input made from a module, and a check that must not panic.

use wasm_meminit_analysis::{HostPageSize, Module, OffsetExpr, Plan, Policy};
use wasm_meminit_image_builder::{Artifact, Bundle, ModuleImage};

/// One decoder.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// A valid input made from a valid module.
    pub(crate) seed: fn(&[u8]) -> Option<Vec<u8>>,
    pub(crate) check: fn(&[u8]),
}

pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "module",
        about: "Module::parse_all, plans of every preset, images",
        seed: |wasm| Some(wasm.to_vec()),
        check: module,
    },
    Target {
        name: "artifact",
        about: "Artifact::decode, and everything an accepted artifact returns",
        seed: |wasm| {
            let module = Module::parse(wasm).ok()?;
            let plan = Plan::new(&module, &Policy::default());
            ModuleImage::build(&module, &plan).ok()?.encode().ok()
        },
        check: artifact,
    },
    Target {
        name: "bundle",
        about: "Bundle::decode; an accepted bundle is what its artifacts are encoded as",
        seed: |wasm| {
            let mut artifacts = Vec::new();
            for module in Module::parse_all(wasm).ok()? {
                let plan = Plan::new(&module, &Policy::default());
                artifacts.push(ModuleImage::build(&module, &plan).ok()?.encode().ok()?);
            }
            let artifacts: Vec<&[u8]> = artifacts.iter().map(Vec::as_slice).collect();
            Bundle::encode(&artifacts).ok()
        },
        check: bundle,
    },
    Target {
        name: "expr",
        about: "OffsetExpr::decode, and its Display",
        seed: |_| Some(vec![0x23, 0, 0x41, 4, 0x6a, 0x0b]),
        check: |bytes| {
            if let Ok((expr, rest)) = OffsetExpr::decode(bytes) {
                assert!(rest.len() < bytes.len());
                let _ = expr.to_string();
                expr.globals().for_each(drop);
            }
        },
    },
];

/// The largest image that is built here.
const MAX_IMAGE: u64 = 16 << 20;

fn module(wasm: &[u8]) {
    let Ok(modules) = Module::parse_all(wasm) else {
        return;
    };
    let page = HostPageSize::KIB_4;
    for module in modules {
        for policy in [
            Policy::reference(page),
            Policy::balanced(page),
            Policy::smallest(page),
        ] {
            let policy = policy.with_max_image_size(MAX_IMAGE);
            let plan = Plan::new(&module, &policy);
            if let Ok(image) = ModuleImage::build(&module, &plan) {
                let bytes = image.encode().expect("small");
                Artifact::decode(&bytes).expect("what was encoded is decoded");
            }
        }
    }
}

fn bundle(bytes: &[u8]) {
    let Ok(bundle) = Bundle::decode(bytes) else {
        return;
    };
    let n = bundle.artifacts().len();
    let parts: Vec<&[u8]> = (0..n).filter_map(|nth| Some(bundle.part(nth)?.1)).collect();
    assert_eq!(Bundle::encode(&parts).as_deref(), Ok(bytes));
    parts.into_iter().for_each(artifact);
}

fn artifact(bytes: &[u8]) {
    let Ok(artifact) = Artifact::decode(bytes) else {
        return;
    };
    for memory in artifact.memories() {
        assert!(memory.ty().is_valid());
    }
    let _ = artifact.initialization();
}
