//! Pieces into runs: one zeroed buffer of the exact size, each byte copied once.

use alloc::vec;
use alloc::vec::Vec;

use wasm_meminit_analysis::{Piece, Run};

use crate::error::BuildError;

/// The bytes of all runs, one behind the other; what no piece covers is zero.
///
/// Pieces are in address order and do not overlap; those outside every run are all
/// zero and left out. Both are what a plan gives.
pub(crate) fn splice(runs: &[Run], pieces: &[Piece<'_>]) -> Result<Vec<u8>, BuildError> {
    let mut bytes = zeroed(runs)?;
    let mut rest = bytes.as_mut_slice();
    let mut pieces = pieces.iter().copied().peekable();
    for run in runs {
        let len = usize::try_from(run.len).unwrap_or(usize::MAX);
        // Always within: `zeroed` added up the same lengths.
        let Some((target, behind)) = rest.split_at_mut_checked(len) else {
            break;
        };
        rest = behind;
        while let Some(piece) = pieces.peek().copied() {
            if run.end() <= piece.addr {
                break;
            }
            copy(piece, *run, target);
            if run.end() < piece.end() {
                break; // its rest is in a later run
            }
            pieces.next();
        }
    }
    Ok(bytes)
}

/// Copies the part of a piece that is inside a run.
fn copy(piece: Piece<'_>, run: Run, target: &mut [u8]) {
    let from = piece.addr.max(run.offset);
    let to = piece.end().min(run.end());
    let source = range(piece.data.len(), piece.addr, from, to).and_then(|it| piece.data.get(it));
    let target = range(target.len(), run.offset, from, to).and_then(|it| target.get_mut(it));
    if let (Some(source), Some(target)) = (source, target) {
        // Same length: both are `to - from`.
        if source.len() == target.len() {
            target.copy_from_slice(source);
        }
    }
}

/// Where the addresses `from..to` are in a slice whose first byte is at `base`.
fn range(len: usize, base: u64, from: u64, to: u64) -> Option<core::ops::Range<usize>> {
    let start = usize::try_from(from.checked_sub(base)?).ok()?;
    let end = usize::try_from(to.checked_sub(base)?).ok()?;
    (start <= end && end <= len).then_some(start..end)
}

/// A zeroed buffer for all runs together; asks the allocator before it commits.
fn zeroed(runs: &[Run]) -> Result<Vec<u8>, BuildError> {
    let image_bytes = runs
        .iter()
        .try_fold(0_u64, |sum, run| sum.checked_add(run.len));
    let image_bytes = image_bytes.ok_or(BuildError::TooLarge {
        image_bytes: u64::MAX,
    })?;
    let len = usize::try_from(image_bytes)
        .ok()
        .filter(|len| isize::try_from(*len).is_ok());
    let Some(len) = len else {
        return Err(BuildError::TooLarge { image_bytes });
    };
    // `vec![0; n]` asks for zeroed pages, which cost nothing until they are written;
    // `Vec` has no such call that can fail, so room is asked for first.
    if Vec::<u8>::new().try_reserve_exact(len).is_err() {
        return Err(BuildError::OutOfMemory { image_bytes });
    }
    Ok(vec![0; len])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasm_meminit_analysis::{
        HostPageSize, IndexType, MemoryType, ModuleBuilder, OffsetExpr, Plan, Policy, Value,
        WasmPageSize,
    };

    use super::*;

    const MEMORY_BYTES: usize = 512;

    type Case = Vec<(u16, Vec<u8>)>;

    /// The specification, one byte at a time: slow, and obviously right.
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
            let bytes = splice(memory.runs(), &memory.pieces()).unwrap();
            let mut got = vec![0; MEMORY_BYTES.next_multiple_of(4096)];
            let mut rest = &bytes[..];
            for run in memory.runs() {
                let (data, behind) = rest.split_at(usize::try_from(run.len).unwrap());
                let at = usize::try_from(run.offset).unwrap();
                got[at..at + data.len()].copy_from_slice(data);
                rest = behind;
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
        fn an_image_is_a_replay(case in prop::collection::vec(segment(), 0..12)) {
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
        let run = |len| Run { offset: 0, len };
        let huge = 1 << 63;
        assert_eq!(
            splice(&[run(huge)], &[]),
            Err(BuildError::TooLarge { image_bytes: huge })
        );
        let error = BuildError::TooLarge {
            image_bytes: u64::MAX,
        };
        assert_eq!(splice(&[run(huge), run(huge)], &[]), Err(error));
    }
}
