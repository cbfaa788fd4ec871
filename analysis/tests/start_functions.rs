//! Which start functions can be stripped, and in which forms they are recognised.

#![cfg(feature = "parse")]

use wasm_meminit_analysis::wasmparser::{Parser, Payload};
use wasm_meminit_analysis::{
    Assumption, GlobalIndex, HostPageSize, Module, ModuleBuilder, Plan, Policy, ReachedBy,
    StartFunction, StartReason, Value,
};

const ZEROED: Policy = Policy::balanced(HostPageSize::KIB_4).with_zeroed_imports(true);

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

/// A threaded program with additional items; `$init` initialises memory.
fn program(items: &str, start: &str) -> Vec<u8> {
    wasm(&format!(
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
    ))
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
