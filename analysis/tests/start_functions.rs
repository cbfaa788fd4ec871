//! Which start functions can be stripped, and in which forms they are recognised.

#![cfg(feature = "parse")]

use wasm_meminit_analysis::wasmparser::{Parser, Payload};
use wasm_meminit_analysis::{
    Assumption, DataIndex, GlobalIndex, HostPageSize, Module, ModuleBuilder, Plan, Policy,
    ReachedBy, StartFunction, StartReason, Value,
};

const ZEROED: Policy = Policy::balanced(HostPageSize::KIB_4).with_zeroed_imports(true);

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

/// A threaded program with additional items; `$init` initialises memory.
fn program(items: &str, start: &str) -> Vec<u8> {
    wasm(&text(items, start))
}

fn text(items: &str, start: &str) -> String {
    format!(
        r#"(module
             (import "env" "memory" (memory 1 1 shared))
             (type $none (func))
             (table $table 4 funcref)
             (data $d "hello")
             (func $init
               block block block
                 i32.const 512 i32.const 0 i32.const 1 i32.atomic.rmw.cmpxchg
                 br_table 0 1 2 end
                 i32.const 64 i32.const 0 i32.const 5 memory.init $d
                 i32.const 128 i32.const 0 i32.const 16 memory.fill
                 i32.const 512 i32.const 2 i32.atomic.store
                 i32.const 512 i32.const -1 memory.atomic.notify drop br 1 end
               i32.const 512 i32.const 1 i64.const -1 memory.atomic.wait32 drop end)
             (func $other)
             {items}
             {start})"#
    )
}

fn rejection(module: &Module<'_>, treatment: StartFunction) -> Option<StartReason> {
    let plan = Plan::new(module, &ZEROED.with_start_function(treatment));
    plan.start().err().copied()
}

#[test]
fn reachable_start_functions_are_not_stripped() {
    let direct = "(start $init)";
    let called = "(func $start call $other call $init) (start $start)";
    let cases = [
        ("", None),
        (r#"(export "o" (func $other))"#, None),
        ("(elem (i32.const 0) $other)", None),
        ("(func (export \"again\") call $other)", None),
        (r#"(export "i" (func $init))"#, Some(ReachedBy::Export)),
        (
            "(elem (i32.const 0) $other $init)",
            Some(ReachedBy::Element),
        ),
        ("(elem func $init)", Some(ReachedBy::Element)),
        ("(elem declare func $init)", Some(ReachedBy::Element)),
        ("(elem funcref (ref.func $init))", Some(ReachedBy::Element)),
        (
            "(table 1 (ref null $none) (ref.func $init))",
            Some(ReachedBy::Element),
        ),
        ("(global funcref (ref.func $init))", Some(ReachedBy::Global)),
        (
            "(func (export \"again\") call $init)",
            Some(ReachedBy::Call),
        ),
        (
            "(func (export \"again\") return_call $init)",
            Some(ReachedBy::Call),
        ),
        // The caller is unreachable, but detecting that is not worth the effort.
        ("(func call $init)", Some(ReachedBy::Call)),
        // Bytes that look like calls, in constants.
        (
            "(func i32.const 16 unreachable i32.const 16 unreachable)",
            None,
        ),
        // Invalid without a declaration, which would be found before.
        ("(func ref.func $init drop)", Some(ReachedBy::Reference)),
    ];
    for (items, expected) in cases {
        for start in [direct, called] {
            let wasm = program(items, start);
            let module = Module::parse(&wasm).expect("valid");
            let by = match rejection(&module, StartFunction::WritesStripped) {
                None => None,
                Some(StartReason::Reachable { by, .. }) => Some(by),
                Some(other) => panic!("{items}: {other}"),
            };
            assert_eq!(by, expected, "{items} {start}");
            // An unmodified start function is not affected.
            assert_eq!(rejection(&module, StartFunction::AlreadyInitialized), None);
        }
    }
    // The start function itself must not be reachable either.
    let wasm = program(
        r#"(func $start call $other call $init) (export "s" (func $start))"#,
        "(start $start)",
    );
    let module = Module::parse(&wasm).expect("valid");
    let reason = rejection(&module, StartFunction::WritesStripped).expect("rejected");
    assert_eq!(
        reason.to_string(),
        "function 2 could run again with nothing left to write: it is exported"
    );
}

/// Without the module's bytes, reachability is unknown.
#[test]
fn modules_built_from_payloads_are_not_stripped() {
    let wasm = program("", "(start $init)");
    let mut builder = ModuleBuilder::new();
    for payload in Parser::new(0).parse_all(&wasm) {
        let payload: Payload<'_> = payload.expect("valid");
        builder.payload(&payload).expect("valid");
    }
    let module = builder.finish().expect("valid");
    assert!(matches!(
        rejection(&module, StartFunction::WritesStripped),
        Some(StartReason::Reachable {
            by: ReachedBy::Unknown,
            ..
        })
    ));
    assert_eq!(rejection(&module, StartFunction::AlreadyInitialized), None);
}

/// A position-independent program after `wasm-opt -O3`: one function, relocations
/// first, addresses kept in locals.
const INLINED: &str = r#"(module
  (import "env" "memory" (memory 1 16 shared))
  (import "env" "__memory_base" (global $memory_base i32))
  (import "env" "__table_base" (global $table_base i32))
  (global $got (mut i32) (i32.const 0))
  (global $got_fn (mut i32) (i32.const 0))
  (global $tls_base (mut i32) (i32.const 0))
  (data $tdata "\11\22\33\44")
  (data $data "wherever you like")
  (export "got" (global $got))
  (start $start)
  (func $more global.get $got global.set $got_fn)
  (func $start (local $0 i32) (local $1 i32)
    (global.set $got (i32.add (global.get $memory_base) (i32.const 16)))
    (global.set $got_fn (i32.add (global.get $table_base) (i32.const 1)))
    (global.set $got_fn (global.get $got))
    (call $more)
    (block $block2 (block $block1 (block $block
      (br_table $block $block1 $block2
        (i32.atomic.rmw.cmpxchg
          (local.tee $0 (i32.add (global.get $memory_base) (i32.const 40)))
          (i32.const 0) (i32.const 1))))
      (global.set $tls_base (local.tee $1 (global.get $memory_base)))
      (memory.init $tdata (local.get $1) (i32.const 0) (i32.const 4))
      (memory.init $data (i32.add (global.get $memory_base) (i32.const 16))
        (i32.const 0) (i32.const 17))
      (i32.atomic.store (local.get $0) (i32.const 2))
      (drop (memory.atomic.notify (local.get $0) (i32.const -1)))
      (br $block2))
      (drop (memory.atomic.wait32 (local.get $0) (i32.const 1) (i64.const -1))))
    (data.drop $data)))"#;

#[test]
fn recognises_a_start_function_inlined_by_an_optimiser() {
    let wasm = wasm(INLINED);
    let module = Module::parse(&wasm).expect("valid");
    let base = GlobalIndex::from_u32(0);
    assert_eq!(
        module.start_init().map(drop),
        Err(StartReason::DynamicOffset { global: base })
    );
    // The table base is irrelevant, whether known or not.
    let with_base = module
        .with_global(base, Value::I32(4096))
        .expect("imported");
    let all = with_base
        .clone()
        .with_global(GlobalIndex::from_u32(1), Value::I32(7))
        .expect("imported");
    for module in [with_base, all] {
        let init = module.start_init().expect("recognised");
        assert_eq!(init.flag(), 4136);
        assert_eq!(init.thread_local().expect("has some").addr, 4096);
        let writes = init.writes().iter();
        let writes: Vec<_> = writes.map(|(it, addr)| (it.as_u32(), *addr)).collect();
        assert_eq!(writes, [(0, 4096), (1, 4112)]);
        let plan = Plan::new(
            &module,
            &ZEROED.with_start_function(StartFunction::WritesStripped),
        );
        assert!(plan.start().is_ok());
        let values = plan.assumptions().iter();
        let values: Vec<_> = values
            .filter_map(|it| match it {
                Assumption::GlobalValue { name, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(values, ["__memory_base"]);
    }
}

#[test]
fn rejects_memory_access_before_initialisation() {
    for before in [
        "(i32.store (i32.const 0) (i32.const 1))",
        "(call $writes)",
        "(drop (memory.grow (i32.const 1)))",
        "(br 0)",
        "(return)",
    ] {
        let text = INLINED.replace("(call $more)", before).replace(
            "(func $more",
            "(func $writes (i32.store8 (i32.const 0) (i32.const 1))) (func $more",
        );
        let wasm = wasm(&text);
        let module = Module::parse(&wasm).expect("valid");
        let with_base = module
            .with_global(GlobalIndex::from_u32(0), Value::I32(4096))
            .expect("imported");
        assert!(
            matches!(with_base.start_init(), Err(StartReason::Shape { .. })),
            "{before}"
        );
    }
}

/// The policy is not reported as the reason for an unrecognised start function.
#[test]
fn not_asked_is_reported_only_if_baking_is_possible() {
    let reason = |wasm: &[u8]| {
        rejection(
            &Module::parse(wasm).expect("valid"),
            StartFunction::Unchanged,
        )
    };
    let known = program("", "(start $init)");
    assert_eq!(reason(&known), Some(StartReason::NotAsked));
    let other = program(
        "(func $mine i32.const 0 i32.const 1 i32.store)",
        "(start $mine)",
    );
    assert!(matches!(reason(&other), Some(StartReason::Shape { .. })));
    assert_eq!(
        reason(&wasm("(module (memory 1))")),
        Some(StartReason::Nothing)
    );
}

/// What the function does, in the terms of its documentation.
#[test]
fn a_recognised_start_function_is_described() {
    let wasm = program("", "(start $init)");
    let init = Module::parse(&wasm).expect("valid").start_init();
    let init = init.expect("recognised");
    assert_eq!(
        (init.memory().as_u32(), init.function().as_u32()),
        (0, 0),
        "the first of each"
    );
    let writes = init.writes().iter();
    let writes: Vec<_> = writes.map(|(it, addr)| (it.as_u32(), *addr)).collect();
    assert_eq!((init.flag(), writes), (512, vec![(0, 64)]));
    assert_eq!(init.zeroed().first(), Some(&(128..144)));
    assert_eq!((init.zeroed().len(), init.thread_local()), (1, None));
    assert_eq!(init.zeroed_after(), [1]);
    // The operands of `i32.const 5` and `i32.const 16`.
    let body = &bodies(&wasm).1[0];
    let lengths = init.lengths().iter().map(|it| &body[it.clone()]);
    assert_eq!(lengths.collect::<Vec<_>>(), [[5], [16]]);
}

/// One part is different, and the effect with it.
#[test]
fn a_start_function_that_deviates_is_rejected() {
    let text = text(
        r#"(global $tls (mut i32) (i32.const 0)) (memory $second 1)
           (data $active (i32.const 0) "hello")"#,
        "(start $init)",
    )
    .replace("(func $init", "(func $init (local i32)");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start_init = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        let wasm = wasm(&text.replace(from, to));
        let module = Module::parse(&wasm).expect("valid");
        module.start_init().map(drop)
    };
    let (write, fill) = ("memory.init $d", "memory.fill");
    assert_eq!(start_init(write, write), Ok(()));
    // Thread-local storage begins with a segment, or with zeros.
    let sets = "i32.const 64 i32.const 64 global.set $tls";
    assert_eq!(start_init("i32.const 64", sets), Ok(()));
    let sets_too = "i32.const 128 i32.const 128 global.set $tls";
    assert_eq!(start_init("i32.const 128", sets_too), Ok(()));
    let once = "i32.const 64 i32.const 0 i32.const 5 memory.init $d i32.const 128";
    let both = "i32.const 5 memory.init $d i32.const 128 i32.const 128";
    let both = format!("{sets} i32.const 0 {both} global.set $tls");
    let rest = "memory.atomic.wait32 drop end";
    assert_eq!(start_init(rest, &format!("{rest} data.drop $d")), Ok(()));
    let local = "i32.const 7 local.set 0 i32.const 64";
    assert_eq!(start_init("i32.const 64", local), Ok(()));
    // What is stripped writes nothing.
    let stripped = text.replace("i32.const 5 memory.init", "i32.const 0 memory.init");
    let stripped = wasm(&stripped);
    let stripped = Module::parse(&stripped)
        .expect("valid")
        .stripped_start_init();
    assert!(stripped.expect("recognised").writes().is_empty());
    for (from, to) in [
        // Invalid, but not every host validates.
        ("i32.const 64", "i32.const 7 local.set 1 i32.const 64"),
        ("i32.const 64", "i32.const 7 i32.const 64"),
        // Two threads would share one storage, or it is not where it is said to be.
        (once, both.as_str()),
        ("i32.const 64", "i32.const 64 i32.const 65 global.set $tls"),
        // A part of a segment, none, one twice, and one that is dropped before.
        ("i32.const 5 memory.init", "i32.const 4 memory.init"),
        ("i32.const 5 memory.init", "i32.const 0 memory.init"),
        (
            write,
            "memory.init $d i32.const 80 i32.const 0 i32.const 5 memory.init $d",
        ),
        (write, "memory.init $active"),
        // A length that `strip` could not replace.
        (
            "i32.const 5 memory.init",
            "i32.const 5 local.tee 0 memory.init",
        ),
        (fill, "local.tee 0 memory.fill"),
        // Another branch: a thread would write when it should wait, or not.
        ("br_table 0 1 2", "br_table 0 1 1"),
        ("br_table 0 1 2", "br_table 1 0 2"),
        ("br_table 0 1 2", "br_table 0 1 1 2"),
        // Another address, or memory.
        ("i32.const 512 i32.const 2", "i32.const 516 i32.const 2"),
        (
            "i32.const 512 i32.const 1 i64",
            "i32.const 516 i32.const 1 i64",
        ),
        (write, "memory.init $second $d"),
        (fill, "memory.fill $second"),
        ("i32.atomic.rmw.cmpxchg", "i32.atomic.rmw.cmpxchg offset=4"),
        ("i32.atomic.store", "i32.atomic.store offset=4"),
        ("memory.atomic.notify", "memory.atomic.notify offset=4"),
        ("memory.atomic.wait32", "memory.atomic.wait32 offset=4"),
        // More than drops after it.
        (
            rest,
            "memory.atomic.wait32 drop end i32.const 0 i32.const 1 i32.store",
        ),
        (rest, "memory.atomic.wait32 drop end data.drop $active"),
    ] {
        let found = start_init(from, to);
        assert!(
            matches!(found, Err(StartReason::Shape { .. })),
            "{from} -> {to}: {found:?}"
        );
    }
    let past_end = |addr| StartReason::OutOfBounds {
        addr,
        min_bytes: 65_536,
    };
    for (from, last) in [("i32.const 64", 65_531), ("i32.const 128", 65_520)] {
        let found = [last, last + 1].map(|at| start_init(from, &format!("i32.const {at}")));
        assert_eq!(found, [Ok(()), Err(past_end(last + 1))], "{from}");
    }
}

/// wasm-ld's calls a few functions that relocate globals, then the one that writes.
#[test]
fn a_start_function_of_many_calls_is_rejected() {
    let calls = |n: usize| {
        let others = "call $other ".repeat(n);
        let start = format!("(func $start {others} call $init) (start $start)");
        let wasm = program("", &start);
        let module = Module::parse(&wasm).expect("valid");
        module.start_init().map(|it| it.function().as_u32())
    };
    assert_eq!(calls(0), Ok(0));
    assert_eq!(calls(3), Ok(0));
    assert!(matches!(calls(4), Err(StartReason::Shape { .. })));
    // An optimiser inlines the last.
    let inlined = |n: usize| {
        let calls = format!("{} block block block", "call $other ".repeat(n));
        let wasm = wasm(&text("", "(start $init)").replace("block block block", &calls));
        let module = Module::parse(&wasm).expect("valid");
        module.start_init().map(drop)
    };
    assert_eq!(inlined(4), Ok(()));
    assert!(matches!(inlined(5), Err(StartReason::Shape { .. })));
}

/// Returns the module up to the code section, the function bodies, and the rest.
fn bodies(wasm: &[u8]) -> (&[u8], Vec<Vec<u8>>, &[u8]) {
    let position = |at: u64| usize::try_from(at).expect("small");
    let (mut section, mut bodies) = (0..0, Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("valid");
        if let Payload::CodeSectionEntry(body) = &payload {
            let range = body.range();
            bodies.push(wasm[position(range.start)..position(range.end)].to_vec());
        }
        if let Some((10, range)) = payload.as_section() {
            section = position(range.start)..position(range.end);
        }
    }
    // Before the contents: the section's id, and its size in one or two bytes.
    let before = section.start - if section.len() < 0x80 { 2 } else { 3 };
    assert_eq!(wasm[before], 10);
    (&wasm[..before], bodies, &wasm[section.end..])
}

fn leb(n: usize) -> [u8; 2] {
    [n as u8 | 0x80, u8::try_from(n >> 7).expect("small")]
}

/// A body that goes on after its last `end` is invalid, but not every host validates.
#[test]
fn code_after_the_end_is_rejected() {
    let called = "(func $start call $other call $init) (start $start)";
    for (start, n_functions) in [("(start $init)", 1), (called, 3)] {
        let wasm = program("", start);
        let (before, original, after) = bodies(&wasm);
        let start_init = |longer: Option<usize>| {
            let mut code = leb(original.len()).to_vec();
            for (nth, body) in original.iter().enumerate() {
                let rest: &[u8] = if longer == Some(nth) { &[0x0b] } else { &[] };
                let body = [body, rest].concat();
                code.extend(leb(body.len()));
                code.extend(body);
            }
            let header = [&[10][..], &leb(code.len())].concat();
            let wasm = [before, &header, &code, after].concat();
            let module = Module::parse(&wasm).expect("bodies are not read");
            module.start_init().map(drop)
        };
        assert_eq!(start_init(None), Ok(()));
        for nth in 0..n_functions {
            let found = start_init(Some(nth));
            assert!(
                matches!(found, Err(StartReason::Shape { .. })),
                "{start}, {nth}: {found:?}"
            );
        }
    }
}

/// Writes that touch are apart; those that share a byte depend on their order.
#[test]
fn overlapping_writes_are_not_baked() {
    let reason = |from: &str, to: &str| {
        let wasm = wasm(&text("", "(start $init)").replace(from, to));
        let module = Module::parse(&wasm).expect("valid");
        rejection(&module, StartFunction::AlreadyInitialized)
    };
    let overlap = |addr| Some(StartReason::Overlap { addr });
    // The segment is at 64..69, and the flag at 512..516.
    assert_eq!(reason("i32.const 128", "i32.const 69"), None);
    assert_eq!(reason("i32.const 128", "i32.const 68"), overlap(68));
    assert_eq!(reason("i32.const 128", "i32.const 48"), None);
    assert_eq!(reason("i32.const 128", "i32.const 49"), overlap(64));
    assert_eq!(reason("i32.const 64", "i32.const 507"), None);
    assert_eq!(reason("i32.const 64", "i32.const 508"), overlap(512));
    let empty = "i32.const 66 i32.const 0 i32.const 0 memory.fill i32.const 128";
    assert_eq!(reason("i32.const 128", empty), None);
    for (active, expected) in [(59, None), (60, overlap(64)), (69, None)] {
        let wasm = program(
            &format!(r#"(data (i32.const {active}) "there")"#),
            "(start $init)",
        );
        let module = Module::parse(&wasm).expect("valid");
        let found = rejection(&module, StartFunction::AlreadyInitialized);
        assert_eq!(found, expected, "{active}");
    }
}

/// A segment that may trap keeps the start function from running, whichever memory it is for.
#[test]
fn a_replayed_segment_keeps_a_start_function_from_being_baked() {
    let imports = r#"(import "env" "late" (global $late i32)) (import "env" "m" (memory $m 1))"#;
    let replayed = Some(StartReason::Replayed {
        segment: DataIndex::from_u32(1),
    });
    for (segment, expected) in [
        (r#"(data (i32.const 0) "baked")"#, None),
        (r#"(data (memory $m) (i32.const 0) "baked")"#, None),
        (r#"(data (global.get $late) "may trap")"#, replayed),
        (
            r#"(data (memory $m) (global.get $late) "may trap")"#,
            replayed,
        ),
        (r#"(data (memory $m) (i32.const 65535) "traps")"#, replayed),
    ] {
        let text = text(segment, "(start $init)");
        let wasm = wasm(&text.replace("(type $none", &format!("{imports} (type $none")));
        let module = Module::parse(&wasm).expect("valid");
        let found = rejection(&module, StartFunction::AlreadyInitialized);
        assert_eq!(found, expected, "{segment}");
    }
}

/// An unmodified function must find the flag set; a stripped one must find it clear.
#[test]
fn the_flag_in_the_image_says_what_is_left_to_do() {
    let wasm = program("", "(start $init)");
    let module = Module::parse(&wasm).expect("valid");
    for (treatment, flag) in [
        (StartFunction::AlreadyInitialized, Some(&[2, 0, 0, 0][..])),
        (StartFunction::WritesStripped, None),
    ] {
        let plan = Plan::new(&module, &ZEROED.with_start_function(treatment));
        let memory = plan.memories().values().next().expect("one");
        let at = |addr| memory.pieces().iter().find(|it| it.addr == addr);
        assert_eq!(at(64).map(|it| &*it.data), Some(&b"hello"[..]));
        assert_eq!(at(512).map(|it| &*it.data), flag, "{treatment:?}");
    }
}
