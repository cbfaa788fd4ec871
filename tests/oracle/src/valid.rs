//! Which modules are valid, so that their instantiation is defined.

use core::ops::Range;

use wasmparser::{Parser, Validator, WasmFeatures};

/// Whether a module is valid with every feature. Custom sections may be malformed; function
/// bodies are validated too.
pub fn is_valid(wasm: &[u8]) -> bool {
    is_valid_with(WasmFeatures::all(), wasm)
}

/// The same without the proposal that adds shared globals, tables and functions, which no engine
/// that the tests use has.
pub fn is_valid_unshared(wasm: &[u8]) -> bool {
    let all = WasmFeatures::all();
    is_valid_with(all - WasmFeatures::SHARED_EVERYTHING_THREADS, wasm)
}

fn is_valid_with(features: WasmFeatures, wasm: &[u8]) -> bool {
    Validator::new_with_features(features)
        .validate_all(wasm)
        .is_ok()
}

/// Whether a module made from a valid one is valid. Function bodies are not validated again if
/// everything that their validity depends on is the same: all sections but data and custom ones.
pub fn is_valid_rewrite(original: &[u8], wasm: &[u8]) -> bool {
    match (dependencies(original), dependencies(wasm)) {
        (Some(before), Some(after)) if before == after => without_bodies(wasm).is_some(),
        _ => is_valid(wasm),
    }
}

const CUSTOM: u8 = 0;
const DATA: u8 = 11;

/// Returns the sections that the validity of function bodies depends on, and theirs.
fn dependencies(wasm: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let section: Option<(u8, Range<u64>)> = payload.ok()?.as_section();
        if let Some((id, range)) = section
            && !matches!(id, CUSTOM | DATA)
        {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            sections.push((id, wasm.get(range)?));
        }
    }
    Some(sections)
}

fn without_bodies(wasm: &[u8]) -> Option<()> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    for payload in Parser::new(0).parse_all(wasm) {
        // A body is returned, to be validated.
        drop(validator.payload(&payload.ok()?).ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "(func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))";

    fn wasm(memory: &str, data: &str, body: &str) -> Vec<u8> {
        wat::parse_str(format!("(module {memory} {data} {body})")).expect("well formed")
    }

    #[test]
    fn shared_globals_are_a_proposal() {
        for (global, is_shared) in [("(mut i64)", false), ("(shared mut i64)", true)] {
            let text = format!("(module (global {global} (i64.const 0)))");
            let wasm = wat::parse_str(text).expect("well formed");
            assert!(is_valid(&wasm));
            assert_eq!(is_valid_unshared(&wasm), !is_shared);
        }
    }

    #[test]
    fn a_rewrite_is_as_valid_as_it_is_alone() {
        let original = wasm("(memory 1)", r#"(data "a")"#, BODY);
        assert!(is_valid(&original));
        for (memory, data, body) in [
            ("(memory 1)", r#"(data "longer")"#, BODY),
            ("(memory 1)", r#"(data (i32.const 8) "active")"#, BODY),
            // The address has the wrong type, the data count another value.
            ("(memory 1)", r#"(data (i64.const 8) "active")"#, BODY),
            ("(memory i64 1)", r#"(data "a")"#, BODY),
            ("", r#"(data "a")"#, BODY),
            ("(memory 1)", r#"(data "a")"#, "(func (data.drop 1))"),
            (
                "(memory 1)",
                r#"(data "a") (data "b")"#,
                "(func (data.drop 1))",
            ),
            ("(memory 1)", r#"(data "a")"#, "(func (i32.add))"),
        ] {
            let wasm = wasm(memory, data, body);
            assert_eq!(
                is_valid_rewrite(&original, &wasm),
                is_valid(&wasm),
                "{memory} {data} {body}"
            );
        }
        assert!(!is_valid_rewrite(
            &original,
            &original[..original.len() - 1]
        ));
        assert!(!is_valid_rewrite(&original, b"\0asm"));
    }
}
