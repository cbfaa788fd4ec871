//! Programs that name data segments are run in an engine before and after rewriting, and
//! observe the same through `memory.init` and `data.drop`.

use core::fmt::Write as _;

use proptest::prelude::*;
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackOptions, Packed, externalize, pack, strip_renumbered,
};
use wasmi::{Engine, Extern, Func, Global, Linker, Memory, MemoryType, Mutability, Ref, Store};
use wasmi::{RefType, Table, TableType, Val};

use wasm_meminit_test_oracle::valid::is_valid;

#[derive(Clone, Debug)]
enum Mode {
    Passive,
    Active(u16),
    /// At the value of an imported global.
    Dynamic,
}

#[derive(Clone, Debug)]
struct Case {
    segments: Vec<(Mode, Vec<u8>)>,
    /// Which segments function bodies name.
    used: Vec<usize>,
    /// The global's value: in bounds or not.
    base: i32,
    /// Whether an element segment traps after the functions have leaked.
    elements_trap: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let mode = prop_oneof![
        2 => Just(Mode::Passive),
        5 => (0_u16..100).prop_map(Mode::Active),
        1 => Just(Mode::Dynamic),
    ];
    let bytes = prop_oneof![
        prop::collection::vec(0_u8..3, 0..20),
        (1_usize..4, 5_usize..30).prop_map(|(n, gap)| {
            (0..n)
                .flat_map(|_| [vec![7], vec![0; gap], vec![8]].concat())
                .collect()
        }),
    ];
    (
        prop::collection::vec((mode, bytes), 1..8),
        prop::collection::vec(0_usize..8, 0..4),
        prop_oneof![4 => 0..200, 1 => Just(65_536)],
        prop::bool::weighted(0.15),
    )
        .prop_map(|(segments, used, base, elements_trap)| Case {
            used: used.into_iter().map(|it| it % segments.len()).collect(),
            segments,
            base,
            elements_trap,
        })
}

impl Case {
    /// Functions 0 to 2 read the memory; two more follow for each use.
    fn wat(&self) -> String {
        let mut text = String::from(
            r#"(module
            (import "env" "table" (table 40 funcref))
            (import "env" "base" (global $base i32))
            (memory 1)
            (func $load (param i32 i32 i32) (result i32) (i32.load8_u (local.get 0)))
            "#,
        );
        let mut functions = String::from("$load ");
        for (nth, segment) in self.used.iter().enumerate() {
            let _ = write!(
                text,
                "(func $init{nth} (param i32 i32 i32) (result i32)
                    (memory.init {segment} (local.get 0) (local.get 1) (local.get 2))
                    (i32.const 0))
                 (func $drop{nth} (param i32 i32 i32) (result i32)
                    (data.drop {segment}) (i32.const 0))"
            );
            let _ = write!(functions, "$init{nth} $drop{nth} ");
        }
        let _ = write!(text, "(elem (i32.const 0) func {functions})");
        if self.elements_trap {
            text.push_str("(elem (i32.const 40) func $load)");
        }
        for (nth, (mode, bytes)) in self.segments.iter().enumerate() {
            let bytes: String = bytes.iter().map(|it| format!("\\{it:02x}")).collect();
            let offset = match mode {
                Mode::Passive => String::new(),
                Mode::Active(at) => format!("(i32.const {at})"),
                Mode::Dynamic => "(global.get $base)".to_owned(),
            };
            let _ = write!(text, "(data $d{nth} {offset} \"{bytes}\")");
        }
        text.push(')');
        text
    }

    /// Returns what a program could observe: the result of each function, and each byte.
    fn run(&self, wasm: &[u8]) -> Vec<String> {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let module = wasmi::Module::new(&engine, wasm).expect("valid");
        let table = Table::new(
            &mut store,
            TableType::new(RefType::Func, 40, None),
            Ref::null(RefType::Func),
        );
        let table = table.expect("small");
        let base = Global::new(&mut store, Val::I32(self.base), Mutability::Const);
        let externs = [Extern::Table(table), Extern::Global(base)];
        let made = wasmi::Instance::new(&mut store, &module, &externs);
        let mut seen = vec![format!("{}", made.is_ok())];
        if made.is_err() {
            // This engine cannot call functions that a trapped instance left in the table.
            return seen;
        }
        let mut call = |nth: usize, args: [i32; 3]| {
            let func = match table.get(&store, nth as u64) {
                Some(Ref::Func(func)) => func.val().copied(),
                _ => None,
            };
            let Some(func) = func else {
                return "none".to_owned();
            };
            let func: Func = func;
            let mut results = [Val::I32(0)];
            match func.call(&mut store, &args.map(Val::I32), &mut results) {
                Ok(()) => format!("{:?}", results[0].i32()),
                Err(err) => err.to_string(),
            }
        };
        for nth in 0..self.used.len() {
            for len in [0, 1, 5, 30] {
                seen.push(call(2 * nth + 1, [1000 + 40 * nth as i32, 0, len]));
            }
        }
        for nth in 0..self.used.len() {
            seen.push(call(2 * nth + 2, [0; 3]));
            for again in 0..self.used.len() {
                seen.push(call(2 * again + 1, [2000, 0, 1]));
            }
        }
        for addr in (0..320).chain(1000..1200).chain(2000..2001) {
            seen.push(call(0, [addr, 0, 0]));
        }
        seen
    }
}

fn packed(wasm: &[u8]) -> Packed {
    let module = Module::parse(wasm).expect("valid");
    pack(&module, &PackOptions::default()).expect("packed")
}

fn check(case: &Case) {
    let wasm = wat::parse_str(case.wat()).expect("valid text");
    let packed = packed(&wasm);
    assert!(packed.wasm.len() <= wasm.len() && is_valid(&packed.wasm));
    assert_eq!(
        case.run(&packed.wasm),
        case.run(&wasm),
        "packed\n{}",
        case.wat()
    );
}

proptest! {
    #[test]
    fn programs_observe_the_same(case in cases()) {
        check(&case);
    }
}

#[test]
fn segments_of_every_kind_are_named() {
    let case = |segments: &[(Mode, &[u8])], base, elements_trap| Case {
        segments: segments
            .iter()
            .map(|(mode, bytes)| (mode.clone(), bytes.to_vec()))
            .collect(),
        used: (0..segments.len()).collect(),
        base,
        elements_trap,
    };
    let long = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let segments: &[(Mode, &[u8])] = &[
        (Mode::Active(0), &[0; 20]),
        (Mode::Active(0), &long),
        (Mode::Passive, b"first"),
        (Mode::Active(17), &long),
        (Mode::Dynamic, b"where"),
        (Mode::Active(50), b"after!"),
        (Mode::Passive, b"second"),
    ];
    for base in [30, 70_000] {
        for elements_trap in [false, true] {
            check(&case(segments, base, elements_trap));
        }
    }
    // Indices with two-byte encodings become smaller ones of the same length.
    let mut many = vec![(Mode::Active(7), &b"again"[..]); 150];
    many.extend_from_slice(segments);
    check(&Case {
        used: vec![0, 149, 150, 152, 154, 156],
        ..case(&many, 30, false)
    });
    let wasm = wat::parse_str(case(segments, 0, false).wat()).expect("valid text");
    assert!(packed(&wasm).wasm.len() < wasm.len(), "nothing was packed");
}

/// An engine without support for images starts from one: the host creates the memory.
#[test]
fn an_engine_starts_from_an_image() {
    let wasm = wat::parse_str(
        r#"(module
             (memory (export "memory") 2 3)
             (data (i32.const 5000) "\01\02\03\04")
             (data (i32.const 100000) "far")
             (data $passive "passive")
             (func (export "sum") (result i32)
               (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 7))
               (i32.add (i32.load (i32.const 5000)) (i32.load8_u (i32.const 100002)))))"#,
    )
    .expect("valid text");
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("small");
    let stripped = strip_renumbered(&module, &plan).expect("stripped");
    let stripped = Module::parse(&stripped).expect("valid");
    assert_eq!(stripped.segments().len(), 1);
    let rewritten = externalize(&stripped, DEFAULT_IMPORT_MODULE, &|nth| {
        format!("memory{}", nth.as_u32())
    });

    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let memory = Memory::new(&mut store, MemoryType::new(2, Some(3))).expect("small");
    let image = image.image(MemoryIndex::from_u32(0)).expect("one memory");
    for run in image.runs() {
        let at = usize::try_from(run.addr).expect("small");
        memory.data_mut(&mut store)[at..at + run.data.len()].copy_from_slice(&run.data);
    }
    let mut linker = <Linker<()>>::new(&engine);
    linker
        .define(DEFAULT_IMPORT_MODULE, "memory0", memory)
        .expect("once");
    let module = wasmi::Module::new(&engine, rewritten.expect("externalized")).expect("valid");
    let instance = linker
        .instantiate_and_start(&mut store, &module)
        .expect("instantiated");
    let sum = instance
        .get_typed_func::<(), i32>(&store, "sum")
        .expect("exported");
    let expected = 0x0403_0201 + i32::from(b'r');
    assert_eq!(sum.call(&mut store, ()).expect("no trap"), expected);
    assert_eq!(memory.data(&store)[..7], *b"passive");
}

/// One memory is imported under two names: the order of writes through both is kept.
#[test]
fn imports_may_be_one_memory() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "memory" (memory $a 1))
             (import "env" "memory" (memory $b 1))
             (data (memory $a) (i32.const 0) "first")
             (data (memory $b) (i32.const 0) "second")
             (data (memory $a) (i32.const 5) "third"))"#,
    )
    .expect("valid text");
    let run = |wasm: &[u8]| {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("small");
        let module = wasmi::Module::new(&engine, wasm).expect("valid");
        let externs = [Extern::Memory(memory), Extern::Memory(memory)];
        wasmi::Instance::new(&mut store, &module, &externs).expect("no trap");
        memory.data(&store)[..16].to_vec()
    };
    assert_eq!(run(&wasm)[..10], *b"seconthird");
    assert_eq!(run(&packed(&wasm).wasm), run(&wasm));
}

/// A start function that copies passive segments uses their new indices and is still
/// recognised: the image is the same.
#[test]
fn a_start_function_writes_the_same() {
    let text = include_str!("../modules/threads.wat");
    let more = r#"(memory $other 1)
        (data (memory $other) (i32.const 0) "joined ")
        (data (memory $other) (i32.const 7) "segments")
        (data $rodata"#;
    let text = text.replacen("(data $rodata", more, 1);
    let wasm = wat::parse_str(text).expect("valid text");
    let packed = packed(&wasm);
    assert_eq!((packed.before.segments, packed.after.segments), (5, 4));
    assert!(is_valid(&packed.wasm));
    let images = |wasm: &[u8]| {
        let policy = Policy::default()
            .with_zeroed_imports(true)
            .with_start_function(StartFunction::AlreadyInitializedTls);
        let module = Module::parse(wasm).expect("valid");
        let plan = Plan::new(&module, &policy);
        assert!(plan.start().is_ok(), "{:?}", plan.start());
        let image = ModuleImage::build(&module, &plan).expect("small");
        [0, 1].map(|nth| {
            let image = image.image(MemoryIndex::from_u32(nth)).expect("a memory");
            let runs = image.runs();
            runs.map(|run| (run.addr, run.data.to_vec()))
                .collect::<Vec<_>>()
        })
    };
    let expected = images(&wasm);
    assert!(expected.iter().all(|runs| !runs.is_empty()));
    assert_eq!(images(&packed.wasm), expected);
}
