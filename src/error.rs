//! How the tool ends: its exit codes, and one line on stderr that says why.

use core::fmt::{self, Display};
use std::process::ExitCode;

use crate::terminal;

/// A subcommand that could do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well: exit code 0.
    Fine,
    /// What was asked about is not so: exit code 1, and this line on stderr.
    Finding(String),
}

/// Bad usage, or a file that cannot be read or written: exit code 2.
#[derive(Debug)]
pub(crate) struct Error {
    subject: Option<String>,
    cause: String,
}

pub(crate) type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// About a file. Causes inside it name their offset: those of the libraries do.
    pub(crate) fn of(file: &dyn Display, cause: impl Display) -> Self {
        Self {
            subject: Some(file.to_string()),
            cause: cause.to_string(),
        }
    }

    /// About the arguments.
    pub(crate) fn usage(cause: impl Display) -> Self {
        Self {
            subject: None,
            cause: cause.to_string(),
        }
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

/// Says what there is to say on stderr.
pub(crate) fn exit_code(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Finding(finding)) => {
            terminal::complain("difference", &finding);
            ExitCode::from(1)
        }
        Err(error) => {
            terminal::complain("error", &error.to_string());
            ExitCode::from(2)
        }
    }
}
