//! Arithmetic on addresses: positions in a linear memory.

/// Returns whether `len` bytes at `addr` are in bounds of a memory of `size` bytes.
///
/// An empty range exactly at the end is in bounds; one past the end is not.
pub(crate) const fn fits(addr: u64, len: u64, size: u64) -> bool {
    match addr.checked_add(len) {
        Some(end) => end <= size,
        None => false,
    }
}

/// Returns the length of a slice as a `u64`, the type of addresses.
pub(crate) fn len(data: &[u8]) -> u64 {
    // Never saturates: no target has slices of more than `u64::MAX` bytes.
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
