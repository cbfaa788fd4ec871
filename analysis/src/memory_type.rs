//! The type of a linear memory.

/// The type of a linear memory's addresses: `i32` or, with memory64, `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum IndexType {
    /// 32-bit addresses.
    I32,
    /// 64-bit addresses (the memory64 proposal, now in core 3.0).
    I64,
}

#[cfg(feature = "parse")]
impl IndexType {
    /// Returns the type that the binary format encodes as this flag.
    pub(crate) const fn of(is_64: bool) -> Self {
        if is_64 { Self::I64 } else { Self::I32 }
    }
}

/// The type of a linear memory (core specification, "Memory Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MemoryType {
    /// 32- or 64-bit addresses.
    pub index_type: IndexType,
    /// Whether several threads may use it at once (the threads proposal).
    pub shared: bool,
    /// The size of its wasm pages.
    pub page_size: WasmPageSize,
    /// Initial size in wasm pages.
    pub min: u64,
    /// Maximum size in wasm pages.
    pub max: Option<u64>,
}

/// The wasm page size of a memory, the unit of its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum WasmPageSize {
    /// 1 byte (the custom-page-sizes proposal).
    One,
    /// 64 KiB, the default.
    #[default]
    Kib64,
}

impl WasmPageSize {
    /// Returns the size in bytes: 1 or 65,536.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Kib64 => 0x1_0000,
        }
    }
}

impl MemoryType {
    /// Returns the initial size in bytes, or `None` if it is 2⁶⁴ bytes or more.
    pub const fn min_bytes(&self) -> Option<u64> {
        self.min.checked_mul(self.page_size.bytes())
    }

    /// Returns the maximum size in bytes, or `None` if there is none below 2⁶⁴ bytes.
    pub fn max_bytes(&self) -> Option<u64> {
        self.max?.checked_mul(self.page_size.bytes())
    }

    /// Returns whether the type is valid: sizes within what the index type can address,
    /// the minimum at most the maximum, and shared only with a maximum.
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

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_PAGE: MemoryType = MemoryType {
        index_type: IndexType::I32,
        shared: false,
        page_size: WasmPageSize::Kib64,
        min: 1,
        max: Some(3),
    };

    #[test]
    fn sizes_are_in_bytes() {
        assert_eq!(ONE_PAGE.min_bytes(), Some(0x1_0000));
        assert_eq!(ONE_PAGE.max_bytes(), Some(0x3_0000));
        let page_size = WasmPageSize::One;
        assert_eq!(
            MemoryType {
                page_size,
                ..ONE_PAGE
            }
            .max_bytes(),
            Some(3)
        );
        assert_eq!(
            MemoryType {
                max: None,
                ..ONE_PAGE
            }
            .max_bytes(),
            None
        );
        let max = Some(1 << 48);
        assert_eq!(MemoryType { max, ..ONE_PAGE }.max_bytes(), None);
    }

    #[test]
    fn a_valid_memory_fits_its_address_space() {
        let is_valid = |min, max| {
            MemoryType {
                min,
                max,
                ..ONE_PAGE
            }
            .is_valid()
        };
        assert!(is_valid(0, None) && is_valid(2, Some(2)) && !is_valid(3, Some(2)));
        // 2³² bytes, and one page more.
        assert!(is_valid(1 << 16, Some(1 << 16)));
        assert!(!is_valid((1 << 16) + 1, None) && !is_valid(0, Some((1 << 16) + 1)));
        let index_type = IndexType::I64;
        let is_valid = |min| {
            MemoryType {
                min,
                max: None,
                index_type,
                ..ONE_PAGE
            }
            .is_valid()
        };
        assert!(is_valid(1 << 48) && !is_valid((1 << 48) + 1));
        let shared = MemoryType {
            shared: true,
            ..ONE_PAGE
        };
        assert!(
            shared.is_valid()
                && !MemoryType {
                    max: None,
                    ..shared
                }
                .is_valid()
        );
    }
}
