//! How the tool ends: its exit codes, a line on stderr that says why, and perhaps a hint.

use core::fmt::{self, Display};
use std::process::ExitCode;

use crate::terminal;

/// A subcommand that could do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well: exit code 0.
    Fine,
    /// What was asked about is not so: exit code 1, and this on stderr.
    Finding(String),
}

/// Bad usage, or a file that cannot be read or written: exit code 2.
#[derive(Debug)]
pub(crate) struct Error {
    subject: Option<String>,
    cause: String,
    hint: Option<String>,
}

pub(crate) type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// About a file. Causes inside it name their offset: those of the libraries do.
    pub(crate) fn of(file: &dyn Display, cause: impl Display) -> Self {
        // The libraries' errors end with a line of their own where there is a hint.
        let text = cause.to_string();
        let (cause, hint) = match text.split_once("\nhint: ") {
            Some((cause, hint)) => (cause.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Self {
            subject: Some(file.to_string()),
            cause,
            hint,
        }
    }

    /// About the arguments.
    pub(crate) fn usage(cause: impl Display) -> Self {
        Self {
            subject: None,
            cause: cause.to_string(),
            hint: None,
        }
    }

    /// With what could be done about it, on a line of its own.
    pub(crate) fn with_hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.cause)
    }
}

impl core::error::Error for Error {}

/// Warns of something that does not stop the command.
pub(crate) fn warn(warning: &str) {
    terminal::complain("warning", warning, None);
}

/// Says what there is to say on stderr.
pub(crate) fn exit_code(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Finding(finding)) => {
            terminal::complain("difference", &finding, None);
            ExitCode::from(1)
        }
        Err(error) => {
            terminal::complain("error", &error.to_string(), error.hint.as_deref());
            ExitCode::from(2)
        }
    }
}
