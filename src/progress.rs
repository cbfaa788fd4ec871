//! A progress bar on a terminal, for work that takes more than a second.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::terminal;

/// How long to wait before the bar appears: for shorter work it would only flicker.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// Shows on stderr what the tool is doing: nothing at first, a bar after a second. Dropping
/// this removes the bar.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropping it notifies the waiting thread that the work is done. `None` if the bar is
    /// never shown.
    done: Option<mpsc::Sender<()>>,
}

impl Progress {
    /// Starts the timer after which the bar appears.
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let is_shown = io::stderr().is_terminal() && !terminal::is_quiet();
        let done = is_shown.then(|| show_later(bar.clone()));
        Self { bar, done }
    }

    /// Begins the next phase, with its size in bytes if that is known.
    pub(crate) fn phase(&self, doing: &'static str, n_bytes: Option<usize>) {
        if self.done.is_none() {
            return; // never shown: no template need be parsed
        }
        let template = match n_bytes {
            Some(_) => "{msg:>10} {wide_bar:.green/dim} {binary_bytes}/{binary_total_bytes}",
            None => "{msg:>10} {spinner:.green} {elapsed}",
        };
        // The templates above are valid; an invalid one would leave the default bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(doing);
        self.bar.set_position(0);
        match n_bytes {
            Some(len) => self.bar.set_length(len as u64),
            None => self.bar.unset_length(),
        }
    }

    /// Removes the bar, before anything is printed.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Adds to the bytes of the phase that are done.
    pub(crate) fn advance(&self, n_bytes: usize) {
        self.bar.inc(n_bytes as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn show_later(bar: ProgressBar) -> mpsc::Sender<()> {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        if is_done.recv_timeout(SHOW_AFTER) == Err(RecvTimeoutError::Timeout) && !bar.is_finished()
        {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    });
    done
}
