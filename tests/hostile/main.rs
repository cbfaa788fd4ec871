//! Damaged and hostile input: never a panic, never a large allocation, always a typed error or
//! a correct result.
//!
//! Modules and artifacts are truncated at evenly spread positions and have single bits
//! flipped. `WASM_MEMINIT_HOSTILE=full`, as used before a release, does so at 1,000 positions
//! and with 10,000 flips in each, including the corpus. Otherwise there are fewer flips, and
//! only a few in large modules.

extern crate alloc;

mod dense;

use std::env;
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use core::panic::AssertUnwindSafe;

use peak_alloc::PeakAlloc;
use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::{Artifact, ModuleImage};
use wasmparser::{Parser, Payload};

use wasm_meminit_test_oracle::costs::{CONSTANT, USUAL};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::instance::instantiate;
use wasm_meminit_test_oracle::memory::Trap;
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::is_valid;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Ensures that one test runs at a time, since the allocator counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the result, and the peak of allocated bytes while it was computed.
fn measured<T>(run: impl FnOnce() -> T) -> (T, usize) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = run();
    (result, ALLOCATOR.peak_usage() - before)
}

/// How many alterations one input gets.
struct Effort {
    n_cuts: usize,
    n_flips: usize,
}

impl Effort {
    fn of(len: usize) -> Self {
        let full = env::var("WASM_MEMINIT_HOSTILE").is_ok_and(|it| it == "full");
        let (n_cuts, n_flips) = match (full, len < 64 << 10) {
            (true, _) => (1_000, 10_000),
            (false, true) => (1_000, 2_000),
            (false, false) => (50, 100),
        };
        let n_cuts = n_cuts.min(len);
        Self { n_cuts, n_flips }
    }
}

/// The results for all alterations of some inputs.
#[derive(Default)]
struct Tally {
    n_inputs: u64,
    n_altered: u64,
    n_refused: u64,
    n_compared: u64,
    /// The most that any step allocated for each byte of input, above the constant.
    most: f64,
}

impl Tally {
    fn report(&self, test: &str) {
        report(&format!(
            "{test}: {} inputs, {} alterations: {} refused, {} compared with the naive replay; \
             at most {:.2} bytes allocated for each byte of input, above 16 KiB",
            self.n_inputs, self.n_altered, self.n_refused, self.n_compared, self.most
        ));
    }

    /// Checks one altered input.
    fn alter(
        &mut self,
        what: &str,
        input: &[u8],
        check: fn(&[u8], &mut Self) -> Result<(), String>,
    ) {
        self.n_altered += 1;
        let checked = catch_unwind(AssertUnwindSafe(|| check(input, self)));
        match checked {
            Ok(Ok(())) => {}
            Ok(Err(err)) => panic!("{what}: {err}"),
            Err(_) => panic!("{what}: a panic"),
        }
    }

    /// Checks all truncations and flips of `input`; every other flip is at an `interesting` offset.
    fn alter_all(
        &mut self,
        name: &str,
        input: &mut [u8],
        interesting: &[usize],
        check: fn(&[u8], &mut Self) -> Result<(), String>,
    ) {
        self.n_inputs += 1;
        let effort = Effort::of(input.len());
        for nth in 0..effort.n_cuts {
            let len = nth * input.len() / effort.n_cuts;
            self.alter(&format!("{name} truncated at {len}"), &input[..len], check);
        }
        // A fixed seed gives the same bits on every machine.
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for nth in 0..effort.n_flips {
            let mut below = |n: usize| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                usize::try_from(random >> 16).expect("48 bits") % n
            };
            let at = if nth % 2 == 1 && !interesting.is_empty() {
                interesting[below(interesting.len())]
            } else {
                below(input.len())
            };
            let bit = 1_u8 << below(8);
            input[at] ^= bit;
            self.alter(&format!("{name}, bit {bit:#x} of byte {at}"), input, check);
            input[at] ^= bit;
        }
    }

    fn spend(
        &mut self,
        what: &str,
        allocated: usize,
        budget: usize,
        len: usize,
    ) -> Result<(), String> {
        let above = allocated.saturating_sub(CONSTANT);
        self.most = self.most.max(above as f64 / len.max(1) as f64);
        if allocated <= budget {
            Ok(())
        } else {
            Err(format!(
                "{what} allocates {allocated} bytes for {len} of input, more than {budget}"
            ))
        }
    }
}

/// Parses a module that may be damaged, plans it and builds it.
fn module(wasm: &[u8], tally: &mut Tally) -> Result<(), String> {
    let (parsed, allocated) = measured(|| Module::parse_all(wasm));
    tally.spend(
        "parsing",
        allocated,
        USUAL * wasm.len() + CONSTANT,
        wasm.len(),
    )?;
    let Ok(modules) = parsed else {
        tally.n_refused += 1;
        return Ok(());
    };
    let limit = u64::try_from(wasm.len()).expect("64 bits");
    for module in modules {
        for policy in [
            Policy::balanced(HostPageSize::KIB_4),
            Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true),
            Policy::reference(HostPageSize::KIB_4),
        ] {
            let policy = policy.with_max_image_size(limit);
            let (plan, allocated) = measured(|| Plan::new(&module, &policy));
            tally.spend(
                "planning",
                allocated,
                USUAL * wasm.len() + CONSTANT,
                wasm.len(),
            )?;
            let images: u64 = plan.memories().values().map(|it| it.image_bytes()).sum();
            let images = usize::try_from(images).expect("within the limit");
            let (image, allocated) = measured(|| ModuleImage::build(&module, &plan));
            tally.spend(
                "building",
                allocated,
                images + USUAL * wasm.len() + CONSTANT,
                wasm.len(),
            )?;
            let image = image.map_err(|err| format!("building failed: {err}"))?;
            let bytes = image
                .encode()
                .map_err(|err| format!("encoding failed: {err}"))?;
            Artifact::decode(&bytes).map_err(|err| format!("own artifact refused: {err}"))?;
        }
    }
    compare(wasm, tally)
}

/// If the damaged module is still valid, compares its image with the naive replay.
fn compare(wasm: &[u8], tally: &mut Tally) -> Result<(), String> {
    // Validating a large module would take longer than everything else here.
    if (64 << 10) < wasm.len() || Parser::is_component(wasm) || !is_valid(wasm) {
        return Ok(());
    }
    let host = Host::new(&[0], 0, 0);
    let shape = Shape::of(wasm);
    let Some(expected) = oracle::replay(&shape, &host) else {
        return Ok(());
    };
    if expected.trap == Some(Trap::Elements) {
        return Ok(());
    }
    let module = Module::parse(wasm).map_err(|err| format!("a valid module is refused: {err}"))?;
    let policy = Policy::balanced(HostPageSize::KIB_4);
    let image = ModuleImage::build(&module, &Plan::new(&module, &policy));
    let image = image.map_err(|err| err.to_string())?;
    for initialization in [module.memory_initialization(), image.initialization()] {
        let got = instantiate(&shape, &host, &module, &initialization)?;
        if let Some(difference) = got.differs_from(&expected) {
            return Err(difference);
        }
    }
    tally.n_compared += 1;
    Ok(())
}

/// Returns the offsets that the analysis reads: all sections except code and custom ones.
fn sections(wasm: &[u8]) -> Vec<usize> {
    let mut offsets: Vec<usize> = (0..8).collect();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("not yet damaged");
        if let (false, Some((_, range))) = (
            matches!(
                payload,
                Payload::CustomSection(_) | Payload::CodeSectionStart { .. }
            ),
            payload.as_section(),
        ) {
            // Include the size before it, and only part of a large section.
            let start = usize::try_from(range.start)
                .expect("in the file")
                .saturating_sub(6);
            let end = usize::try_from(range.end).expect("in the file");
            offsets.extend(start..end.min(start + (64 << 10)));
        }
    }
    offsets
}

/// A module with at least one of everything that the analysis reads.
fn everything() -> Input {
    let text = r#"
        (module $everything
          (import "env" "f" (func $f))
          (import "env" "base" (global $base i32))
          (import "env" "memory" (memory $imported 1 4))
          (import "env" "table" (table $t 4 funcref))
          (memory $small 1)
          (memory $bytes 5000 (pagesize 1))
          (memory $wide i64 2)
          (table $own 3 funcref)
          (global $known i32 (i32.const 4096))
          (global $sum i32 (i32.add (global.get $known) (i32.const 8)))
          (global $late i32 (i32.add (global.get $base) (i32.const 8)))
          (global $mutable (mut i64) (i64.const 1))
          (elem (table $own) (i32.const 1) func $f $start)
          (start $start)
          (func $start (memory.init $small $passive (i32.const 0) (i32.const 0) (i32.const 4)))
          (data (memory $small) (i32.const 4090) "across a page boundary")
          (data (memory $small) (global.get $sum) "after it!")
          (data (memory $bytes) (i32.const 4999) "x")
          (data $passive "passive")
          (data (memory $wide) (i64.const 131071) "y")
          (data (memory $wide) (i64.mul (i64.const 3) (i64.const 5)) "")
          (data (memory $imported) (i32.const 16) "imported")
          (data (memory $small) (global.get $late) "dynamic")
          (data (memory $small) (i32.const 4095) "after a barrier!"))"#;
    Input {
        name: "everything".into(),
        wasm: wat::parse_str(text).expect("text format"),
    }
}

fn all_inputs() -> Vec<Input> {
    let mut inputs = vec![everything()];
    inputs.extend(inputs::own_modules());
    inputs.extend(inputs::corpus().unwrap_or_default());
    inputs
}

#[test]
fn damaged_modules() {
    let _alone = alone();
    let mut tally = Tally::default();
    for mut input in all_inputs() {
        let sections = sections(&input.wasm);
        module(&input.wasm, &mut tally).expect("undamaged");
        tally.alter_all(&input.name, &mut input.wasm, &sections, module);
    }
    tally.report("damaged modules");
}

/// Builds an artifact of a module.
fn artifact_of(wasm: &[u8]) -> Vec<u8> {
    let module = Module::parse(wasm).expect("undamaged");
    let plan = Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("enough memory");
    image.encode().expect("enough memory")
}

/// Checks that an altered artifact is rejected.
fn refused(artifact: &[u8], tally: &mut Tally) -> Result<(), String> {
    let (decoded, allocated) = measured(|| Artifact::decode(artifact).is_ok());
    tally.spend(
        "decoding",
        allocated,
        USUAL * artifact.len() + CONSTANT,
        artifact.len(),
    )?;
    tally.n_refused += 1;
    if decoded {
        return Err("an altered artifact is accepted".into());
    }
    Ok(())
}

#[test]
fn damaged_artifacts() {
    let _alone = alone();
    let mut tally = Tally::default();
    for input in all_inputs() {
        let mut artifact = artifact_of(&input.wasm);
        Artifact::decode(&artifact).expect("undamaged");
        let header: Vec<usize> = (0..header_end(&artifact)).collect();
        tally.alter_all(&input.name, &mut artifact, &header, refused);
    }
    tally.report("damaged artifacts");
}

fn header_end(artifact: &[u8]) -> usize {
    let len: [u8; 4] = artifact[12..16].try_into().expect("four bytes");
    24 + usize::try_from(u32::from_le_bytes(len)).expect("fits this machine")
}

/// Corrects the header's checksum, as an attacker would, so that only the content decides;
/// whatever it says, nothing may be out of bounds.
fn forged(artifact: &[u8], tally: &mut Tally) -> Result<(), String> {
    let mut artifact = artifact.to_vec();
    if artifact.len() < 24 {
        return Ok(());
    }
    let end = header_end(&artifact).min(artifact.len());
    let checksum = crc32fast::hash(&artifact[24..end]);
    artifact[16..20].copy_from_slice(&checksum.to_le_bytes());
    let (decoded, allocated) = measured(|| Artifact::decode(&artifact));
    tally.spend(
        "decoding",
        allocated,
        USUAL * artifact.len() + CONSTANT,
        artifact.len(),
    )?;
    let Ok(decoded) = decoded else {
        tally.n_refused += 1;
        return Ok(());
    };
    for (nth, memory) in (0..).zip(decoded.memories()) {
        let size = u128::from(memory.ty().min) * u128::from(memory.ty().page_size.bytes());
        let rounded = size.next_multiple_of(decoded.page_size().bytes().into());
        let image = decoded.image(MemoryIndex::from_u32(nth)).expect("listed");
        let mut end = 0;
        for run in image.runs() {
            if run.addr < end || !decoded.page_size().is_aligned(run.addr) {
                return Err("runs overlap or are not aligned".into());
            }
            end = run.addr + run.data.len() as u64;
        }
        if rounded < u128::from(end) {
            return Err("a run ends outside its memory".into());
        }
    }
    for segment in decoded.replay() {
        if decoded.memories().len() <= segment.memory_index.as_u32() as usize {
            return Err("a segment of a memory that does not exist".into());
        }
    }
    let _ = decoded.initialization();
    Ok(())
}

#[test]
fn forged_artifacts() {
    let _alone = alone();
    let mut tally = Tally::default();
    for input in all_inputs() {
        let mut artifact = artifact_of(&input.wasm);
        let header: Vec<usize> = (0..header_end(&artifact)).collect();
        tally.alter_all(&input.name, &mut artifact, &header, forged);
    }
    tally.report("forged artifacts");
}
