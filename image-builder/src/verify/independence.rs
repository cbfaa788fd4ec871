//! The verifier takes nothing from the rest of the crate except what describes an artifact: it
//! must not repeat a mistake of the builder.

use alloc::vec::Vec;
use std::fs;
use std::path::Path;

/// What describes an artifact.
const ALLOWED: &[&str] = &["Artifact", "BakedStart", "SourceHash"];

/// Returns the names that a file imports from the crate, outside of this module and of tests.
fn imports(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.split("#[cfg(all(test").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter_map(|line| line.trim().split_once("crate::"));
    let names = lines.flat_map(|(_, rest)| rest.split([',', '{', '}', ';', ' ']));
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn only_the_artifact_is_shared() {
    assert_eq!(
        imports("use crate::{Artifact, splice::Splicer};\n#[cfg(test)]\nuse crate::x;"),
        ["Artifact", "splice::Splicer"]
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify");
    let mut n_imports = 0;
    for entry in fs::read_dir(folder).expect("exists") {
        let path = entry.expect("listed").path();
        // This file.
        if path.ends_with("independence.rs") {
            continue;
        }
        for name in imports(&fs::read_to_string(&path).expect("readable")) {
            assert!(ALLOWED.contains(&name), "{}: {name}", path.display());
            n_imports += 1;
        }
    }
    assert_ne!(n_imports, 0);
}
