//! Many modules on one engine, and many threads: no memory ever has the contents of another.
//!
//! `WASM_MEMINIT_CASES` sets the number of modules.

mod support;

#[path = "support/generate.rs"]
mod generate;
#[path = "support/world.rs"]
mod world;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use wasm_meminit_wasmtime::{Engine, InstancePre, Prepared};
use wasmtime::{Memory, Module};

use generate::{Failure, MAX_MEMORIES, Random, generate};
use support::{engine, prepare, soil, wasm};
use world::{Outcome, World};

const N_THREADS: usize = 8;
/// How many stores a thread keeps alive.
const N_HELD: usize = 3;

/// A module, and what it must do.
struct Case {
    prepared: Prepared,
    wat: String,
    n_memories: usize,
    failure: Failure,
    started: Outcome,
    failed: Outcome,
}

impl Case {
    fn new(engine: &Engine, plain: &wasmtime::Engine, seed: u64) -> Self {
        let module = generate(seed, true);
        let compiled = Module::new(plain, wasm(&module.wat));
        let compiled = compiled.unwrap_or_else(|err| panic!("{err:?}\n{}", module.wat));
        let outcome = |fails| {
            let mut world = World::new(plain, fails);
            let instance = world.linker.instantiate(&mut world.store, &compiled);
            Outcome::of(&mut world, instance, module.n_memories)
        };
        let case = Self {
            prepared: prepare(engine, &module.wat),
            n_memories: module.n_memories,
            failure: module.failure,
            started: outcome(false),
            failed: outcome(true),
            wat: module.wat,
        };
        let fails = matches!(case.failed, Outcome::Failed(..));
        assert_eq!(fails, case.failure != Failure::Never, "{}", case.wat);
        case
    }

    /// Instantiates the module, compares, and soils all memories.
    fn check(&self, fails: bool, grows: bool) -> World {
        let mut world = World::new(self.prepared.engine(), fails);
        let instance = self.prepared.instantiate(&mut world.store, &world.linker);
        let memories: Vec<Memory> = match &instance {
            Ok(instance) => (0..self.n_memories)
                .map(|nth| support::memory(&mut world.store, *instance, &nth.to_string()))
                .collect(),
            Err(_) => Vec::new(),
        };
        let found = Outcome::of(&mut world, instance, self.n_memories);
        let expected = match fails {
            true => &self.failed,
            false => &self.started,
        };
        assert!(found == *expected, "{}", self.wat);
        for memory in memories {
            if grows {
                // Fails if the module does not allow it.
                let before = memory.data_size(&world.store);
                let _ = memory.grow(&mut world.store, 1);
                let added = &memory.data(&world.store)[before..];
                assert!(added.iter().all(|it| *it == 0), "{}", self.wat);
            }
            soil(memory.data_mut(&mut world.store));
        }
        world
    }
}

fn n_cases() -> u64 {
    std::env::var("WASM_MEMINIT_CASES").map_or(60, |it| it.parse().expect("a number"))
}

fn cases(engine: &Engine) -> Vec<Case> {
    let plain = support::reference();
    let seeds = 0..n_cases();
    seeds.map(|seed| Case::new(engine, &plain, seed)).collect()
}

/// Instantiates random modules on eight threads, of which one in `failing` fails if it can.
fn run(failing: Option<u64>) {
    let engine = engine(N_THREADS * MAX_MEMORIES * (N_HELD + 2));
    let cases = cases(&engine);
    let n_each = (cases.len() * 4).max(300);
    let n_failed = AtomicU64::new(0);
    // Some stores are dropped by another thread.
    let (away, elsewhere) = mpsc::sync_channel::<World>(2);
    thread::scope(|scope| {
        scope.spawn(move || elsewhere.into_iter().for_each(drop));
        for thread in 0..N_THREADS {
            let (cases, n_failed, away) = (&cases, &n_failed, away.clone());
            scope.spawn(move || {
                let random = &mut Random::new(1_000_000 + thread as u64);
                let mut held = Vec::new();
                for _ in 0..n_each {
                    let case = &cases[random.below(cases.len() as u64) as usize];
                    let fails = case.failure != Failure::Never
                        && failing.is_some_and(|failing| random.one_in(failing));
                    if fails {
                        n_failed.fetch_add(1, Ordering::Relaxed);
                    }
                    held.push(case.check(fails, random.one_in(3)));
                    if N_HELD < held.len() {
                        let world = held.swap_remove(random.below(held.len() as u64) as usize);
                        if random.one_in(4) {
                            away.send(world).expect("it is still there");
                        }
                    }
                }
            });
        }
        drop(away);
    });
    let stats = engine.memories().stats();
    assert_eq!(stats.n_poisoned, 0);
    assert_eq!(stats.n_slots, stats.n_ready);
    println!(
        "{} modules, {} instantiations, {} failed; {} slots, {} starts in place, {} mapped",
        cases.len(),
        n_each * N_THREADS,
        n_failed.into_inner(),
        stats.n_slots,
        stats.n_hits,
        stats.n_maps + stats.n_blank
    );
    drop(cases);
    assert_eq!(engine.memories().stats().image_bytes, 0);
}

#[test]
fn random_modules_on_many_threads() {
    run(None);
}

/// Half of the modules can fail, so about one instantiation in a hundred does.
#[test]
fn random_modules_of_which_some_fail() {
    run(Some(50));
}

#[test]
fn every_module_fails_and_works_in_turn() {
    let engine = engine(MAX_MEMORIES);
    for case in cases(&engine) {
        for fails in [true, false, true, false] {
            drop(case.check(fails && case.failure != Failure::Never, fails));
        }
    }
}

/// All threads instantiate the same module: a slot never has two users.
#[test]
fn one_module_on_many_threads() {
    let engine = engine(N_THREADS);
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "0") 2) (data (i32.const 65536) "here"))"#,
    );
    let pre: InstancePre<()> = prepared
        .instantiate_pre(&wasmtime::Linker::new(&engine))
        .expect("no imports");
    thread::scope(|scope| {
        for _ in 0..N_THREADS {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut store = wasmtime::Store::new(&engine, ());
                    let instance = pre.instantiate(&mut store).expect("room");
                    let memory = support::memory(&mut store, instance, "0");
                    let bytes = memory.data_mut(&mut store);
                    assert_eq!(bytes[65536..65540], *b"here");
                    assert_eq!(bytes.iter().filter(|it| **it != 0).count(), 4);
                    soil(bytes);
                }
            });
        }
    });
}
