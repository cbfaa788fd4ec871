//! Small mutations of the kinds that break decoders.

use wasm_meminit_test_support::numbers::Numbers;

/// Numbers at the limits of LEB128 and of fixed-size fields.
const EDGES: &[&[u8]] = &[
    &[0x00],
    &[0x7f],
    &[0x80, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x78],
    &[0xff; 10],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x00; 8],
];

/// Mutates `bytes` in one place, or in up to four. After one change, many inputs are still valid.
pub(crate) fn mutate(bytes: &mut Vec<u8>, rng: &mut Numbers) {
    let n = if rng.one_in(2) { 1 } else { 1 + rng.below(4) };
    for _ in 0..n {
        let at = rng.below(bytes.len() + 1);
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.byte().wrapping_sub(1);
                }
            }
            3 => {
                let edge = rng.pick(EDGES);
                bytes.splice(at..at, edge.iter().copied());
            }
            4 => {
                let edge = rng.pick(EDGES);
                let end = bytes.len().min(at + edge.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            5 => {
                let end = bytes.len().min(at + rng.below(32));
                bytes.drain(at..end);
            }
            _ => {
                let end = bytes.len().min(at + rng.below(32));
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = rng.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
}
