//! Forged artifacts: one thing changed, all lengths and checksums right. Each is refused,
//! by both decoders alike, or found out by comparing it with its module, or says the same
//! in other words.

use alloc::collections::BTreeMap;

use wasm_meminit_analysis::{Assumption, MemoryIndex, Module, OffsetExpr, Plan, Reason};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use crate::encode::{encode, with_header};
use crate::format::{self, Assumption as Told, At, File, Layout, Run, Segment, Start, Value, What};
use crate::inputs::{hash, recipes};

#[derive(Debug, Default)]
struct Tally {
    /// By both decoders.
    refused: usize,
    /// Against the module.
    found: usize,
    harmless: usize,
}

/// What a module's artifact has to say, however it is laid out.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    elements_may_trap: bool,
    memories: Vec<String>,
    /// Bytes other than zero, before the replay.
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
            .map(|it| nonzero(it.runs().map(|run| (run.offset, run.data.into_owned()))))
            .collect(),
        replay: artifact.replay().map(|it| format!("{it:?}")).collect(),
        start: format!("{:?}", artifact.start()),
        assumptions: artifact.assumptions().collect(),
    }
}

/// Builds the artifact again from the module, by what it says of itself. What differs is
/// found out.
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
    // What is not worth an image by another policy is right in one.
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
            (Err(_), Err(_)) => self.refused += 1,
            (Ok(_), Err(err)) => panic!("{what}: only the library refuses it: {err}"),
            (Err(err), Ok(_)) => panic!("{what}: only the library accepts it: {err}"),
            (Ok(_), Ok(artifact)) => {
                // Nothing that an accepted one gives panics.
                let _ = artifact.initialization();
                let said = meaning(artifact);
                let is_of_module =
                    artifact.source() == Some(hash(1)) && artifact.stripped().is_none();
                if !is_of_module || again(wasm, artifact).as_ref() != Some(&said) {
                    self.found += 1;
                } else {
                    // A plan that rests on another value of a global is another plan, and
                    // right: the host that has the other value refuses it.
                    let is_same = said == *original;
                    let is_told = said.assumptions != original.assumptions;
                    assert!(is_same || is_told, "{what}: not found out: {said:?}");
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
    assert!(tally.refused > 6_000 && tally.found > 1_000, "{tally:?}");
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
            for (run, found) in memory.runs.iter().enumerate() {
                for at in 0..found.data.len() {
                    let mut forged = file.clone();
                    forged.memories[nth].runs[run].data[at] ^= 1;
                    let forged = encode(&forged).expect("as long");
                    let what = format!("{name}: memory {nth} run {run} byte {at}");
                    // No byte of an image is without meaning.
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
            tally.refused += 1;
        }
    }
    println!("payload bytes: {tally:?}");
    assert!(tally.found > 400 && tally.refused > 500, "{tally:?}");
}

/// Another value than this one.
fn value(numbers: &mut Numbers, value: &Value) -> Value {
    let bits = numbers.next();
    match value {
        Value::I32(it) if bits & 7 != 0 => Value::I32(it ^ (1 << (bits >> 8 & 31))),
        Value::I64(it) if bits & 7 != 0 => Value::I64(it ^ (1 << (bits >> 8 & 63))),
        Value::I32(it) => Value::I64((*it).into()),
        Value::I64(it) => Value::I32(*it as i32),
    }
}

/// Changes one thing; says which.
fn forge(file: &mut File, numbers: &mut Numbers) -> Option<&'static str> {
    let page = 1_u64 << file.page_log2;
    let memory = numbers.below(file.memories.len());
    let n_memories = file.memories.len() as u32;
    let run = numbers.below(file.memories.get(memory)?.runs.len());
    let segment = numbers.below(file.replay.len());
    let told = numbers.below(file.assumptions.len());
    Some(match numbers.below(26) {
        0 => {
            file.memories[memory].runs.get(run)?;
            file.memories[memory].runs.remove(run);
            "a run is gone"
        }
        1 => {
            let it = file.memories[memory].runs.get_mut(run)?;
            it.addr = numbers.some(&[
                it.addr.wrapping_add(page),
                it.addr.wrapping_sub(page),
                it.addr ^ 1,
            ]);
            "a run is elsewhere"
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
            "a run too many"
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
            "a memory is gone"
        }
        11 => {
            file.replay.get(segment)?;
            file.replay.remove(segment);
            "a segment is gone"
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
            // The same order of indices, other content.
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
            "a segment too many"
        }
        18 => {
            file.assumptions.get(told)?;
            file.assumptions.remove(told);
            "an assumption is gone"
        }
        19 => {
            match &mut file.assumptions.get_mut(told)?.what {
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
            file.assumptions.get_mut(told)?.index ^= 1 << numbers.below(3);
            "an assumption of another"
        }
        21 => {
            let what = numbers.some(&[
                What::Zeroed(["env".into(), "memory".into()]),
                What::Start(1),
                What::Size(["env".into(), "memory".into()], 65536),
                What::Global(["env".into(), "base".into()], Value::I32(7)),
            ]);
            let it = Told {
                index: numbers.below(4) as u32,
                what,
            };
            let key = |it: &Told| (it.what.kind(), it.index);
            let at = file
                .assumptions
                .partition_point(|other| key(other) < key(&it));
            file.assumptions.insert(at, it);
            "an assumption too many"
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
fn contents_that_are_wrong() {
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
        n += tally.refused + tally.found + tally.harmless;
        assert!(tally.refused + tally.found > 0, "{what}: never refused");
    }
    println!("{n} forged artifacts");
    assert!(5_000 < n && 23 < all.len(), "{n} of {} kinds", all.len());
}

/// One that is right, for the offsets of [`recipes`]: replayed offsets name imports alone.
#[test]
fn offsets_name_no_global_of_the_module() {
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
