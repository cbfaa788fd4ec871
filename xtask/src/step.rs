//! A step of `ci`, and its outcome.

use core::fmt;

use xshell::Shell;

/// The published crates, in publishing order.
pub(crate) const PUBLISHED: &[&str] = &[
    "wasm-meminit-analysis",
    "wasm-meminit-image-builder",
    "wasm-meminit-apply",
    "wasm-meminit",
];

/// A step that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything ran; the text adds details that are not obvious.
    Passed(String),
    /// Something optional is missing on this machine, for this reason.
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

/// The signature of every step.
pub(crate) type StepFn = fn(&Shell) -> anyhow::Result<Outcome>;

/// Runs a step on its own, as a task.
pub(crate) fn alone(sh: &Shell, step: StepFn) -> anyhow::Result<()> {
    println!("{}", step(sh)?);
    Ok(())
}

/// Returns the outcome of a step that passed without further details.
pub(crate) fn passed() -> anyhow::Result<Outcome> {
    Ok(Outcome::Passed(String::new()))
}
