//! Modules that cannot be rewritten correctly are rejected with a specific error.

use wasm_encoder::{CustomSection, Section};
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, RewriteError, externalize, internalize,
    map_modules, pack, pack_memory, strip, strip_renumbered,
};

use crate::generated::segments;

fn with_custom(mut wasm: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let section = CustomSection {
        name: name.into(),
        data: data.into(),
    };
    section.append_to(&mut wasm);
    wasm
}

fn module(data: &str) -> Vec<u8> {
    wat::parse_str(format!("(module (memory 1) {data})")).expect("valid text")
}

/// Relocations refer to bytes of data segments. If those were stripped, a linker would write
/// past the end or into other segments.
#[test]
fn object_files() {
    for name in ["linking", "reloc.DATA", "reloc.CODE"] {
        let wasm = with_custom(module(r#"(data (i32.const 0) "relocated")"#), name, &[2]);
        let module = Module::parse(&wasm).expect("valid");
        let plan = Plan::new(&module, &Policy::default());
        let options = PackOptions::default();
        let rejected = Err(RewriteError::Relocatable);
        assert_eq!(strip(&module, &plan), rejected, "{name}");
        assert_eq!(strip_renumbered(&module, &plan), rejected, "{name}");
        assert_eq!(
            pack(&module, &options).map(|it| it.wasm),
            rejected,
            "{name}"
        );
        let names = |_| "memory".to_owned();
        let externalized = externalize(&module, DEFAULT_IMPORT_MODULE, &names);
        assert_eq!(externalized, rejected, "{name}");
        let wat = r#"(module (import "env" "memory" (memory 1)))"#;
        let importing = with_custom(wat::parse_str(wat).expect("valid text"), name, &[2]);
        let importing = Module::parse(&importing).expect("valid");
        assert_eq!(internalize(&importing), rejected, "{name}");
        let image = Image::capture(&[1]).expect("small");
        let index = MemoryIndex::from_u32(0);
        let captured = pack_memory(&module, index, image.as_ref(), 1, &options);
        assert_eq!(captured.map(|it| it.wasm), rejected, "{name}");
    }
    // If nothing is baked, nothing is stripped.
    let wasm = with_custom(module(r#"(data "passive")"#), "linking", &[2]);
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    assert_eq!(strip(&module, &plan), Ok(wasm.clone()));
}

/// The same number of segments and memories, but different bytes.
#[test]
fn another_plan() {
    let [a, b] = [r#"(data (i32.const 0) "a")"#, r#"(data (i32.const 0) "b")"#].map(module);
    let [a, b] = [&a, &b].map(|it| Module::parse(it).expect("valid"));
    let plan = Plan::new(&a, &Policy::default());
    assert!(strip(&a, &plan).is_ok());
    assert_eq!(strip(&b, &plan), Err(RewriteError::WrongPlan));
    assert_eq!(strip_renumbered(&b, &plan), Err(RewriteError::WrongPlan));
}

/// Engines accept at most 100,000 segments.
#[test]
fn more_segments_than_engines_accept() {
    let bytes = [vec![1], vec![0; 15]].concat();
    let memory = bytes.repeat(100_002);
    let image = Image::capture(&memory).expect("small");
    let index = MemoryIndex::from_u32(0);
    let packed = |n_passive: usize, max_segments| {
        let wasm = segments(1, []);
        let mut data = wasm_encoder::DataSection::new();
        (0..n_passive).for_each(|_| {
            data.passive([]);
        });
        let mut wasm = wasm[..wasm.len() - 3].to_vec(); // an empty data section
        data.append_to(&mut wasm);
        let module = Module::parse(&wasm).expect("valid");
        let options = PackOptions::default()
            .with_objective(PackFor::Size)
            .with_max_segments(max_segments);
        pack_memory(&module, index, image.as_ref(), 0, &options)
            .map(|it| (it.after.segments, Module::parse(&it.wasm).is_ok()))
    };
    assert_eq!(packed(0, usize::MAX), Ok((100_000, true)));
    assert_eq!(packed(99_999, usize::MAX), Ok((100_000, true)));
    let n_segments = 100_001;
    let too_many = RewriteError::TooManySegments { n_segments };
    assert_eq!(packed(100_000, usize::MAX), Err(too_many));
    assert_eq!(packed(100_000, 0), Err(too_many));
}

/// Malformed data names are removed from a name section, and function names are kept.
#[test]
fn stale_names() {
    // Functions: 0 is "f". Data segments: 0 is "a" and 1 is "b".
    let functions = [1, 4, 1, 0, 1, b'f'];
    let data = [9, 7, 2, 0, 1, b'a', 1, 1, b'b'];
    let wasm = wat::parse_str(
        r#"(module (memory 1) (func)
             (data (i32.const 5) "") (data (i32.const 0) "long enough to be kept"))"#,
    )
    .expect("valid text");
    let names = |packed: &[u8]| {
        let parser = wasmparser::Parser::new(0);
        let section = parser.parse_all(packed).find_map(|it| match it {
            Ok(wasmparser::Payload::CustomSection(it)) if it.name() == "name" => {
                Some(it.data().to_vec())
            }
            _ => None,
        });
        section.expect("a name section")
    };
    let packed = |names: &[u8]| {
        let wasm = with_custom(wasm.clone(), "name", names);
        let module = Module::parse(&wasm).expect("valid");
        let packed = pack(&module, &PackOptions::default()).expect("packed");
        assert_eq!(packed.after.segments, 1);
        packed.wasm
    };
    let whole = packed(&[&functions[..], &data].concat());
    assert_eq!(names(&whole), functions, "replaced segments have no names");
    let mut broken = data;
    broken[2] = 3; // one more name than there is
    let rest = [7, 4, 1, 0, 1, b'g'];
    let got = packed(&[&functions[..], &broken, &rest].concat());
    assert_eq!(names(&got), [functions, rest].concat());
    // A subsection that runs past the end of the section.
    let got = packed(&[&functions[..], &[9, 70, 2, 0, 1, b'a']].concat());
    assert_eq!(names(&got), functions);
}

/// Any bytes, even some that would be stale names in a name section.
#[test]
fn other_custom_sections_are_kept() {
    let wasm =
        module(r#"(data (i32.const 5) "") (data (i32.const 0) "the only one that is left")"#);
    let data = [9, 7, 2, 0, 1, b'a', 1, 1, b'b', 0xff];
    let section = [&[0, 16, 5][..], b"other", &data].concat();
    let wasm = with_custom(wasm, "other", &data);
    assert!(wasm.ends_with(&section));
    let module = Module::parse(&wasm).expect("valid");
    let packed = pack(&module, &PackOptions::default()).expect("packed");
    assert_eq!(packed.after.segments, 1);
    assert!(packed.wasm.ends_with(&section));
}

/// Replaces each module by itself.
fn same(wasm: &[u8]) -> Result<Vec<u8>, RewriteError> {
    map_modules(wasm, &mut |it| {
        it.binary()
            .map(<[u8]>::to_vec)
            .ok_or(RewriteError::NoBinary)
    })
}

/// Their sizes are longer than needed, as linkers write them.
#[test]
fn padded_sizes_of_nested_binaries_are_kept() {
    const MODULE: &[u8] = b"\x01\x88\x80\0\0asm\x01\0\0\0";
    let outer = b"\0asm\x0d\0\x01\0\x04\xa0\x80\x80\x80\0\0asm\x0d\0\x01\0";
    for n in 2..4 {
        let wasm = [outer, MODULE.repeat(n).as_slice()].concat();
        assert_eq!(same(&wasm), Ok(wasm));
    }
}

/// Regression: a module that became shorter than 128 bytes had a size of two bytes.
#[test]
fn sizes_of_changed_modules_are_not_padded() {
    let text = format!(
        r#"(component (component (core module (memory 1) (data (i32.const 0) "{}"))))"#,
        "x".repeat(200)
    );
    let wasm = wat::parse_str(text).expect("valid text");
    let empty = |_: &Module<'_>| Ok::<_, RewriteError>(b"\0asm\x01\0\0\0".to_vec());
    let expected = wat::parse_str("(component (component (core module)))").expect("valid text");
    assert_eq!(map_modules(&wasm, &mut { empty }), Ok(expected));
}

/// Rewriting a component calls itself for each level.
#[test]
fn components_nested_too_deeply() {
    let component = |n_levels: usize| {
        let nested = "(component ".repeat(n_levels);
        let text = format!("{nested}(core module){}", ")".repeat(n_levels));
        wat::parse_str(text).expect("valid text")
    };
    let deepest = component(64);
    assert_eq!(same(&deepest), Ok(deepest));
    assert_eq!(same(&component(65)), Err(RewriteError::TooDeep));
}
