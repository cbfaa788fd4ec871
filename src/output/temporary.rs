//! Files that are not there yet: none of them outlives the process, short of SIGKILL.
//!
//! A file without a name (`O_TMPFILE`) would not outlive even that, but it cannot replace
//! another file by a single step, few systems have it, and the others need this all the
//! same. So there is one way: a list of the names in use, which a signal's thread removes
//! before the process dies of that signal.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names in use. While files are given their names it is locked: a signal waits
/// until either all of them or none are replaced.
static IN_USE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The list of names, for as long as nothing may be interrupted.
pub(super) fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes temporary files where a signal ends the process.
#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
    /// From now on. Without it the process still works, and signals leave files behind.
    pub(crate) fn install() {
        #[cfg(unix)]
        signals::watch();
    }
}

/// A file under a temporary name; it goes away unless it is given its own.
#[derive(Debug)]
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
    is_persisted: bool,
}

impl Temporary {
    /// Makes one, with the permissions of any new file: tempfile's own are for secrets.
    pub(super) fn create_in(directory: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wasm-meminit-").suffix(".tmp");
        let made = builder.make_in(directory, |path| {
            // Listed and made under one lock: a signal comes before or after both.
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

    /// Gives the file its name; replaces what has that name. Called with the list locked,
    /// which it takes the temporary name off.
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
            // Nothing is lost where it cannot be removed but the room it takes.
            let _ = fs::remove_file(&self.path);
            in_use.retain(|it| *it != self.path);
        }
    }
}

#[cfg(unix)]
mod signals {
    //! SIGINT, SIGTERM and SIGHUP, with the default effect once files are gone.

    use std::fs;
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    pub(super) fn watch() {
        let ignored = ignored();
        let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter();
        let wanted: Vec<i32> = wanted.filter(|it| ignored >> (it - 1) & 1 == 0).collect();
        let Ok(mut signals) = Signals::new(wanted) else {
            return;
        };
        thread::spawn(move || {
            for signal in signals.forever() {
                let in_use = super::lock();
                for path in in_use.iter() {
                    let _ = fs::remove_file(path);
                }
                // Whoever waits for us sees which signal it was. The list stays locked:
                // no other file is made meanwhile.
                let _ = emulate_default_handler(signal);
            }
        });
    }

    /// The signals that whoever started us wants ignored, as `nohup` and `&` do: they
    /// stay so. Where the system does not say, none.
    fn ignored() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
        mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok())
            .unwrap_or(0)
    }
}
