//! Lengths as `u64`, the type of addresses and file offsets.

/// Converts the length of something in memory to a `u64`.
pub(crate) fn len_u64(len: usize) -> u64 {
    // Never saturates: no target has more than 64 bits.
    u64::try_from(len).unwrap_or_else(|_| {
        debug_assert!(false, "a length of more than 64 bits");
        u64::MAX
    })
}
