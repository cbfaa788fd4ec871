//! What a step of `ci` is, and how it says what it did.

use core::fmt;

use xshell::Shell;

/// The crates that are published, in the order in which they can be.
pub(crate) const LIBRARIES: &[&str] = &[
    "wasm-meminit-analysis",
    "wasm-meminit-image-builder",
    "wasm-meminit-apply",
];

/// A step that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it ran; the text says what, where that is not obvious.
    Passed(String),
    /// Something optional is absent on this machine, for this reason.
    Skipped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed(note) => f.write_str(note),
            Outcome::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

/// What every step looks like.
pub(crate) type StepFn = fn(&Shell) -> anyhow::Result<Outcome>;

/// Runs a step on its own, as a task.
pub(crate) fn alone(sh: &Shell, step: StepFn) -> anyhow::Result<()> {
    println!("{}", step(sh)?);
    Ok(())
}

/// The outcome of a step that has nothing to add to having passed.
pub(crate) fn passed() -> anyhow::Result<Outcome> {
    Ok(Outcome::Passed(String::new()))
}
