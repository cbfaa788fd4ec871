//! Tests artifacts against their specification: an independent decoder, golden files, all
//! build options, forged files, and partial loading.

extern crate alloc;

mod bundle;
mod combinations;
mod cursor;
mod dump;
mod encode;
mod forged;
mod format;
mod golden;
mod inputs;
mod limits;
mod load;
mod options;
#[cfg(feature = "verify")]
mod unlisted;

use wasm_meminit_image_builder::Artifact;

/// Checks that both decoders agree, and returns the result.
#[track_caller]
fn both(name: &str, bytes: &[u8]) -> format::File {
    let file = format::decode(bytes).unwrap_or_else(|err| panic!("{name}: {err}"));
    let artifact = Artifact::decode(bytes).unwrap_or_else(|err| panic!("{name}: {err}"));
    assert_eq!(dump::of_artifact(&artifact), dump::of_file(&file), "{name}");
    assert_eq!(
        encode::encode(&file).as_deref(),
        Some(bytes),
        "{name}: the encoding is unique"
    );
    file
}
