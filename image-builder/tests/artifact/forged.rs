//! Forged artifacts: one field changed, with correct lengths and checksums. Each is rejected
//! by both decoders, or detected by comparison with its module, or has the same meaning.

use alloc::collections::BTreeMap;

use wasm_meminit_analysis::{Assumption, MemoryIndex, Module, OffsetExpr, Plan, Policy, Reason};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use crate::encode::{encode, with_header};
use crate::format::{
    self, Assumption as FileAssumption, At, File, Layout, Run, Segment, Start, Value, What,
};
use crate::inputs::{hash, recipes};

#[derive(Debug, Default)]
struct Tally {
    /// Rejected by both decoders.
    rejected: usize,
    /// Detected by comparison with the module.
    detected: usize,
    harmless: usize,
}

/// The meaning of an artifact, regardless of its layout.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    elements_may_trap: bool,
    memories: Vec<String>,
    /// Non-zero bytes before the replay.
    bytes: Vec<BTreeMap<u64, u8>>,
    replay: Vec<String>,
    start: String,
    assumptions: Vec<Assumption>,
}

fn nonzero(runs: impl Iterator<Item = (u64, Vec<u8>)>) -> BTreeMap<u64, u8> {
    runs.flat_map(|(addr, data)| (addr..).zip(data))
        .filter(|(_, byte)| *byte != 0)
        .collect()
}

fn meaning(artifact: &Artifact<'_>) -> Meaning {
    let images = (0..artifact.memories().len() as u32)
        .map(|nth| artifact.image(MemoryIndex::from_u32(nth)).expect("listed"));
    Meaning {
        elements_may_trap: artifact.elements_may_trap(),
        memories: artifact
            .memories()
            .iter()
            .map(|it| format!("{:?} {}", it.ty(), it.is_imported()))
            .collect(),
        bytes: images
            .map(|it| nonzero(it.runs().map(|run| (run.addr, run.data.into_owned()))))
            .collect(),
        replay: artifact.replay().map(|it| format!("{it:?}")).collect(),
        start: format!("{:?}", artifact.start()),
        assumptions: artifact.assumptions().collect(),
    }
}

/// Rebuilds the artifact from the module with the recorded options. A difference means that
/// the forgery is detected.
fn again(wasm: &[u8], artifact: &Artifact<'_>) -> Option<Meaning> {
    let mut module = Module::parse(wasm).expect("a module");
    for it in artifact.assumptions() {
        module = match it {
            Assumption::GlobalValue { global, value, .. } => {
                module.with_global(global, value).ok()?
            }
            Assumption::MemorySize { memory, bytes, .. } => {
                module.with_memory_size(memory, bytes).ok()?
            }
            _ => module,
        };
    }
    // Under another policy, a segment may be replayed instead, with the same meaning.
    let policy = artifact.policy();
    let plan = Plan::new(&module, &policy);
    let by_policy = |it: &Reason| matches!(it, Reason::TooSparse { .. } | Reason::SizeLimit { .. });
    assert!(
        !plan.reasons().iter().any(|it| by_policy(&it.reason)),
        "no such forgery"
    );
    let bytes: u64 = plan.memories().values().map(|it| it.image_bytes()).sum();
    if 64 << 20 < bytes {
        return None;
    }
    let image = ModuleImage::build(&module, &plan).ok()?;
    let encoded = image.encode().ok()?;
    let again = Artifact::decode(&encoded).expect("own");
    Some(meaning(&again))
}

impl Tally {
    fn judge(&mut self, what: &str, wasm: &[u8], bytes: &[u8], original: &Meaning) {
        let theirs = format::decode(bytes);
        let ours = Artifact::decode(bytes);
        match (&theirs, &ours) {
            (Err(_), Err(_)) => self.rejected += 1,
            (Ok(_), Err(err)) => panic!("{what}: rejected only by the library: {err}"),
            (Err(err), Ok(_)) => panic!("{what}: accepted only by the library: {err}"),
            (Ok(_), Ok(artifact)) => {
                // Using an accepted artifact must not panic.
                let _ = artifact.initialization();
                let said = meaning(artifact);
                let is_of_module =
                    artifact.source() == Some(hash(1)) && artifact.stripped().is_none();
                if !is_of_module || again(wasm, artifact).as_ref() != Some(&said) {
                    self.detected += 1;
                } else {
                    // A plan that assumes another value of a global is a different, correct
                    // plan: a host with the original value rejects it.
                    let is_same = said == *original;
                    let has_other_assumptions = said.assumptions != original.assumptions;
                    assert!(
                        is_same || has_other_assumptions,
                        "{what}: not detected: {said:?}"
                    );
                    self.harmless += 1;
                }
            }
        }
    }
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// Every byte of the header, changed in several ways.
#[test]
fn headers_with_a_byte_changed() {
    let mut tally = Tally::default();
    for (name, wasm, recipe) in recipes() {
        let bytes = recipe.build(&wasm).expect("small");
        let original = meaning(&Artifact::decode(&bytes).expect("own"));
        let len = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let (header, payload) = bytes[24..].split_at(len);
        for at in 0..len {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255, 3] {
                let mut header = header.to_vec();
                header[at] ^= change;
                let forged = with_header(&header, payload);
                tally.judge(
                    &format!("{name}: byte {at} ^ {change}"),
                    &wasm,
                    &forged,
                    &original,
                );
            }
            let mut header = header.to_vec();
            header.remove(at);
            let forged = with_header(&header, payload);
            tally.judge(
                &format!("{name}: without byte {at}"),
                &wasm,
                &forged,
                &original,
            );
        }
    }
    println!("header bytes: {tally:?}");
    assert!(
        tally.rejected > 6_000 && tally.detected > 1_000,
        "{tally:?}"
    );
}

/// Padding, and bytes of runs with a new checksum.
#[test]
fn payloads_with_a_byte_changed() {
    let mut tally = Tally::default();
    for (name, wasm, recipe) in recipes() {
        let bytes = recipe.build(&wasm).expect("small");
        let original = meaning(&Artifact::decode(&bytes).expect("own"));
        let file = format::decode(&bytes).expect("own");
        for (nth, memory) in file.memories.iter().enumerate() {
            for (run, original_run) in memory.runs.iter().enumerate() {
                for at in 0..original_run.data.len() {
                    let mut forged = file.clone();
                    forged.memories[nth].runs[run].data[at] ^= 1;
                    let forged = encode(&forged).expect("as long");
                    let what = format!("{name}: memory {nth} run {run} byte {at}");
                    // Every byte of an image is significant.
                    let before = tally.harmless;
                    tally.judge(&what, &wasm, &forged, &original);
                    assert_eq!(tally.harmless, before, "{what}");
                }
            }
        }
        let in_run = |at: usize| {
            file.memories
                .iter()
                .flat_map(|it| &it.runs)
                .any(|run| (run.offset..run.offset + run.data.len() as u64).contains(&(at as u64)))
        };
        let len = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        for at in (24 + len..bytes.len()).filter(|at| !in_run(*at)) {
            let mut forged = bytes.clone();
            forged[at] = 1;
            assert!(
                Artifact::decode(&forged).is_err(),
                "{name}: padding at {at}"
            );
            assert!(format::decode(&forged).is_err(), "{name}: padding at {at}");
            tally.rejected += 1;
        }
    }
    println!("payload bytes: {tally:?}");
    assert!(tally.detected > 400 && tally.rejected > 500, "{tally:?}");
}

/// Returns a different value.
fn value(numbers: &mut Numbers, value: &Value) -> Value {
    let bits = numbers.next();
    match value {
        Value::I32(it) if bits & 7 != 0 => Value::I32(it ^ (1 << (bits >> 8 & 31))),
        Value::I64(it) if bits & 7 != 0 => Value::I64(it ^ (1 << (bits >> 8 & 63))),
        Value::I32(it) => Value::I64((*it).into()),
        Value::I64(it) => Value::I32(*it as i32),
    }
}

/// Changes one field, and returns a description of the change.
fn forge(file: &mut File, numbers: &mut Numbers) -> Option<&'static str> {
    let page = 1_u64 << file.page_log2;
    let memory = numbers.below(file.memories.len());
    let n_memories = file.memories.len() as u32;
    let run = numbers.below(file.memories.get(memory)?.runs.len());
    let segment = numbers.below(file.replay.len());
    let nth_assumption = numbers.below(file.assumptions.len());
    Some(match numbers.below(26) {
        0 => {
            file.memories[memory].runs.get(run)?;
            file.memories[memory].runs.remove(run);
            "a run is missing"
        }
        1 => {
            let it = file.memories[memory].runs.get_mut(run)?;
            it.addr = numbers.some(&[
                it.addr.wrapping_add(page),
                it.addr.wrapping_sub(page),
                it.addr ^ 1,
            ]);
            "a run at another address"
        }
        2 => {
            let runs = &mut file.memories[memory].runs;
            if runs.len() < 2 {
                return None;
            }
            let other = numbers.below(runs.len());
            runs.swap(run, other);
            if run == other {
                return None;
            }
            "runs in another order"
        }
        3 => {
            let runs = &mut file.memories[memory].runs;
            let (a, b) = (run, numbers.below(runs.len()));
            let (data_a, data_b) = (runs.get(a)?.data.clone(), runs.get(b)?.data.clone());
            if data_a == data_b {
                return None;
            }
            (runs[a].data, runs[b].data) = (data_b, data_a);
            "runs with each other's bytes"
        }
        4 => {
            let addr = page * numbers.below(64) as u64;
            let run = Run {
                addr,
                data: vec![numbers.some(&[0, 1]); page as usize],
                offset: 0,
            };
            let runs = &mut file.memories[memory].runs;
            let at = runs.partition_point(|it| it.addr < addr);
            runs.insert(at, run);
            "an extra run"
        }
        5 => {
            let it = file.memories[memory].runs.get_mut(run)?;
            let len = it.data.len() as u64 - numbers.some(&[page, 1]).min(it.data.len() as u64);
            it.data.truncate(len as usize);
            "a run is shorter"
        }
        6 => {
            file.memories[memory].flags ^= 1 << numbers.below(4);
            "another flag of a memory"
        }
        7 => {
            let it = &mut file.memories[memory];
            it.min = numbers.some(&[0, it.min + 1, it.min.wrapping_sub(1), u64::MAX]);
            "another minimum"
        }
        8 => {
            let it = &mut file.memories[memory];
            it.flags ^= format::HAS_MAX;
            it.max = if it.max.is_some() {
                None
            } else {
                Some(it.min + numbers.below(3) as u64)
            };
            "another maximum"
        }
        9 => {
            let other = numbers.below(file.memories.len());
            if file.memories[memory] == file.memories[other] {
                return None;
            }
            file.memories.swap(memory, other);
            "memories in another order"
        }
        10 => {
            file.memories.remove(memory);
            "a memory is missing"
        }
        11 => {
            file.replay.get(segment)?;
            file.replay.remove(segment);
            "a segment is missing"
        }
        12 => {
            let other = numbers.below(file.replay.len());
            let (a, b) = (
                file.replay.get(segment)?.segment,
                file.replay[other].segment,
            );
            if a == b {
                return None;
            }
            file.replay.swap(segment, other);
            // Keep the indices in order, but swap the contents.
            if numbers.below(2) == 0 {
                (file.replay[segment].segment, file.replay[other].segment) = (a, b);
            }
            "segments in another order"
        }
        13 => {
            let it = file.replay.get_mut(segment)?;
            it.memory = numbers.below(n_memories as usize + 1) as u32;
            "a segment of another memory"
        }
        14 => {
            file.replay.get_mut(segment)?.segment ^= 1 << numbers.below(5);
            "another position of a segment"
        }
        15 => {
            let it = file.replay.get_mut(segment)?;
            it.at = match &it.at {
                At::Value(it) => At::Value(value(numbers, it)),
                At::Expr(bytes) => {
                    let mut bytes = bytes.clone();
                    let at = numbers.below(bytes.len());
                    bytes[at] ^= 1 << numbers.below(8);
                    At::Expr(bytes)
                }
            };
            "another address of a segment"
        }
        16 => {
            let it = file.replay.get_mut(segment)?;
            let at = numbers.below(it.data.len());
            *it.data.get_mut(at)? ^= 1;
            "another byte of a segment"
        }
        17 => {
            let segment = numbers.below(16) as u32;
            let at = file.replay.partition_point(|it| it.segment < segment);
            let memory = memory as u32;
            let it = Segment {
                memory,
                segment,
                at: At::Value(Value::I32(0)),
                data: vec![1],
            };
            file.replay.insert(at, it);
            "an extra segment"
        }
        18 => {
            file.assumptions.get(nth_assumption)?;
            file.assumptions.remove(nth_assumption);
            "an assumption is missing"
        }
        19 => {
            match &mut file.assumptions.get_mut(nth_assumption)?.what {
                What::Global(_, it) => *it = value(numbers, it),
                What::Size(_, bytes) => {
                    *bytes = numbers.some(&[0, *bytes + 65536, *bytes - 65536, *bytes + 1])
                }
                What::Zeroed(names) => names[1].push('x'),
                What::Start(it) => *it = (*it + 1 + numbers.below(3) as u8) % 4,
            }
            "another assumption"
        }
        20 => {
            file.assumptions.get_mut(nth_assumption)?.index ^= 1 << numbers.below(3);
            "an assumption about another index"
        }
        21 => {
            let what = numbers.some(&[
                What::Zeroed(["env".into(), "memory".into()]),
                What::Start(1),
                What::Size(["env".into(), "memory".into()], 65536),
                What::Global(["env".into(), "base".into()], Value::I32(7)),
            ]);
            let it = FileAssumption {
                index: numbers.below(4) as u32,
                what,
            };
            let key = |it: &FileAssumption| (it.what.kind(), it.index);
            let at = file
                .assumptions
                .partition_point(|other| key(other) < key(&it));
            file.assumptions.insert(at, it);
            "an extra assumption"
        }
        22 => {
            match &mut file.start {
                None => {
                    file.start = Some(Start {
                        memory: 0,
                        flag: 64,
                        is_done: false,
                        tls: None,
                    });
                }
                Some(it) => match numbers.below(5) {
                    0 => it.memory ^= 1,
                    1 => it.flag = numbers.some(&[it.flag + 4, it.flag + 1, it.flag - 4, 1 << 40]),
                    2 => it.is_done ^= true,
                    3 => it.tls = if it.tls.is_some() { None } else { Some((1, 8)) },
                    _ => file.start = None,
                },
            }
            "another start"
        }
        23 => {
            match numbers.below(5) {
                0 => file.policy.fresh_imports ^= true,
                1 => file.policy.treatment = (file.policy.treatment + 1) % 4,
                2 => file.policy.max_image = numbers.below(64) as u64,
                3 => {
                    if let Layout::Many { max_runs, .. } = &mut file.policy.layout {
                        *max_runs = numbers.below(2) as u64;
                    }
                }
                _ => {
                    if let Layout::Many { max_gap, .. } = &mut file.policy.layout {
                        *max_gap ^= 1 << numbers.below(6);
                    }
                }
            }
            "another policy"
        }
        24 => {
            file.elements_may_trap ^= true;
            "elements"
        }
        _ => {
            let it = numbers.some(&[0, 1, 2]);
            match it {
                0 => file.source = Some([2; 32]),
                1 => file.stripped = Some([3; 32]),
                _ => file.page_log2 ^= 1,
            }
            "another hash or page size"
        }
    })
}

#[test]
fn forged_contents() {
    let mut all: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for (name, wasm, recipe) in recipes() {
        let bytes = recipe.build(&wasm).expect("small");
        let original = meaning(&Artifact::decode(&bytes).expect("own"));
        let file = format::decode(&bytes).expect("own");
        for nth in 0..2_000 {
            let mut forged = file.clone();
            let Some(what) = forge(&mut forged, &mut numbers) else {
                continue;
            };
            if forged == file {
                continue;
            }
            let Some(forged) = encode(&forged) else {
                continue;
            };
            let tally = all.entry(what).or_default();
            tally.judge(&format!("{name}, {nth}: {what}"), &wasm, &forged, &original);
        }
    }
    let mut n = 0;
    for (what, tally) in &all {
        println!("{what:32} {tally:?}");
        n += tally.rejected + tally.detected + tally.harmless;
        assert!(
            tally.rejected + tally.detected > 0,
            "{what}: never rejected"
        );
    }
    println!("{n} forged artifacts");
    assert!(5_000 < n && 23 < all.len(), "{n} of {} kinds", all.len());
}

/// A host resolves one name to one memory, so two with that name are not distinct.
#[test]
fn memories_with_one_name_are_not_distinct() {
    let wasm = wat::parse_str(
        r#"(module (import "e" "a" (memory $a 1)) (import "e" "b" (memory $b 1))
             (data (memory $a) (i32.const 0) "x") (data (memory $b) (i32.const 0) "y"))"#,
    )
    .expect("well formed");
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default().with_zeroed_imports(true));
    let built = ModuleImage::build(&module, &plan).expect("small");
    let mut file = format::decode(&built.encode().expect("small")).expect("own");
    for (name, is_valid) in [("b", true), ("c", true), ("a", false)] {
        file.assumptions[1].what = What::Zeroed(["e", name].map(str::to_owned));
        let bytes = encode(&file).expect("possible");
        assert_eq!(format::decode(&bytes).is_ok(), is_valid, "{name}");
        assert_eq!(Artifact::decode(&bytes).is_ok(), is_valid, "{name}");
    }
}

/// In artifacts of [`recipes`], replayed offsets name only imported globals.
#[test]
fn offsets_name_only_imported_globals() {
    for (name, wasm, recipe) in recipes() {
        let bytes = recipe.build(&wasm).expect("small");
        let module = Module::parse(&wasm).expect("a module");
        for it in Artifact::decode(&bytes).expect("own").replay() {
            let mut globals = it.offset.globals();
            let is_imported = |global| module.global_imports().get(global).is_some();
            assert!(globals.all(is_imported), "{name}: {:?}", it.offset);
            assert!(
                !matches!(it.offset, OffsetExpr::Expr(_)) || it.offset.globals().next().is_some()
            );
        }
    }
}
