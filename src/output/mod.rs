//! The outputs of one command: checked before anything is read, and written all or none.
//!
//! [`Outputs::new`] refuses an output that is the input or another output, under any name.
//! [`Outputs::write`] first writes every file under a temporary name next to its target, then
//! renames them all; if a rename fails, the files that were already replaced are restored.
//! Pipes, devices and stdout are written to directly.

mod identity;
mod place;
#[cfg_attr(not(unix), path = "no_signals.rs")]
mod signals;
mod sparse;
mod temporary;
mod transaction;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::Source;
use crate::text::printable::printable;
use crate::text::terminal;

pub(crate) use transaction::Content;

use identity::Identity;
use place::Place;
use transaction::Transaction;

/// The outputs of a command, in the order of its options.
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

impl Outputs {
    /// Checks the outputs, each given with the option that names it.
    ///
    /// # Errors
    ///
    /// An output is the input, another output, a directory, or a loop of links.
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
                    format_args!("{option} names the input file"),
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
    pub(crate) fn use_stdout(&self) -> bool {
        self.nth_is_stdout().is_some()
    }

    /// Returns which output is stdout, in the order of the options.
    pub(crate) fn nth_is_stdout(&self) -> Option<usize> {
        let mut targets = self.targets.iter();
        targets.position(|it| it.place == Place::Stdout)
    }

    /// Writes all outputs or none of them, with one content for each, in order.
    ///
    /// Output to stdout, a pipe or a device cannot be undone, so it is written after every
    /// temporary file is complete and before the first file is replaced.
    ///
    /// # Errors
    ///
    /// The system's error, with the target's name. All files are then unchanged.
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
        if !direct.is_empty() {
            transaction.watch_signals();
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

    /// Writes the only output: `len` bytes that are zero except for the pieces, each with its
    /// offset, which are in order and do not overlap. In a file, the zeros between them are
    /// holes, where the file system supports that.
    ///
    /// # Errors
    ///
    /// The system's error, with the target's name. The file is then unchanged.
    pub(crate) fn write_sparse(&self, pieces: &[(u64, &[u8])], len: u64) -> Result<()> {
        debug_assert_eq!(self.targets.len(), 1, "one content");
        for target in &self.targets {
            match &target.place {
                Place::File(file) => {
                    let mut transaction = Transaction::default();
                    transaction
                        .stage_file(file, &mut |to| sparse::write_holes(to, pieces, len))
                        .map_err(|err| target.fail(err))?;
                    transaction.commit().map_err(|(_, err)| target.fail(err))?;
                }
                Place::Stdout | Place::Special => {
                    target.write_directly(&mut |to| sparse::write_zeros(to, pieces, len))?;
                }
            }
        }
        Ok(())
    }

    /// Prints a summary to stdout, or to stderr if stdout is one of the outputs.
    ///
    /// # Errors
    ///
    /// Writing to stdout fails.
    pub(crate) fn report(&self, text: &str) -> Result<()> {
        if self.use_stdout() {
            terminal::print_to_stderr(text);
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

    fn write_directly(&self, content: Content<'_>) -> Result<()> {
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

/// Returns the name of an output for messages.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return String::from("stdout");
    }
    printable(&path.display().to_string()).into_owned()
}
