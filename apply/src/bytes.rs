//! Compares and clears bytes, and writes only those that differ.

/// The unit of comparison, in bytes; it is written as a whole if any of it differs. Most
/// pages that a use has written differ in only a few places: writing a whole page makes
/// the machine fetch and write back cache lines that were already right.
const CHUNK: usize = 512;

/// Copies what differs, and returns whether anything did.
pub(crate) fn copy_changed(target: &mut [u8], stored: &[u8]) -> bool {
    let mut is_changed = false;
    for (target, stored) in target.chunks_mut(CHUNK).zip(stored.chunks(CHUNK)) {
        if target != stored {
            target.copy_from_slice(stored);
            is_changed = true;
        }
    }
    is_changed
}

/// Zeroes what is not zero, and returns whether anything was not.
pub(crate) fn zero_changed(target: &mut [u8]) -> bool {
    let mut is_changed = false;
    for target in target.chunks_mut(CHUNK).filter(|target| !is_zero(target)) {
        target.fill(0);
        is_changed = true;
    }
    is_changed
}

/// Returns whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Comparing slices compiles to the fastest code.
    bytes
        .chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}
