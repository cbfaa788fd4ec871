//! wasmer: alone, and with our memories.

use core::num::NonZeroUsize;

use anyhow::Result;
use wasm_meminit_peers::Guest;
use wasm_meminit_peers::engine::wasmer as engine;

use super::{Compiled, Instance, Worker};
use crate::rows::Row;

/// As many as wasmtime's.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

pub(super) fn alone(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    Ok(Box::new(engine::Compiled::alone(wasm)?))
}

pub(super) fn ours(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    Ok(Box::new(engine::Compiled::ours(wasm, MAX_MEMORIES)?))
}

impl Compiled for engine::Compiled {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &engine::Compiled {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        Ok(Box::new(Started(self.guest()?)))
    }
}

struct Started(Box<dyn Guest>);

impl Instance for Started {
    fn serve(&mut self, row: &Row) -> Result<Vec<u8>> {
        row.run(&mut *self.0)
    }
}
