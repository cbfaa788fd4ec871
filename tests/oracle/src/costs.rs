//! What reading and rewriting may allocate, in bytes: the promises of `docs/limits.md`.

use wasm_meminit_analysis::limits::MAX_MODULES;
use wasmparser::{Imports, Parser, Payload};

/// Parsing, for each byte of a module or component …
pub const EACH_BYTE: usize = 32;

/// … for each data segment and each import of a compact group …
pub const EACH_SEGMENT: usize = 160;

/// … and for each core module of a component.
pub const EACH_MODULE: usize = 256;

/// Decoding an artifact or a bundle, for each byte of it; and parsing a module that is not made of
/// tiny items.
pub const USUAL: usize = 4;

/// Decoding a bundle, in addition for each artifact.
pub const EACH_ARTIFACT: usize = 1 << 10;

/// Rewriting a module, for each byte of it, with the result …
pub const EACH_REWRITTEN_BYTE: usize = 32;

/// … and for each data segment.
pub const EACH_REWRITTEN_SEGMENT: usize = 160;

/// Replacing the modules of a component by themselves, for each byte of it, with the result.
pub const EACH_COPIED_BYTE: usize = 8;

/// All of these, in addition for any input.
pub const CONSTANT: usize = 16 << 10;

/// The shortest section with a core module, and the shortest artifact with its entry in a bundle.
const SHORTEST_MODULE: usize = 10;
const SHORTEST_ARTIFACT: usize = 40;

/// Returns what parsing these bytes may allocate, whether or not they are accepted.
pub fn of_parsing(wasm: &[u8]) -> usize {
    let (mut n_small, mut n_modules) = (0, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else {
            // It hides the modules after it, for which there may be room in the list.
            n_modules = (wasm.len() / SHORTEST_MODULE).min(MAX_MODULES);
            break;
        };
        n_small += match payload {
            // A declared number is not believed: a segment takes two bytes.
            Payload::DataSection(it) => {
                let n_bytes = it.range().end - it.range().start;
                u64::from(it.count()).min(n_bytes / 2)
            }
            Payload::ImportSection(it) => {
                let n_bytes = it.range().end - it.range().start;
                let groups = it.into_iter().map_while(Result::ok);
                let sizes = groups.map(|it| match it {
                    Imports::Single(..) => 0,
                    Imports::Compact1 { items, .. } => items.count().into(),
                    Imports::Compact2 { names, .. } => names.count().into(),
                });
                sizes.sum::<u64>().min(n_bytes)
            }
            Payload::ModuleSection { .. } => {
                n_modules += 1;
                0
            }
            _ => 0,
        };
    }
    let n_small = usize::try_from(n_small).expect("in the input");
    CONSTANT + EACH_BYTE * wasm.len() + EACH_SEGMENT * n_small + EACH_MODULE * n_modules
}

/// Returns what decoding a bundle may allocate, whether or not it is accepted.
pub fn of_bundle(bytes: &[u8]) -> usize {
    let n = bytes
        .get(12..16)
        .map_or(0, |it| u32::from_le_bytes([it[0], it[1], it[2], it[3]]));
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let n_artifacts = n.min(bytes.len() / SHORTEST_ARTIFACT);
    CONSTANT + USUAL * bytes.len() + EACH_ARTIFACT * n_artifacts
}
