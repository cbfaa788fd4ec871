//! Images that are mapped from an artifact's file: their bytes, and files that are refused.
#![cfg(unix)]

extern crate alloc;

use alloc::sync::Arc;
use std::path::Path;

use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::{
    Artifact, ImageError, ImageSource, MemorySlot, SlotConfig, copy_into_zeroed,
};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_test_support::map::{map_irregular, map_unlinked};

const WAT: &str = r#"(module
    (memory 1)
    (memory 20)
    (data (i32.const 8) "first")
    (data (memory 1) (i32.const 5000) "second")
    (data (memory 1) (i32.const 1000000) "far"))"#;

/// The error of every call on the path without mappings.
const UNSUPPORTED: Option<ImageError> =
    if cfg!(all(feature = "test-portable", not(feature = "test-unix"))) {
        Some(ImageError::Unsupported)
    } else {
        None
    };

fn artifact() -> Vec<u8> {
    let wasm = wat::parse_str(WAT).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let plan = Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("image");
    image.encode().expect("artifact")
}

#[test]
fn a_memory_starts_from_the_artifact_file() {
    let bytes = artifact();
    let artifact = Artifact::decode(&bytes).expect("own");
    let index = MemoryIndex::from_u32(1);
    let mapped = map_unlinked(&artifact, index, &bytes);
    if let Some(expected) = UNSUPPORTED {
        assert_eq!(mapped.expect_err("no mappings"), expected);
        return;
    }
    let (image, file) = mapped.expect("mapped");
    assert_eq!(image.source(), ImageSource::ArtifactFile);
    drop(file);

    let mut expected = vec![0; 20 * 65536];
    copy_into_zeroed(artifact.image(index).expect("two"), &mut expected).expect("fits");
    let image = Arc::new(image);
    let mut slot = MemorySlot::new(&SlotConfig::new(20 * 65536)).expect("room");
    slot.instantiate(Some(&image), 20 * 65536).expect("fits");
    assert!(slot.as_slice() == expected);
    slot.as_mut_slice().fill(1);
    let mut other = MemorySlot::new(&SlotConfig::new(20 * 65536)).expect("room");
    other.instantiate(Some(&image), 20 * 65536).expect("fits");
    assert!(other.as_slice() == expected);
}

#[test]
fn a_file_that_lacks_bytes_is_refused() {
    let bytes = artifact();
    let short = &bytes[..bytes.len() - 1];
    let artifact = Artifact::decode(&bytes).expect("own");
    let found = u64::try_from(short.len()).expect("small");
    let too_short = ImageError::FileTooShort {
        expected: found + 1,
        found,
    };
    let err = map_unlinked(&artifact, MemoryIndex::from_u32(1), short);
    assert_eq!(err.expect_err("short"), UNSUPPORTED.unwrap_or(too_short));
    let err = map_unlinked(&artifact, MemoryIndex::from_u32(2), short);
    assert_eq!(err.expect_err("two memories"), ImageError::NoSuchMemory);
}

#[test]
fn irregular_files_are_refused() {
    let bytes = artifact();
    let artifact = Artifact::decode(&bytes).expect("own");
    for path in ["/dev/zero", "/"] {
        let err = map_irregular(&artifact, MemoryIndex::from_u32(1), Path::new(path));
        let expected = UNSUPPORTED.unwrap_or(ImageError::NotRegular);
        assert_eq!(err.expect_err("no file"), expected, "{path}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn only_sealed_files_are_mapped_safely() {
    use std::fs::File;
    use std::io::Write as _;

    use rustix::fs::{MemfdFlags, SealFlags};
    use wasm_meminit_apply::MemoryImage;

    let has_seals = !cfg!(any(
        all(feature = "test-portable", not(feature = "test-unix")),
        all(feature = "test-unix", not(feature = "test-portable"))
    ));
    let bytes = artifact();
    let artifact = Artifact::decode(&bytes).expect("own");
    let file = rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING).expect("a file");
    let mut file = File::from(file);
    file.write_all(&bytes).expect("room");
    let index = MemoryIndex::from_u32(0);
    for seals in [SealFlags::empty(), SealFlags::WRITE, SealFlags::SHRINK] {
        // Retry while the kernel still holds on to the file's page.
        while let Err(err) = rustix::fs::fcntl_add_seals(&file, seals) {
            assert_eq!(err, rustix::io::Errno::BUSY);
        }
        let mapped = MemoryImage::map_sealed(&artifact, index, &file);
        match seals {
            SealFlags::SHRINK if has_seals => assert_eq!(mapped.expect("sealed").data_end(), 13),
            _ => assert_eq!(mapped.expect_err("not sealed"), ImageError::NotSealed),
        }
    }
}
