//! The algorithms of the analysis, each on worst-case input.

use wasm_meminit_analysis::{
    Global, GlobalIndex, HostPageSize, Module, Plan, Policy, StartFunction, Value,
};

use crate::fit::Row;
use crate::inputs::{active, start_function};
use crate::wasm::{Wasm, i32_const, unsigned};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "segments in order",
        input: |n| active(n, 100, |nth, _| (0, nth * 16, vec![1])),
        run: plan,
    },
    Row {
        name: "segments, highest address first",
        input: |n| active(n, 100, |nth, n| (0, (n - nth) * 16, vec![1])),
        run: plan,
    },
    Row {
        name: "segments at one address",
        input: |n| active(n, 100, |_, _| (0, 5, vec![1])),
        run: plan,
    },
    Row {
        name: "overlapping segments, upwards",
        input: |n| active(n, 100, |nth, _| (0, nth, vec![1; 4])),
        run: plan,
    },
    Row {
        name: "overlapping segments, downwards",
        input: |n| active(n, 100, |nth, n| (0, n - nth, vec![1; 4])),
        run: plan,
    },
    Row {
        name: "one long segment under short ones",
        input: |n| {
            active(n, 100, |nth, n| match nth {
                0 => (0, 0, vec![7; n as usize * 8]),
                _ => (0, nth * 8, vec![1]),
            })
        },
        run: plan,
    },
    Row {
        name: "a segment on every other page",
        input: |n| active(n, 100, |nth, _| (0, nth * 8192, vec![1])),
        run: plan,
    },
    Row {
        name: "segments of 100 memories in turn",
        input: |n| active(n, 100, |nth, n| (nth % 100, (n - nth) * 40, vec![1, 2])),
        run: plan,
    },
    Row {
        name: "gaps of all sizes",
        input: |n| {
            active(n, 100, |nth, _| {
                (0, (nth * 12 + nth * 37 % 11) * 2048, vec![1])
            })
        },
        run: plan,
    },
    Row {
        name: "values of globals, each with one dependent",
        input: |n| {
            let wasm = Wasm::new().imported_globals(n).memories(1);
            globals(wasm, n, global_get).finish()
        },
        run: supply_all,
    },
    Row {
        name: "values of globals, all depend on the last",
        input: |n| {
            let wasm = Wasm::new().imported_globals(n).memories(1);
            globals(wasm, n, move |_, out| global_get(n - 1, out)).finish()
        },
        run: supply_all,
    },
    Row {
        name: "values of globals, a chain",
        input: |n| {
            let wasm = Wasm::new().imported_globals(1).memories(1);
            let wasm = globals(wasm, n, global_get);
            at_global(wasm, n, n).finish()
        },
        run: supply_all,
    },
    Row {
        name: "values of globals, one sum of all",
        input: |n| {
            let wasm = Wasm::new().imported_globals(n).memories(1);
            let sum = move |_, out: &mut Vec<u8>| {
                global_get(0, out);
                (1..n).for_each(|nth| {
                    global_get(nth, out);
                    out.push(0x6a);
                });
            };
            let wasm = globals(wasm, 1, sum);
            at_global(wasm, n, n).finish()
        },
        run: supply_all,
    },
    Row {
        name: "a start function with many writes",
        input: |n| start_function(n, 0),
        run: plan,
    },
    Row {
        name: "a program that might reach its start function",
        input: |n| start_function(1, n),
        run: plan,
    },
    Row {
        name: "element segments",
        input: |n| {
            Wasm::new()
                .section(1, 1, |_, out| out.extend_from_slice(&[0x60, 0, 0]))
                .section(3, 1, |_, out| out.push(0))
                .section(4, n, |_, out| out.extend_from_slice(&[0x70, 0, 1]))
                .section(9, n, |nth, out| {
                    out.push(2);
                    unsigned(nth.into(), out);
                    i32_const(0, out);
                    out.extend_from_slice(&[0x0b, 0, 1, 0]);
                })
                .section(10, 1, |_, out| out.extend_from_slice(&[2, 0, 0x0b]))
                .finish()
        },
        run: plan,
    },
];

fn global_get(global: u32, out: &mut Vec<u8>) {
    out.push(0x23);
    unsigned(global.into(), out);
}

/// Adds `n` defined globals with these initialisers.
fn globals(wasm: Wasm, n: u32, init: impl Fn(u32, &mut Vec<u8>)) -> Wasm {
    wasm.section(6, n, |nth, out| {
        out.extend_from_slice(&[0x7f, 0]);
        init(nth, out);
        out.push(0x0b);
    })
}

/// Adds `n` segments whose address is the value of a global.
fn at_global(wasm: Wasm, n: u32, global: u32) -> Wasm {
    wasm.section(11, n, |_, out| {
        out.push(0);
        global_get(global, out);
        out.extend_from_slice(&[0x0b, 1, 1]);
    })
}

fn plan(wasm: &[u8]) {
    plan_of(&Module::parse(wasm).expect("well formed"));
}

fn plan_of(module: &Module<'_>) {
    let zeroed = Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true);
    let emptied = zeroed.with_start_function(StartFunction::WritesStripped);
    for policy in [Policy::default(), zeroed.with_max_runs(100), emptied] {
        core::hint::black_box(Plan::new(module, &policy));
    }
}

fn supply_all(wasm: &[u8]) {
    plan_of(&supplied(Module::parse(wasm).expect("well formed")));
}

/// Supplies the value of each imported global with a separate call.
pub(crate) fn supplied(mut module: Module<'_>) -> Module<'_> {
    for nth in 0..module.global_imports().len() {
        let global = GlobalIndex::from_u32(u32::try_from(nth).expect("few"));
        module = module
            .with_global(global, Value::I32(0))
            .expect("the right type");
    }
    let is_known = |it: &Global| matches!(it, Global::Known(_));
    let n_known = module.globals().values().filter(|it| is_known(it)).count();
    // Every one except sums that are too deep to evaluate.
    assert!(module.globals().len() <= n_known + 1);
    module
}
