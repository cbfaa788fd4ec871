//! Every combination of policy, start function and assumptions: both decoders accept exactly
//! those that a builder writes.

use wasm_meminit_image_builder::Artifact;

use crate::encode::encode;
use crate::format::{
    self, Assumption, At, File, IMPORTED, Memory, Segment, Start, Value, What, decode,
};
use crate::inputs::{hello_with_globals, recipes};

/// The kinds of assumptions, in the order of the file.
const ZEROED: u8 = 1;
const START: u8 = 3;

/// Artifacts with the writes of a start function, each also with an imported memory before its
/// own.
fn bases() -> Vec<(String, File)> {
    let mut bases = Vec::new();
    for (name, wasm, recipe) in recipes() {
        let file = decode(&recipe.build(&wasm).expect("small")).expect("own");
        if file.start.is_none() {
            continue;
        }
        let mut second = file.clone();
        let other = Memory {
            flags: IMPORTED,
            min: 1,
            max: None,
            runs: Vec::new(),
        };
        second.memories.insert(0, other);
        second.start.as_mut().expect("has one").memory += 1;
        let of_memories = second.assumptions.iter_mut();
        for it in of_memories.filter(|it| it.what.kind() != 0) {
            it.index += 1;
        }
        bases.push((name.to_owned(), file));
        bases.push((format!("{name}, second memory"), second));
    }
    assert_eq!(bases.len(), 6);
    bases
}

/// Returns every list of at most two assumptions about the start function, of the first two
/// memories.
fn start_lists() -> Vec<Vec<Assumption>> {
    let one = |index| {
        (0..4).map(move |treatment| Assumption {
            index,
            what: What::Start(treatment),
        })
    };
    let mut lists = vec![Vec::new()];
    for first in one(0) {
        lists.push(vec![first.clone()]);
        lists.extend(one(1).map(|second| vec![first.clone(), second]));
    }
    lists.extend(one(1).map(|it| vec![it]));
    // The same one twice, and two that contradict each other.
    lists.extend(one(0).map(|it| vec![Assumption { ..it.clone() }, it]));
    lists.extend(one(1).map(|it| {
        let what = What::Start(2);
        vec![Assumption { what, ..it.clone() }, it]
    }));
    lists
}

/// Whether a builder writes this. `listed` are the assumptions about the start function.
fn is_written(file: &File, listed: &[Assumption]) -> bool {
    let is_zeroed = |memory: u32| {
        let mut all = file.assumptions.iter();
        all.any(|it| (it.what.kind(), it.index) == (ZEROED, memory))
    };
    let has_zeroed = (0..2).any(is_zeroed);
    if has_zeroed && !file.policy.fresh_imports {
        return false;
    }
    let Some(start) = &file.start else {
        let mut memories = (0..).zip(&file.memories);
        let is_known = |(nth, it): (u32, &Memory)| {
            it.flags & IMPORTED == 0 || it.runs.is_empty() || is_zeroed(nth)
        };
        return listed.is_empty() && memories.all(is_known);
    };
    let [one] = listed else { return false };
    let What::Start(treatment) = one.what else {
        return false;
    };
    let memory = &file.memories[start.memory as usize];
    let is_treatment = match treatment {
        1 => start.is_done && start.tls.is_none(),
        2 => start.is_done,
        3 => !start.is_done,
        _ => false,
    };
    is_treatment
        && one.index == start.memory
        && treatment == file.policy.treatment
        && (memory.flags & IMPORTED == 0 || is_zeroed(start.memory))
        && file.replay.iter().all(|it| it.memory != start.memory)
}

/// Sets the bytes of the flag in the image.
fn set_flag(file: &mut File, memory: u32, flag: u64, value: u8) {
    for run in &mut file.memories[memory as usize].runs {
        let at = flag.checked_sub(run.addr).and_then(|at| at.try_into().ok());
        if let Some(byte) = at.and_then(|at: usize| run.data.get_mut(at)) {
            *byte = value;
        }
    }
}

/// Regressions: a module that sets up thread-local storage only in its first thread could be
/// said to need no promise for it, and several treatments could be listed.
#[test]
fn only_what_a_builder_writes() {
    let (mut n_accepted, mut n_refused) = (0, 0);
    let mut judge = |what: &str, file: &File, expected: bool| {
        let Some(bytes) = encode(file) else { return };
        let (theirs, ours) = (decode(&bytes), Artifact::decode(&bytes));
        assert_eq!(theirs.is_ok(), expected, "{what}: {theirs:?}");
        assert_eq!(ours.is_ok(), expected, "{what}: {ours:?}");
        if expected {
            n_accepted += 1;
        } else {
            n_refused += 1;
        }
    };
    for (name, base) in bases() {
        let start = base.start.clone().expect("has one");
        for listed in start_lists() {
            for bits in 0_u32..1 << 8 {
                let is = |nth: u32| bits >> nth & 1 == 1;
                let mut file = base.clone();
                file.policy.treatment = (bits & 3) as u8;
                file.policy.fresh_imports = is(2);
                let is_done = is(3);
                set_flag(&mut file, start.memory, start.flag, u8::from(is_done) * 2);
                file.start = is(4).then(|| Start {
                    is_done,
                    tls: is(5).then_some((0, 0x300)),
                    ..start.clone()
                });
                let keep = |it: &Assumption| {
                    it.what.kind() != START && (is(6) || it.what.kind() != ZEROED)
                };
                file.assumptions.retain(keep);
                file.assumptions.extend(listed.iter().cloned());
                if is(7) {
                    // Nothing is in the image: the flag is 0.
                    if is_done {
                        continue;
                    }
                    file.memories[start.memory as usize].runs.clear();
                }
                let what = format!("{name}: {:?}, {:?}", file.start, file.assumptions);
                judge(&what, &file, is_written(&file, &listed));
            }
        }
        // A segment that is replayed may overwrite what the start function wrote.
        for (nth, memory) in (0..).zip(&base.memories) {
            let zero = match memory.flags & format::I64 {
                0 => Value::I32(0),
                _ => Value::I64(0),
            };
            let mut file = base.clone();
            file.replay = vec![Segment {
                memory: nth,
                segment: 90,
                at: At::Value(zero),
                data: vec![1],
            }];
            let expected = nth != start.memory;
            judge(&format!("{name}: a replayed segment"), &file, expected);
        }
    }
    println!("{n_accepted} accepted, {n_refused} refused");
    assert!(30 < n_accepted && 10_000 < n_refused);
}

/// An assumption is about one import, so there is one of each kind for it.
#[test]
fn contradictions() {
    let (wasm, recipe) = hello_with_globals();
    let base = decode(&recipe.build(&wasm).expect("small")).expect("own");
    let kinds: Vec<u8> = base.assumptions.iter().map(|it| it.what.kind()).collect();
    assert_eq!(kinds, [0, 1, 2]);
    for (nth, it) in base.assumptions.iter().enumerate() {
        let others = match &it.what {
            What::Global(names, _) => vec![
                What::Global(names.clone(), Value::I32(7)),
                What::Global(names.clone(), Value::I64(7)),
            ],
            What::Zeroed(names) => vec![What::Zeroed(["other".into(), names[1].clone()])],
            What::Size(names, bytes) => vec![What::Size(names.clone(), bytes + 65_536)],
            What::Start(_) => Vec::new(),
        };
        for what in others.into_iter().chain([it.what.clone()]) {
            for at in [nth, nth + 1] {
                let mut file = base.clone();
                let what = what.clone();
                file.assumptions
                    .insert(at, Assumption { what, ..it.clone() });
                let bytes = encode(&file).expect("small");
                assert!(decode(&bytes).is_err(), "{:?}", file.assumptions);
                assert!(Artifact::decode(&bytes).is_err(), "{:?}", file.assumptions);
            }
        }
    }
}
