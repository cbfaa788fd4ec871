//! Many modules on one engine, and many threads: no memory ever has the contents of another.
//!
//! `WASM_MEMINIT_CASES` sets the number of modules.

mod support;

#[path = "../../wasmtime/tests/support/generate.rs"]
mod generate;

use core::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use wasm_meminit_wasmer::{Engine, Prepared};
use wasmer::{
    Global, Imports, Instance, InstantiationError, Module, RuntimeError, Store, Table, TableType,
    Type, Value, imports,
};

use generate::{Failure, MAX_MEMORIES, Random, generate};
use support::{bytes, engine, memory, plain, prepare, soil, wasm};

const N_THREADS: usize = 8;
/// How many stores a thread keeps alive.
const N_HELD: usize = 3;

/// A store, and what generated modules import.
struct World {
    store: Store,
    imports: Imports,
    /// Shows the first memory, also of an instance that failed.
    table: Table,
}

impl World {
    fn new(engine: impl Into<wasmer::Engine>, fails: bool) -> Self {
        let mut store = Store::new(engine);
        let ty = TableType::new(Type::FuncRef, 2, None);
        let table = Table::new(&mut store, ty, Value::FuncRef(None)).expect("room");
        let fail = Global::new(&mut store, Value::I32(if fails { -2 } else { 0 }));
        let imports = imports! { "" => { "table" => table.clone(), "fail" => fail } };
        Self {
            store,
            imports,
            table,
        }
    }

    fn hash(&mut self) -> i64 {
        let function = self.table.get(&mut self.store, 0).expect("in bounds");
        let function = function.funcref().cloned().flatten().expect("not null");
        function.call(&mut self.store, &[]).expect("no trap")[0].unwrap_i64()
    }

    /// Describes what an instantiation did.
    fn outcome(&mut self, result: Result<&Instance, &RuntimeError>, n_memories: usize) -> Outcome {
        match result {
            Ok(instance) => {
                let contents = |nth: usize| bytes(&self.store, &memory(instance, &nth.to_string()));
                Outcome::Started((0..n_memories).map(contents).collect())
            }
            Err(err) => Outcome::Failed(err.message(), self.hash()),
        }
    }
}

/// What an instantiation does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The contents of all memories.
    Started(Vec<Vec<u8>>),
    /// The trap, and the hash of the first memory.
    Failed(String, i64),
}

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
    fn new(engine: &Engine, plain: &wasmer::Engine, seed: u64) -> Self {
        let module = generate(seed, false);
        let compiled = Module::new(plain, wasm(&module.wat));
        let compiled = compiled.unwrap_or_else(|err| panic!("{err:?}\n{}", module.wat));
        let outcome = |fails| {
            let mut world = World::new(plain.clone(), fails);
            let instance = Instance::new(&mut world.store, &compiled, &world.imports);
            let result = instance.as_ref().map_err(|err| match err {
                InstantiationError::Start(err) => err,
                other => panic!("{other}"),
            });
            world.outcome(result, module.n_memories)
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
        let instance = self.prepared.instantiate(&mut world.store, &world.imports);
        let result = instance.as_ref().map_err(|err| {
            let trap = err.as_runtime_error();
            trap.unwrap_or_else(|| panic!("{err}"))
        });
        let found = world.outcome(result, self.n_memories);
        let expected = match fails {
            true => &self.failed,
            false => &self.started,
        };
        assert!(found == *expected, "{}", self.wat);
        let names = (0..self.n_memories).map(|nth| nth.to_string());
        for memory in names.filter_map(|it| Some(memory(instance.as_ref().ok()?, &it))) {
            if grows {
                // Fails if the module does not allow it.
                let before = memory.view(&world.store).data_size() as usize;
                let _ = memory.grow(&mut world.store, 1);
                let added = &bytes(&world.store, &memory)[before..];
                assert!(added.iter().all(|it| *it == 0), "{}", self.wat);
            }
            soil(&world.store, &memory);
        }
        world
    }
}

fn n_cases() -> u64 {
    std::env::var("WASM_MEMINIT_CASES").map_or(60, |it| it.parse().expect("a number"))
}

fn cases(engine: &Engine) -> Vec<Case> {
    let plain = plain().into();
    let seeds = 0..n_cases();
    seeds.map(|seed| Case::new(engine, &plain, seed)).collect()
}

/// Instantiates random modules on eight threads, of which one in `failing` fails if it can.
fn run(failing: Option<u64>) {
    let engine = engine(N_THREADS * MAX_MEMORIES * (N_HELD + 2));
    let cases = cases(&engine);
    let n_each = (cases.len() * 4).max(300);
    let n_failed = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..N_THREADS {
            let (cases, n_failed) = (&cases, &n_failed);
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
                        held.swap_remove(random.below(held.len() as u64) as usize);
                    }
                }
            });
        }
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
