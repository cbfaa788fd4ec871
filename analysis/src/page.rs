//! The page size of the machine that will map an image.

use core::fmt;

/// The page size of the machine that will map an image, in bytes.
///
/// Not to be confused with the wasm page size: a wasm page is 64 KiB (or 1 byte, with
/// custom page sizes) on every host. A host page is the unit that the kernel maps,
/// commonly 4 KiB or 16 KiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u64", into = "u64"))]
pub struct HostPageSize {
    // Invariant: at most 30, so that `1 << log2` fits in a `u32` and a `usize`.
    log2: u32,
}

impl HostPageSize {
    /// 4 KiB: x86-64 and most other targets.
    pub const KIB_4: Self = Self { log2: 12 };
    /// 16 KiB: Apple silicon, some arm64 Linux.
    pub const KIB_16: Self = Self { log2: 14 };
    /// 64 KiB: some arm64 and ppc64 Linux; also the size of a wasm page.
    pub const KIB_64: Self = Self { log2: 16 };

    /// Creates a page size of `bytes` bytes.
    ///
    /// ```
    /// use wasm_meminit_analysis::HostPageSize;
    ///
    /// assert_eq!(HostPageSize::new(4096), Ok(HostPageSize::KIB_4));
    /// assert!(HostPageSize::new(5000).is_err());
    /// assert!(HostPageSize::new(0).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotAPageSize`] unless `bytes` is a power of two from 1 byte to 1 GiB.
    pub fn new(bytes: u64) -> Result<Self, NotAPageSize> {
        match bytes.trailing_zeros() {
            log2 if bytes.is_power_of_two() && log2 <= 30 => Ok(Self { log2 }),
            _ => Err(NotAPageSize { bytes }),
        }
    }

    /// Returns the page size in bytes, a power of two.
    pub const fn bytes(self) -> u64 {
        // Never `None`: `log2` is at most 30.
        match 1_u64.checked_shl(self.log2) {
            Some(bytes) => bytes,
            None => 1,
        }
    }

    /// Returns the last page boundary at or before `addr`.
    pub const fn round_down(self, addr: u64) -> u64 {
        addr & !self.mask()
    }

    /// Returns the first page boundary at or after `addr`, or `None` if that is 2⁶⁴.
    ///
    /// ```
    /// use wasm_meminit_analysis::HostPageSize;
    ///
    /// assert_eq!(HostPageSize::KIB_4.round_up(0x1001), Some(0x2000));
    /// assert_eq!(HostPageSize::KIB_4.round_up(0x1000), Some(0x1000));
    /// assert_eq!(HostPageSize::KIB_4.round_up(u64::MAX), None);
    /// ```
    pub const fn round_up(self, addr: u64) -> Option<u64> {
        match addr.checked_add(self.mask()) {
            Some(last) => Some(self.round_down(last)),
            None => None,
        }
    }

    /// Returns whether `addr` is a multiple of the page size.
    pub const fn is_aligned(self, addr: u64) -> bool {
        addr & self.mask() == 0
    }

    /// Returns the number of the host page that contains `addr`, counted from address 0.
    pub const fn page_of(self, addr: u64) -> u64 {
        // Never `None`: `log2` is at most 30.
        match addr.checked_shr(self.log2) {
            Some(page) => page,
            None => 0,
        }
    }

    const fn mask(self) -> u64 {
        // Cannot wrap: a power of two is at least 1.
        self.bytes().wrapping_sub(1)
    }
}

impl fmt::Debug for HostPageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPageSize({} bytes)", self.bytes())
    }
}

impl TryFrom<u64> for HostPageSize {
    type Error = NotAPageSize;

    fn try_from(bytes: u64) -> Result<Self, NotAPageSize> {
        Self::new(bytes)
    }
}

impl From<HostPageSize> for u64 {
    fn from(page_size: HostPageSize) -> Self {
        page_size.bytes()
    }
}

/// Error for a number of bytes that is not a valid page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPageSize {
    bytes: u64,
}

impl fmt::Display for NotAPageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid page size: {} bytes, expected a power of two from 1 byte to 1 GiB",
            self.bytes
        )
    }
}

impl core::error::Error for NotAPageSize {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounding_is_tight_and_aligned(log2 in 0_u32..=30, addr: u64) {
            let page = HostPageSize { log2 };
            let down = page.round_down(addr);
            prop_assert!(down <= addr && page.is_aligned(down));
            prop_assert_eq!(page.is_aligned(addr), down == addr);
            prop_assert_eq!(HostPageSize::try_from(u64::from(page)), Ok(page));
            prop_assert_eq!(page.page_of(addr), down / page.bytes());
            match page.round_up(addr) {
                Some(up) => {
                    prop_assert!(addr <= up && page.is_aligned(up));
                    prop_assert!(up - down <= page.bytes());
                }
                None => prop_assert!(u64::MAX - addr < page.bytes() - 1),
            }
        }

        #[test]
        fn only_powers_of_two_are_page_sizes(bytes: u64) {
            let accepted = HostPageSize::new(bytes).is_ok();
            prop_assert_eq!(accepted, bytes.is_power_of_two() && bytes <= 1 << 30);
        }
    }

    #[test]
    fn an_invalid_size_is_named() {
        let err = HostPageSize::new(5).unwrap_err();
        assert_eq!(
            err.to_string(),
            "invalid page size: 5 bytes, expected a power of two from 1 byte to 1 GiB"
        );
        assert_eq!(
            format!("{:?}", HostPageSize::KIB_4),
            "HostPageSize(4096 bytes)"
        );
    }
}
