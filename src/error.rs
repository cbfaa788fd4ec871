//! The results of a command: an outcome, or an error with a cause and a hint.

use core::fmt::{self, Display};

/// The result of a subcommand that did its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Success: exit code 0.
    Fine,
    /// `verify` found a difference: exit code 1, and this text on stderr.
    Finding(String),
    /// What was found is already printed: this exit code.
    Reported(u8),
}

/// Bad usage, or a file that cannot be read or written: exit code 2.
#[derive(Debug)]
pub(crate) struct Error {
    subject: Option<String>,
    cause: String,
    /// The line of the source that the cause is about, with a marker below it.
    pub(crate) excerpt: Option<String>,
    pub(crate) hint: Option<String>,
}

pub(crate) type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// Creates an error about a file. A cause inside the file names its offset, as the
    /// libraries' errors do.
    pub(crate) fn of(file: &dyn Display, cause: impl Display) -> Self {
        // Errors with a hint end with a `hint:` line.
        let text = cause.to_string();
        let (cause, hint) = match text.split_once("\nhint: ") {
            Some((cause, hint)) => (cause.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Self {
            subject: Some(file.to_string()),
            cause,
            excerpt: None,
            hint,
        }
    }

    /// Creates an error about the arguments.
    pub(crate) fn usage(cause: impl Display) -> Self {
        Self {
            subject: None,
            cause: cause.to_string(),
            excerpt: None,
            hint: None,
        }
    }

    /// Adds lines of the source, which are printed below the cause. They contain no hidden
    /// characters but their line breaks.
    pub(crate) fn with_excerpt(mut self, excerpt: String) -> Self {
        self.excerpt = Some(excerpt);
        self
    }

    /// Returns the name of the file that the error is about.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Adds a hint, which is printed on its own line.
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
