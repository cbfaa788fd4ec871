//! Imported memories become the module's own, and exports.

use wasm_encoder::{Encode, ImportSection, MemoryType, Section};
use wasm_meminit_analysis::Module;
use wasm_meminit_analysis::wasmparser::{ExternalKind, Parser, Payload, Validator, WasmFeatures};
use wasm_meminit_image_builder::rewrite::{RewriteError, externalize, internalize};

fn rewritten(wat: &str) -> Result<Vec<u8>, RewriteError> {
    let wasm = wat::parse_str(wat).expect("valid text");
    let out = internalize(&Module::parse(&wasm).expect("valid"))?;
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&out)
        .expect("valid");
    Ok(out)
}

/// Returns the names and indices of exported memories, and the names of imports.
fn names(wasm: &[u8]) -> (Vec<(String, u32)>, Vec<String>) {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("valid") {
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.expect("valid");
                    if export.kind == ExternalKind::Memory {
                        exports.push((export.name.to_owned(), export.index));
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import.expect("valid").name.to_owned());
                }
            }
            _ => {}
        }
    }
    (exports, imports)
}

#[test]
fn memories_keep_their_indices_and_get_exports() {
    let wasm = rewritten(
        r#"(module
             (import "a" "f" (func)) (import "a" "m" (memory 2 3)) (import "b" "g" (global i32))
             (import "b" "n" (memory i64 1))
             (memory 7) (export "own" (memory 2)) (data (memory 1) (i64.const 5) "x"))"#,
    )
    .expect("rewritten");
    let module = Module::parse(&wasm).expect("valid");
    let sizes: Vec<u64> = module.memories().values().map(|it| it.ty.min).collect();
    assert_eq!(sizes, [2, 1, 7]);
    let (exports, imports) = names(&wasm);
    let all = [("own", 2), ("m", 0), ("n", 1)].map(|(name, index)| (name.to_owned(), index));
    assert_eq!(exports, all);
    assert_eq!(imports, ["f", "g"]);
}

/// The size of a page is part of the type, even where it is the usual one.
#[test]
fn types_are_kept() {
    for ty in [
        "1 2 (pagesize 65536)",
        "8 (pagesize 1)",
        "i64 1 2",
        "1 1 shared",
    ] {
        let importing = format!(r#"(module (import "a" "m" (memory {ty})))"#);
        let defining = format!(r#"(module (memory (export "m") {ty}))"#);
        let expected = wat::parse_str(defining).expect("valid text");
        assert_eq!(rewritten(&importing), Ok(expected), "{ty}");
    }
}

#[test]
fn a_name_that_is_exported_stays() {
    for (wat, expected) in [
        (
            r#"(module (import "a" "m" (memory 1)) (export "m" (memory 0)))"#,
            vec![("m".to_owned(), 0)],
        ),
        (
            r#"(module (import "a" "m" (memory 1)) (func (export "m")))"#,
            vec![],
        ),
        (
            r#"(module (import "a" "m" (memory 1)) (import "b" "m" (memory 1)))"#,
            vec![("m".to_owned(), 0)],
        ),
    ] {
        assert_eq!(
            names(&rewritten(wat).expect("rewritten")).0,
            expected,
            "{wat}"
        );
    }
}

/// Sections that do not exist are inserted where the specification wants them, or at the end.
#[test]
fn sections_are_in_order() {
    for rest in [
        "",
        "(global i32 (i32.const 1))",
        "(tag)",
        "(table 1 funcref) (func $f) (elem (i32.const 0) $f)",
        "(func $f) (start $f)",
        r#"(@custom "c" "x") (func)"#,
    ] {
        let wat = format!(r#"(module (import "a" "m" (memory 1)) {rest})"#);
        assert_eq!(
            names(&rewritten(&wat).expect("rewritten")).0.len(),
            1,
            "{rest}"
        );
    }
}

/// Regression: where nothing follows the memories, they came after the names, which are last.
#[test]
fn names_stay_last() {
    let wat = r#"(module $m (@custom "first" (before first) "x") (import "e" "m" (memory 1)))"#;
    let wasm = rewritten(wat).expect("rewritten");
    let ids = Parser::new(0).parse_all(&wasm).filter_map(|it| {
        let payload = it.expect("well formed");
        payload.as_section().map(|it| it.0)
    });
    let (custom, memory, export) = (0, 5, 7);
    assert_eq!(ids.collect::<Vec<_>>(), [custom, memory, export, custom]);
}

#[test]
fn one_name_is_one_memory() {
    let twice = r#"(module (import "a" "m" (memory 1)) (import "a" "m" (memory 1)))"#;
    let err = rewritten(twice).expect_err("the same memory");
    assert_eq!(
        err.to_string(),
        "memory 1 is imported under the name of another one"
    );
}

#[test]
fn the_inverse_of_externalize() {
    let wasm = wat::parse_str(r#"(module (memory (export "m") 1) (data (i32.const 8) "hello"))"#);
    let wasm = wasm.expect("valid text");
    let module = Module::parse(&wasm).expect("valid");
    let external = externalize(&module, "a", &|_| "m".to_owned()).expect("rewritten");
    let back = internalize(&Module::parse(&external).expect("valid"));
    assert_eq!(back, Ok(wasm));
}

/// The compact encodings of imports: many from one module, and many of one type.
#[test]
fn compact_imports() {
    let memory = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    let mut items = Vec::new();
    for (name, kind) in [("m", 2_u8), ("g", 3)] {
        name.encode(&mut items);
        items.push(kind);
        match kind {
            2 => memory.encode(&mut items),
            _ => items.extend([0x7f, 0]),
        }
    }
    let mut of_one_type = vec![];
    let mut group = |ty: &[u8], names: [&str; 2]| {
        "b".encode(&mut of_one_type);
        "".encode(&mut of_one_type);
        of_one_type.push(0x7e);
        of_one_type.extend(ty);
        2_u32.encode(&mut of_one_type);
        for name in names {
            name.encode(&mut of_one_type);
        }
    };
    group(&[2, 0, 4], ["x", "y"]);
    group(&[3, 0x7f, 0], ["p", "q"]);
    let mut contents = Vec::new();
    3_u32.encode(&mut contents);
    "a".encode(&mut contents);
    "".encode(&mut contents);
    contents.push(0x7f);
    2_u32.encode(&mut contents);
    contents.extend(items);
    contents.extend(of_one_type);
    let mut wasm = wasm_encoder::Module::HEADER.to_vec();
    wasm.push(ImportSection::new().id());
    u32::try_from(contents.len())
        .expect("short")
        .encode(&mut wasm);
    wasm.extend(contents);

    let module = Module::parse(&wasm).expect("valid");
    assert_eq!(module.n_imported_memories(), 3);
    let wasm = internalize(&module).expect("rewritten");
    Validator::new().validate_all(&wasm).expect("valid");
    let (exports, imports) = names(&wasm);
    assert_eq!(exports.len(), 3);
    assert_eq!(imports, ["g", "p", "q"]);
}
