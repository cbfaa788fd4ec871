//! What the tool leaves on disk: killed at any moment, on full disks and in read-only folders,
//! to pipes that close, and from inputs that change while they are read.
//!
//! `docs/files.md` says what is promised.

mod changing;
mod disk;
mod kills;
mod special;

use std::fs;

use wasm_encoder::{ConstExpr, DataSection, Encode, MemorySection, MemoryType, Module};

/// Returns a module with `n` segments of `len` bytes, which do not compress, 32 KiB apart.
/// Modules with different seeds have the same length.
fn module(n: u32, len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut data = DataSection::new();
    for nth in 0..n {
        let bytes = (0..len).map(|_| random.next() as u8);
        // A constant of the same length for each seed.
        data.active(0, &ConstExpr::i32_const((nth << 15).cast_signed()), bytes);
    }
    let mut module = Module::new();
    module.section(MemorySection::new().memory(MemoryType {
        minimum: u64::from(n.div_ceil(2)),
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }));
    module.section(&data);
    module.finish()
}

/// Returns a component with these core modules.
fn component(modules: &[Vec<u8>]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    for module in modules {
        component.push(1);
        module.encode(&mut component);
    }
    component
}

/// Numbers that look random (xorshift), the same in each run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

/// Whether this is the name of a file that only a killed process leaves.
fn is_left_over(name: &str) -> bool {
    name.starts_with(".wasm-meminit-") && (name.ends_with(".tmp") || name.ends_with(".old"))
}

#[track_caller]
fn read(path: &str) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|err| panic!("{path}: {err}"))
}
