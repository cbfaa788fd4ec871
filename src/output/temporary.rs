//! Temporary files, none of which outlives the process unless it is killed by SIGKILL or
//! crashes; `docs/files.md` says what is left then.
//!
//! An unnamed file (`O_TMPFILE`) would not survive even that. But it cannot replace another
//! file in one step, few systems have it, and the others need this code anyway. So there is
//! one method everywhere: a list of the names in use, which a signal-handling thread removes
//! before the signal ends the process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Once;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names in use. It stays locked while files are renamed, so that a signal waits until
/// either all targets or none are replaced.
static IN_USE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Locks the list of names: no signal ends the process until it is unlocked.
pub(super) fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has temporary files removed when a signal ends the process. If that cannot be set up, the
/// process still works, but a signal leaves temporary files on disk.
fn watch_signals() {
    #[cfg(unix)]
    {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(signals::watch);
    }
}

/// A file under a temporary name, which is deleted on drop unless it was persisted.
#[derive(Debug)]
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
    is_persisted: bool,
}

impl Temporary {
    /// Creates a file with the permissions of any new file: tempfile's default ones are for
    /// secrets.
    pub(super) fn create_in(directory: &Path) -> io::Result<Self> {
        watch_signals();
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wasm-meminit-").suffix(".tmp");
        let made = builder.make_in(directory, |path| {
            // Created and listed under one lock: a signal comes before or after both.
            let mut in_use = lock();
            let file = OpenOptions::new().write(true).create_new(true).open(path)?;
            in_use.push(path.to_owned());
            Ok(file)
        })?;
        let (file, path) = made.keep().map_err(|err| err.error)?;
        Ok(Self {
            file,
            path,
            is_persisted: false,
        })
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Renames the file to `target`, replacing any file there, and removes the temporary name
    /// from the list, which the caller has locked.
    pub(super) fn persist(&mut self, target: &Path, in_use: &mut Vec<PathBuf>) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_persisted = true;
        in_use.retain(|it| *it != self.path);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_persisted {
            let mut in_use = lock();
            // If this fails, only disk space is lost.
            let _ = fs::remove_file(&self.path);
            in_use.retain(|it| *it != self.path);
        }
    }
}

#[cfg(unix)]
mod signals {
    //! Handles the signals that would end the process: removes the files, then applies the
    //! default action.

    use alloc::sync::Arc;
    use core::sync::atomic::AtomicBool;
    use std::fs;
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

    pub(super) fn watch() {
        let ignored = ignored();
        let is_wanted = |it: &i32| ignored >> (it - 1) & 1 == 0;
        if is_wanted(&SIGXFSZ) {
            // With any handler, the write that exceeds the limit fails, and the error is
            // reported like any other. Without one, the old action stays.
            let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
        }
        let wanted: Vec<i32> = ENDING.into_iter().filter(is_wanted).collect();
        let Ok(mut signals) = Signals::new(wanted) else {
            return;
        };
        thread::spawn(move || {
            for signal in signals.forever() {
                let in_use = super::lock();
                for path in in_use.iter() {
                    let _ = fs::remove_file(path);
                }
                // The parent sees which signal it was. The list stays locked, so that no
                // other file is created meanwhile.
                let _ = emulate_default_handler(signal);
            }
        });
    }

    /// Returns the signals that the parent process set to be ignored, as `nohup` and `&` do;
    /// they stay ignored. Returns none if the system does not report them.
    fn ignored() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
        mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok())
            .unwrap_or(0)
    }
}
