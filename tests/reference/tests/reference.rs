//! The decision and the bytes of the reference engine, from its published crate.
//!
//! `try_static_init` promises to match both exactly. It differs only where the reference has a
//! known defect:
//!
//! * For segments of nothing but zeros, the reference keeps an image as long as the segments;
//!   ours keeps none.
//!
//! `WASM_MEMINIT_CASES` sets the number of generated modules (2,000), `WASM_MEMINIT_CORPUS`
//! the directory of the corpus. Not part of `cargo xtask ci` without `--all`: the reference
//! takes longer to compile than everything else that the tests need.

extern crate alloc;

use alloc::collections::BTreeMap;
use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use wasm_meminit_analysis::{HostPageSize, MemoryInitialization, MemoryPlan, Module, Plan, Policy};
use wasm_meminit_image_builder::try_static_init;
use wasm_meminit_test_oracle::generate::{self, check_generated, check_inputs};
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::testsuite;
use wasmtime_environ::wasmparser::{Parser, Validator, WasmFeatures};
use wasmtime_environ::{
    MemoryInitialization as Theirs, ModuleEnvironment, ModuleTypesBuilder, StaticModuleIndex,
    Tunables,
};

/// Returns page sizes, and spans in bytes below which the reference does not require density:
/// common values, and those at which the decision for this module changes.
fn rules(module: &Module<'_>) -> Vec<(u64, u64)> {
    let mut rules = vec![
        (4 << 10, 16 << 20), // its default
        (4 << 10, 0),
        (4 << 10, 1 << 20),
        (16 << 10, 4 << 10),
        (64 << 10, 1 << 20),
    ];
    let plan = Plan::new(module, &Policy::reference(HostPageSize::KIB_4));
    let extents = plan.memories().values().filter_map(MemoryPlan::extent);
    let span = extents.map(|it| it.max - it.min).max().unwrap_or(0);
    if span < 16 << 20 {
        rules.extend([(4 << 10, span), (4 << 10, span + 1)]);
    }
    rules
}

/// What was compared.
#[derive(Default)]
struct Tally {
    n_modules: u64,
    n_static: u64,
    n_segmented: u64,
    n_images: u64,
    n_bytes: u64,
    n_zero_images: u64,
    left_out: BTreeMap<String, u64>,
}

impl generate::Tally for Tally {
    fn add(&mut self, other: Self) {
        self.n_modules += other.n_modules;
        self.n_static += other.n_static;
        self.n_segmented += other.n_segmented;
        self.n_images += other.n_images;
        self.n_bytes += other.n_bytes;
        self.n_zero_images += other.n_zero_images;
        for (reason, n) in other.left_out {
            *self.left_out.entry(reason).or_default() += n;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} modules under 5 to 7 rules: both static {} times, both segmented {} times; \
             {} images of {} bytes are the same",
            self.n_modules, self.n_static, self.n_segmented, self.n_images, self.n_bytes
        )?;
        writeln!(
            f,
            "  {} images of only zeros, which the reference keeps and we do not",
            self.n_zero_images
        )?;
        for (reason, n) in &self.left_out {
            writeln!(f, "  {n} skipped: {reason}")?;
        }
        Ok(())
    }
}

/// The image of each memory: offset and bytes. `None` for the whole module if its segments are
/// replayed.
type Images = Option<Vec<Option<(u64, Vec<u8>)>>>;

/// Compares decision, offset, length and bytes under every rule.
fn check(wasm: &[u8], tally: &mut Tally) -> Result<(), String> {
    let module = Module::parse(wasm).map_err(|err| err.to_string())?;
    for (page_size, max_image_size_always_allowed) in rules(&module) {
        let rule = format!("pages of {page_size}, limit {max_image_size_always_allowed}");
        let theirs = match theirs(wasm, page_size, max_image_size_always_allowed) {
            Ok(theirs) => theirs,
            Err(refused) => {
                *tally.left_out.entry(refused).or_default() += 1;
                return Ok(());
            }
        };
        let ours = ours(&module, page_size, max_image_size_always_allowed)?;
        compare(ours, theirs, tally).map_err(|err| format!("reference, {rule}: {err}"))?;
    }
    tally.n_modules += 1;
    Ok(())
}

fn compare(ours: Images, theirs: Images, tally: &mut Tally) -> Result<(), String> {
    let (ours, theirs) = match (ours, theirs) {
        (None, None) => {
            tally.n_segmented += 1;
            return Ok(());
        }
        (Some(ours), Some(theirs)) => (ours, theirs),
        (ours, _) => {
            let ours = if ours.is_some() {
                "static"
            } else {
                "segmented"
            };
            return Err(format!("only ours is {ours}"));
        }
    };
    tally.n_static += 1;
    if ours.len() != theirs.len() {
        return Err("the number of memories differs".into());
    }
    for (nth, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
        match (ours, theirs) {
            (None, None) => {}
            (None, Some((_, bytes))) if bytes.iter().all(|it| *it == 0) => tally.n_zero_images += 1,
            (Some(ours), Some(theirs)) if ours == theirs => {
                tally.n_images += 1;
                tally.n_bytes += ours.1.len() as u64;
            }
            (ours, theirs) => {
                let of = |it: Option<(u64, Vec<u8>)>| it.map(|it| (it.0, it.1.len()));
                return Err(format!(
                    "memory {nth}: offset and length {:?}, reference {:?}",
                    of(ours),
                    of(theirs)
                ));
            }
        }
    }
    Ok(())
}

fn ours(module: &Module<'_>, page_size: u64, max_image_size: u64) -> Result<Images, String> {
    let page_size = HostPageSize::new(page_size).expect("a power of two");
    let image = try_static_init(module, page_size, max_image_size);
    let image = image.map_err(|err| err.to_string())?;
    match image.initialization() {
        MemoryInitialization::Segmented(_) => Ok(None),
        MemoryInitialization::Static { map } => Ok(Some(
            map.values()
                .map(|it| it.as_ref().map(|it| (it.addr, it.data.to_vec())))
                .collect(),
        )),
        _ => Err("a form that the reference does not have".into()),
    }
}

fn theirs(wasm: &[u8], page_size: u64, max_image_size: u64) -> Result<Images, String> {
    let run = || {
        let tunables = Tunables::default_host();
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut types = ModuleTypesBuilder::new(&validator);
        let index = StaticModuleIndex::from_u32(0);
        let environment = ModuleEnvironment::new(&tunables, &mut validator, &mut types, index);
        let mut translation = environment
            .translate(Parser::new(0), wasm)
            .map_err(|err| refusal(&err.to_string()))?;
        translation.finalize_memory_init(&tunables, page_size, max_image_size, &mut types);
        let images = match &translation.module.memory_initialization {
            Theirs::Segmented => None,
            Theirs::Static { map } => {
                let image = |it: &Option<_>| {
                    it.map(|(offset, data)| (offset, translation.runtime_data[data].to_vec()))
                };
                Some(map.values().map(image).collect())
            }
        };
        Ok(images)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the reference panics".into()))
}

/// Removes from a message what differs between modules.
fn refusal(message: &str) -> String {
    let message = message.split(" (at offset").next().unwrap_or(message);
    let message: String = message
        .chars()
        .map(|it| if it.is_ascii_digit() { '#' } else { it })
        .collect();
    format!("the reference rejects it: {message}")
}

fn check_all(test: &str, inputs: &[Input]) {
    let tally: Tally = check_inputs(inputs, |input, tally| check(&input.wasm, tally));
    assert_ne!(tally.n_modules, 0);
    report(&format!("{test}: {tally}"));
}

#[test]
fn the_test_suite() {
    check_all("test suite", &testsuite::modules());
}

#[test]
fn our_own_modules() {
    check_all("tests/modules", &inputs::own_modules());
}

#[test]
fn the_corpus() {
    match inputs::corpus() {
        Some(modules) => check_all("corpus", &modules),
        None => report("corpus: WASM_MEMINIT_CORPUS is not set"),
    }
}

#[test]
fn generated_modules() {
    let tally: Tally = check_generated(0, &[], |case, tally| check(case.wasm, tally));
    assert!(0 < tally.n_static && 0 < tally.n_segmented);
    report(&format!("generated: {tally}"));
}

/// The edge of the reference's rule: a span of twice the data is not dense, but one byte
/// less is. Overlapping bytes count twice.
#[test]
fn density_of_exactly_one_half() {
    for data in [
        r#"(data (i32.const 5) "a") (data (i32.const 8) "b")"#,
        r#"(data (i32.const 5) "a") (data (i32.const 7) "b")"#,
        r#"(data (i32.const 5) "ab") (data (i32.const 6) "bcde") (data (i32.const 16) "f")"#,
        r#"(data (i32.const 4095) "\00\00")"#,
    ] {
        let wasm = wat::parse_str(format!("(module (memory 1) {data})")).expect("text format");
        check(&wasm, &mut Tally::default()).unwrap_or_else(|err| panic!("{data}: {err}"));
    }
}
