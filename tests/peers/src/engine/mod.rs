//! The engines, and the ways in which each starts from our memory.

pub mod wasmer;
pub mod wasmi;
pub mod wasmtime;

use anyhow::Result;

use crate::guest::Guest;
use crate::prepared::Prepared;

/// An engine, with one way to use our memory.
pub trait Engine {
    /// Returns the name of the engine and the way.
    fn name(&self) -> &'static str;

    /// Whether a slot maps the image, so that later starts map nothing; otherwise each start
    /// copies it.
    fn maps(&self) -> bool {
        false
    }

    /// Compiles an unmodified module.
    ///
    /// # Errors
    ///
    /// The engine rejects it.
    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>>;

    /// Compiles a module that starts from our memory.
    ///
    /// # Errors
    ///
    /// The engine rejects it.
    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>>;
}

/// A compiled module.
pub trait Start {
    /// Creates a new instance with its initial memory. Drop the previous instance first.
    ///
    /// # Errors
    ///
    /// Instantiation traps, or an import is missing.
    fn start(&mut self) -> Result<Box<dyn Guest>>;

    /// Returns how many starts used an image, and for how many of them the image was still
    /// mapped from the previous start.
    fn image_starts(&self) -> ImageStarts;
}

/// How images were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageStarts {
    /// Starts from an image.
    pub n_images: u64,
    /// How many of those mapped nothing, because the slot already held the image.
    pub n_reused: u64,
}

/// Returns all engines and ways.
pub const ENGINES: &[&(dyn Engine + Sync)] = &[
    &wasmtime::Mapped,
    &wasmer::Mapped,
    &wasmi::Static,
    &wasmi::Made,
];
