//! Generated modules of any size: worst cases for `pack` and the other rewrites.

use wasm_encoder::{ConstExpr, DataSection, MemorySection, MemoryType, Module};

/// A module with segments given by memory and address, in memories of 4 GiB each.
pub(crate) fn segments(
    n_memories: u32,
    segments: impl IntoIterator<Item = (u32, u32, Vec<u8>)>,
) -> Vec<u8> {
    let mut memories = MemorySection::new();
    for _ in 0..n_memories {
        memories.memory(MemoryType {
            minimum: 65_536,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    let mut data = DataSection::new();
    for (memory, addr, bytes) in segments {
        data.active(memory, &ConstExpr::i32_const(addr.cast_signed()), bytes);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    module.finish()
}
