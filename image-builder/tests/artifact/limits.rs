//! Artifacts at the limits and one above them, with correct lengths and checksums, for both
//! decoders. `docs/limits.md` lists all limits.

use wasm_meminit_analysis::limits::{MAX_DATA_SEGMENTS, MAX_MEMORIES};
use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::{Artifact, DecodeError, ModuleImage, Part};

use crate::encode::encode;
use crate::format::{self, File, Memory};

/// An artifact of a module with two runs and two segments to replay.
fn file() -> File {
    let wasm = wat::parse_str(
        r#"(module (import "e" "g" (global $g i32)) (memory 2)
             (data (i32.const 0) "first") (data (i32.const 0x10000) "second")
             (data (global.get $g) "third") (data (global.get $g) "fourth"))"#,
    );
    let wasm = wasm.expect("valid text");
    let module = Module::parse(&wasm).expect("a module");
    let plan = Plan::new(&module, &Policy::smallest(HostPageSize::KIB_4));
    let image = ModuleImage::build(&module, &plan).expect("small");
    format::decode(&image.encode().expect("small")).expect("own")
}

/// Checks that both decoders accept the artifact.
#[track_caller]
fn accepted(file: &File) {
    let bytes = encode(file).expect("small");
    assert!(format::decode(&bytes).is_ok());
    assert!(Artifact::decode(&bytes).is_ok());
}

/// Checks that both decoders refuse the artifact because of this part.
#[track_caller]
fn refused(file: &File, part: Part) {
    let bytes = encode(file).expect("small");
    assert!(format::decode(&bytes).is_err());
    let error = Artifact::decode(&bytes).map(drop);
    assert_eq!(error, Err(DecodeError::Invalid { part }));
}

#[test]
fn memories() {
    let mut file = file();
    let empty = Memory {
        flags: 0,
        min: 0,
        max: None,
        runs: Vec::new(),
    };
    file.memories.resize(MAX_MEMORIES, empty.clone());
    accepted(&file);
    file.memories.push(empty);
    refused(&file, Part::Header);
}

/// No module has a segment with that index.
#[test]
fn segments_to_replay() {
    let mut file = file();
    let last = u32::try_from(MAX_DATA_SEGMENTS).expect("small") - 1;
    file.replay.last_mut().expect("two").segment = last;
    accepted(&file);
    file.replay.last_mut().expect("two").segment = last + 1;
    refused(&file, Part::Replay);
}

/// The limits that the artifact's own policy states.
#[test]
fn runs_and_images() {
    let mut file = file();
    let bytes = file.memories[0].runs.iter().map(|it| it.data.len() as u64);
    let bytes: u64 = bytes.sum();
    assert_eq!((file.memories[0].runs.len(), bytes), (2, 0x2000));
    for (max_runs, max_image, is_within) in
        [(2, 0x2000, true), (1, 0x2000, false), (2, 0x1fff, false)]
    {
        file.policy.layout = format::Layout::Many {
            max_gap: 0,
            max_runs,
        };
        file.policy.max_image = max_image;
        match is_within {
            true => accepted(&file),
            false => refused(&file, Part::Runs),
        }
    }
}
