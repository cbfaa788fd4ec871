//! The effect of `pack` on a start in V8 (Node), wasmtime and wasmi: the time to instantiate a
//! module that has only the memory and the constant segments of a real one, for each objective,
//! compared with the module as published.

#[allow(dead_code, reason = "shared with benches that also need times")]
#[path = "../../../../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::time::Duration;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use wasm_encoder::{ConstExpr, DataSection, MemorySection, MemoryType};
use wasm_meminit_analysis::{IndexType, OffsetExpr, SegmentMode, Value};
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, RewriteError, map_modules, pack};
use wasm_meminit_peers::{core_module, corpus};

use self::paired::{Way, measure};

/// The modules with segments at constant addresses.
const MODULES: [&str; 7] = [
    "astro",
    "js-hello",
    "oniguruma",
    "sh-syntax",
    "sqlite-official",
    "sqljs",
    "zig_fmt",
];

/// Returns a module with the memories and constant segments of the core module with the most data.
fn data_only(wasm: &[u8]) -> Result<Vec<u8>> {
    let module = core_module(wasm)?;
    let mut memories = MemorySection::new();
    for memory in module.memories().values() {
        memories.memory(MemoryType {
            minimum: memory.ty.min,
            maximum: memory.ty.max,
            memory64: memory.ty.index_type == IndexType::I64,
            shared: false,
            page_size_log2: None,
        });
    }
    let mut data = DataSection::new();
    for segment in module.segments().values() {
        if let SegmentMode::Active {
            memory_index,
            offset: OffsetExpr::Const(at),
        } = &segment.mode
        {
            let offset = match at {
                Value::I32(at) => ConstExpr::i32_const(*at),
                Value::I64(at) => ConstExpr::i64_const(*at),
            };
            data.active(memory_index.as_u32(), &offset, segment.data.iter().copied());
        }
    }
    let mut rewritten = wasm_encoder::Module::new();
    rewritten.section(&memories).section(&data);
    Ok(rewritten.finish())
}

fn packed(wasm: &[u8], objective: PackFor) -> Result<Vec<u8>, RewriteError> {
    let options = PackOptions::default().with_objective(objective);
    map_modules(wasm, &mut |module| Ok(pack(module, &options)?.wasm))
}

/// Creates and drops instances.
type Start = Box<dyn Fn()>;

fn in_wasmtime(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Start> {
    let engine = engine.clone();
    let module = wasmtime::Module::new(&engine, wasm)?;
    Ok(Box::new(move || {
        let mut store = wasmtime::Store::new(&engine, ());
        wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
    }))
}

fn in_wasmi(engine: &wasmi::Engine, wasm: &[u8]) -> Result<Start> {
    let engine = engine.clone();
    let module = wasmi::Module::new(&engine, wasm)?;
    Ok(Box::new(move || {
        let mut store = wasmi::Store::new(&engine, ());
        wasmi::Instance::new(&mut store, &module, &[]).expect("an instance");
    }))
}

/// Returns the ratio of each to the first in V8, `None` without Node.
fn in_v8(modules: &[Vec<u8>], time: Duration) -> Result<Option<Vec<f64>>> {
    let node = Command::new("node")
        .args(["--expose-gc", "--input-type=module", "--eval"])
        .arg(include_str!("starts.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut node = match node {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        node => node.context("node")?,
    };
    let mut input = u32::try_from(time.as_millis())?.to_le_bytes().to_vec();
    for module in modules {
        input.extend(u32::try_from(module.len())?.to_le_bytes());
        input.extend(module);
    }
    node.stdin.take().context("a pipe")?.write_all(&input)?;
    let output = node.wait_with_output()?;
    ensure!(output.status.success(), "node failed: {}", output.status);
    let ratios = core::str::from_utf8(&output.stdout)?.split_whitespace();
    let ratios: Vec<f64> = ratios.map(str::parse).collect::<Result<_, _>>()?;
    ensure!(ratios.len() == modules.len(), "one ratio for each module");
    Ok(Some(ratios))
}

/// Returns the ratio of each to the first.
fn compare(starts: &[Start], time: Duration) -> Vec<f64> {
    let way = |start| {
        let start: &Start = start;
        Way::<Infallible>::new(move |n| {
            let begin = Instant::now();
            (0..n).for_each(|_| start());
            Ok(begin.elapsed())
        })
    };
    let mut ways: Vec<_> = starts.iter().map(way).collect();
    let Ok(()) = measure(&mut ways, time, 1);
    ways.iter().map(|way| way.ratio(&ways[0])).collect()
}

fn main() -> Result<()> {
    // `cargo bench` passes `--bench`. Otherwise this is a test, and one round is enough.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let time = match is_bench {
        true => Duration::from_secs(5),
        false => Duration::ZERO,
    };
    let wasmtime = wasmtime::Engine::default();
    let wasmi = wasmi::Engine::default();
    println!("| module | objective | V8 | wasmtime | wasmi |\n|---|---|---:|---:|---:|");
    for name in MODULES {
        let Some(wasm) = corpus().module(&format!("{name}.wasm"))? else {
            eprintln!("skipped: {name} has not been fetched");
            continue;
        };
        let mut all = vec![data_only(&wasm)?];
        for &objective in PackFor::ALL {
            all.push(data_only(&packed(&wasm, objective)?)?);
        }
        let starts = |start: &dyn Fn(&[u8]) -> Result<Start>| {
            all.iter()
                .map(|wasm| start(wasm))
                .collect::<Result<Vec<_>>>()
        };
        let v8 = in_v8(&all, time)?;
        let theirs = compare(&starts(&|wasm| in_wasmtime(&wasmtime, wasm))?, time);
        let others = compare(&starts(&|wasm| in_wasmi(&wasmi, wasm))?, time);
        for (nth, objective) in PackFor::ALL.iter().enumerate() {
            let objective = format!("{objective:?}").to_lowercase();
            let v8 = v8
                .as_ref()
                .map_or("no Node".to_owned(), |v8| format!("{:.2}", v8[nth + 1]));
            let (theirs, others) = (theirs[nth + 1], others[nth + 1]);
            println!("| {name} | {objective} | {v8} | {theirs:.2} | {others:.2} |");
        }
    }
    Ok(())
}
