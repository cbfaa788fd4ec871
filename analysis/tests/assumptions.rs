//! A plan lists exactly the assumptions that it relies on, and identifies its module.

#![cfg(feature = "parse")]

use wasm_meminit_analysis::{
    Assumption, Decision, GlobalError, GlobalIndex, HostPageSize, MemoryIndex, MemorySizeError,
    Module, Plan, Policy, Reason, StartFunction, Value,
};

const ZEROED: Policy = Policy::balanced(HostPageSize::KIB_4).with_zeroed_imports(true);
const MIB: i32 = 1 << 20;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

fn with_values<'a>(wasm: &'a [u8], values: &[(u32, i32)]) -> Module<'a> {
    let module = Module::parse(wasm).expect("valid");
    values.iter().fold(module, |module, &(global, value)| {
        module
            .with_global(GlobalIndex::from_u32(global), Value::I32(value))
            .expect("of that type")
    })
}

fn sized(module: Module<'_>, bytes: u64) -> Module<'_> {
    module
        .with_memory_size(MemoryIndex::from_u32(0), bytes)
        .expect("large enough")
}

/// The listed assumptions in short form.
fn listed(plan: &Plan<'_>) -> Vec<String> {
    plan.assumptions()
        .iter()
        .map(|it| match it {
            Assumption::GlobalValue { name, value, .. } => format!("{name}={value}"),
            Assumption::ZeroedMemory { name, .. } => format!("{name} zeroed"),
            Assumption::MemorySize { name, bytes, .. } => format!("{name}>={bytes}"),
            Assumption::StartFunction { treatment, .. } => format!("{treatment:?}"),
            _ => "?".into(),
        })
        .collect()
}

const IMPORTS: &str = r#"
    (import "env" "a" (global $a i32))
    (import "env" "b" (global $b i32))
    (global $c i32 (i32.add (global.get $b) (i32.const 4)))"#;

/// A host resolves one name to one memory, so two imports of it are not distinct.
#[test]
fn memories_with_one_name_are_not_assumed_to_be_distinct() {
    let wasm = wasm(
        r#"(module
             (import "env" "m" (memory $a 1))
             (import "env" "other" (memory $c 1))
             (import "env" "m" (memory $b 1))
             (data (memory $a) (i32.const 0) "aaaa")
             (data (memory $c) (i32.const 0) "c")
             (data (memory $b) (i32.const 0) "bbbb")
             (data (memory $a) (i32.const 2) "cc"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let twice = |nth| module.is_imported_twice(MemoryIndex::from_u32(nth));
    assert_eq!([0, 1, 2, 3].map(twice), [true, false, true, false]);
    for policy in [ZEROED, ZEROED.with_max_runs(1)] {
        let plan = Plan::new(&module, &policy);
        assert_eq!(listed(&plan), ["other zeroed"]);
        let replayed = plan.replay().iter().map(|it| it.segment.as_u32());
        assert_eq!(replayed.collect::<Vec<_>>(), [0, 2, 3]);
        let mut reasons = plan.reasons().iter().map(|it| it.reason);
        assert!(reasons.all(|it| it == Reason::ImportedMemory));
    }
}

#[test]
fn lists_values_that_a_baked_segment_depends_on() {
    let wasm = wasm(&format!(
        r#"(module {IMPORTS} (memory 1) (data (global.get $c) "x"))"#
    ));
    let plan = Plan::new(&with_values(&wasm, &[(0, 1), (1, 2)]), &Policy::default());
    // Through a defined global; the other import is not used.
    assert_eq!(listed(&plan), ["b=2"]);
    assert_eq!(
        plan.assumptions()[0].to_string(),
        r#"global 1 ("env" "b") is 2"#
    );
    let plan = Plan::new(&with_values(&wasm, &[(0, 1)]), &Policy::default());
    assert_eq!(listed(&plan), [""; 0]);
}

#[test]
fn lists_values_of_segments_before_a_baked_one() {
    // The first segment is replayed because its memory is imported; the second is baked.
    let wasm = wasm(&format!(
        r#"(module (import "env" "m" (memory 1)) {IMPORTS} (memory $own 1)
             (data (global.get $a) "x")
             (data (memory $own) (i32.const 0) "y")
             (data (global.get $b) "z"))"#
    ));
    let module = with_values(&wasm, &[(0, 8), (1, 8)]);
    let plan = Plan::new(&module, &Policy::default());
    assert_eq!(plan.replay().len(), 2);
    assert_eq!(listed(&plan), ["a=8"]);
    // If the first may trap, the second is replayed too, and nothing is assumed.
    let plan = Plan::new(&with_values(&wasm, &[(1, 8)]), &Policy::default());
    assert_eq!(plan.replay().len(), 3);
    assert_eq!(listed(&plan), [""; 0]);
    let plan = Plan::new(&module, &ZEROED);
    assert_eq!(listed(&plan), ["a=8", "b=8", "m zeroed"]);
}

#[test]
fn nothing_is_assumed_where_nothing_is_baked() {
    let wasm = wasm(&format!(
        r#"(module {IMPORTS} (memory 1)
             (data (global.get $a) "x") (data (global.get $b) "y"))"#
    ));
    let plan = Plan::new(
        &with_values(&wasm, &[(0, 1), (1, 70_000)]),
        &Policy::default(),
    );
    assert!(matches!(
        plan.reasons()[0].reason,
        Reason::AlwaysTraps { .. }
    ));
    assert_eq!(listed(&plan), [""; 0]);
    // The promise is not used, because no imported memory has data.
    let plan = Plan::new(&with_values(&wasm, &[(0, 1)]), &ZEROED);
    assert_eq!(listed(&plan), ["a=1"]);
}

#[test]
fn elements_may_depend_on_a_value() {
    let wasm = wasm(&format!(
        r#"(module {IMPORTS} (memory 1) (table 4 funcref) (func $f)
             (elem (global.get $a) $f)
             (data (i32.const 0) "x"))"#
    ));
    let plan = Plan::new(&with_values(&wasm, &[(0, 3)]), &Policy::default());
    assert!(!plan.elements_may_trap());
    assert_eq!(listed(&plan), ["a=3"]);
    let plan = Plan::new(&with_values(&wasm, &[(0, 4)]), &Policy::default());
    assert!(plan.elements_may_trap());
    assert_eq!(listed(&plan), [""; 0]);
}

#[test]
fn lists_the_size_of_a_side_modules_memory() {
    let wasm = wasm(
        r#"(module (import "env" "memory" (memory 1))
             (import "env" "__memory_base" (global $base i32))
             (data (global.get $base) "side")
             (data (i32.add (global.get $base) (i32.const 65532)) "module"))"#,
    );
    for base in [MIB, 5 * MIB + 1024, -(2 * MIB)] {
        let with_base = with_values(&wasm, &[(0, base)]);
        let plan = Plan::new(&with_base, &ZEROED);
        assert!(plan.replay().len() == 2 && listed(&plan).is_empty());

        let large = Plan::new(&sized(with_base.clone(), 1 << 32), &ZEROED);
        let memory = &large.memories()[MemoryIndex::from_u32(0)];
        assert_eq!(memory.decision(), Decision::Static);
        assert_eq!(memory.ty().min_bytes(), Some(1 << 32));
        let expected = [
            format!("__memory_base={base}"),
            "memory zeroed".into(),
            "memory>=4294967296".into(),
        ];
        assert_eq!(listed(&large), expected);
        // Large enough for the first segment, but not always for the second.
        let bytes = u64::from(base.cast_unsigned()) + 65_536;
        let tight = sized(with_base, bytes.next_multiple_of(65_536));
        let is_within = u64::from(base.cast_unsigned()) + 65_538 <= bytes.next_multiple_of(65_536);
        assert_eq!(Plan::new(&tight, &ZEROED).replay().is_empty(), is_within);
    }
    // Within the declared minimum the size is not needed.
    let plan = Plan::new(&sized(with_values(&wasm, &[(0, -4)]), 1 << 20), &ZEROED);
    assert_eq!(plan.replay().len(), 2);
    assert_eq!(listed(&plan), [""; 0]);
    let plan = Plan::new(&sized(with_values(&wasm, &[(0, 0)]), 1 << 17), &ZEROED);
    assert_eq!(plan.replay().len(), 0);
    let plan_wasm = listed(&plan);
    assert_eq!(
        plan_wasm,
        ["__memory_base=0", "memory zeroed", "memory>=131072"]
    );
}

#[test]
fn invalid_memory_sizes_are_rejected() {
    let wasm = wasm(r#"(module (import "e" "m" (memory 2 4)) (memory 1))"#);
    let module = Module::parse(&wasm).expect("valid");
    let [imported, defined, absent] = [0, 1, 2].map(MemoryIndex::from_u32);
    let rejected = |memory, bytes| {
        let module = module.clone().with_memory_size(memory, bytes);
        module.map(drop).expect_err("rejected")
    };
    assert_eq!(rejected(absent, 65_536), MemorySizeError::Unknown(absent));
    assert_eq!(rejected(defined, 65_536), MemorySizeError::Defined(defined));
    assert!(matches!(
        rejected(imported, 65_536),
        MemorySizeError::TooSmall { .. }
    ));
    assert!(matches!(
        rejected(imported, 5 << 16),
        MemorySizeError::TooLarge { .. }
    ));
    assert!(matches!(
        rejected(imported, 131_073),
        MemorySizeError::NotPages { .. }
    ));
    let module = sized(module, 3 << 16);
    assert_eq!(module.memory_size(imported), Some(3 << 16));
    assert_eq!(module.memories()[imported].ty.min, 2);
    let module = sized(module, 3 << 16);
    let again = module.with_memory_size(imported, 4 << 16).map(drop);
    assert_eq!(
        again,
        Err(MemorySizeError::Contradiction {
            before: 3 << 16,
            bytes: 4 << 16
        })
    );
}

#[test]
fn conflicting_values_are_rejected() {
    let wasm = wasm(
        r#"(module (import "e" "a" (global i32)) (import "e" "b" (global (mut i32)))
             (memory 1) (data (global.get 0) "x"))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let [global, mutable, absent] = [0, 1, 2].map(GlobalIndex::from_u32);
    let known = module.with_global(global, Value::I32(8)).expect("an i32");
    let rejected = |global, value| {
        let module = known.clone().with_global(global, value);
        module.map(drop).expect_err("rejected")
    };
    assert!(known.clone().with_global(global, Value::I32(8)).is_ok());
    let (before, value) = (Value::I32(8), Value::I32(9));
    assert_eq!(
        rejected(global, value),
        GlobalError::Contradiction {
            global,
            before,
            value
        }
    );
    assert_eq!(rejected(global, Value::I64(8)), GlobalError::Type(global));
    assert_eq!(rejected(mutable, value), GlobalError::Unusable(mutable));
    assert_eq!(rejected(absent, value), GlobalError::Unknown(absent));
}

#[test]
fn lists_the_start_function_and_its_globals() {
    let wasm = wasm(include_str!("../../tests/modules/threads-pic.wat"));
    let policy = ZEROED.with_start_function(StartFunction::AlreadyInitializedTls);
    let with_base = with_values(&wasm, &[(0, 100)]);
    let plan = Plan::new(&with_base, &policy);
    assert_eq!(
        listed(&plan),
        [
            "__memory_base=100",
            "memory zeroed",
            "AlreadyInitializedTls"
        ]
    );
    // An unchanged start function needs no assumption.
    assert_eq!(listed(&Plan::new(&with_base, &ZEROED)), [""; 0]);
    // With a realistic base address.
    let far = sized(with_values(&wasm, &[(0, 512 * 1024)]), 1 << 20);
    let plan = Plan::new(&far, &policy);
    assert!(plan.start().is_ok());
    assert_eq!(
        listed(&plan),
        [
            "__memory_base=524288",
            "memory zeroed",
            "memory>=1048576",
            "AlreadyInitializedTls"
        ]
    );
}

#[test]
fn a_plan_identifies_its_module() {
    let text = |data: &str, at: u32, memory: u32| {
        wasm(&format!(
            r#"(module (import "env" "m" (memory {memory})) {IMPORTS} (global $d i32 (i32.const {at}))
               (data (global.get $d) "{data}") (data (global.get $c) "replayed"))"#
        ))
    };
    let ours = text("bytes", 8, 1);
    let plan = Plan::new(&Module::parse(&ours).expect("valid"), &ZEROED);
    assert!(plan.matches(&Module::parse(&ours.clone()).expect("valid")));
    assert!(plan.matches(&with_values(&ours, &[(0, 5), (1, 5)])));
    for other in [
        text("bytez", 8, 1),
        text("byte", 8, 1),
        text("bytes", 9, 1),
        text("bytes", 8, 2),
    ] {
        assert!(!plan.matches(&Module::parse(&other).expect("valid")));
    }
}

/// A change of any byte that the plan depends on is detected.
#[test]
fn changed_bytes_are_detected() {
    let wasm = wasm(include_str!("../../tests/modules/threads-pic.wat"));
    let policy = ZEROED.with_start_function(StartFunction::AlreadyInitializedTls);
    let with_base = with_values(&wasm, &[(0, 100)]);
    let plan = Plan::new(&with_base, &policy);
    let (mut n_other, mut n_same) = (0, 0);
    for at in 8..wasm.len() {
        for bit in 0..8 {
            let mut changed = wasm.clone();
            changed[at] ^= 1 << bit;
            let Ok(module) = Module::parse(&changed) else {
                continue;
            };
            let Ok(module) = module.with_global(GlobalIndex::from_u32(0), Value::I32(100)) else {
                continue;
            };
            let is_same = module.memories() == with_base.memories()
                && module.segments() == with_base.segments()
                && module.global_imports() == with_base.global_imports()
                && module.globals().len() == with_base.globals().len()
                && module.start_init().is_ok() == with_base.start_init().is_ok();
            if !is_same {
                assert!(!plan.matches(&module), "byte {at:#x}, bit {bit}");
                n_other += 1;
            } else {
                n_same += 1;
            }
        }
    }
    assert!(500 < n_other && n_same != 0, "{n_other}, {n_same}");
}

/// One value for each global, of its type.
#[test]
fn contradictory_values_are_rejected() {
    let wasm = wasm(
        r#"(module (import "e" "a" (global i32)) (import "e" "b" (global i64))
             (import "e" "c" (global (mut i32))) (global i32 (i32.const 1)))"#,
    );
    let module = Module::parse(&wasm).expect("valid");
    let index = GlobalIndex::from_u32;
    let fails = |module: &Module<'_>, global, value| {
        let result = module.clone().with_global(index(global), value);
        result.map(drop).expect_err("a wrong value")
    };
    assert_eq!(
        fails(&module, 0, Value::I64(1)),
        GlobalError::Type(index(0))
    );
    assert_eq!(
        fails(&module, 1, Value::I32(1)),
        GlobalError::Type(index(1))
    );
    assert_eq!(
        fails(&module, 2, Value::I32(1)),
        GlobalError::Unusable(index(2))
    );
    assert_eq!(
        fails(&module, 3, Value::I32(1)),
        GlobalError::Defined(index(3))
    );
    assert_eq!(
        fails(&module, 4, Value::I32(1)),
        GlobalError::Unknown(index(4))
    );
    let supplied = module.with_global(index(0), Value::I32(1)).expect("i32");
    assert_eq!(supplied.global_value(index(0)), Some(Value::I32(1)));
    assert!(
        supplied
            .clone()
            .with_global(index(0), Value::I32(1))
            .is_ok()
    );
    assert_eq!(
        fails(&supplied, 0, Value::I64(1)),
        GlobalError::Type(index(0))
    );
    let contradiction = GlobalError::Contradiction {
        global: index(0),
        before: Value::I32(1),
        value: Value::I32(2),
    };
    assert_eq!(fails(&supplied, 0, Value::I32(2)), contradiction);
}

/// A module that was supplied with values and sizes is the same again once they are forgotten.
#[test]
fn what_was_supplied_can_be_forgotten() {
    let wasm = wasm(
        r#"(module (import "e" "a" (global $a i32)) (import "e" "b" (global $b i32))
             (import "e" "m" (memory 1))
             (global $sum i32 (i32.add (global.get $a) (global.get $b)))
             (global $own i32 (i32.const 8))
             (data (i32.add (global.get $sum) (global.get $own)) "x"))"#,
    );
    let plain = Module::parse(&wasm).expect("valid");
    let supplied = || sized(with_values(&wasm, &[(0, MIB), (1, 64)]), 4 << 20);
    assert_eq!(listed(&Plan::new(&supplied(), &ZEROED)).len(), 4);
    let forgotten = supplied().without_supplied();
    assert_eq!(forgotten.globals(), plain.globals());
    let memory = MemoryIndex::from_u32(0);
    assert_eq!(supplied().supplied_memory_size(memory), Some(4 << 20));
    assert_eq!(forgotten.supplied_memory_size(memory), None);
    // Others can be supplied, and are passed on to the globals that depend on them.
    let again = [(0, 8), (1, 16)]
        .into_iter()
        .fold(forgotten, |module, (global, value)| {
            let supplied = module.with_global(GlobalIndex::from_u32(global), Value::I32(value));
            supplied.expect("of that type")
        });
    assert_eq!(
        again.globals(),
        with_values(&wasm, &[(0, 8), (1, 16)]).globals()
    );
}
