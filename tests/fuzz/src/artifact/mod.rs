//! Artifacts and bundles: the library's decoder, and the one of its tests, which was written
//! from the specification of the format.

#[path = "../../../../image-builder/tests/artifact/cursor.rs"]
mod cursor;
#[path = "../../../../image-builder/tests/artifact/dump.rs"]
mod dump;
#[allow(
    dead_code,
    reason = "tests of the package forge headers in another way"
)]
#[path = "../../../../image-builder/tests/artifact/encode.rs"]
mod encode;
#[path = "../../../../image-builder/tests/artifact/format.rs"]
mod format;
mod seal;

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::{Artifact, ArtifactHead, Bundle, ModuleImage, SourceHash, Tool};

use wasm_meminit_test_oracle::costs::{USUAL, of_bundle};

use crate::allocation::{at_most, at_most_each};

/// Any bytes, as they are and with right checksums. Returns whether they are accepted.
pub(crate) fn any(bytes: &[u8]) -> bool {
    let is_accepted = both(bytes).is_some();
    let sealed = seal::in_place(bytes).and_then(|it| both(&it));
    is_accepted || sealed.is_some()
}

/// The bytes of a header: the rest of the file follows from it. Returns whether it is accepted.
pub(crate) fn header(bytes: &[u8]) -> bool {
    seal::completed(bytes).is_some_and(|it| both(&it).is_some())
}

/// Checks that both decoders agree, and that they read the same. Returns whether they accept
/// the artifact.
pub(crate) fn both(bytes: &[u8]) -> Option<()> {
    let ours = at_most_each(USUAL, bytes, || Artifact::decode(bytes));
    match (format::decode(bytes), &ours) {
        (Err(_), Err(err)) => {
            let _ = err.to_string();
            // Reading less of it must not panic either.
            let _ = Artifact::decode_unverified(bytes).map(|it| it.verify());
            None
        }
        (Ok(_), Err(err)) => panic!("only the library rejects it: {err}"),
        (Err(err), Ok(_)) => panic!("only the library accepts it: {err}"),
        (Ok(file), Ok(artifact)) => {
            assert_eq!(dump::of_artifact(artifact), dump::of_file(&file));
            let again = encode::encode(&file);
            assert!(again.as_deref() == Some(bytes), "the encoding is unique");
            for nth in 0..artifact.memories().len() {
                let memory = MemoryIndex::from_u32(u32::try_from(nth).expect("few"));
                assert_eq!(artifact.verify_memory(memory), Ok(()));
            }
            let _ = artifact.initialization();
            Some(())
        }
    }
}

/// Any bytes, as they are, with right checksums, and with the index that its artifacts imply.
/// Returns whether one of them is accepted.
pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let mut is_accepted = is_bundle(bytes);
    let Some((sealed, parts)) = seal::bundle(bytes) else {
        return is_accepted;
    };
    is_accepted |= is_bundle(&sealed);
    // Only the artifacts decide whether a bundle with a new index is accepted.
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let is_close = |it: &&[u8]| {
        let head = ArtifactHead::decode(it);
        head.is_ok_and(|it| it.file_alignment().bytes() <= 1 << 16)
    };
    if parts.iter().all(is_close)
        && let Ok(bundle) = Bundle::encode(&parts)
    {
        let are_artifacts = parts.iter().all(|it| Artifact::decode(it).is_ok());
        assert_eq!(is_bundle(&bundle), are_artifacts);
        is_accepted |= are_artifacts;
    }
    is_accepted
}

/// Checks that an accepted bundle is what its artifacts are encoded as.
fn is_bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = at_most(of_bundle(bytes), bytes, || Bundle::decode(bytes)) else {
        return false;
    };
    let n = bundle.artifacts().len();
    let parts: Vec<&[u8]> = (0..n).filter_map(|nth| Some(bundle.part(nth)?.1)).collect();
    assert_eq!(parts.len(), n);
    assert!(Bundle::encode(&parts).as_deref() == Ok(bytes));
    for part in parts {
        both(part).expect("artifacts in a bundle are checked");
    }
    true
}

/// Returns an artifact for each of a few policies.
pub(crate) fn of_module(wasm: &[u8]) -> Vec<Vec<u8>> {
    let Ok(module) = Module::parse(wasm) else {
        return Vec::new();
    };
    let page = HostPageSize::KIB_4;
    let policies = [
        Policy::reference(page),
        Policy::balanced(page).with_start_function(StartFunction::WritesStripped),
        Policy::smallest(HostPageSize::new(256).expect("a power of two")).with_zeroed_imports(true),
    ];
    let artifacts = policies.iter().filter_map(|policy| {
        let image = ModuleImage::build(&module, &Plan::new(&module, policy)).ok()?;
        let tool = Tool {
            name: "fuzz",
            version: "1",
        };
        image
            .with_source(SourceHash([1; 32]))
            .with_tool(tool)
            .encode()
            .ok()
    });
    artifacts.collect()
}

/// Returns the headers of artifacts.
pub(crate) fn header_of_module(wasm: &[u8]) -> Vec<Vec<u8>> {
    let artifacts = of_module(wasm);
    artifacts
        .iter()
        .filter_map(|it| seal::header_of(it))
        .collect()
}

/// Returns a bundle of the artifacts of all core modules.
pub(crate) fn bundle_of_component(wasm: &[u8]) -> Vec<Vec<u8>> {
    let modules = Module::parse_all(wasm).unwrap_or_default();
    let artifacts = modules.iter().filter_map(|module| {
        let image = ModuleImage::build(module, &Plan::new(module, &Policy::default()));
        image.ok()?.encode().ok()
    });
    let artifacts: Vec<Vec<u8>> = artifacts.collect();
    let artifacts: Vec<&[u8]> = artifacts.iter().map(Vec::as_slice).collect();
    Bundle::encode(&artifacts).into_iter().collect()
}
