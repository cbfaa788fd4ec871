//! Modules that consist of many small items: the worst case for parsing.

use wasm_encoder::{
    ConstExpr, DataSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType,
    RefType, TableSection, TableType, ValType,
};
use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;

use crate::{Tally, alone, measured};

/// What `Module::parse` promises for any module: at most this many bytes of memory for each
/// byte of input …
const EACH_BYTE: usize = 32;

/// … and this many for each data segment.
const EACH_SEGMENT: usize = 160;

/// As many small items as a module can have, and a count just above a power of two, at which a
/// growing list wastes the most.
#[test]
fn dense_modules() {
    let _alone = alone();
    let mut tally = Tally::default();
    for (name, n, section) in DENSE_SECTIONS {
        let mut wasm = wasm_encoder::Module::new();
        section(*n, &mut wasm);
        let wasm = wasm.finish();
        let (module, allocated) = measured(|| Module::parse(&wasm));
        let module = module.unwrap_or_else(|err| panic!("{name}: {err}"));
        let budget = EACH_BYTE * wasm.len() + EACH_SEGMENT * module.segments().len();
        tally
            .spend(name, allocated, budget, wasm.len())
            .unwrap_or_else(|err| panic!("{err}"));
        let (plan, allocated) = measured(|| Plan::new(&module, &Policy::default()));
        tally
            .spend(name, allocated, 2 * budget, wasm.len())
            .unwrap_or_else(|err| panic!("{err}"));
        ModuleImage::build(&module, &plan).unwrap_or_else(|err| panic!("{name}: {err}"));
        tally.n_inputs += 1;
    }
    tally.report("dense modules");
}

/// A name, a count, and a function that adds as many small items to a module.
type DenseSection = (&'static str, u32, fn(u32, &mut wasm_encoder::Module));

const ABOVE: u32 = (1 << 19) + 1;

const DENSE_SECTIONS: &[DenseSection] = &[
    ("passive segments", 100_000, |n, wasm| {
        let mut data = DataSection::new();
        for _ in 0..n {
            data.passive([]);
        }
        wasm.section(&data);
    }),
    (
        "passive segments, one too many",
        (1 << 16) + 1,
        |n, wasm| {
            let mut data = DataSection::new();
            for _ in 0..n {
                data.passive([]);
            }
            wasm.section(&data);
        },
    ),
    ("empty segments", 100_000, |n, wasm| {
        active(n, |_| 0, &[], wasm);
    }),
    ("one byte on every tenth page", 100_000, |n, wasm| {
        active(n, |nth| nth * 40_960, &[1], wasm);
    }),
    ("overlapping segments, downwards", 100_000, |n, wasm| {
        active(n, |nth| 100_000 - nth, &[1, 2], wasm);
    }),
    ("globals", ABOVE, |n, wasm| {
        let mut globals = GlobalSection::new();
        let init = ConstExpr::i32_const(0);
        for _ in 0..n {
            globals.global(I32, &init);
        }
        wasm.section(&globals);
    }),
    ("imported globals", ABOVE, |n, wasm| {
        let mut imports = ImportSection::new();
        for _ in 0..n {
            imports.import("", "", I32);
        }
        wasm.section(&imports);
    }),
    ("globals that depend on an import", ABOVE, |n, wasm| {
        wasm.section(ImportSection::new().import("", "", I32));
        let mut globals = GlobalSection::new();
        let init = ConstExpr::global_get(0);
        for _ in 0..n {
            globals.global(I32, &init);
        }
        wasm.section(&globals);
    }),
    ("tables", ABOVE, |n, wasm| {
        let mut tables = TableSection::new();
        let table = TableType {
            element_type: RefType::FUNCREF,
            minimum: 0,
            maximum: None,
            table64: false,
            shared: false,
        };
        for _ in 0..n {
            tables.table(table);
        }
        wasm.section(&tables);
    }),
];

const I32: GlobalType = GlobalType {
    val_type: ValType::I32,
    mutable: false,
    shared: false,
};

/// Adds `n` active segments of a 4 GiB memory.
fn active(n: u32, addr: fn(u32) -> u32, bytes: &[u8], wasm: &mut wasm_encoder::Module) {
    wasm.section(MemorySection::new().memory(MemoryType {
        minimum: 1 << 16,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }));
    let mut data = DataSection::new();
    for nth in 0..n {
        let offset = ConstExpr::i32_const(addr(nth).cast_signed());
        data.active(0, &offset, bytes.iter().copied());
    }
    wasm.section(&data);
}
