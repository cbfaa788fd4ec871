//! Each limit of `limits.rs` on modules, at the limit and one above it. `docs/limits.md` lists
//! all limits.

#![cfg(feature = "parse")]

extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;

use wasm_meminit_analysis::limits::{
    MAX_DATA_SEGMENTS, MAX_EXPR_DEPTH, MAX_GLOBALS, MAX_IMPORTS, MAX_MEMORIES, MAX_MODULES,
};
use wasm_meminit_analysis::{Limited, Module, ModuleBuilder, ParseErrorKind};

const CORE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// An unsigned LEB128 number.
fn leb(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        out.push(if n == 0 { byte } else { byte | 0x80 });
        if n == 0 {
            return out;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A section with a vector of `n` equal items.
fn items(id: u8, n: usize, item: &[u8]) -> Vec<u8> {
    section(id, &[leb(n), item.repeat(n)].concat())
}

fn module(sections: &[&[u8]]) -> Vec<u8> {
    [CORE, &sections.concat()].concat()
}

/// Checks that a module at the limit is accepted, and one above it refused with this error.
#[track_caller]
fn check(what: Limited, limit: usize, message: &str, wasm: impl Fn(usize) -> Vec<u8>) {
    let accepted = Module::parse_all(&wasm(limit)).map(|it| it.len());
    assert!(accepted.is_ok(), "{accepted:?}");
    let wasm = wasm(limit + 1);
    let refused = Module::parse_all(&wasm).expect_err("one more");
    assert_eq!(refused.kind(), ParseErrorKind::TooMany { what });
    let place = refused.offset();
    assert_eq!(
        refused.to_string(),
        format!("{message} (at offset {place:#x})")
    );
    assert!(
        place <= wasm.len() as u64,
        "{place:#x} is not in the module"
    );
}

#[test]
fn data_segments() {
    let message = "too many data segments";
    check(Limited::DataSegments, MAX_DATA_SEGMENTS, message, |n| {
        module(&[&items(11, n, &[1, 0])])
    });
    // Active ones, with a memory.
    check(Limited::DataSegments, MAX_DATA_SEGMENTS, message, |n| {
        let data = items(11, n, &[0, 0x41, 0, 0x0b, 0]);
        module(&[&items(5, 1, &[0, 1]), &data])
    });
}

#[test]
fn memories() {
    let message = "too many memories";
    check(Limited::Memories, MAX_MEMORIES, message, |n| {
        module(&[&items(5, n, &[0, 0])])
    });
    check(Limited::Memories, MAX_MEMORIES, message, |n| {
        module(&[&items(2, n, &[0, 0, 2, 0, 0])])
    });
    // Imported and defined ones count together.
    check(Limited::Memories, MAX_MEMORIES, message, |n| {
        module(&[&items(2, 60, &[0, 0, 2, 0, 0]), &items(5, n - 60, &[0, 0])])
    });
}

#[test]
fn globals() {
    let message = "too many globals";
    let defined = [0x7f, 0, 0x41, 0, 0x0b];
    check(Limited::Globals, MAX_GLOBALS, message, |n| {
        module(&[&items(6, n, &defined)])
    });
    check(Limited::Globals, MAX_GLOBALS, message, |n| {
        module(&[
            &items(2, 60, &[0, 0, 3, 0x7f, 0]),
            &items(6, n - 60, &defined),
        ])
    });
}

/// Those of compact groups: `meanings.rs`.
#[test]
fn imports() {
    check(Limited::Imports, MAX_IMPORTS, "too many imports", |n| {
        let types = section(1, &[1, 0x60, 0, 0]);
        module(&[&types, &items(2, n, &[0, 0, 0, 0])])
    });
}

/// An operand stack of `depth` constants, which are then added.
fn sum(depth: usize) -> Vec<u8> {
    [
        [0x41, 1].repeat(depth),
        [0x6a].repeat(depth - 1),
        alloc::vec![0x0b],
    ]
    .concat()
}

#[test]
fn operands_of_an_offset() {
    let message = "too many operands in a constant expression";
    check(Limited::ExprOperands, MAX_EXPR_DEPTH, message, |depth| {
        let data = section(11, &[&[1, 0][..], &sum(depth), &[0]].concat());
        module(&[&items(5, 1, &[0, 1]), &data])
    });
}

#[test]
fn modules_of_a_component() {
    let message = "too many nested modules";
    check(Limited::Modules, MAX_MODULES, message, |n| {
        [COMPONENT, &section(1, CORE).repeat(n)].concat()
    });
    // In components that are nested side by side.
    check(Limited::Modules, MAX_MODULES, message, |n| {
        let nested = section(4, &[COMPONENT, &section(1, CORE)].concat());
        [COMPONENT, &nested.repeat(n)].concat()
    });
}

/// Parsing does not call itself, so that components may be within each other at any depth.
#[test]
fn components_within_each_other() {
    let n_levels = 20_000;
    // From the inside out, and so reversed.
    let mut reversed: Vec<u8> = section(1, CORE).into_iter().rev().collect();
    for _ in 1..n_levels {
        reversed.extend(COMPONENT.iter().rev());
        reversed.extend(leb(reversed.len()).iter().rev());
        reversed.push(4);
    }
    reversed.extend(COMPONENT.iter().rev());
    let wasm: Vec<u8> = reversed.into_iter().rev().collect();
    let modules = Module::parse_all(&wasm).expect("valid");
    assert_eq!(modules.len(), 1);
}

/// An engine that parses by itself meets the same limits.
#[test]
fn the_builder_has_the_limits_of_the_parser() {
    let mut builder = ModuleBuilder::new();
    for _ in 0..MAX_DATA_SEGMENTS {
        builder.passive_segment(&[]).expect("within the limit");
    }
    let refused = builder.passive_segment(&[]).expect_err("one more");
    let what = Limited::DataSegments;
    assert_eq!(refused.kind(), ParseErrorKind::TooMany { what });
}
