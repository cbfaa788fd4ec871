//! Outputs of one command: checked before anything is read, written all or none.
//!
//! [`Outputs::new`] refuses an output that is the input or another output, under whatever
//! name. [`Outputs::write`] first writes every file under a temporary name beside its
//! target, then gives all of them their names; where one name is refused, the files that
//! were already replaced come back. Pipes, devices and stdout are written to as they are.

mod identity;
mod temporary;
mod transaction;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::Source;
use crate::terminal;

pub(crate) use temporary::Guard;

use identity::Identity;
use transaction::Transaction;

/// What writes the content of one output.
pub(crate) type Content<'c> = &'c mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Where the outputs of a command go, in the order of its options.
#[derive(Debug)]
pub(crate) struct Outputs {
    targets: Vec<Target>,
}

/// One output.
#[derive(Debug)]
struct Target {
    /// As the user wrote it.
    path: PathBuf,
    place: Place,
}

/// How an output is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// `-`, or another name of what stdout is.
    Stdout,
    /// A regular file, or none yet: replaced as a whole. The path has no link at its end.
    File(PathBuf),
    /// A pipe or a device: opened and written to.
    Special,
}

impl Outputs {
    /// Checks where outputs go: each with the option that names it.
    ///
    /// # Errors
    ///
    /// Where an output is the input, another output, a directory, or a chain of links
    /// without an end.
    pub(crate) fn new(input: Source<'_>, options: &[(&str, &Path)]) -> Result<Self> {
        let input_identity = Identity::of_input(input);
        let stdout = Identity::of_stdout();
        let mut targets = Vec::new();
        let mut seen: Vec<(&str, Identity)> = Vec::new();
        for &(option, path) in options {
            let fail =
                |err: io::Error| Error::of(&path.display(), format_args!("cannot write: {err}"));
            let (place, identity) = identity::resolve(path, stdout.as_ref()).map_err(fail)?;
            if input_identity
                .as_ref()
                .is_some_and(|it| *it == identity && it.is_storage())
            {
                return Err(Error::of(
                    &path.display(),
                    format_args!("{option} names the input file itself"),
                ));
            }
            if let Some((other, _)) = seen.iter().find(|(_, it)| *it == identity) {
                return Err(Error::usage(format_args!(
                    "{option} and {other} name the same file"
                )));
            }
            seen.push((option, identity));
            targets.push(Target {
                path: path.to_owned(),
                place,
            });
        }
        Ok(Self { targets })
    }

    /// Whether stdout is one of the outputs, so that nothing else may be printed there.
    pub(crate) fn take_stdout(&self) -> bool {
        self.targets.iter().any(|it| it.place == Place::Stdout)
    }

    /// Writes all outputs, or none of them; one content for each, in order.
    ///
    /// What goes to stdout, a pipe or a device cannot be taken back: it is written once
    /// every temporary file is complete, before the first file is replaced.
    ///
    /// # Errors
    ///
    /// What the system refused, with the target's name. Files are then as they were.
    pub(crate) fn write(&self, contents: &mut [Content<'_>]) -> Result<()> {
        debug_assert_eq!(self.targets.len(), contents.len(), "one content each");
        let mut transaction = Transaction::default();
        let mut direct = Vec::new();
        for (target, content) in self.targets.iter().zip(contents) {
            match &target.place {
                Place::File(file) => transaction
                    .stage(file, content)
                    .map_err(|err| target.fail(err))?,
                Place::Stdout | Place::Special => direct.push((target, content)),
            }
        }
        for (target, content) in direct {
            target.write_directly(content)?;
        }
        transaction.commit().map_err(|(file, err)| {
            let named = self
                .targets
                .iter()
                .find(|it| it.place == Place::File(file.clone()));
            named.map_or_else(|| Error::of(&file.display(), &err), |it| it.fail(&err))
        })
    }

    /// Prints what was done: on stdout, or on stderr where stdout is one of the outputs.
    ///
    /// # Errors
    ///
    /// Where stdout cannot be written to.
    pub(crate) fn report(&self, text: &str) -> Result<()> {
        if self.take_stdout() {
            terminal::print_aside(text);
            Ok(())
        } else {
            terminal::print(text)
        }
    }
}

impl Target {
    fn fail(&self, err: impl core::fmt::Display) -> Error {
        match self.place {
            Place::Stdout => Error::of(&"stdout", err),
            _ => Error::of(&self.path.display(), format_args!("cannot write: {err}")),
        }
    }

    fn write_directly(&self, content: &mut Content<'_>) -> Result<()> {
        let written = if self.place == Place::Stdout {
            let mut stdout = io::stdout().lock();
            content(&mut stdout).and_then(|()| stdout.flush())
        } else {
            let opened = std::fs::OpenOptions::new().write(true).open(&self.path);
            opened.and_then(|mut file| content(&mut file).and_then(|()| file.flush()))
        };
        written.map_err(|err| self.fail(err))
    }
}

/// The name of an output as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return String::from("stdout");
    }
    crate::printable::printable(&path.display().to_string()).into_owned()
}
