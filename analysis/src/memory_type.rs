//! The type of a linear memory.

use serde::{Deserialize, Serialize};

/// What addresses of a linear memory are: `i32` or, with memory64, `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexType {
    /// 32-bit addresses.
    I32,
    /// 64-bit addresses (the memory64 proposal, now in core 3.0).
    I64,
}

/// The type of a linear memory (core specification, "Memory Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryType {
    /// 32- or 64-bit addresses.
    pub index_type: IndexType,
    /// Whether several threads may use it at once (the threads proposal).
    pub shared: bool,
    /// The size of its wasm pages.
    pub page_size: WasmPageSize,
    /// Size at the start, in wasm pages.
    pub min: u64,
    /// Largest size that it can grow to, in wasm pages.
    pub max: Option<u64>,
}

/// The wasm page size of a memory: what its size is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WasmPageSize {
    /// 1 byte (the custom-page-sizes proposal).
    One,
    /// 64 KiB: every memory that does not say otherwise.
    #[default]
    Kib64,
}

impl WasmPageSize {
    /// In bytes: 1 or 65,536.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Kib64 => 0x1_0000,
        }
    }
}

impl MemoryType {
    /// Size at the start in bytes, or `None` where it is 2⁶⁴ bytes or more.
    pub const fn min_bytes(&self) -> Option<u64> {
        self.min.checked_mul(self.page_size.bytes())
    }

    /// Largest size in bytes, or `None` without one below 2⁶⁴ bytes.
    pub fn max_bytes(&self) -> Option<u64> {
        self.max?.checked_mul(self.page_size.bytes())
    }

    /// Whether the specification allows the type: sizes within what the index
    /// type can address, minimum not above maximum, shared only with a maximum.
    pub fn is_valid(&self) -> bool {
        let space: u128 = match self.index_type {
            IndexType::I32 => 1 << 32,
            IndexType::I64 => 1 << 64,
        };
        let fits =
            |pages: u64| u128::from(pages).saturating_mul(self.page_size.bytes().into()) <= space;
        fits(self.min)
            && self.max.is_none_or(|max| fits(max) && self.min <= max)
            && (!self.shared || self.max.is_some())
    }
}
