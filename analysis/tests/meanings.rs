//! The statistics of a plan are well defined, limits apply to whole modules, and unknown
//! facts are treated conservatively.

#![cfg(feature = "parse")]

use wasm_meminit_analysis::limits::MAX_IMPORTS;
use wasm_meminit_analysis::wasmparser::{Parser, Payload};
use wasm_meminit_analysis::{
    Decision, Global, GlobalIndex, HostPageSize, InitMemory, Limited, MemoryIndex, MemoryPlan,
    Module, ModuleBuilder, OffsetExpr, ParseErrorKind, Plan, Policy, Reason, ResolvedOffset,
    SizeOverflow, StartFunction, StaticMemoryInitializer, Value, ValueType,
};

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

fn memory<'p, 'a>(plan: &'p Plan<'a>, nth: u32) -> &'p MemoryPlan<'a> {
    &plan.memories()[MemoryIndex::from_u32(nth)]
}

#[test]
fn an_extent_covers_all_segments_with_a_known_address() {
    let text = |import: &str| {
        format!(
            r#"(module {import}
                 (data (i32.const 8192) "later")
                 (data (i32.const 16) "first")
                 (data (i32.const 8190) "over"))"#
        )
    };
    let defined = wasm(&text("(memory 1)"));
    let imported = wasm(&text(r#"(import "e" "m" (memory 1))"#));
    let mut extents = Vec::new();
    for (wasm, policy) in [
        (&defined, Policy::default()),
        (&imported, Policy::default().with_zeroed_imports(true)),
        // Replayed, each for a different reason.
        (&imported, Policy::default()),
        (&defined, Policy::default().with_max_image_size(1)),
        (&defined, Policy::single_run(HostPageSize::KIB_4, 0)),
    ] {
        let plan = Plan::new(&Module::parse(wasm).expect("valid"), &policy);
        let memory = memory(&plan, 0);
        assert_eq!(memory.n_nonzero_pages(), 3);
        extents.push(memory.extent().expect("has data"));
    }
    assert_eq!(extents[0].addresses(), 16..8197);
    assert_eq!(
        (extents[0].n_overlapping, extents[0].n_out_of_order),
        (1, 1)
    );
    assert!(extents.iter().all(|it| *it == extents[0]), "{extents:?}");
}

#[test]
fn dynamic_segments_are_not_part_of_an_extent() {
    let wasm = wasm(
        r#"(module (import "e" "g" (global $g i32)) (memory 1)
             (data (i32.const 4) "x") (data (global.get $g) "dynamic")
             (data (i32.const 100) "after a barrier"))"#,
    );
    let plan = Plan::new(&Module::parse(&wasm).expect("valid"), &Policy::default());
    let memory = memory(&plan, 0);
    assert_eq!(memory.decision(), Decision::Hybrid);
    assert_eq!(memory.extent().expect("has data").addresses(), 4..115);
}

#[test]
fn a_plan_with_a_baked_start_function_is_not_segmented() {
    let text = include_str!("../../tests/modules/threads.wat").replace(
        "(global $tls_base",
        r#"(import "e" "other" (memory $other 1)) (data (memory $other) (i32.const 0) "x")
           (global $tls_base"#,
    );
    let wasm = wasm(
        &text
            .replace(r#"(import "env" "memory" (memory 2 16 shared))"#, "")
            .replace(
                "(global $tls_base",
                "(memory $own 2 16 shared) (global $tls_base",
            )
            .replace("memory.init $", "memory.init $own $")
            .replace("memory.fill", "memory.fill $own")
            .replace("i32.atomic.rmw.cmpxchg", "i32.atomic.rmw.cmpxchg $own")
            .replace("i32.atomic.store", "i32.atomic.store $own")
            .replace("memory.atomic.notify", "memory.atomic.notify $own")
            .replace("memory.atomic.wait32", "memory.atomic.wait32 $own"),
    );
    let module = Module::parse(&wasm).expect("valid");
    let asks = Policy::default().with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &asks);
    assert_eq!(plan.replay().len(), 1);
    assert!(plan.start().is_ok(), "{:?}", plan.start());
    let counts = [0, 1].map(|nth| {
        let memory = memory(&plan, nth);
        (
            memory.n_baked(),
            memory.n_baked_passive(),
            memory.n_replayed(),
        )
    });
    assert_eq!(counts, [(0, 0, 1), (0, 3, 0)]);
    assert!(!plan.is_segmented());
    assert!(Plan::new(&module, &Policy::default()).is_segmented());
}

/// The rule of the reference: the whole module or nothing.
#[test]
fn a_single_run_is_for_all_memories_or_none() {
    let text = |last: u32| {
        format!(
            r#"(module (memory 1) (memory 1)
                 (data (i32.const 0) "0123") (data (i32.const 5) "")
                 (data (memory 1) (i32.const 5) "a") (data (memory 1) (i32.const {last}) "b"))"#
        )
    };
    let plan = |last: u32, allowed: u64| {
        let wasm = wasm(&text(last));
        let module = Module::parse(&wasm).expect("valid");
        let plan = Plan::new(&module, &Policy::single_run(HostPageSize::KIB_4, allowed));
        let reasons: Vec<Reason> = plan.reasons().iter().map(|it| it.reason).collect();
        (plan.replay().len(), reasons)
    };
    // A span of 3 bytes is less than twice the 2 bytes of data, one of 4 is not.
    assert_eq!(plan(7, 0), (0, vec![]));
    let sparse = Reason::TooSparse {
        span: 4,
        data_bytes: 2,
    };
    let because = wasm_meminit_analysis::DataIndex::from_u32(2);
    let others = Reason::AllOrNothing { because };
    assert_eq!(plan(8, 0), (4, vec![others, others, sparse, sparse]));
    assert_eq!(plan(8, 4).0, 4);
    assert_eq!(plan(8, 5).0, 0);
}

/// Without limits, 49 KB of wasm produced an image of 4.3 GB, and once for each memory.
#[test]
fn limits_apply_per_module_under_every_policy() {
    const MEMORIES: u32 = 40;
    let mut text = String::from("(module");
    for nth in 0..MEMORIES {
        text += &format!(
            r#"(memory 65536) (data (memory {nth}) (i32.const 0) "x")
               (data (memory {nth}) (i32.const {}) "y")"#,
            (64 << 20) + (nth << 12)
        );
    }
    let wasm = wasm(&(text + ")"));
    let module = Module::parse(&wasm).expect("valid");
    let page_size = HostPageSize::KIB_4;
    for policy in [
        Policy::balanced(page_size).with_max_gap(1 << 40),
        Policy::smallest(page_size).with_max_gap(1 << 40),
        Policy::smallest(page_size).with_max_runs(1),
        Policy::single_run(page_size, u64::MAX),
        Policy::single_run(page_size, u64::MAX).with_max_gap(1 << 40),
        Policy::smallest(HostPageSize::new(1 << 30).expect("the largest")),
    ] {
        let plan = Plan::new(&module, &policy);
        let sum = |plan: &Plan<'_>| plan.memories().values().map(MemoryPlan::image_bytes).sum();
        let bytes: u64 = sum(&plan);
        assert!(bytes <= 1 << 30, "{policy}: {bytes}");
        let is_limited = plan.reasons().iter().any(|it| {
            matches!(it.reason, Reason::ModuleSizeLimit { image_bytes, limit }
                if limit < image_bytes && limit == 1 << 30)
        });
        assert!(is_limited, "{policy}");
        let lifted = Plan::new(&module, &policy.with_max_image_size(u64::MAX));
        assert!(lifted.replay().is_empty() && 1 << 30 < sum(&lifted));
    }
    // Memories are baked in order until the limit is reached.
    let plan = Plan::new(&module, &Policy::balanced(page_size).with_max_gap(1 << 40));
    assert_eq!(memory(&plan, 0).decision(), Decision::Static);
    assert_eq!(memory(&plan, MEMORIES - 1).decision(), Decision::Segmented);
}

#[test]
fn unknown_elements_may_trap() {
    let builder = ModuleBuilder::new();
    assert!(builder.clone().finish().expect("empty").elements_may_trap());
    let mut complete = builder;
    complete.all_elements();
    assert!(!complete.finish().expect("empty").elements_may_trap());

    let wasm = wasm("(module (memory 1) (table 1 funcref) (func $f) (elem (i32.const 0) $f))");
    let feed = |wanted: fn(&Payload<'_>) -> bool| {
        let mut builder = ModuleBuilder::new();
        for payload in Parser::new(0).parse_all(&wasm) {
            let payload = payload.expect("valid");
            if wanted(&payload) {
                builder.payload(&payload).expect("valid");
            }
        }
        builder.finish().expect("valid").elements_may_trap()
    };
    assert!(!feed(|_| true));
    assert!(!feed(|it| !matches!(it, Payload::End(_))));
    assert!(feed(|it| matches!(it, Payload::MemorySection(_))));
    assert!(!Module::parse(&wasm).expect("valid").elements_may_trap());
}

/// One group of `n` imported functions with empty names: one byte each.
fn compact_imports(n: usize) -> Vec<u8> {
    let leb = |mut n: usize| {
        let mut out = Vec::new();
        loop {
            let byte = (n & 0x7f) as u8;
            n >>= 7;
            out.push(if n == 0 { byte } else { byte | 0x80 });
            if n == 0 {
                return out;
            }
        }
    };
    // One group: module "", no name, 0x7e, a type (function of type 0), names.
    let mut section = vec![1, 0, 0, 0x7e, 0, 0];
    section.extend(leb(n));
    section.resize(section.len() + n, 0);
    let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02".to_vec();
    wasm.extend(leb(section.len()));
    wasm.extend(section);
    wasm
}

#[test]
fn each_import_of_a_group_counts() {
    let wasm = compact_imports(MAX_IMPORTS);
    let module = Module::parse(&wasm).expect("as many as engines accept");
    assert_eq!(module.n_imported_functions() as usize, MAX_IMPORTS);
    let wasm = compact_imports(MAX_IMPORTS + 1);
    let kind = Module::parse(&wasm).expect_err("one more").kind();
    let what = Limited::Imports;
    assert_eq!(kind, ParseErrorKind::TooMany { what });
}

#[test]
fn a_deep_initialiser_makes_its_global_dynamic() {
    let sum = |depth: usize| {
        format!(
            "{}{}",
            "(i32.add (i32.const 1) ".repeat(depth - 1),
            "(i32.const 1)"
        ) + &")".repeat(depth - 1)
    };
    // Depth is that of the operand stack: the left operand waits while the right is computed.
    let wasm = |depth: usize| {
        wasm(&format!(
            r#"(module (memory 1) (global $g i32 {})
                 (data (i32.const 0) "certain") (data (global.get $g) "x"))"#,
            sum(depth)
        ))
    };
    let deep = wasm(71);
    let module = Module::parse(&deep).expect("valid");
    let [global] = module.globals().values().as_slice() else {
        panic!("one global");
    };
    assert_eq!(*global, Global::Unknown(ValueType::I32));
    let plan = Plan::new(&module, &Policy::default());
    assert_eq!(memory(&plan, 0).n_baked(), 1);
    assert!(matches!(
        plan.reasons()[0].reason,
        Reason::DynamicOffset { .. }
    ));
    let plan_of_shallow = wasm(64);
    let module = Module::parse(&plan_of_shallow).expect("valid");
    assert!(Plan::new(&module, &Policy::default()).replay().is_empty());
}

/// A memory that outlives instances.
struct Memory(Vec<u8>);

impl InitMemory for Memory {
    fn memory_size_in_bytes(&mut self, _: MemoryIndex) -> Result<u64, SizeOverflow> {
        Ok(self.0.len() as u64)
    }

    fn eval_offset(&mut self, _: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        offset
            .eval(wasm_meminit_analysis::IndexType::I32, &|_| None)
            .ok()
    }

    fn write(&mut self, _: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        let at = usize::try_from(init.addr).expect("small");
        self.0[at..at + init.data.len()].copy_from_slice(&init.data);
        true
    }
}

/// The promise applies only to the first instance. Later ones, one per thread, are created
/// from the original module as specified, so they write the segments again.
#[test]
fn a_shared_memory_is_fresh_only_for_the_first_instance() {
    let wasm =
        wasm(r#"(module (import "e" "m" (memory 1 1 shared)) (data (i32.const 8) "shared"))"#);
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default().with_zeroed_imports(true));
    assert_eq!(memory(&plan, 0).decision(), Decision::Static);

    let mut expected = Memory(vec![0; 65_536]);
    let mut ours = Memory(vec![0; 65_536]);
    let replay = module.memory_initialization();
    replay.init_memory(&mut expected).expect("in bounds");
    for piece in memory(&plan, 0).pieces() {
        let at = usize::try_from(piece.addr).expect("small");
        ours.0[at..at + piece.data.len()].copy_from_slice(&piece.data);
    }
    assert_eq!(ours.0, expected.0);
    // The program modifies the memory, then starts a thread.
    for memory in [&mut expected, &mut ours] {
        memory.0[8..20].fill(b'!');
        replay.init_memory(memory).expect("in bounds");
    }
    assert_eq!(ours.0[8..20], *b"shared!!!!!!");
    assert_eq!(ours.0, expected.0);
}

#[test]
fn a_plan_counts_the_segments_of_each_memory() {
    let wasm = wasm(
        r#"(module (import "e" "base" (global $base i32)) (import "e" "m" (memory 1)) (memory 1)
             (data (memory 1) (i32.const 0) "baked") (data (memory 1) (i32.const 9000) "too")
             (data (memory 0) (i32.const 0) "not fresh")
             (data (memory 1) (global.get $base) "dynamic"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    assert_eq!(module.n_imported_memories(), 1);
    let plan = Plan::new(&module, &Policy::smallest(HostPageSize::KIB_4));
    let [imported, defined] = [0, 1].map(|nth| memory(&plan, nth));
    assert!(imported.is_imported() && !defined.is_imported());
    assert_eq!((imported.n_baked(), imported.n_replayed()), (0, 1));
    assert_eq!(imported.decision(), Decision::Segmented);
    assert!(imported.runs().is_empty());
    assert_eq!((defined.n_baked(), defined.n_replayed()), (2, 1));
    assert_eq!(defined.decision(), Decision::Hybrid);
    assert_eq!(defined.n_baked_passive(), 0);
    let runs: Vec<_> = defined.runs().iter().map(|it| (it.addr, it.len)).collect();
    assert_eq!(runs, [(0, 4096), (8192, 4096)]);
    assert_eq!(defined.image_bytes(), 8192);
    let pieces: Vec<_> = defined.pieces().iter().map(|it| it.addr).collect();
    assert_eq!(pieces, [0, 9000]);
}

fn wasm_of_two() -> Vec<u8> {
    wasm(
        r#"(module (import "e" "m" (memory 1)) (import "e" "n" (memory 1))
             (data "passive") (func (data.drop 0)))"#,
    )
}

/// An engine that has parsed a module passes on what it has read.
#[test]
fn payloads_give_the_same_module() {
    let wasm = wasm(
        r#"(module $name (import "e" "base" (global $base i32)) (import "e" "m" (memory 1 2))
             (memory i64 1) (global i32 (i32.const -70)) (global (mut i64) (i64.const 5))
             (global i64 (i64.const 1000)) (global f32 (f32.const 1))
             (global i32 (i32.add (global.get $base) (i32.const 1)))
             (func $start) (start $start)
             (data (memory 1) (i64.const 8) "data") (data "passive"))"#,
    );
    let parsed = Module::parse(&wasm).expect("valid");
    let mut builder = ModuleBuilder::new();
    for payload in Parser::new(0).parse_all(&wasm) {
        builder
            .payload(&payload.expect("valid"))
            .expect("as it was parsed");
    }
    let built = builder.finish().expect("complete");
    let defined = [0, 1, 2].map(|nth| built.defined_memory_index(MemoryIndex::from_u32(nth)));
    assert_eq!(
        defined.map(|it| it.map(|it| it.as_u32())),
        [None, Some(0), None]
    );
    assert_eq!(built.memories(), parsed.memories());
    assert_eq!(built.globals(), parsed.globals());
    assert_eq!(built.global_imports(), parsed.global_imports());
    assert_eq!(built.segments(), parsed.segments());
    assert_eq!(built.start(), parsed.start());
    assert_eq!(built.name(), parsed.name());
    assert_eq!(parsed.name(), Some("name"));
    assert_eq!(
        (parsed.n_imported_memories(), parsed.data_count()),
        (1, None)
    );
    let other = wasm_of_two();
    let other = Module::parse(&other).expect("valid");
    assert_eq!(
        (other.n_imported_memories(), other.data_count()),
        (2, Some(1))
    );
    let globals: Vec<Global> = parsed.globals().values().copied().collect();
    let known = Global::Known;
    assert_eq!(
        globals,
        [
            Global::Unknown(ValueType::I32),
            known(Value::I32(-70)),
            Global::Unusable,
            known(Value::I64(1000)),
            Global::Unusable,
            Global::Unknown(ValueType::I32),
        ]
    );
}

/// An item that allocates may fail.
#[test]
fn element_expressions_that_allocate_may_trap() {
    let may_trap = |items: &str| {
        let wasm = wasm(&format!(
            "(module (table 1 anyref) (table 1 funcref) (func $f) (elem declare func $f) {items})"
        ));
        Module::parse(&wasm).expect("valid").elements_may_trap()
    };
    assert!(!may_trap(
        "(elem (table 1) (i32.const 0) funcref (item (ref.func $f)))"
    ));
    assert!(!may_trap(
        "(elem (table 0) (i32.const 0) anyref (item (ref.null any)))"
    ));
    assert!(may_trap(
        "(elem (table 0) (i32.const 0) anyref (item (ref.i31 (i32.const 1))))"
    ));
    assert!(may_trap(
        "(elem (table 1) (i32.const 1) funcref (item (ref.func $f)))"
    ));
}

/// Of two things that are wrong with a module, the count of its segments explains more.
#[test]
fn a_wrong_count_is_named_though_a_segment_is_malformed() {
    let kind = |declared: u8, found: u8| {
        let preamble = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01".as_slice();
        let (count, data) = ([12, 1, declared], [11, 2, found, 9]);
        let wasm = [preamble, &count, &data].concat();
        Module::parse(&wasm)
            .expect_err("a malformed segment")
            .kind()
    };
    assert_eq!(kind(1, 1), ParseErrorKind::Malformed);
    let count = |declared, found| ParseErrorKind::DataCount { declared, found };
    assert_eq!(kind(2, 1), count(2, 1));
    assert_eq!(kind(1, 3), count(1, 3));
}

/// A constant expression may name globals before it that are immutable integers.
#[test]
fn an_expression_that_names_another_global_is_invalid() {
    let unknown = |global| Err(ParseErrorKind::UnknownGlobal { global });
    let invalid = Err(ParseErrorKind::InvalidExpr);
    for (items, expected) in [
        ("(global i32 (global.get 0))", Ok(())),
        ("(global i32 (global.get 2))", unknown(2)),
        ("(global i32 (global.get 1))", invalid),
        (r#"(data (global.get 0) "x")"#, Ok(())),
        (r#"(data (global.get 7) "x")"#, unknown(7)),
        (r#"(data (global.get 1) "x")"#, invalid),
    ] {
        let wasm = wasm(&format!(
            r#"(module (import "e" "i" (global i32)) (import "e" "f" (global f32)) (memory 1)
                 {items})"#
        ));
        let parsed = Module::parse(&wasm).map(drop).map_err(|err| err.kind());
        assert_eq!(parsed, expected, "{items}");
    }
}

/// What a host evaluates that has an artifact, and not the module: imports and constants.
#[test]
fn an_offset_is_resolved_to_imports_and_constants() {
    let wasm = wasm(
        r#"(module (import "e" "base" (global i32)) (import "e" "wide" (global i64))
             (memory 1) (memory i64 1)
             (global $sum i32 (i32.add (global.get 0) (i32.const 8)))
             (global $far i64 (i64.mul (i64.const 3) (global.get 1)))
             (global $own i32 (i32.const 5))
             (data (global.get 0) "import")
             (data (global.get $sum) "sum")
             (data (memory 1) (i64.sub (global.get $far) (i64.const 1)) "far")
             (data (i32.add (global.get $own) (i32.const 2)) "own"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let resolved = module
        .active_segments()
        .map(|it| module.resolve_offset(&it.offset));
    let resolved: Vec<_> = resolved.collect();
    let sum = vec![0x23, 0, 0x41, 8, 0x6a, 0x0b];
    let far = vec![0x42, 3, 0x23, 1, 0x7e, 0x42, 1, 0x7d, 0x0b];
    let expected = [
        None,
        Some(ResolvedOffset::Expr(sum)),
        Some(ResolvedOffset::Expr(far)),
        Some(ResolvedOffset::Const(Value::I32(7))),
    ];
    assert_eq!(resolved, expected);

    // Values that the host supplies change no definition.
    let index = GlobalIndex::from_u32;
    let supplied = module.with_global(index(0), Value::I32(1)).expect("open");
    let definitions = (0..6).map(|it| supplied.global_definition(index(it)));
    let definitions: Vec<_> = definitions.map(|it| Some(it?.to_string())).collect();
    let sum = Some("global.get 0 i32.const 8 i32.add".to_owned());
    let far = Some("i64.const 3 global.get 1 i64.mul".to_owned());
    let own = Some("i32.const 5".to_owned());
    assert_eq!(definitions, [None, None, sum, far, own, None]);
}

/// An engine passes on the payloads that it has, and no others.
#[test]
fn payloads_may_be_left_out_but_not_contradict_each_other() {
    let wasm = wasm(
        r#"(module $name (memory 1) (table 1 funcref) (func $f (data.drop 0)) (data "passive")
             (@custom "other" (after last) "\00\06\05other"))"#,
    );
    let build = |passes: fn(&Payload<'_>) -> bool| {
        let mut builder = ModuleBuilder::new();
        for payload in Parser::new(0).parse_all(&wasm) {
            let payload: Payload<'_> = payload.expect("valid");
            if passes(&payload) {
                builder.payload(&payload).expect("as it was parsed");
            }
        }
        builder.finish().map_err(|err| err.kind())
    };
    let all = build(|_| true).expect("complete");
    assert_eq!((all.name(), all.elements_may_trap()), (Some("name"), false));
    let other = build(|it| !matches!(it, Payload::CustomSection(it) if it.name() == "name"));
    let other = other.expect("complete");
    assert_eq!(
        other.name(),
        None,
        "a custom section with the same contents"
    );
    // Elements may follow until the end is announced.
    let open = build(|it| !matches!(it, Payload::End(_))).expect("complete");
    assert!(open.elements_may_trap());
    let (declared, found) = (1, 0);
    let counted = build(|it| !matches!(it, Payload::DataSection(_)));
    assert_eq!(
        counted.map(drop),
        Err(ParseErrorKind::DataCount { declared, found })
    );
}

/// The rule of the reference, which cannot map less than a host page.
#[test]
fn a_single_run_needs_wasm_pages_of_a_host_page() {
    let reason = |memory: &str, host_page: u64| {
        let wasm = wasm(&format!(
            r#"(module (memory {memory}) (data (i32.const 0) "x"))"#
        ));
        let module = Module::parse(&wasm).expect("valid");
        let host_page = HostPageSize::new(host_page).expect("a power of two");
        let plan = Plan::new(&module, &Policy::single_run(host_page, 1 << 20));
        plan.reasons().first().map(|it| it.reason)
    };
    let refused = |page_size| Some(Reason::PageSize { page_size });
    assert_eq!(reason("1", 4096), None);
    assert_eq!(reason("1", 65_536), None);
    assert_eq!(reason("1", 131_072), refused(65_536));
    assert_eq!(reason("10 (pagesize 1)", 4096), refused(1));
    assert_eq!(reason("10 (pagesize 1)", 1), None);
}

/// The count is right: something else is wrong.
#[test]
fn a_right_count_is_not_blamed() {
    let wasm = wasm(r#"(module (memory 1) (func (data.drop 0)) (data "passive"))"#);
    for len in wasm.len() - 9..wasm.len() {
        let error = Module::parse(&wasm[..len]).map(drop).expect_err("cut off");
        let kind = error.kind();
        assert!(
            matches!(kind, ParseErrorKind::Truncated | ParseErrorKind::Malformed),
            "{len}: {kind:?}"
        );
    }
}
