//! Components in wasmtime, with a language's whole runtime: as they are, and prepared.

use anyhow::Result;
use wasm_meminit_wasmtime::{Engine, Options, PreparedComponent};
use wasmtime::component::Component;

use super::{Compiled, Worker};
use crate::rows::Row;
use crate::runtimes::{self, Pre, REQUESTS};

/// Whether the layer in the header of a binary is that of components.
pub(super) fn is_component(wasm: &[u8]) -> bool {
    wasm.get(6..8).is_some_and(|layer| layer != [0, 0])
}

pub(super) fn theirs(wasm: &[u8], engine: &wasmtime::Engine) -> Result<Box<dyn Compiled>> {
    Ok(Box::new(Pre::compiled(&Component::new(engine, wasm)?)?))
}

pub(super) fn ours(wasm: &[u8], engine: &Engine) -> Result<Box<dyn Compiled>> {
    let prepared = PreparedComponent::new(engine, wasm, &Options::new())?;
    Ok(Box::new(Pre::prepared(&prepared)?))
}

impl Compiled for Pre {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &Pre {
    fn start(&mut self) -> Result<Box<dyn super::Instance>> {
        Ok(Box::new(Pre::start(self)?))
    }
}

impl super::Instance for runtimes::Instance {
    fn serve(&mut self, _: &Row) -> Result<Vec<u8>> {
        Ok(self.respond(REQUESTS[0])?.into_bytes())
    }
}
