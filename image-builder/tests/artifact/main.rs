//! The artifact against its specification: an independent decoder, golden files, every
//! way of building, forged files, and what loading reads.

extern crate alloc;

mod cursor;
mod dump;
mod encode;
mod forged;
mod format;
mod golden;
mod inputs;
mod load;
mod options;

use wasm_meminit_image_builder::Artifact;

/// Both decoders say the same, which is returned.
#[track_caller]
fn both(name: &str, bytes: &[u8]) -> format::File {
    let file = format::decode(bytes).unwrap_or_else(|err| panic!("{name}: {err}"));
    let artifact = Artifact::decode(bytes).unwrap_or_else(|err| panic!("{name}: {err}"));
    assert_eq!(dump::of_artifact(&artifact), dump::of_file(&file), "{name}");
    assert_eq!(
        encode::encode(&file).as_deref(),
        Some(bytes),
        "{name}: one encoding"
    );
    file
}
