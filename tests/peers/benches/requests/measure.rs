//! Measures one row in all settings: times, latencies, throughput and resident memory.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::kernel_report::{self, Report};
use crate::paired::{self, Way};
use crate::rows::Row;
use crate::settings::{Compiled, Setting};

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) threads: &'static [usize],
    pub(crate) n_sittings: usize,
    /// How long a sitting is: all settings together, for each row and number of threads.
    pub(crate) time: Duration,
    pub(crate) min_rounds: usize,
    /// Instances that are held at once, to measure their resident memory.
    pub(crate) n_held: u32,
    /// Requests until a slot has decided what stays resident: it does every sixteenth time.
    pub(crate) n_unusual: u32,
    /// Requests whose parts are measured.
    pub(crate) n_usual: u32,
}

/// The figures of one setting.
pub(crate) struct Measured {
    pub(crate) setting: &'static Setting,
    pub(crate) resident: Resident,
    pub(crate) parts: Parts,
    /// One entry for each number of threads.
    pub(crate) threads: Vec<Figures>,
}

/// Bytes per instance, with shared pages divided by their users.
#[derive(Clone, Copy, Default)]
pub(crate) struct Resident {
    /// After its calls, before it is dropped.
    pub(crate) in_use: f64,
    /// After it was dropped.
    pub(crate) kept: f64,
}

/// What requests of one thread consist of, in the long run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    /// Nanoseconds from an instance to its answer: the median.
    pub(crate) call: f64,
    /// Page faults of the whole request: the mean.
    pub(crate) page_faults: f64,
}

#[derive(Clone)]
pub(crate) struct Figures {
    pub(crate) n_threads: usize,
    /// Nanoseconds per request, over all threads: the median over rounds.
    pub(crate) ns: f64,
    /// Nanoseconds: latencies of single requests.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// This setting's time divided by each setting's, in the order of the settings: medians of
    /// the ratios within rounds.
    pub(crate) ratios: Vec<f64>,
}

type Settings = [(&'static Setting, Box<dyn Compiled>)];

/// Measures all settings of a row, in turn.
pub(crate) fn measure(row: &Row, settings: &Settings, plan: &Plan) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (setting, compiled) in settings {
        all.push(Measured {
            setting,
            resident: resident(row, &**compiled, plan.n_held)?,
            parts: parts(row, &**compiled, plan)?,
            threads: Vec::new(),
        });
    }
    for &n_threads in plan.threads {
        let taking_part: Vec<usize> = (0..settings.len())
            .filter(|&nth| n_threads == 1 || settings[nth].0.has_threads())
            .collect();
        let compiled: Vec<_> = taking_part.iter().map(|&nth| &*settings[nth].1).collect();
        let mut timed: Vec<Timed> = taking_part.iter().map(|_| Timed::default()).collect();
        for nth in 0..plan.n_sittings {
            sit(row, &compiled, n_threads, nth, plan, &mut timed)?;
        }
        for (nth, timed_one) in taking_part.into_iter().zip(&timed) {
            all[nth].threads.push(timed_one.figures(n_threads, &timed));
        }
    }
    Ok(all)
}

/// What was measured of one setting with that many threads.
#[derive(Default)]
struct Timed {
    /// Nanoseconds per request, of each round.
    rounds: Vec<f64>,
    /// Nanoseconds of each request.
    latencies: Vec<u64>,
}

impl Timed {
    fn figures(&self, n_threads: usize, all: &[Self]) -> Figures {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let ratio = |other: &Self| paired::ratio(&self.rounds, &other.rounds);
        Figures {
            n_threads,
            ns: paired::median(self.rounds.clone()),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            ratios: all.iter().map(ratio).collect(),
        }
    }
}

/// Measures settings in turn, while each thread holds `n_held` other instances: so each sitting
/// uses other slots. How fast a guest runs depends on where its pages are, by up to a third.
fn sit(
    row: &Row,
    settings: &[&dyn Compiled],
    n_threads: usize,
    n_held: usize,
    plan: &Plan,
    timed: &mut [Timed],
) -> Result<()> {
    let crews: Vec<Arc<Crew>> = settings
        .iter()
        .map(|_| Arc::new(Crew::new(n_threads)))
        .collect();
    thread::scope(|scope| {
        for (compiled, crew) in settings.iter().zip(&crews) {
            for _ in 0..n_threads {
                scope.spawn(|| crew.work(row, *compiled, n_held));
            }
        }
        let result = lead(&crews, plan, timed);
        for crew in &crews {
            crew.dismiss();
        }
        result
    })
}

fn lead(crews: &[Arc<Crew>], plan: &Plan, timed: &mut [Timed]) -> Result<()> {
    let mut ways: Vec<Way<'_, anyhow::Error>> =
        crews.iter().map(|crew| Way::new(|n| crew.run(n))).collect();
    // Fills caches and pools; its latencies are not counted.
    paired::measure(&mut ways, Duration::ZERO, 1)?;
    for crew in crews {
        crew.choose_factor(&mut lock(&crew.latencies))?;
    }
    paired::measure(&mut ways, plan.time, plan.min_rounds)?;
    for ((crew, way), timed) in crews.iter().zip(ways).zip(timed) {
        timed.rounds.extend(way.samples);
        timed.latencies.append(&mut lock(&crew.latencies));
    }
    Ok(())
}

/// Threads that serve requests in one setting, whenever it is that setting's turn.
struct Crew {
    n_threads: usize,
    begin: Barrier,
    end: Barrier,
    /// Requests of each thread in this turn; 0 ends the threads.
    n: AtomicU32,
    /// Of the requests that the timing alone would take.
    factor: AtomicU32,
    turn: Mutex<Turn>,
    latencies: Mutex<Vec<u64>>,
}

#[derive(Default)]
struct Turn {
    first_start: Option<Instant>,
    last_end: Option<Instant>,
    failure: Option<anyhow::Error>,
}

/// How long a turn lasts, at least, in nanoseconds: a host that serves one request after the other
/// finds the processor's caches as the last one left them, and not another engine. It is also
/// more than a time slice of one of several threads.
const TURN_NANOS: u64 = 5_000_000;

impl Crew {
    fn new(n_threads: usize) -> Self {
        Self {
            n_threads,
            begin: Barrier::new(n_threads + 1),
            end: Barrier::new(n_threads + 1),
            n: AtomicU32::new(0),
            factor: AtomicU32::new(1),
            turn: Mutex::default(),
            latencies: Mutex::default(),
        }
    }

    /// Serves `n` requests on each thread, and returns the time for `n` over all threads.
    fn run(&self, n: u32) -> Result<Duration> {
        let factor = self.factor.load(Ordering::Relaxed);
        self.n.store(n * factor, Ordering::Relaxed);
        self.begin.wait();
        self.end.wait();
        let turn = core::mem::take(&mut *lock(&self.turn));
        if let Some(failure) = turn.failure {
            return Err(failure);
        }
        let (start, end) = turn
            .first_start
            .zip(turn.last_end)
            .context("no thread ran")?;
        Ok((end - start) / (factor * u32::try_from(self.n_threads)?))
    }

    /// Chooses how long turns are, from the latencies so far, and discards these.
    fn choose_factor(&self, latencies: &mut Vec<u64>) -> Result<()> {
        latencies.sort_unstable();
        let typical = latencies.get(latencies.len() / 2).copied().unwrap_or(0);
        let shortest = u64::try_from(paired::ROUND.as_nanos())?;
        let factor = TURN_NANOS.div_ceil(typical.max(shortest));
        self.factor.store(u32::try_from(factor)?, Ordering::Relaxed);
        latencies.clear();
        Ok(())
    }

    fn dismiss(&self) {
        self.n.store(0, Ordering::Relaxed);
        self.begin.wait();
    }

    fn work(&self, row: &Row, compiled: &dyn Compiled, n_held: usize) {
        let mut worker = compiled.worker();
        // Dropped after the requests. One that fails is reported by them.
        let _held: Vec<_> = worker
            .iter_mut()
            .flat_map(|worker| (0..n_held).map(|_| worker.start()))
            .collect();
        let mut latencies = Vec::new();
        loop {
            self.begin.wait();
            let n = self.n.load(Ordering::Relaxed);
            if n == 0 {
                return;
            }
            let start = Instant::now();
            let mut last = start;
            let served = (0..n).try_for_each(|_| {
                let worker = worker.as_mut().map_err(|err| anyhow::anyhow!("{err:#}"))?;
                let mut instance = worker.start()?;
                instance.serve(row)?;
                drop(instance);
                let now = Instant::now();
                latencies.push(u64::try_from((now - last).as_nanos())?);
                last = now;
                Ok(())
            });
            {
                let mut turn = lock(&self.turn);
                turn.first_start = turn
                    .first_start
                    .map_or(Some(start), |it| Some(it.min(start)));
                turn.last_end = turn.last_end.max(Some(last));
                if let Err(failure) = served {
                    turn.failure = Some(failure);
                }
            }
            lock(&self.latencies).append(&mut latencies);
            self.end.wait();
        }
    }
}

/// A thread that panics ends the bench anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::cast_precision_loss, reason = "a few digits are enough")]
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |&ns| ns as f64)
}

/// Holds several instances at once, and drops them.
fn resident(row: &Row, compiled: &dyn Compiled, n_held: u32) -> Result<Resident> {
    let mut worker = compiled.worker()?;
    let mut serve = || {
        let mut guest = worker.start()?;
        guest.serve(row)?;
        anyhow::Ok(guest)
    };
    // What is shared by all instances is not counted: code, and the first slot's pages.
    drop(serve()?);
    let Some(before) = pss() else {
        return Ok(Resident {
            in_use: f64::NAN,
            kept: f64::NAN,
        });
    };
    let held = (0..n_held).map(|_| serve()).collect::<Result<Vec<_>>>()?;
    let during = pss().unwrap_or(f64::NAN);
    drop(held);
    let after = pss().unwrap_or(f64::NAN);
    // The slot of the first request is used again, so one less is new.
    let n_new = f64::from(n_held.max(2) - 1);
    Ok(Resident {
        in_use: (during - before) / n_new,
        kept: ((after - before) / n_new).max(0.0),
    })
}

/// Measures parts of requests, after some that are not counted.
#[allow(clippy::cast_precision_loss, reason = "a few digits are enough")]
fn parts(row: &Row, compiled: &dyn Compiled, plan: &Plan) -> Result<Parts> {
    let mut worker = compiled.worker()?;
    let mut request = || {
        let mut instance = worker.start()?;
        let start = Instant::now();
        instance.serve(row)?;
        anyhow::Ok(u64::try_from(start.elapsed().as_nanos())?)
    };
    for _ in 0..plan.n_unusual {
        request()?;
    }
    let before = kernel_report::page_faults();
    let calls = (0..plan.n_usual).map(|_| request());
    let mut calls = calls.collect::<Result<Vec<u64>>>()?;
    let n_faults = kernel_report::page_faults().zip(before);
    calls.sort_unstable();
    Ok(Parts {
        call: percentile(&calls, 50),
        page_faults: n_faults.map_or(f64::NAN, |(after, before)| {
            (after - before) as f64 / f64::from(plan.n_usual)
        }),
    })
}

/// Returns the process's proportional set size in bytes, or `None` where the system has none.
#[allow(clippy::cast_precision_loss, reason = "a few digits are enough")]
fn pss() -> Option<f64> {
    Report::smaps_rollup()
        .bytes("Pss")
        .map(|bytes| bytes as f64)
}

/// Returns the geometric mean; `NaN` of none.
pub(crate) fn geometric_mean(numbers: &[f64]) -> f64 {
    let logs: f64 = numbers.iter().map(|it| it.ln()).sum();
    #[allow(clippy::cast_precision_loss, reason = "few")]
    let n = numbers.len() as f64;
    (logs / n).exp()
}
