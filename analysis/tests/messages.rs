//! What errors, reasons and assumptions say: what failed, with which value.

use core::fmt::Display;

use wasm_meminit_analysis::{
    Assumption, DataIndex, EvalError, FuncIndex, GlobalError, GlobalIndex, InitError,
    InitErrorKind, Limited, MemoryIndex, MemorySizeError, ParseErrorKind, ReachedBy, Reason,
    SizeOverflow, StartFunction, StartReason, Value,
};

fn global() -> GlobalIndex {
    GlobalIndex::from_u32(3)
}

fn memory() -> MemoryIndex {
    MemoryIndex::from_u32(4)
}

fn segment() -> DataIndex {
    DataIndex::from_u32(5)
}

fn function() -> FuncIndex {
    FuncIndex::from_u32(6)
}

#[track_caller]
fn check(cases: &[(&dyn Display, &str)]) {
    for (value, expected) in cases {
        assert_eq!(value.to_string(), *expected);
    }
}

#[test]
fn of_parsing() {
    use ParseErrorKind as Kind;
    let too_many = |what| Kind::TooMany { what };
    check(&[
        (&Kind::Malformed, "malformed WebAssembly binary"),
        (&Kind::Truncated, "unexpected end of input"),
        (
            &Kind::Component,
            "expected a core module, found a component",
        ),
        (&Kind::SectionOrder, "section out of order"),
        (
            &Kind::UnknownMemory {
                segment: 1,
                memory: 2,
            },
            "data segment 1 names memory 2, which does not exist",
        ),
        (
            &Kind::UnknownGlobal { global: 7 },
            "constant expression names global 7, which is not defined before it",
        ),
        (&Kind::InvalidExpr, "invalid constant expression"),
        (
            &Kind::InvalidMemoryType { memory: 1 },
            "memory 1 has an invalid type",
        ),
        (
            &Kind::DataCount {
                declared: 1,
                found: 2,
            },
            "data count section declares 1 segments, found 2",
        ),
        (&too_many(Limited::DataSegments), "too many data segments"),
        (&too_many(Limited::Memories), "too many memories"),
        (&too_many(Limited::Globals), "too many globals"),
        (&too_many(Limited::Imports), "too many imports"),
        (
            &too_many(Limited::ExprOperands),
            "too many operands in a constant expression",
        ),
        (&too_many(Limited::Modules), "too many nested modules"),
        (
            &EvalError::UnknownGlobal(global()),
            "the value of global 3 is not known",
        ),
        (&EvalError::Invalid, "not an integer constant expression"),
        (&EvalError::TooDeep, "more than 64 operands on the stack"),
    ]);
}

#[cfg(feature = "parse")]
#[test]
fn an_error_says_where() {
    let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "abc"))"#).expect("text");
    let error = |wasm: &[u8]| {
        let err = wasm_meminit_analysis::Module::parse(wasm).expect_err("truncated");
        (err.kind(), err.offset(), err.to_string())
    };
    // After the number of the section for memories, and in its only item.
    let text = "unexpected end of input (at offset 0x9)".to_owned();
    assert_eq!(error(&wasm[..9]), (ParseErrorKind::Truncated, 9, text));
    let text = "malformed WebAssembly binary (at offset 0xf)".to_owned();
    assert_eq!(error(&wasm[..16]), (ParseErrorKind::Malformed, 15, text));
}

#[test]
fn of_supplied_values() {
    let contradiction = GlobalError::Contradiction {
        global: global(),
        before: Value::I32(-1),
        value: Value::I32(7),
    };
    let small = |min_bytes| MemorySizeError::TooSmall {
        bytes: 9,
        min_bytes,
    };
    let large = |max_bytes| MemorySizeError::TooLarge {
        bytes: 9,
        max_bytes,
    };
    check(&[
        (&GlobalError::Unknown(global()), "global 3 does not exist"),
        (&GlobalError::Defined(global()), "global 3 is not imported"),
        (
            &GlobalError::Unusable(global()),
            "global 3 is mutable or not an integer",
        ),
        (
            &GlobalError::Type(global()),
            "the type of the value differs from that of global 3",
        ),
        (
            &contradiction,
            "conflicting values for global 3: first -1, now 7",
        ),
        (
            &MemorySizeError::Unknown(memory()),
            "memory 4 does not exist",
        ),
        (
            &MemorySizeError::Defined(memory()),
            "memory 4 is not imported",
        ),
        (
            &MemorySizeError::NotPages {
                bytes: 9,
                page_size: 8,
            },
            "invalid memory size: 9 bytes, expected a multiple of the wasm page size, 8 bytes",
        ),
        (
            &small(Some(10)),
            "a memory of 9 bytes is too small: the declared minimum is 10 bytes",
        ),
        (
            &small(None),
            "a memory of 9 bytes is too small: the declared minimum is 2^64 bytes",
        ),
        (
            &large(Some(8)),
            "a memory of 9 bytes is too large: the declared maximum is 8 bytes",
        ),
        (
            &large(None),
            "a memory of 9 bytes is too large: its index type cannot address that many",
        ),
        (
            &MemorySizeError::Contradiction {
                before: 1,
                bytes: 2,
            },
            "conflicting sizes for a memory: first 1 bytes, now 2 bytes",
        ),
    ]);
}

#[test]
fn of_initialisation() {
    let error = |segment, kind| InitError {
        kind,
        memory_index: memory(),
        segment,
    };
    let out_of_bounds = InitErrorKind::OutOfBounds {
        addr: 0x10,
        len: 3,
        size: 0x11,
    };
    let trap = error(Some(segment()), out_of_bounds);
    let refused = error(None, InitErrorKind::Refused);
    assert!(trap.is_trap() && !refused.is_trap());
    check(&[
        (
            &trap,
            "data segment 5 of memory 4: 3 bytes at address 0x10 are out of bounds: the memory \
             has 0x11 bytes",
        ),
        (&refused, "image of memory 4: the write was rejected"),
        (
            &error(None, InitErrorKind::UnknownOffset),
            "image of memory 4: its address is not known",
        ),
        (
            &error(None, InitErrorKind::SizeOverflow),
            "image of memory 4: the memory's size does not fit in 64 bits",
        ),
        (&SizeOverflow, "the memory's size does not fit in 64 bits"),
    ]);
}

#[test]
fn of_decisions() {
    let sizes = |image_bytes, limit| Reason::SizeLimit { image_bytes, limit };
    check(&[
        (&Reason::ImportedMemory, "its memory is imported"),
        (
            &Reason::DynamicOffset { global: global() },
            "its address depends on global 3",
        ),
        (
            &Reason::NotAConstant,
            "its address is not a single constant",
        ),
        (
            &Reason::OutOfBounds {
                addr: 16,
                min_bytes: 17,
            },
            "it starts at address 0x10 and ends past the memory's known size of 0x11 bytes",
        ),
        (
            &Reason::AfterBarrier { barrier: segment() },
            "after barrier segment 5, which may trap",
        ),
        (
            &Reason::AlwaysTraps { at: segment() },
            "the module always traps at segment 5",
        ),
        (
            &Reason::AllOrNothing { because: segment() },
            "segment 5 is not static, and the policy is all-or-nothing",
        ),
        (
            &Reason::TooSparse {
                span: 9,
                data_bytes: 2,
            },
            "too sparse: 2 data bytes across 9 bytes",
        ),
        (
            &Reason::PageSize { page_size: 1 },
            "wasm pages of 1 byte are smaller than a host page",
        ),
        (
            &sizes(9, 8),
            "an image of 9 bytes exceeds the limit of 8 bytes",
        ),
        (
            &Reason::ModuleSizeLimit {
                image_bytes: 9,
                limit: 8,
            },
            "images of 9 bytes for the module exceed the limit of 8 bytes",
        ),
        (&Reason::TooLarge, "too large for a 64-bit address space"),
        (
            &Reason::Passive,
            "passive: written by the program, if at all",
        ),
    ]);
}

#[test]
fn of_start_functions() {
    let reachable = |by| StartReason::Reachable {
        function: function(),
        by,
    };
    let again = "function 6 could run again with nothing left to write: ";
    for (by, text) in [
        (ReachedBy::Export, "it is exported"),
        (ReachedBy::Call, "another function calls it"),
        (ReachedBy::Reference, "a function takes a reference to it"),
        (
            ReachedBy::Element,
            "a table or an element segment contains a reference to it",
        ),
        (ReachedBy::Global, "a global contains a reference to it"),
        (ReachedBy::Unknown, "what reaches it is not known"),
    ] {
        assert_eq!(reachable(by).to_string(), format!("{again}{text}"));
    }
    check(&[
        (&StartReason::NotAsked, "the policy leaves it unchanged"),
        (
            &StartReason::Nothing,
            "the module has no start function or no passive segments",
        ),
        (
            &StartReason::NoBody,
            "the body of the start function is not available",
        ),
        (
            &StartReason::Shape { offset: 16 },
            "not the start function of wasm-ld: it differs at byte 0x10",
        ),
        (
            &StartReason::DynamicOffset { global: global() },
            "an address depends on global 3",
        ),
        (
            &StartReason::OutOfBounds {
                addr: 16,
                min_bytes: 17,
            },
            "a write at address 0x10 ends past the memory's known size of 0x11 bytes",
        ),
        (
            &StartReason::Overlap { addr: 16 },
            "two writes overlap at address 0x10",
        ),
        (&StartReason::ImportedMemory, "its memory is imported"),
        (
            &StartReason::ThreadLocal { global: global() },
            "it sets global 3 only in the first thread",
        ),
        (
            &StartReason::Replayed { segment: segment() },
            "active segment 5 is replayed",
        ),
        (
            &StartReason::Policy,
            "the policy creates no image of its memory",
        ),
        (&StartFunction::Unchanged, "it runs unchanged"),
        (
            &StartFunction::AlreadyInitialized,
            "it finds the memory already initialised",
        ),
        (
            &StartFunction::AlreadyInitializedTls,
            "it finds the memory already initialised, and the host provides thread-local storage",
        ),
        (
            &StartFunction::WritesStripped,
            "it runs with nothing left to write",
        ),
    ]);
}

#[test]
fn of_assumptions() {
    let (module, name) = (|| "env".to_owned(), || "it".to_owned());
    check(&[
        (
            &Assumption::GlobalValue {
                global: global(),
                module: module(),
                name: name(),
                value: Value::I64(-7),
            },
            r#"global 3 ("env" "it") is -7"#,
        ),
        (
            &Assumption::ZeroedMemory {
                memory: memory(),
                module: module(),
                name: name(),
            },
            r#"memory 4 ("env" "it") is initially zero and imported only once"#,
        ),
        (
            &Assumption::MemorySize {
                memory: memory(),
                module: module(),
                name: name(),
                bytes: 9,
            },
            r#"memory 4 ("env" "it") has an initial size of at least 9 bytes"#,
        ),
        (
            &Assumption::StartFunction {
                memory: memory(),
                treatment: StartFunction::WritesStripped,
            },
            "the start function's writes to memory 4 are in its image: it runs with nothing left \
             to write",
        ),
    ]);
}
