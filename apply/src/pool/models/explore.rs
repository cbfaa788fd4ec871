//! Runs a model under many schedules, and counts those that differ.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::hash::{Hash, Hasher};
use core::mem;
use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::sync::Mutex;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, Runner};

/// The same schedules in every run.
const SEED: u64 = 14;

/// How many preemptions at chosen points the second scheduler makes at most. Most known bugs
/// need two or three.
const PREEMPTIONS: [usize; 2] = [2, 4];

/// Runs the model under random schedules, and as often under schedules with few
/// preemptions (PCT).
pub(super) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let n: usize = std::env::var("WASM_MEMINIT_SCHEDULES").map_or(1000, |n| {
        n.parse()
            .unwrap_or_else(|_| panic!("WASM_MEMINIT_SCHEDULES={n}: not a number"))
    });
    let model = Arc::new(model);
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let mut n_run = run(RandomScheduler::new_from_seed(SEED, n), &seen, &model);
    for depth in PREEMPTIONS {
        let scheduler = PctScheduler::new_from_seed(SEED, depth, n.div_ceil(PREEMPTIONS.len()));
        n_run += run(scheduler, &seen, &model);
    }
    let thread = std::thread::current();
    let name: String = thread.name().unwrap_or_default().to_owned();
    let n_different = seen.lock().expect("not poisoned").len();
    // `cargo xtask models` reads this line.
    std::println!("\nmodel {name}: {n_run} schedules, {n_different} different");
    assert!(1 < n_different, "no thread ever ran before another one");
}

fn run<S: Scheduler + 'static>(
    scheduler: S,
    seen: &Arc<Mutex<HashSet<u64>>>,
    model: &Arc<impl Fn() + Send + Sync + 'static>,
) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    // Of the atomic operations: see the models' documentation.
    config.silence_warnings = true;
    let recorder = Recorder {
        scheduler,
        seen: Arc::clone(seen),
        choices: None,
    };
    let model = Arc::clone(model);
    Runner::new(recorder, config).run(move || model())
}

/// A scheduler that records which schedules it has chosen.
struct Recorder<S> {
    scheduler: S,
    /// Hashes of all schedules.
    seen: Arc<Mutex<HashSet<u64>>>,
    /// The hash of the current one, if there is any.
    choices: Option<DefaultHasher>,
}

impl<S: Scheduler> Scheduler for Recorder<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let next = self.scheduler.new_execution();
        let now = next.as_ref().map(|_| DefaultHasher::new());
        if let Some(before) = mem::replace(&mut self.choices, now) {
            let mut seen = self.seen.lock().expect("not poisoned");
            seen.insert(before.finish());
        }
        next
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let next = self.scheduler.next_task(runnable, current, is_yielding);
        if let (Some(choices), Some(task)) = (&mut self.choices, next) {
            usize::from(task).hash(choices);
        }
        next
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}
