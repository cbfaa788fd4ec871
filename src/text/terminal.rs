//! Terminal output: width, character set and colours.
//!
//! Text is composed with colours; [`print()`] removes them if stdout is not a terminal, or if
//! `NO_COLOR` or a similar variable says so.

use core::fmt::Display;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, Write};
use std::process::ExitCode;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::error::{Error, Outcome, Result};
use crate::text::printable::printable;

/// The width if it cannot be determined.
const DEFAULT_COLUMNS: usize = 80;

/// How to lay out text for stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The width in character cells, between 40 and 120: longer lines are hard to read.
    pub(crate) columns: usize,
    /// Whether to use ASCII only.
    pub(crate) ascii: bool,
}

impl Look {
    /// Detects what the current terminal supports.
    pub(crate) fn detect(ascii: bool) -> Self {
        let columns = terminal_size::terminal_size()
            .map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0));
        Self {
            columns: columns.clamp(40, 120),
            ascii: ascii || !supports_unicode::on(supports_unicode::Stream::Stdout),
        }
    }

    /// Returns the first if block characters can be shown, otherwise the second.
    pub(crate) const fn either<T: Copy>(self, unicode: T, ascii: T) -> T {
        if self.ascii { ascii } else { unicode }
    }

    /// Returns a name from the input with control characters escaped, cut at 40 characters.
    pub(crate) fn name(self, name: &str) -> String {
        const MAX_CHARS: usize = 40;
        let cut = name
            .char_indices()
            .nth(MAX_CHARS)
            .map_or(name, |(at, _)| &name[..at]);
        let mut shown: String = printable(cut).into_owned();
        if self.ascii {
            shown = cut.escape_default().to_string();
        }
        if cut.len() < name.len() {
            shown.push_str(self.either("…", "..."));
        }
        shown
    }
}

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();

/// Applies a style to text.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Right-aligns text in a field of `width` cells.
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// Whether reports, summaries, warnings and progress are left out. Set once, before a command
/// runs.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out reports, summaries, warnings and progress from now on.
pub(crate) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Whether only errors, findings and requested data are written.
pub(crate) fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Writes a whole report to stdout, unless `--quiet` is given. A closed pipe is not an error.
///
/// # Errors
///
/// Writing to stdout fails.
pub(crate) fn print(report: &str) -> Result<()> {
    match is_quiet() {
        true => Ok(()),
        false => show(report),
    }
}

/// Writes text to stdout, with its colours if stdout shows them. A closed pipe is not an error.
///
/// # Errors
///
/// Writing to stdout fails.
pub(crate) fn show(report: &str) -> Result<()> {
    // At once: a stream that removes colours writes the text between them piece by piece.
    if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
        return print_data(&strip_str(report).to_string());
    }
    let mut stdout = anstream::stdout().lock();
    written(
        stdout
            .write_all(report.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// Writes machine-readable data to stdout, unmodified.
///
/// # Errors
///
/// Writing to stdout fails.
pub(crate) fn print_data(data: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    written(
        stdout
            .write_all(data.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// Writes a report of any length to stdout, piece by piece.
///
/// # Errors
///
/// Writing to stdout fails.
pub(crate) fn stream(report: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    // Without the buffer, each piece between two colours would be a system call, and each line too
    // after colours are removed.
    let stdout = io::stdout().lock();
    let result = match AutoStream::choice(&stdout) {
        ColorChoice::Never => {
            let mut buffer = io::BufWriter::new(stdout);
            let below: &mut (dyn Write + 'static) = &mut buffer;
            let mut stdout = anstream::StripStream::new(below);
            report(&mut stdout).and_then(|()| stdout.flush())
        }
        _ => {
            let mut stdout = io::BufWriter::new(AutoStream::auto(stdout));
            report(&mut stdout).and_then(|()| stdout.flush())
        }
    };
    written(result)
}

/// Converts the result of writing to stdout: a closed pipe is not an error.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(Error::of(&"stdout", err)),
        _ => Ok(()),
    }
}

/// Writes a report to stderr, for when stdout is an output, unless `--quiet` is given.
pub(crate) fn print_to_stderr(report: &str) {
    if is_quiet() {
        return;
    }
    // If stderr fails too, there is nowhere to report it.
    let _ = anstream::stderr().lock().write_all(report.as_bytes());
}

/// Prints a message on stderr, then lines of the source and the hint, if there are any.
fn print_diagnostic(kind: &str, what: &str, excerpt: Option<&str>, hint: Option<&str>) {
    let mut stderr = anstream::stderr().lock();
    // If stderr fails too, there is nowhere to report it.
    let _ = writeln!(stderr, "{RED}{kind}{RED:#}: {}", printable(what));
    if let Some(excerpt) = excerpt {
        let _ = writeln!(stderr, "{excerpt}");
    }
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{DIM}hint{DIM:#}: {}", printable(hint));
    }
}

/// Prints a warning on stderr, unless `--quiet` is given; the command goes on.
pub(crate) fn warn(warning: &str) {
    if !is_quiet() {
        print_diagnostic("warning", warning, None, None);
    }
}

/// Prints an error on stderr; the command goes on with the next file.
pub(crate) fn print_error(error: &Error) {
    let (excerpt, hint) = (error.excerpt.as_deref(), error.hint.as_deref());
    print_diagnostic("error", &error.to_string(), excerpt, hint);
}

/// Prints a violated requirement on stderr.
pub(crate) fn print_finding(finding: &str) {
    print_diagnostic("violation", finding, None, None);
}

/// Prints the finding or error on stderr and returns the exit code.
pub(crate) fn exit_code(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Finding(finding)) => {
            print_diagnostic("difference", &finding, None, None);
            ExitCode::from(1)
        }
        Ok(Outcome::Reported(code)) => ExitCode::from(code),
        Err(error) => {
            print_error(&error);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_control_a_terminal() {
        let look = Look {
            columns: 80,
            ascii: false,
        };
        assert_eq!(look.name("env.__memory_base"), "env.__memory_base");
        assert_eq!(look.name("a\x1b[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(look.name("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(look.name(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        let ascii = Look {
            ascii: true,
            ..look
        };
        assert_eq!(ascii.name("é"), "\\u{e9}");
        assert!(ascii.name(&"é".repeat(41)).is_ascii());
    }

    #[test]
    fn fields_are_right_aligned() {
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(right("語", 4), "  語");
        assert_eq!(right("abcde", 4), "abcde");
    }
}
