//! Initial contents of memories, and images of them from every source.

use alloc::sync::Arc;
use core::fmt::Write as _;
use std::fs::File;

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::{ImageSource, MemoryImage};
use wasm_meminit_image_builder::{Artifact, Image, ModuleImage};

pub use crate::images::STRATEGIES;
pub use crate::numbers::Numbers;
#[cfg(target_os = "linux")]
pub use crate::sealed::sealed_file;
use crate::sys::map::map_unlinked;

/// The host page size, in bytes, of the machines that this runs on.
pub const PAGE: usize = 4096;

/// Converts a number of bytes to the libraries' type.
pub fn bytes(n: usize) -> u64 {
    u64::try_from(n).expect("small")
}

/// Returns `len` bytes, zero except for these pieces: address, length, byte.
pub fn state(len: usize, pieces: &[(usize, usize, u8)]) -> Vec<u8> {
    let mut state = vec![0; len];
    for &(at, len, byte) in pieces {
        state[at..at + len].fill(byte);
    }
    state
}

/// Creates an image of these initial contents.
///
/// # Panics
///
/// If this system does not support the source.
#[track_caller]
pub fn image(source: ImageSource, state: &[u8]) -> Arc<MemoryImage> {
    let policy = Policy::balanced(HostPageSize::KIB_4).with_max_gap(0);
    let captured = Image::capture_with(state, &policy).expect("small");
    Arc::new(match source {
        ImageSource::Heap => MemoryImage::in_heap(captured.as_ref()).expect("room"),
        ImageSource::ArtifactFile => from_artifact(state, &policy),
        _ => {
            let image = MemoryImage::new(captured.as_ref()).expect("room");
            assert!(image.is_empty() || image.source() == source);
            image
        }
    })
}

fn from_artifact(state: &[u8], policy: &Policy) -> MemoryImage {
    let artifact = artifact(state, policy);
    let decoded = Artifact::decode(&artifact).expect("just encoded");
    let index = MemoryIndex::from_u32(0);
    #[cfg(target_os = "linux")]
    match MemoryImage::map_sealed(&decoded, index, &sealed_file(&artifact)) {
        // A path without seals.
        Err(wasm_meminit_apply::ImageError::NotSealed) => {}
        mapped => return mapped.expect("sealed"),
    }
    map_unlinked(&decoded, index, &artifact).expect("mapped").0
}

/// Returns an image that is mapped from an artifact file, and the file, which can be changed:
/// for tests of what happens then.
///
/// # Panics
///
/// If no such file can be created.
pub fn image_and_file(state: &[u8]) -> (Arc<MemoryImage>, File) {
    let policy = Policy::balanced(HostPageSize::KIB_4).with_max_gap(0);
    let artifact = artifact(state, &policy);
    let decoded = Artifact::decode(&artifact).expect("just encoded");
    let index = MemoryIndex::from_u32(0);
    let (image, file) = map_unlinked(&decoded, index, &artifact).expect("mapped");
    (Arc::new(image), file)
}

/// Returns the artifact of a module whose data segments write these contents.
pub fn artifact(state: &[u8], policy: &Policy) -> Vec<u8> {
    let n_pages = state.len().div_ceil(65536);
    let mut text = format!("(module (memory {n_pages})");
    for (nth, page) in state.chunks(PAGE).enumerate() {
        let Some(last) = page.iter().rposition(|byte| *byte != 0) else {
            continue;
        };
        let first = page.iter().position(|byte| *byte != 0).expect("not empty");
        let at = nth * PAGE + first;
        write!(text, "(data (i32.const {at}) \"").expect("a string");
        for byte in &page[first..=last] {
            write!(text, "\\{byte:02x}").expect("a string");
        }
        text.push_str("\")");
    }
    text.push(')');
    let wasm = wat::parse_str(&text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let plan = Plan::new(&module, policy);
    let image = ModuleImage::build(&module, &plan).expect("small");
    image.encode().expect("small")
}

/// Compares all bytes, and reports the first that differs.
#[track_caller]
pub fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: size in bytes");
    if found != expected {
        let at = (0..found.len()).find(|&at| found[at] != expected[at]);
        let at = at.expect("they differ");
        panic!(
            "{what}: address {at:#x} holds {:#x}, expected {:#x}",
            found[at], expected[at]
        );
    }
}
