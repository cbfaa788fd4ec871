//! A progress bar, for work that takes over a second, on a terminal.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work would only flicker.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the tool is doing, on stderr: nothing at first, a bar once a second has
/// passed. It is wiped away when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropping it tells the waiting thread that the work is done.
    _done: Option<mpsc::Sender<()>>,
}

impl Progress {
    /// From now on.
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let done = io::stderr().is_terminal().then(|| show_later(bar.clone()));
        Self { bar, _done: done }
    }

    /// What comes next, and how many bytes that is, where it is known.
    pub(crate) fn phase(&self, doing: &'static str, n_bytes: Option<usize>) {
        let template = match n_bytes {
            Some(_) => "{msg:>10} {wide_bar:.green/dim} {binary_bytes}/{binary_total_bytes}",
            None => "{msg:>10} {spinner:.green} {elapsed}",
        };
        // The templates above are right; a wrong one shows the default bar.
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

    /// That many bytes of the phase are done.
    pub(crate) fn advance(&self, n_bytes: usize) {
        self.bar.inc(n_bytes as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn show_later(bar: ProgressBar) -> mpsc::Sender<()> {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) && !bar.is_finished() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    });
    done
}
