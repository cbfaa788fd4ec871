//! Golden artifacts and their dumps. `BLESS=1` rewrites them, as needed for a
//! new format version.

use std::path::PathBuf;

use wasm_meminit_image_builder::{Artifact, DecodeError, FORMAT_VERSION};

use crate::inputs::recipes;
use crate::{both, dump};

fn path(name: &str, extension: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/artifact/golden");
    directory.join(format!("v{FORMAT_VERSION}-{name}.{extension}"))
}

#[test]
fn golden_artifacts_do_not_change() {
    for (name, wasm, recipe) in recipes() {
        let built = recipe.build(&wasm).expect("small");
        let text = dump::of_file(&both(name, &built));
        let (binary, expected) = (path(name, "wmi"), path(name, "txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&binary, &built).expect("writable");
            std::fs::write(&expected, &text).expect("writable");
        }
        let golden = std::fs::read(&binary).expect("the golden artifact");
        let expected = std::fs::read_to_string(&expected).expect("the golden dump");
        assert_eq!(dump::of_file(&both(name, &golden)), expected, "{name}");
        assert_eq!(text, expected, "{name}");
        assert!(
            built == golden,
            "{name}: different bytes with the same meaning"
        );
    }
}

/// Together, the golden files use every field.
#[test]
fn golden_artifacts_use_every_variant() {
    let mut all = String::new();
    for (_, wasm, recipe) in recipes() {
        let built = recipe.build(&wasm).expect("small");
        all += &dump::of_artifact(&Artifact::decode(&built).expect("own"));
    }
    for part in [
        "elements may trap true",
        "elements may trap false",
        "policy single",
        "policy gap",
        "fresh true",
        "fresh false",
        "start unchanged",
        "start already-initialized\n",
        "start already-initialized-tls",
        "start writes-stripped",
        "is I32(",
        "is I64(",
        "is zero",
        " has ",
        "done true",
        "done false",
        "tls Some",
        "tls None",
        "i64 true",
        "shared true",
        "imported true",
        "byte pages true",
        "max Some",
        "max None",
        "at I32(",
        "at I64(",
        "at expr ",
    ] {
        assert!(all.contains(part), "no dump contains {part:?}");
    }
}

#[test]
fn the_error_for_version_2_names_both_versions() {
    let (_, wasm, recipe) = recipes().remove(0);
    let mut bytes = recipe.build(&wasm).expect("small");
    bytes[8] = 2;
    let err = Artifact::decode(&bytes).expect_err("another version");
    assert_eq!(
        err,
        DecodeError::Version {
            found: 2,
            supported: 3
        }
    );
    let text = err.to_string();
    assert!(
        text.contains("version 2") && text.contains("version 3"),
        "{text}"
    );
}
