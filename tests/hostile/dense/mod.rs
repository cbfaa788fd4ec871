//! Inputs that consist of many small items: the worst case for parsing and rewriting.

mod components;
mod rewrites;

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, RefType, TableSection,
    TableType, TypeSection, ValType,
};
use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;

use wasm_meminit_test_oracle::costs::{EACH_BYTE, EACH_SEGMENT};

use crate::{Tally, alone, measured};

/// As many small items as a module can have, and a count just above a power of two, at which a
/// growing list wastes the most.
#[test]
fn dense_modules() {
    let _alone = alone();
    let mut tally = Tally::default();
    for (name, wasm) in modules() {
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

/// Returns a module for each kind of item.
fn modules() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    DENSE_SECTIONS.iter().map(|(name, n, section)| {
        let mut wasm = wasm_encoder::Module::new();
        section(*n, &mut wasm);
        (*name, wasm.finish())
    })
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
    ("bytes between zeros", 1, |_, wasm| {
        let mut bytes = Vec::new();
        for nth in 0..100_000 {
            bytes.push(1);
            bytes.resize(bytes.len() + 4 + nth % 8, 0);
        }
        active(1, |_| 8, &bytes, wasm);
    }),
    ("instructions that name segments", ABOVE, |n, wasm| {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        wasm.section(&types);
        wasm.section(FunctionSection::new().function(0));
        wasm.section(MemorySection::new().memory(FOUR_GIB));
        wasm.section(&DataCountSection { count: 2 });
        let mut body = Function::new([]);
        for _ in 0..n {
            body.instructions().data_drop(0);
        }
        body.instructions().end();
        wasm.section(CodeSection::new().function(&body));
        let mut data = DataSection::new();
        for addr in [4, 0] {
            data.active(0, &ConstExpr::i32_const(addr), *b"data");
        }
        wasm.section(&data);
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

const FOUR_GIB: MemoryType = MemoryType {
    minimum: 1 << 16,
    maximum: None,
    memory64: false,
    shared: false,
    page_size_log2: None,
};

/// Adds `n` active segments of a 4 GiB memory.
fn active(n: u32, addr: fn(u32) -> u32, bytes: &[u8], wasm: &mut wasm_encoder::Module) {
    wasm.section(MemorySection::new().memory(FOUR_GIB));
    let mut data = DataSection::new();
    for nth in 0..n {
        let offset = ConstExpr::i32_const(addr(nth).cast_signed());
        data.active(0, &offset, bytes.iter().copied());
    }
    wasm.section(&data);
}
