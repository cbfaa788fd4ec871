//! Modules that several rows use.

use crate::wasm::{Wasm, unsigned};

/// Returns a module with active segments, each given as memory, address and bytes.
pub(crate) fn active(
    n: u32,
    n_memories: u32,
    segment: fn(u32, u32) -> (u32, u32, Vec<u8>),
) -> Vec<u8> {
    Wasm::new()
        .memories(n_memories)
        .active(n, |nth| segment(nth, n))
        .finish()
}

/// Returns a module with one segment that has gaps of a few zeros.
pub(crate) fn gaps(n: u32, at: u32) -> Vec<u8> {
    let gap = |nth: u32| vec![0; 5 + (nth * 7 % 11) as usize];
    let data: Vec<u8> = (0..n)
        .flat_map(|nth| core::iter::once(1).chain(gap(nth)))
        .collect();
    let segment = |_| (0, at, data.clone());
    Wasm::new().memories(1).active(1, segment).finish()
}

/// Returns a module with segments at the values of as many imported globals; only the first
/// is known to be in bounds.
pub(crate) fn replayed(n: u32) -> Vec<u8> {
    Wasm::new()
        .imported_globals(n)
        .memories(1)
        .section(11, n, |nth, out| {
            out.extend_from_slice(&[0, 0x23]);
            unsigned(nth.into(), out);
            out.extend_from_slice(&[0x0b, 1, 1]);
        })
        .finish()
}

/// Returns a module with one segment, and globals that nothing depends on.
pub(crate) fn imported_globals(n: u32) -> Vec<u8> {
    Wasm::new()
        .imported_globals(n)
        .memories(1)
        .active(1, |_| (0, 8, vec![1]))
        .finish()
}
