//! The cost of computing a module's initial memory, compared with a lower bound.
//!
//! Three groups, each with its lower bound in the same run, so that the ratios do not depend on
//! the load of the machine:
//!
//! * `parse`: [`Module::parse_all`], compared with a minimal pass with wasmparser over section
//!   headers, imports, globals and segment headers that skips the code. Estimate: one pass
//!   over the same bytes, so about 1x.
//! * `translate`: the same, compared with wasmtime-environ's translation of the module.
//! * `build`: images from a plan, compared with one `memcpy` of as many bytes into fresh
//!   memory. Estimate: each data byte is copied once into zeroed pages, so about 1x.
//!
//! Inputs: `tests/modules`, and real modules from the folder that `WASM_MEMINIT_CORPUS` names,
//! or from `../shared/corpus` if that exists.

use core::hint::black_box;
use core::time::Duration;
use std::path::{Path, PathBuf};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use wasm_meminit_analysis::wasmparser::{Chunk, Parser, Payload};
use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;

fn inputs() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = std::env::var_os("WASM_MEMINIT_CORPUS")
        .map_or_else(|| root.join("../shared/corpus"), PathBuf::from);
    let mut paths = vec![root.join("tests/modules/tour.wasm")];
    // A missing folder counts as empty.
    for entry in corpus.read_dir().into_iter().flatten().flatten() {
        paths.push(entry.path());
    }
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "wasm"))
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            (name.into_owned(), std::fs::read(path).expect("readable"))
        })
        .collect()
}

/// Reads the minimum that determines the initial memory. Returns the number of data bytes.
fn walk(wasm: &[u8]) -> usize {
    let mut parser = Parser::new(0);
    let mut outer = Vec::new();
    let mut rest = wasm;
    let mut n_bytes = 0;
    loop {
        let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) else {
            panic!("a valid module");
        };
        rest = &rest[consumed..];
        match payload {
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = &rest[usize::try_from(size).expect("small")..];
            }
            Payload::ImportSection(reader) => {
                reader.into_imports().for_each(|it| drop(black_box(it)));
            }
            Payload::MemorySection(reader) => reader.into_iter().for_each(|it| drop(black_box(it))),
            Payload::GlobalSection(reader) => reader.into_iter().for_each(|it| drop(black_box(it))),
            Payload::DataSection(reader) => {
                n_bytes += reader
                    .into_iter()
                    .map(|it| it.expect("valid").data.len())
                    .sum::<usize>();
            }
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                outer.push(core::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outer.pop() {
                Some(parser_of) => parser = parser_of,
                None => return n_bytes,
            },
            _ => {}
        }
    }
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (name, wasm) in inputs() {
        // Check before timing: a fast wrong answer is worthless.
        let modules = Module::parse_all(&wasm).expect("valid");
        let data = modules.iter().flat_map(|it| it.segments().values());
        assert_eq!(data.map(|it| it.data.len()).sum::<usize>(), walk(&wasm));

        let is_core = Module::parse(&wasm).is_ok();
        group.bench_function(BenchmarkId::new("walk", &name), |b| b.iter(|| walk(&wasm)));
        group.bench_function(BenchmarkId::new("parse", &name), |b| {
            // Use the call for this kind of file.
            if is_core {
                b.iter(|| Module::parse(&wasm));
            } else {
                b.iter(|| Module::parse_all(&wasm));
            }
        });
    }
    group.finish();
}

fn translate(c: &mut Criterion) {
    use wasmtime_environ::{ModuleEnvironment, ModuleTypesBuilder, StaticModuleIndex, Tunables};

    let mut group = c.benchmark_group("translate");
    group.sample_size(10);
    for (name, wasm) in inputs() {
        // Only core modules: a component is translated differently.
        let Ok(module) = Module::parse(&wasm) else {
            continue;
        };
        if wasm.len() < 4_000_000 || 1_000 < module.segments().len() {
            continue;
        }
        let translate = || {
            let tunables = Tunables::default_host();
            let mut validator = wasm_validator();
            let mut types = ModuleTypesBuilder::new(&validator);
            let env = ModuleEnvironment::new(
                &tunables,
                &mut validator,
                &mut types,
                StaticModuleIndex::from_u32(0),
            );
            env.translate(wasmtime_environ::wasmparser::Parser::new(0), &wasm)
                .map(|it| it.module.memories.len())
        };
        group.bench_function(BenchmarkId::new("translate", &name), |b| {
            b.iter(|| translate().expect("valid"));
        });
        group.bench_function(BenchmarkId::new("parse", &name), |b| {
            b.iter(|| Module::parse(&wasm));
        });
    }
    group.finish();
}

fn wasm_validator() -> wasmtime_environ::wasmparser::Validator {
    use wasmtime_environ::wasmparser::{Validator, WasmFeatures};
    Validator::new_with_features(WasmFeatures::all())
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    for (name, wasm) in inputs() {
        let policy = Policy::default().with_zeroed_imports(true);
        for (nth, module) in Module::parse_all(&wasm).expect("valid").iter().enumerate() {
            let plan = Plan::new(module, &policy);
            let bytes: Vec<u8> = ModuleImage::build(module, &plan)
                .expect("fits")
                .into_images()
                .flat_map(|image| image.as_ref().bytes().to_vec())
                .collect();
            if bytes.is_empty() {
                continue;
            }
            let name = format!("{name}.{nth}");
            // Results are kept until the end of a batch, so that each is in fresh memory.
            let batch = BatchSize::NumIterations((64 << 20) / bytes.len().max(1 << 12) as u64);
            group.bench_function(BenchmarkId::new("memcpy", &name), |b| {
                b.iter_batched(|| (), |()| black_box(&bytes).clone(), batch);
            });
            group.bench_function(BenchmarkId::new("build", &name), |b| {
                b.iter_batched(|| (), |()| ModuleImage::build(module, &plan), batch);
            });
        }
    }
    group.finish();
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
}

criterion_group! {
    name = benches;
    config = config();
    targets = parse, translate, build
}
criterion_main!(benches);
