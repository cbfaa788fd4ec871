//! Measures how long requests take, each in a new instance: start, answer, drop.
//!
//! `WASM_MEMINIT_COMPONENTS` names a directory of components; see `tests/guests/build.sh`. All
//! engines take turns in one process; the medians of the rounds are compared.
//!
//! `cargo run --release -p wasm-meminit-wasmtime --all-features --example component_requests`

mod load;
#[path = "../../tests/support/runtimes.rs"]
mod runtimes;

use core::time::Duration;
use std::time::Instant;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use load::{CompiledAsItIs, CompiledPrepared};
use runtimes::{DIRECTORY, Engines, Pre, Program, REQUESTS, data_bytes, programs};

const DEFAULT_ROUNDS: usize = 101;

/// Rounds before those that are timed.
const N_UNTIMED: usize = 5;

/// How often each engine loads a compiled component.
const N_LOADS: usize = 21;

fn main() -> wasmtime::Result<()> {
    let Some(programs) = programs() else {
        eprintln!("{DIRECTORY} is not set: see tests/guests/build.sh");
        return Ok(());
    };
    let rounds = std::env::args().nth(1).and_then(|it| it.parse().ok());
    for program in programs {
        measure(&program, rounds.unwrap_or(DEFAULT_ROUNDS))?;
    }
    Ok(())
}

/// The times of one engine.
#[derive(Debug, Default)]
struct Times {
    start: Vec<Duration>,
    answer: Vec<Duration>,
    drop: Vec<Duration>,
    whole: Vec<Duration>,
}

impl Times {
    fn take(&mut self, pre: &Pre) -> wasmtime::Result<()> {
        let begin = Instant::now();
        let mut instance = pre.start()?;
        let started = begin.elapsed();
        instance.respond(REQUESTS[0])?;
        let answered = begin.elapsed();
        drop(instance);
        let whole = begin.elapsed();
        self.start.push(started);
        self.answer.push(answered - started);
        self.drop.push(whole - answered);
        self.whole.push(whole);
        Ok(())
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied();
    median.unwrap_or_default().as_secs_f64() * 1e6
}

/// Compiles a component for each engine, measures first answers, and then requests.
fn measure(program: &Program, rounds: usize) -> wasmtime::Result<()> {
    let bytes = data_bytes(&program.wasm)?;
    println!(
        "\n## {} ({:.1} MB; {:.1} MB of data, of which {:.1} MB in images)\n",
        program.name,
        program.wasm.len() as f64 / 1e6,
        bytes.total as f64 / 1e6,
        bytes.in_images as f64 / 1e6,
    );
    let engines = Engines::new(64)?;
    let begin = Instant::now();
    let theirs = CompiledAsItIs::new(&engines.on_demand, &program.wasm)?;
    let their_compile = begin.elapsed();
    let begin = Instant::now();
    let ours = CompiledPrepared::new(&engines.ours, &program.wasm)?;
    let our_compile = begin.elapsed();

    // Cold: from compiled code to the first answer, in new engines.
    let [mut their_loads, mut our_loads] = [Vec::new(), Vec::new()];
    for _ in 0..N_LOADS {
        let engines = Engines::new(64)?;
        let begin = Instant::now();
        let pre = Pre::compiled(&theirs.load(&engines.on_demand)?)?;
        pre.start()?.respond(REQUESTS[0])?;
        their_loads.push(begin.elapsed());
        let begin = Instant::now();
        let pre = Pre::prepared(&ours.load(&engines.ours)?)?;
        pre.start()?.respond(REQUESTS[0])?;
        our_loads.push(begin.elapsed());
    }
    println!("| cold | as it is, ms | prepared, ms |");
    println!("|---|--:|--:|");
    println!(
        "| compile, once | {} | {} |",
        their_compile.as_millis(),
        our_compile.as_millis()
    );
    println!(
        "| load compiled code, first answer | {:.2} | {:.2} |\n",
        median(&mut their_loads) / 1e3,
        median(&mut our_loads) / 1e3
    );

    // Warm: one request after the other.
    let pools = [pool_as_it_comes()?, pool_tuned()?];
    let pooled = CompiledAsItIs::new(&pools[0], &program.wasm)?;
    let [pool, tuned] = pools.map(|engine| Pre::compiled(&pooled.load(&engine)?));
    let pres = [
        (
            "on demand",
            Pre::compiled(&theirs.load(&engines.on_demand)?)?,
        ),
        ("pool", pool?),
        ("pool, scan + 4 MiB", tuned?),
        ("ours", Pre::prepared(&ours.load(&engines.ours)?)?),
    ];
    measure_warm(&pres, rounds)?;
    println!("\n{:?}", engines.ours.memories().stats());
    Ok(())
}

fn measure_warm(pres: &[(&str, Pre); 4], rounds: usize) -> wasmtime::Result<()> {
    let mut times = pres.each_ref().map(|_| Times::default());
    for round in 0..rounds + N_UNTIMED {
        for ((_, pre), times) in pres.iter().zip(&mut times) {
            times.take(pre)?;
            if round < N_UNTIMED {
                *times = Times::default();
            }
        }
    }
    println!("| engine | start, µs | answer, µs | drop, µs | request, µs | times ours |");
    println!("|---|--:|--:|--:|--:|--:|");
    let mut rows = Vec::new();
    for ((name, _), it) in pres.iter().zip(&mut times) {
        let parts = [&mut it.start, &mut it.answer, &mut it.drop, &mut it.whole];
        rows.push((name, parts.map(|times| median(times))));
    }
    let ours = rows.last().map_or(1.0, |(_, [.., whole])| *whole);
    for (name, [start, answer, drop, whole]) in rows {
        println!(
            "| {name} | {start:.1} | {answer:.1} | {drop:.1} | {whole:.1} | {:.2} |",
            whole / ours
        );
    }
    Ok(())
}

/// Returns an engine with the pooling allocator and its defaults.
fn pool_as_it_comes() -> wasmtime::Result<wasmtime::Engine> {
    pooling(&pool())
}

/// Returns an engine with the pooling allocator, tuned: a reset scans for the pages that were
/// written, and up to 4 MiB of a memory and all of its tables stay resident.
fn pool_tuned() -> wasmtime::Result<wasmtime::Engine> {
    let mut pool = pool();
    pool.pagemap_scan(Enabled::Yes)
        .linear_memory_keep_resident(4 << 20)
        .table_keep_resident(1 << 20);
    pooling(&pool)
}

/// The allocator's defaults, with room for large runtimes.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(16)
        .total_core_instances(256)
        .total_memories(32)
        .total_tables(256)
        .max_core_instances_per_component(64)
        .max_memories_per_component(16)
        .max_tables_per_component(64)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .table_elements(100_000)
        .max_memory_size(1 << 30);
    pool
}

fn pooling(pool: &PoolingAllocationConfig) -> wasmtime::Result<wasmtime::Engine> {
    let strategy = InstanceAllocationStrategy::Pooling(pool.clone());
    wasmtime::Engine::new(Config::new().allocation_strategy(strategy))
}
