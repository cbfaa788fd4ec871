//! Splices pieces into runs: one buffer of the exact size, each byte written once.

use alloc::vec::Vec;

use wasm_meminit_analysis::{Run, StaticMemoryInitializer};

use crate::image::error::BuildError;
use crate::length::len_u64;

/// Returns the bytes of all runs, concatenated. Bytes that no piece covers are zero.
///
/// Pieces must be disjoint and in address order, and those outside every run must be all
/// zero, as in a plan.
pub(crate) fn splice(
    runs: &[Run],
    pieces: &[StaticMemoryInitializer<'_>],
) -> Result<Vec<u8>, BuildError> {
    let mut bytes = reserved(runs)?;
    let room = bytes.capacity();
    let mut pieces = pieces.iter().peekable();
    for run in runs {
        let mut addr = run.addr;
        while let Some(&piece) = pieces.peek() {
            if run.end() <= piece.addr {
                break;
            }
            let from = piece.addr.max(run.addr);
            let to = piece.end().min(run.end());
            if from < to {
                fill(&mut bytes, addr, from);
                let part = range(piece, from, to);
                debug_assert!(part.is_some(), "a part outside its piece");
                bytes.extend_from_slice(part.unwrap_or(&[]));
                addr = to;
            }
            if run.end() < piece.end() {
                break; // its rest is in a later run
            }
            pieces.next();
        }
        fill(&mut bytes, addr, run.end());
    }
    debug_assert_eq!(bytes.capacity(), room, "the buffer was reallocated");
    debug_assert_eq!(Some(len_u64(bytes.len())), total(runs));
    Ok(bytes)
}

/// Appends zeros for the addresses `from..to`.
fn fill(bytes: &mut Vec<u8>, from: u64, to: u64) {
    debug_assert!(from <= to, "pieces overlap");
    let missing = usize::try_from(to.saturating_sub(from));
    let len = missing.ok().and_then(|it| bytes.len().checked_add(it));
    // Never fails: capacity for all runs was reserved.
    debug_assert!(len.is_some_and(|len| len <= bytes.capacity()));
    bytes.resize(len.unwrap_or(bytes.len()), 0);
}

/// Returns the part of a piece at the addresses `from..to`.
fn range<'a>(piece: &'a StaticMemoryInitializer<'_>, from: u64, to: u64) -> Option<&'a [u8]> {
    let start = usize::try_from(from.checked_sub(piece.addr)?).ok()?;
    let end = usize::try_from(to.checked_sub(piece.addr)?).ok()?;
    piece.data.get(start..end)
}

fn total(runs: &[Run]) -> Option<u64> {
    runs.iter()
        .try_fold(0_u64, |sum, run| sum.checked_add(run.len))
}

/// Returns an empty buffer with capacity for all runs.
fn reserved(runs: &[Run]) -> Result<Vec<u8>, BuildError> {
    let image_bytes = total(runs).ok_or(BuildError::TooLarge {
        image_bytes: u64::MAX,
    })?;
    let len = usize::try_from(image_bytes)
        .ok()
        .filter(|len| isize::try_from(*len).is_ok());
    let Some(len) = len else {
        return Err(BuildError::TooLarge { image_bytes });
    };
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| BuildError::OutOfMemory { image_bytes })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;
    use wasm_meminit_analysis::{
        HostPageSize, IndexType, MemoryType, ModuleBuilder, OffsetExpr, Plan, Policy, Value,
        WasmPageSize,
    };

    use super::*;

    const MEMORY_BYTES: usize = 512;

    type Case = Vec<(u16, Vec<u8>)>;

    /// The specification, one byte at a time: slow, but obviously correct.
    fn replay(case: &Case) -> Vec<u8> {
        let mut memory = vec![0; MEMORY_BYTES];
        for (at, data) in case {
            for (byte, cell) in data.iter().zip(&mut memory[usize::from(*at)..]) {
                *cell = *byte;
            }
        }
        memory
    }

    fn policies() -> Vec<Policy> {
        let page = |bytes| HostPageSize::new(bytes).unwrap();
        vec![
            Policy::smallest(page(1)),
            Policy::smallest(page(16)),
            Policy::balanced(page(8)).with_max_gap(16),
            Policy::balanced(page(8)).with_max_gap(0).with_max_runs(2),
            Policy::balanced(page(4096)),
        ]
    }

    #[track_caller]
    fn check(case: &Case) {
        let mut builder = ModuleBuilder::new();
        let ty = MemoryType {
            index_type: IndexType::I32,
            shared: false,
            page_size: WasmPageSize::One,
            min: MEMORY_BYTES as u64,
            max: None,
        };
        builder.memory(ty).unwrap();
        for (at, data) in case {
            builder
                .active_segment(0, OffsetExpr::Const(Value::I32(i32::from(*at))), data)
                .unwrap();
        }
        let module = builder.finish().unwrap();
        for policy in policies() {
            let plan = Plan::new(&module, &policy);
            let memory = plan.memories().values().next().unwrap();
            assert!(plan.replay().is_empty());
            let bytes = splice(memory.runs(), memory.pieces()).unwrap();
            let mut got = vec![0; MEMORY_BYTES.next_multiple_of(4096)];
            let mut rest = &bytes[..];
            for run in memory.runs() {
                let (data, after) = rest.split_at(usize::try_from(run.len).unwrap());
                let at = usize::try_from(run.addr).unwrap();
                got[at..at + data.len()].copy_from_slice(data);
                rest = after;
            }
            assert!(rest.is_empty());
            let expected = replay(case);
            let wrong = (0..MEMORY_BYTES).find(|&at| got[at] != expected[at]);
            assert_eq!(wrong, None, "first wrong address, {policy:?}");
            assert!(got[MEMORY_BYTES..].iter().all(|byte| *byte == 0));
        }
    }

    fn segment() -> impl Strategy<Value = (u16, Vec<u8>)> {
        let bytes = prop::collection::vec(0_u8..3, 0..=24);
        (0_u16..32, 0_u16..8, bytes).prop_map(|(page, back, mut bytes)| {
            let at = (page * 16).saturating_sub(back);
            bytes.truncate(MEMORY_BYTES - usize::from(at));
            (at, bytes)
        })
    }

    proptest! {
        #[test]
        fn an_image_equals_a_replay(case in prop::collection::vec(segment(), 0..12)) {
            check(&case);
        }
    }

    #[test]
    fn later_segment_wins_across_a_page_boundary() {
        check(&vec![(15, vec![1, 1]), (16, vec![2])]);
        check(&vec![(16, vec![2]), (15, vec![1, 1])]);
        check(&vec![(0, vec![0; 500]), (100, vec![1]), (100, vec![0])]);
    }

    #[test]
    fn sizes_are_checked_before_they_are_allocated() {
        let run = |len| Run { addr: 0, len };
        let huge = 1 << 63;
        assert_eq!(
            splice(&[run(huge)], &[]),
            Err(BuildError::TooLarge { image_bytes: huge })
        );
        let error = BuildError::TooLarge {
            image_bytes: u64::MAX,
        };
        assert_eq!(splice(&[run(huge), run(huge)], &[]), Err(error));
        // No process has that much; an allocation that fails otherwise ends the process, and Miri
        // ends at one that is refused.
        if cfg!(miri) {
            return;
        }
        let image_bytes = 1 << 62;
        let error = BuildError::OutOfMemory { image_bytes };
        assert_eq!(splice(&[run(image_bytes)], &[]), Err(error));
    }

    /// Splices two pieces of two bytes each into one run. A plan has them disjoint, in address order.
    #[cfg(debug_assertions)]
    fn pieces_at(addrs: [u64; 2]) -> Result<Vec<u8>, BuildError> {
        let piece = |addr| StaticMemoryInitializer {
            addr,
            data: vec![1, 2].into(),
        };
        splice(&[Run { addr: 0, len: 8 }], &addrs.map(piece))
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "pieces overlap")]
    fn overlapping_pieces_are_no_image() {
        assert_eq!(pieces_at([1, 3]), Ok(vec![0, 1, 2, 1, 2, 0, 0, 0]));
        let _ = pieces_at([1, 2]);
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "pieces overlap")]
    fn pieces_out_of_order_are_no_image() {
        let _ = pieces_at([4, 0]);
    }
}
