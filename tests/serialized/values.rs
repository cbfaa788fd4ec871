//! Serialised values round-trip, borrow bytes if the format supports it, and are rejected if
//! the crate could not have produced them.

use alloc::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use wasm_meminit_analysis::{
    Assumption, GlobalIndex, HostPageSize, MemoryIndex, MemoryInitialization, MemoryInitializer,
    Module, OffsetExpr, Plan, Policy, Reason, SegmentReason, StartFunction, StartReason,
    StaticMemoryInitializer, Value,
};

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

/// The module with the value of global 0 supplied.
fn module(wasm: &[u8]) -> Module<'_> {
    Module::parse(wasm)
        .expect("valid")
        .with_global(GlobalIndex::from_u32(0), Value::I32(64))
        .expect("imported")
}

fn several() -> Vec<u8> {
    wasm(
        r#"(module
             (import "env" "memory" (memory 1))
             (import "env" "base" (global $base i32))
             (import "env" "late" (global $late i32))
             (memory $own i64 1)
             (data (memory $own) (i64.const 4000) "across a page boundary, all of the certain bytes")
             (data (memory $own) (i64.const 32768) "another run")
             (data (i32.add (global.get $base) (i32.const 8)) "based")
             (data (i32.add (global.get $late) (i32.const 1)) "dynamic")
             (data "passive")
             (data (i32.const 9) "after"))"#,
    )
}

fn policies() -> [Policy; 4] {
    let smallest = Policy::smallest(HostPageSize::KIB_4);
    [
        smallest,
        smallest.with_zeroed_imports(true),
        smallest.with_max_runs(1).with_zeroed_imports(true),
        Policy::reference(HostPageSize::KIB_4),
    ]
}

fn threads() -> Vec<u8> {
    wasm(include_str!("../../tests/modules/threads-pic.wat"))
}

/// Calls `check` for all plans of the test modules, each with its module.
fn with_plans(mut check: impl FnMut(&Module<'_>, &Plan<'_>)) {
    let wasm = several();
    let module_of_all = module(&wasm);
    for policy in policies() {
        check(&module_of_all, &Plan::new(&module_of_all, &policy));
    }
    let wasm = threads();
    let threads = module(&wasm);
    for treatment in [
        StartFunction::WritesStripped,
        StartFunction::AlreadyInitializedTls,
    ] {
        let policy = policies()[1].with_start_function(treatment);
        let plan = Plan::new(&threads, &policy);
        assert!(plan.start().is_ok());
        check(&threads, &plan);
    }
}

fn initialization<'a>(module: &Module<'a>, plan: &'a Plan<'_>) -> MemoryInitialization<'a> {
    let runs = plan.memories().values().map(|memory| {
        let pieces = memory.pieces().iter();
        pieces
            .map(|it| StaticMemoryInitializer {
                addr: it.addr,
                data: Cow::Borrowed(&it.data),
            })
            .collect()
    });
    assert!(plan.matches(module));
    MemoryInitialization::Hybrid {
        runs: runs.collect(),
        replay: plan.replay().to_vec(),
    }
}

/// The plan without what ties it to its module, which is a hash only once it is serialised.
fn without_origin(plan: &Plan<'_>) -> String {
    let text = format!("{plan:?}");
    let (shown, _origin) = text.rsplit_once(", origin: ").expect("a last field");
    shown.to_owned()
}

#[test]
fn plans_and_initialisations_round_trip() {
    with_plans(|module, plan| {
        let postcard = postcard::to_allocvec(plan).expect("serialises");
        let back: Plan<'_> = postcard::from_bytes(&postcard).expect("its own");
        assert_eq!(without_origin(&back), without_origin(plan));
        assert_eq!(postcard::to_allocvec(&back).as_ref(), Ok(&postcard));
        assert!(back.matches(module));
        let borrowed = |it: &MemoryInitializer<'_>| matches!(it.data, Cow::Borrowed(_));
        assert!(back.replay().iter().all(borrowed));

        let json = serde_json::to_string(plan).expect("serialises");
        let back: Plan<'_> = serde_json::from_str(&json).expect("its own");
        assert_eq!(without_origin(&back), without_origin(plan));
        assert_eq!(postcard::to_allocvec(&back), Ok(postcard));
        assert!(back.matches(module));
        assert!(!back.replay().iter().any(borrowed));
        for init in [initialization(module, plan), module.memory_initialization()] {
            let postcard = postcard::to_allocvec(&init).expect("serialises");
            let back: MemoryInitialization<'_> = postcard::from_bytes(&postcard).expect("own");
            assert_eq!(format!("{back:?}"), format!("{init:?}"));
            let json = serde_json::to_string(&init).expect("serialises");
            let back: MemoryInitialization<'_> = serde_json::from_str(&json).expect("own");
            assert_eq!(format!("{back:?}"), format!("{init:?}"));
            let kept: MemoryInitialization<'static> = back.into_owned();
            assert_eq!(format!("{kept:?}"), format!("{init:?}"));
        }
    });
}

#[track_caller]
fn round_trip<T: serde::Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(it: &T) {
    let postcard = postcard::to_allocvec(it).expect("serialises");
    assert_eq!(postcard::from_bytes::<T>(&postcard).as_ref(), Ok(it));
    let json = serde_json::to_value(it).expect("serialises");
    assert_eq!(&serde_json::from_value::<T>(json).expect("its own"), it);
}

#[test]
fn reasons_round_trip_and_keep_their_json_form() {
    let global = GlobalIndex::from_u32(3);
    let reason = SegmentReason {
        segment: wasm_meminit_analysis::DataIndex::from_u32(1),
        memory: None,
        len: 7,
        reason: Reason::DynamicOffset { global },
    };
    assert_eq!(
        serde_json::to_value(reason).expect("serialises"),
        json!({"segment": 1, "memory": null, "len": 7, "reason": "dynamic_offset", "global": 3})
    );
    round_trip(&reason);
    for reason in [
        Reason::ImportedMemory,
        Reason::OutOfBounds {
            addr: u64::MAX,
            min_bytes: 1 << 40,
        },
        Reason::TooLarge,
        Reason::Passive,
    ] {
        round_trip(&reason);
    }
    round_trip(&StartReason::Shape { offset: 9 });
    round_trip(&StartReason::ThreadLocal { global });
    for policy in policies() {
        round_trip(&policy);
    }
}

#[track_caller]
fn assert_rejected(json: &Json, what: &str) {
    assert!(!is_init(json), "{what}");
}

fn is_init(json: &Json) -> bool {
    serde_json::from_str::<MemoryInitialization<'_>>(&json.to_string()).is_ok()
}

fn is_plan(json: &Json) -> bool {
    serde_json::from_str::<Plan<'_>>(&json.to_string()).is_ok()
}

#[test]
fn invalid_initialisations_are_rejected() {
    let segment = |memory: u64, segment: u64, offset: Json| json!({"memory_index": memory, "segment": segment, "offset": offset, "data": [1]});
    let zero = json!({"const": {"I32": 0}});
    let list = |list: Vec<Json>| json!({ "segmented": list });
    let fine = list(vec![
        segment(0, 0, zero.clone()),
        segment(0, 4, zero.clone()),
    ]);
    assert!(is_init(&fine));
    for (what, segments) in [
        (
            "order",
            vec![segment(0, 1, zero.clone()), segment(0, 0, zero.clone())],
        ),
        (
            "twice",
            vec![segment(0, 1, zero.clone()), segment(0, 1, zero.clone())],
        ),
        ("reserved", vec![segment(u32::MAX.into(), 0, zero.clone())]),
        ("reserved", vec![segment(0, u32::MAX.into(), zero.clone())]),
        (
            "more than 100 memories",
            vec![segment(100, 0, zero.clone())],
        ),
        (
            "more than 100,000 segments",
            vec![segment(0, 100_000, zero.clone())],
        ),
        (
            "no end",
            vec![segment(0, 0, json!({"expr": [0x41, 0, 0x41, 0, 0x6a]}))],
        ),
        (
            "trailing bytes",
            vec![segment(0, 0, json!({"expr": [0x23, 0, 0x0b, 0x0b]}))],
        ),
        (
            "not an integer",
            vec![segment(0, 0, json!({"expr": [0xd0, 0x70, 0x0b]}))],
        ),
        (
            "a constant",
            vec![segment(0, 0, json!({"expr": [0x41, 0, 0x0b]}))],
        ),
    ] {
        assert_rejected(&list(segments), what);
    }
    let run = |addr: u64, len: usize| json!({"addr": addr, "data": vec![1; len]});
    assert_rejected(
        &json!({"static": {"map": [run(u64::MAX, 1)]}}),
        "past the end",
    );
    assert_rejected(
        &json!({"static": {"map": vec![Json::Null; 101]}}),
        "memories",
    );
    let hybrid = |runs: Json, replay: Json| json!({"hybrid": {"runs": runs, "replay": replay}});
    let fine = hybrid(
        json!([[run(0, 4), run(4, 1)], []]),
        json!([segment(1, 0, zero.clone())]),
    );
    assert!(is_init(&fine));
    assert_rejected(&hybrid(json!([[run(4, 1), run(0, 4)]]), json!([])), "order");
    assert_rejected(
        &hybrid(json!([[run(0, 5), run(4, 1)]]), json!([])),
        "overlap",
    );
    assert_rejected(&hybrid(json!([[run(0, 0)]]), json!([])), "empty");
    assert_rejected(
        &hybrid(json!([[]]), json!([segment(1, 0, zero)])),
        "no such memory",
    );
}

#[test]
fn invalid_plans_are_rejected() {
    let wasm = several();
    let module = module(&wasm);
    let plan = Plan::new(&module, &policies()[1]);
    let json = serde_json::to_value(&plan).expect("serialises");
    assert!(is_plan(&json));
    let edits: &[(&str, Json)] = &[
        ("/policy/page_size", json!(5000)),
        ("/policy/page_size", json!(65536)),
        ("/policy/layout/runs/max_runs", json!(0)),
        ("/policy/layout/runs/max_runs", json!(1)),
        ("/policy/max_image_size", json!(4096)),
        ("/policy/assume_zeroed_imports", json!(false)),
        ("/policy/start_function", json!("none_such")),
        ("/memories/1/imported", json!(true)),
        ("/memories/0/imported", json!(false)),
        ("/memories/1/ty/min", json!(0)),
        ("/memories/1/ty/shared", json!(true)),
        ("/memories/1/runs/0/addr", json!(1)),
        ("/memories/1/runs/0/addr", json!(1 << 20)),
        ("/memories/1/runs/0/len", json!(0)),
        ("/memories/1/runs/0/len", json!(u64::MAX - 4095)),
        ("/memories/1/runs", json!([])),
        ("/memories/1/pieces/0/addr", json!(1 << 20)),
        ("/memories/1/pieces/1/addr", json!(0)),
        ("/memories/1/pieces/1/addr", json!(16384)),
        ("/memories/1/pieces/0/data", json!([])),
        ("/memories/1/n_baked", json!(0)),
        ("/memories/1/n_baked_passive", json!(1)),
        ("/memories/1/extent/min", json!(1 << 30)),
        ("/replay/0/memory_index", json!(2)),
        ("/replay/0/segment", json!(0xffff_ffff_u32)),
        ("/replay/1/segment", json!(0)),
        ("/replay/1/offset", json!({"const": {"I64": 9}})),
        ("/replay/1/data", json!([1])),
        ("/reasons/0/segment", json!(1)),
        ("/reasons/0/memory", Json::Null),
        ("/reasons/0/reason", json!("passive")),
        ("/reasons", json!([])),
        ("/assumptions", json!([])),
        ("/assumptions/1/zeroed_memory/memory", json!(1)),
        ("/assumptions/1/zeroed_memory/memory", json!(7)),
    ];
    for (at, value) in edits {
        let mut edited = json.clone();
        *edited
            .pointer_mut(at)
            .unwrap_or_else(|| panic!("{at}: {json:#}")) = value.clone();
        assert!(!is_plan(&edited), "{at} = {value}");
    }

    let wasm = threads();
    let module = self::module(&wasm);
    let plan = Plan::new(
        &module,
        &policies()[1].with_start_function(StartFunction::WritesStripped),
    );
    let json = serde_json::to_value(&plan).expect("serialises");
    for (at, value) in [
        ("/start/Ok/flag", json!(1)),
        ("/start/Ok/flag", json!(1_u64 << 40)),
        ("/start/Ok/memory", json!(1)),
        ("/start/Ok/writes", json!([])),
        ("/start/Ok/writes/0/1", json!(1_u64 << 40)),
        ("/start", json!({"Err": {"reason": "not_asked"}})),
        ("/policy/start_function", json!("unchanged")),
        ("/policy/start_function", json!("already_initialized")),
        ("/assumptions/2/start_function/memory", json!(3)),
    ] {
        let mut edited = json.clone();
        *edited
            .pointer_mut(at)
            .unwrap_or_else(|| panic!("{at}: {json:#}")) = value.clone();
        assert!(!is_plan(&edited), "{at} = {value}");
    }
}

/// The role of a byte in a serialised form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Data of a segment or an image: every value is valid.
    Data,
    /// Part of an import name, which is UTF-8.
    Name,
    /// Everything else: lengths, tags, numbers, expressions.
    Structure,
}

/// Determines the role of each byte from the positions of borrowed data.
fn roles<'a>(
    bytes: &'a [u8],
    borrowed_data: impl Iterator<Item = &'a [u8]>,
    names: &[&str],
) -> Vec<Role> {
    let mut roles = vec![Role::Structure; bytes.len()];
    for borrowed_data in borrowed_data {
        let at = borrowed_data.as_ptr() as usize - bytes.as_ptr() as usize;
        roles[at..at + borrowed_data.len()].fill(Role::Data);
    }
    for name in names {
        let name = [&[u8::try_from(name.len()).expect("short")], name.as_bytes()].concat();
        for at in 0..bytes.len() {
            if bytes[at..].starts_with(&name) && roles[at] == Role::Structure {
                roles[at + 1..at + name.len()].fill(Role::Name);
            }
        }
    }
    roles
}

/// The number of bit flips in data and in names, and of other flips that were rejected or
/// gave a different value.
#[derive(Debug, Default)]
struct Tally {
    n_data: usize,
    n_names: usize,
    n_rejected: usize,
    n_read: usize,
}

/// Flips every bit and truncates at every byte: the result must be an error or a valid value.
fn damage(
    bytes: &[u8],
    roles: &[Role],
    tally: &mut Tally,
    read: impl Fn(&[u8]) -> Option<(Vec<u8>, String)>,
) {
    let (again, original) = read(bytes).expect("its own");
    assert_eq!(again, bytes);
    for at in 0..bytes.len() {
        assert!(read(&bytes[..at]).is_none(), "truncated at {at}");
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            let found = read(&damaged);
            match (roles[at], &found) {
                (Role::Data, Some(_)) => tally.n_data += 1,
                (Role::Data, None) => panic!("data at {at}, bit {bit}"),
                (Role::Name, found) => {
                    // All names are ASCII, so setting the high bit makes them invalid UTF-8.
                    assert_eq!(found.is_some(), bit != 7, "a name at {at}, bit {bit}");
                    tally.n_names += 1;
                }
                (Role::Structure, Some(_)) => tally.n_read += 1,
                (Role::Structure, None) => tally.n_rejected += 1,
            }
            if let Some((_, found)) = found {
                assert_ne!(
                    found, original,
                    "{at}, bit {bit}: the damage was not noticed"
                );
            }
        }
    }
}

#[test]
fn damaged_input_is_rejected_or_valid() {
    let (mut plans, mut inits) = (Tally::default(), Tally::default());
    with_plans(|module, plan| {
        let bytes = postcard::to_allocvec(plan).expect("serialises");
        let back: Plan<'_> = postcard::from_bytes(&bytes).expect("its own");
        let pieces = back.memories().values().flat_map(|it| it.pieces());
        let borrowed_data = pieces.map(|it| borrowed(&it.data));
        let replay = back.replay().iter().map(|it| borrowed(&it.data));
        let names = plan.assumptions().iter().flat_map(names);
        let names: Vec<&str> = names.collect();
        let roles = roles(&bytes, borrowed_data.chain(replay), &names);
        damage(&bytes, &roles, &mut plans, read_plan);

        let init = postcard::to_allocvec(&initialization(module, plan)).expect("serialises");
        let back: MemoryInitialization<'_> = postcard::from_bytes(&init).expect("its own");
        let runs = (0..2).flat_map(|nth| back.runs(MemoryIndex::from_u32(nth)));
        let runs = runs.map(|it| borrowed(&it.data));
        let replay = back.replay().iter().map(|it| borrowed(&it.data));
        let roles = self::roles(&init, runs.chain(replay), &[]);
        damage(&init, &roles, &mut inits, read_init);
    });
    println!("plans: {plans:?}; initialisations: {inits:?}");
    for tally in [&plans, &inits] {
        assert!(tally.n_data != 0 && tally.n_rejected != 0 && tally.n_read != 0);
    }
    assert!(plans.n_names != 0);
}

fn names(of: &Assumption) -> impl Iterator<Item = &str> {
    let names = match of {
        Assumption::GlobalValue { module, name, .. }
        | Assumption::ZeroedMemory { module, name, .. }
        | Assumption::MemorySize { module, name, .. } => Some([module, name]),
        _ => None,
    };
    names.into_iter().flatten().map(String::as_str)
}

fn borrowed<'a>(data: &Cow<'a, [u8]>) -> &'a [u8] {
    match data {
        Cow::Borrowed(data) => data,
        Cow::Owned(_) => panic!("postcard supports borrowing"),
    }
}

/// Deserialises, serialises again, and returns the bytes and the debug output.
fn read_plan(bytes: &[u8]) -> Option<(Vec<u8>, String)> {
    let Ok(plan) = postcard::from_bytes::<Plan<'_>>(bytes) else {
        return None;
    };
    for memory in plan.memories().values() {
        let size = memory
            .ty()
            .min_bytes()
            .expect("checked where there is an image");
        let pieces = memory.pieces();
        assert!(pieces.is_sorted_by(|a, b| a.end() <= b.addr));
        assert!(pieces.iter().all(|it| it.end() <= size));
        let page = plan.page_size();
        assert!(
            memory
                .runs()
                .iter()
                .all(|it| page.is_aligned(it.addr) && it.len != 0)
        );
        assert!(memory.image_bytes() <= plan.policy().max_image_size());
    }
    let again = postcard::to_allocvec(&plan).expect("serialises");
    let back: Plan<'_> = postcard::from_bytes(&again).expect("was read before");
    assert_eq!(format!("{back:?}"), format!("{plan:?}"));
    Some((again, format!("{plan:?}")))
}

fn read_init(bytes: &[u8]) -> Option<(Vec<u8>, String)> {
    let Ok(init) = postcard::from_bytes::<MemoryInitialization<'_>>(bytes) else {
        return None;
    };
    assert!(init.replay().is_sorted_by(|a, b| a.segment < b.segment));
    for it in init.replay() {
        // Only checks that expressions can be decoded and evaluated without a panic.
        let _ = it
            .offset
            .eval(wasm_meminit_analysis::IndexType::I32, &|_| None);
        let OffsetExpr::Expr(expr) = &it.offset else {
            continue;
        };
        assert!(OffsetExpr::decode(expr.as_bytes()).is_ok());
    }
    for nth in 0..2 {
        let runs = init.runs(MemoryIndex::from_u32(nth));
        assert!(
            runs.iter()
                .all(|it| it.addr.checked_add(it.data.len() as u64).is_some())
        );
    }
    let again = postcard::to_allocvec(&init).expect("serialises");
    Some((again, format!("{init:?}")))
}
