//! Artifacts changed by an attacker who also corrects the checksums: each is rejected by the
//! decoder, found by comparing it with its module, or equivalent to the original.

extern crate alloc;

use alloc::collections::BTreeMap;
use core::ops::Range;
use std::fs;
use std::path::Path;

use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction, Value,
};

use wasm_meminit_image_builder::verify::verify;
use wasm_meminit_image_builder::{Artifact, DecodeError, ModuleImage, Part, SourceHash};

const HASH: SourceHash = SourceHash([7; 32]);

/// The header's offset in the file.
const HEADER: usize = 24;

#[derive(Debug, Default)]
struct Tally {
    n_refused: usize,
    n_found: usize,
    n_harmless: usize,
}

/// Everything that a host acts on, however it is encoded.
fn meaning(artifact: &Artifact<'_>) -> String {
    let memories = artifact.memories().iter().zip(0..);
    let memories = memories.map(|(it, nth)| {
        let image = artifact.image(MemoryIndex::from_u32(nth)).expect("listed");
        let bytes: BTreeMap<u64, u8> = image
            .runs()
            .flat_map(|run| (run.addr..).zip(run.data.into_owned()))
            .filter(|(_, byte)| *byte != 0)
            .collect();
        (it.ty(), it.is_imported(), bytes)
    });
    let memories: Vec<_> = memories.collect();
    let replay: Vec<_> = artifact.replay().collect();
    let assumptions: Vec<_> = artifact.assumptions().collect();
    let (start, elements) = (artifact.start(), artifact.elements_may_trap());
    format!("{memories:?}\n{replay:?}\n{assumptions:?}\n{start:?}\n{elements}")
}

fn header_end(artifact: &[u8]) -> usize {
    let len = artifact[12..16].try_into().expect("four bytes");
    HEADER + usize::try_from(u32::from_le_bytes(len)).expect("small")
}

fn seal(artifact: &mut [u8]) {
    let end = header_end(artifact);
    let checksum = crc32fast::hash(&artifact[HEADER..end]);
    artifact[16..20].copy_from_slice(&checksum.to_le_bytes());
}

/// Returns the artifact with another byte in a run of an image, and the right checksums.
fn with_image_byte(artifact: &[u8], run: &Range<usize>, at: usize, byte: u8) -> Vec<u8> {
    let mut forged = artifact.to_vec();
    forged[at] = byte;
    let [before, after] =
        [artifact, &forged].map(|it| crc32fast::hash(&it[run.clone()]).to_le_bytes());
    let header = &artifact[HEADER..header_end(artifact)];
    let checksum = header.windows(4).position(|it| it == before);
    let checksum = HEADER + checksum.expect("in the header");
    forged[checksum..checksum + 4].copy_from_slice(&after);
    seal(&mut forged);
    forged
}

/// Classifies a forged artifact of a module.
fn judge(module: &Module<'_>, original: &str, forged: &[u8], tally: &mut Tally, what: &str) {
    let Ok(artifact) = Artifact::decode(forged) else {
        tally.n_refused += 1;
        return;
    };
    match verify(module.clone(), HASH, &artifact) {
        Err(_) => tally.n_found += 1,
        Ok(_) => {
            assert_eq!(meaning(&artifact), original, "{what}");
            tally.n_harmless += 1;
        }
    }
}

/// Calls `check` with each test module, first as it is, then with the values of its imports.
fn each_module(mut check: impl FnMut(&str, &Module<'_>)) {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/modules");
    let mut n_modules = 0;
    for entry in fs::read_dir(modules).expect("exists") {
        let path = entry.expect("listed").path();
        if path.extension().is_none_or(|it| it != "wat") {
            continue;
        }
        let name = path.file_name().expect("listed").to_string_lossy();
        let wasm = wat::parse_file(&path).expect("text");
        let Ok(module) = Module::parse(&wasm) else {
            assert_eq!(name, "component.wat");
            continue;
        };
        check(&name, &module);
        let mut with_values = module.clone();
        for (global, _) in module.global_imports() {
            let values = [Value::I32(64), Value::I64(64)];
            let mut with_value = values.map(|it| with_values.clone().with_global(global, it).ok());
            with_values = with_value
                .iter_mut()
                .find_map(Option::take)
                .unwrap_or(with_values);
        }
        check(&format!("{name}, with values"), &with_values);
        n_modules += 1;
    }
    assert!(20 < n_modules);
}

/// Calls `check` with artifacts of a module for several policies.
fn each_artifact(module: &Module<'_>, mut check: impl FnMut(&Policy, &[u8])) {
    let fresh = Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true);
    for policy in [
        Policy::default(),
        fresh.with_start_function(StartFunction::AlreadyInitialized),
        fresh.with_start_function(StartFunction::AlreadyInitializedTls),
        fresh.with_start_function(StartFunction::WritesStripped),
    ] {
        let plan = Plan::new(module, &policy);
        let image = ModuleImage::build(module, &plan).expect("small");
        check(&policy, &image.with_source(HASH).encode().expect("small"));
    }
}

#[test]
fn headers_with_a_byte_changed() {
    let mut tally = Tally::default();
    each_module(|name, module| {
        each_artifact(module, |policy, artifact| {
            let decoded = Artifact::decode(artifact).expect("valid");
            verify(module.clone(), HASH, &decoded).expect("correct");
            let original = meaning(&decoded);
            for at in HEADER..header_end(artifact) {
                for change in [1, 0x10, 0x80] {
                    let mut forged = artifact.to_vec();
                    forged[at] ^= change;
                    seal(&mut forged);
                    let what = format!("{name}, {policy:?}: {at} by {change:#x}");
                    judge(module, &original, &forged, &mut tally, &what);
                }
            }
        });
    });
    println!("headers: {tally:?}");
    assert!(1_000 < tally.n_found && tally.n_refused != 0 && tally.n_harmless != 0);
}

/// Bytes of images: data, and zeros before, between and after it.
#[test]
fn images_with_a_byte_changed() {
    let mut tally = Tally::default();
    each_module(|name, module| {
        each_artifact(module, |policy, artifact| {
            let decoded = Artifact::decode(artifact).expect("valid");
            let original = meaning(&decoded);
            for (nth, memory) in (0..).zip(decoded.memories()) {
                let image = decoded.image(MemoryIndex::from_u32(nth)).expect("listed");
                for (position, run) in image.runs_with_position() {
                    let begin = usize::try_from(memory.file_offset() + position).expect("small");
                    let run = begin..begin + run.data.len();
                    for at in run.clone().step_by(251).chain([run.end - 1]) {
                        let forged = with_image_byte(artifact, &run, at, artifact[at] ^ 0x40);
                        let what = format!("{name}, {policy:?}: {at}");
                        judge(module, &original, &forged, &mut tally, &what);
                    }
                }
            }
        });
    });
    println!("images: {tally:?}");
    assert_eq!(tally.n_harmless, 0);
    assert!(1_000 < tally.n_found && tally.n_refused != 0);
}

/// Only the memory of the start function has its flag.
#[test]
fn a_flag_is_checked_in_its_own_memory() {
    let text = include_str!("../../tests/modules/threads.wat").replace(
        "(global $tls_base",
        r#"(memory $other 1) (data (memory $other) (i32.const 0x308) "other data")
           (global $tls_base"#,
    );
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("valid");
    let fresh = Policy::default().with_zeroed_imports(true);
    for (treatment, flag) in [
        (StartFunction::AlreadyInitializedTls, 2),
        (StartFunction::WritesStripped, 0),
    ] {
        let policy = fresh.with_start_function(treatment);
        let plan = Plan::new(&module, &policy);
        let image = ModuleImage::build(&module, &plan).expect("small");
        let start = image.start().expect("baked");
        assert_eq!((start.memory.as_u32(), start.flag), (0, 0x30c));
        let bytes = image.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("both memories are right");
        assert_eq!(artifact.start(), Some(start));
        let other = artifact.image(MemoryIndex::from_u32(1)).expect("exists");
        let run = other.runs().next().expect("baked");
        assert_eq!(&run.data[0x308..0x312], b"other data");
        verify(module.clone(), HASH, &artifact).expect("the same");

        // With another flag in the image, the program would never initialise, or twice.
        let image = artifact.image(start.memory).expect("exists");
        let (_, run) = image.runs_with_position().next().expect("baked");
        assert_eq!((run.addr, run.data[0x30c]), (0, flag));
        let begin = artifact.memories()[0].file_offset();
        let begin = usize::try_from(begin).expect("small");
        let run = begin..begin + run.data.len();
        let forged = with_image_byte(&bytes, &run, begin + 0x30c, 1);
        let part = Part::Start;
        let refused = Artifact::decode(&forged).map(drop);
        assert_eq!(refused, Err(DecodeError::Invalid { part }));
    }
}
