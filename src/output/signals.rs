//! Signals that would end the process wait while it has temporary files.
//!
//! A handler only notes the signal; what writes the files asks for it between two writes. A
//! regular file keeps no writer waiting for long. Where something else does, a thread waits for
//! signals: starting one takes longer than writing most files.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::fs::File;
use std::io::Read as _;
use std::process;
use std::sync::{Once, OnceLock};
use std::thread;

use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGXCPU, SIGXFSZ,
};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Those that other processes, terminals, timers, limits and watchdogs send. A process that
/// has crashed is not trusted to delete files. If it aborts by itself, the default action
/// follows at once, whatever is handled here. `emulate_default_handler` does not know the
/// default action of SIGIO, SIGPWR, SIGSTKFLT and real-time signals.
const ENDING: [i32; 11] = [
    SIGABRT, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF,
    SIGXCPU,
];

/// What the handlers and the rest of the process share.
#[derive(Debug)]
struct Shared {
    /// The last signal that came, or 0.
    pending: Arc<AtomicUsize>,
    /// Whether signals end the process at once.
    is_free: Arc<AtomicBool>,
    handled: Vec<i32>,
}

/// While it lives, signals wait. If that cannot be set up, the process still works, but a signal
/// leaves temporary files on disk.
#[derive(Debug)]
pub(super) struct Held(&'static Shared);

impl Held {
    pub(super) fn new() -> Self {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        let shared = SHARED.get_or_init(handle);
        shared.is_free.store(false, Ordering::SeqCst);
        Self(shared)
    }

    /// Ends the process if a signal has come, after `clean_up`.
    pub(super) fn check(&self, clean_up: fn()) {
        let signal = self.0.pending.load(Ordering::SeqCst);
        if let Some(signal) = i32::try_from(signal).ok().filter(|it| *it != 0) {
            clean_up();
            end_by(signal);
        }
    }

    /// Has a thread do the same as soon as a signal comes, since this one is going to wait for
    /// something else. If no thread can be started, the signal waits for that too.
    pub(super) fn watch(&self, clean_up: fn()) {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            let Ok(mut signals) = Signals::new(&self.0.handled) else {
                return;
            };
            let wait = move || {
                if let Some(signal) = signals.forever().next() {
                    clean_up();
                    end_by(signal);
                }
            };
            let _ = thread::Builder::new().spawn(wait);
        });
        // The thread sees only what comes from now on.
        self.check(clean_up);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // In this order: a signal that comes meanwhile is seen here, or by its handler.
        self.0.is_free.store(true, Ordering::SeqCst);
        self.check(|| {});
    }
}

/// Applies the default action, so that the parent sees which signal it was.
fn end_by(signal: i32) -> ! {
    let _ = emulate_default_handler(signal);
    // Not reached, unless the system refuses: this is what a shell would report.
    process::exit(128 + signal)
}

fn handle() -> Shared {
    // With any handler, the write that exceeds the limit fails, and the error is reported like
    // any other. Without one, the old action stays.
    let _ = flag::register(SIGXFSZ, Arc::default());
    let ignored = ignored();
    let mut shared = Shared {
        pending: Arc::default(),
        is_free: Arc::default(),
        handled: Vec::new(),
    };
    let wanted = ENDING.into_iter().filter(|it| ignored >> (it - 1) & 1 == 0);
    for signal in wanted {
        let number = usize::try_from(signal).unwrap_or(0);
        // In this order; see `Held::drop`.
        let is_noted = flag::register_usize(signal, Arc::clone(&shared.pending), number).is_ok();
        let free = Arc::clone(&shared.is_free);
        if is_noted && flag::register_conditional_default(signal, free).is_ok() {
            shared.handled.push(signal);
        }
    }
    shared
}

/// Returns the signals that the parent process set to be ignored, as `nohup` and `&` do;
/// they stay ignored. Returns none if the system does not report them.
fn ignored() -> u64 {
    let mut status = String::with_capacity(4096);
    let file = File::open("/proc/self/status");
    let _ = file.and_then(|mut it| it.read_to_string(&mut status));
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok())
        .unwrap_or(0)
}
