//! What a host provides to a module at instantiation.

use crate::shape::{Shape, page_bytes};

/// A host that creates what the module imports, from the declared types.
#[derive(Clone, Debug)]
pub struct Host {
    /// Values of imported integer globals, repeated as often as needed.
    pub globals: Vec<i64>,
    /// How many wasm pages an imported memory has above its minimum, if its type allows that.
    pub extra_wasm_pages: u64,
    /// The initial value of every byte of an imported memory.
    pub fill: u8,
}

impl Host {
    /// Creates a host; the fields describe the parameters.
    pub fn new(globals: &[i64], extra_wasm_pages: u64, fill: u8) -> Self {
        Self {
            globals: globals.to_vec(),
            extra_wasm_pages,
            fill,
        }
    }

    /// Returns the value of the global with that index.
    pub fn global(&self, shape: &Shape<'_>, nth: usize) -> i64 {
        match shape.globals[nth].import {
            // Tables have their minimum size, so with another base every dynamic library would trap.
            Some("__table_base") => 0,
            _ => self.globals[nth % self.globals.len()],
        }
    }

    /// Returns the initial size of a memory in bytes; `None` for 2^64 and above.
    pub fn memory_bytes(&self, shape: &Shape<'_>, memory: usize) -> Option<u64> {
        let ty = shape.memories[memory];
        if !shape.is_imported(memory) {
            return shape.min_bytes(memory);
        }
        let space = if ty.memory64 { u64::MAX } else { 1 << 32 };
        let most = space / page_bytes(&ty);
        let pages = ty.initial.saturating_add(self.extra_wasm_pages);
        pages
            .min(ty.maximum.unwrap_or(most))
            .min(most)
            .max(ty.initial)
            .checked_mul(page_bytes(&ty))
    }

    /// Returns the initial value of every byte of a memory.
    pub fn first_byte(&self, shape: &Shape<'_>, memory: usize) -> u8 {
        if shape.is_imported(memory) {
            self.fill
        } else {
            0
        }
    }
}
