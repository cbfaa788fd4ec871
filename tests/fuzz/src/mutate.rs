//! Small mutations of the kinds that break decoders.

use fastrand::Rng;

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

/// Mutates `bytes` in one to four places.
pub(crate) fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..7) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
            3 => {
                let edge = rng.choice(EDGES).copied().unwrap_or_default();
                bytes.splice(at..at, edge.iter().copied());
            }
            4 => {
                let edge = rng.choice(EDGES).copied().unwrap_or_default();
                let end = bytes.len().min(at + edge.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            5 => {
                let end = bytes.len().min(at + rng.usize(..32));
                bytes.drain(at..end);
            }
            _ => {
                let end = bytes.len().min(at + rng.usize(..32));
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = rng.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}
