//! Damaged modules give an error or a module, never a panic. A damaged module that is still
//! valid gives a valid one.

use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackOptions, RewriteError, externalize, internalize, map_modules, pack,
    pack_memory, strip, strip_renumbered,
};

use wasm_meminit_test_oracle::inputs;
use wasm_meminit_test_oracle::valid::is_valid;

const NAMES_DATA: &str = r#"(module
    (type $bytes (array (mut i8)))
    (memory 1)
    (data $a (i32.const 0) "active")
    (data $p "passive")
    (data $q "another passive one")
    (func (memory.init $p (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $a))
    (func (result (ref $bytes)) (array.new_data $bytes $q (i32.const 0) (i32.const 1)))
    (func (param (ref $bytes))
      (array.init_data $bytes $p (local.get 0) (i32.const 0) (i32.const 0) (i32.const 1))))"#;

/// Applies all rewrites, if the module can be read.
fn rewrite(wasm: &[u8]) {
    let was_valid = is_valid(wasm);
    let check = |what: &str, result: Result<Vec<u8>, RewriteError>| match result {
        Ok(bytes) => assert!(!was_valid || is_valid(&bytes), "{what}: {wasm:02x?}"),
        Err(err) => assert!(
            !was_valid
                || matches!(
                    err,
                    RewriteError::NameTaken { .. }
                        | RewriteError::ImportedTwice { .. }
                        | RewriteError::Relocatable
                ),
            "{what}: {err}: {wasm:02x?}"
        ),
    };
    let packed = map_modules(wasm, &mut |it| {
        pack(it, &PackOptions::default()).map(|it| it.wasm)
    });
    check("packed", packed);
    let Ok(module) = Module::parse(wasm) else {
        return;
    };
    let plan = Plan::new(&module, &Policy::default());
    check("stripped", strip(&module, &plan));
    check("renumbered", strip_renumbered(&module, &plan));
    check("internalized", internalize(&module));
    let externalized = externalize(&module, DEFAULT_IMPORT_MODULE, &|_| "memory".to_owned());
    if module.memories().len() < 2 {
        check("externalized", externalized);
    }
    let image = Image::capture(&[1, 0, 2]).expect("small");
    for memory in module.memories().keys() {
        // This fails if the memory is imported, or too small for three bytes.
        if let Ok(packed) = pack_memory(&module, memory, image.as_ref(), 3, &PackOptions::default())
        {
            check("a captured memory", Ok(packed.wasm));
        }
    }
}

#[test]
fn every_byte_damaged() {
    let mut modules: Vec<Vec<u8>> = inputs::own_modules()
        .into_iter()
        .map(|it| it.wasm)
        .collect();
    modules.push(wat::parse_str(NAMES_DATA).expect("valid text"));
    let component = format!("(component (core {}", &NAMES_DATA[1..]) + ")";
    modules.push(wat::parse_str(component).expect("valid text"));
    for wasm in modules {
        rewrite(&wasm);
        for at in 0..wasm.len() {
            rewrite(&wasm[..at]);
            for change in [1, 2, 0x80, 0xff] {
                let mut wasm = wasm.clone();
                wasm[at] ^= change;
                rewrite(&wasm);
            }
        }
    }
}

/// All four instructions get the new indices of their segments.
#[test]
fn instructions_get_new_segment_indices() {
    let padded = format!(
        "{}(data (i32.const 40) \"\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00!\"))",
        &NAMES_DATA[..NAMES_DATA.len() - 1]
    );
    let wasm = wat::parse_str(padded).expect("valid text");
    let module = Module::parse(&wasm).expect("valid");
    let packed = pack(&module, &PackOptions::default()).expect("packed");
    assert!(packed.wasm.len() < wasm.len() && is_valid(&packed.wasm));
    let text = instructions(&packed.wasm);
    // A placeholder for the active segment, the passive ones, and the packed data.
    assert_eq!(
        text,
        [
            "memory.init 1",
            "data.drop 0",
            "array.new_data 2",
            "array.init_data 1"
        ]
    );
    let module = Module::parse(&packed.wasm).expect("valid");
    let data: Vec<&[u8]> = module.segments().values().map(|it| it.data).collect();
    assert_eq!(
        data,
        [
            &b""[..],
            b"passive",
            b"another passive one",
            b"active",
            b"!"
        ]
    );
}

/// Returns the instructions that name data segments, in order.
fn instructions(wasm: &[u8]) -> Vec<String> {
    use wasmparser::{Operator, Parser, Payload};
    let mut list = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect("valid") {
            for operator in body.get_operators_reader().expect("valid") {
                list.push(match operator.expect("valid") {
                    Operator::MemoryInit { data_index, .. } => format!("memory.init {data_index}"),
                    Operator::DataDrop { data_index } => format!("data.drop {data_index}"),
                    Operator::ArrayNewData {
                        array_data_index, ..
                    } => {
                        format!("array.new_data {array_data_index}")
                    }
                    Operator::ArrayInitData {
                        array_data_index, ..
                    } => {
                        format!("array.init_data {array_data_index}")
                    }
                    _ => continue,
                });
            }
        }
    }
    list
}
