//! Engines, each with the ways in which it starts from our memory.

mod wasmer;
mod wasmi;
mod wasmtime;

use anyhow::Result;

use crate::guest::Guest;
use crate::prepared::Prepared;

/// An engine, and one way to give it our memory.
pub trait Engine {
    /// The engine and the way.
    fn name(&self) -> &'static str;

    /// Whether a slot maps the image, so that a start after the first maps nothing; else
    /// each start copies it.
    fn maps(&self) -> bool {
        false
    }

    /// Compiles a module as it is.
    ///
    /// # Errors
    ///
    /// Where the engine refuses it.
    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>>;

    /// Compiles a module that starts from our memory.
    ///
    /// # Errors
    ///
    /// Where the engine refuses it.
    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>>;
}

/// A compiled module.
pub trait Start {
    /// A new instance in its first state. Drop the last one before.
    ///
    /// # Errors
    ///
    /// Where the instance traps before it exists, or something is missing.
    fn start(&mut self) -> Result<Box<dyn Guest>>;

    /// How many starts mapped an image, or copied one, and how many of them found their
    /// image still in place from the start before.
    fn image_starts(&self) -> ImageStarts;
}

/// What came of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageStarts {
    /// Starts from an image.
    pub n_images: u64,
    /// Of those, how many mapped nothing, since the slot held the image.
    pub n_reused: u64,
}

/// All engines and ways.
pub const ENGINES: &[&(dyn Engine + Sync)] = &[
    &wasmtime::Mapped,
    &wasmer::Mapped,
    &wasmi::Static,
    &wasmi::Made,
];
