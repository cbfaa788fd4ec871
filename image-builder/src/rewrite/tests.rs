//! Compares the choice of segments with an exhaustive search.

use alloc::vec::Vec;

use proptest::prelude::*;
use wasm_meminit_analysis::{IndexType, MemoryIndex, StaticMemoryInitializer};

use super::cover::Cover;
use super::data::Target;
use super::limit::limit_segments;
use super::optimum::best_joins;
use super::span::Span;

fn target(memory: u32, index_type: IndexType) -> Target {
    Target {
        memory: MemoryIndex::from_u32(memory),
        index_type,
    }
}

fn cost(target: Target, spans: &[Span]) -> (u64, usize) {
    let bytes = spans.iter().map(|it| target.segment_len(*it)).sum();
    (bytes, spans.len())
}

/// Tries every way to join neighbours: slow, but obviously complete.
fn exhaustive(target: Target, atoms: &[Span], max_segments: usize) -> (u64, usize) {
    let n_gaps = atoms.len().saturating_sub(1);
    (0..1_u32 << n_gaps)
        .map(|joined| {
            let mut list: Vec<Span> = Vec::new();
            for (nth, it) in atoms.iter().enumerate() {
                match list.last_mut() {
                    Some(last) if joined >> (nth - 1) & 1 == 1 => last.end = it.end,
                    _ => list.push(*it),
                }
            }
            cost(target, &list)
        })
        .filter(|(_, n)| *n <= max_segments)
        .min()
        .unwrap()
}

/// What `nonzero` does to spans, without the bytes.
fn prejoined(target: Target, atoms: &[Span]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
    for it in atoms {
        match list.last_mut() {
            Some(last) if it.start - last.end <= target.header_len(it.start) => {
                last.end = it.end;
            }
            _ => list.push(*it),
        }
    }
    list
}

fn atoms(base: u64, list: &[(u64, u64)]) -> Vec<Span> {
    let mut end = base;
    list.iter()
        .map(|(gap, len)| {
            let start = end + gap;
            end = start + len;
            Span { start, end }
        })
        .collect()
}

/// Lengths around the widths of LEB128, and gaps around the cost of a header.
fn shapes() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let len = prop_oneof![
        4 => 1_u64..8,
        4 => 100_u64..130,
        1 => 16_200_u64..16_400,
        1 => (1_u64 << 21) - 60..(1 << 21) + 10,
        1 => (1_u64 << 28) - 60..(1 << 28) + 10,
    ];
    let gap = prop_oneof![1 => 1_u64..24, 3 => 5_u64..14, 1 => 24_u64..400];
    prop::collection::vec((gap, len), 1..11)
}

fn bases() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0_u64..128,
        8_000_u64..8_200,
        (1_u64 << 20) - 200..1 << 20,
        (1_u64 << 27) - 200..1 << 27,
        (1_u64 << 31) - 200..1 << 31,
    ]
}

proptest! {
    #[test]
    fn the_encoding_is_optimal(
        shape in shapes(),
        base in bases(),
        memory in 0_u32..2,
        is_64: bool,
    ) {
        let target = target(memory, if is_64 { IndexType::I64 } else { IndexType::I32 });
        let atoms = atoms(base, &shape);
        let got = best_joins(target, &prejoined(target, &atoms), 0);
        prop_assert_eq!(cost(target, &got), exhaustive(target, &atoms, usize::MAX));
    }

    /// The result is at most two bytes longer than the optimum.
    #[test]
    fn a_limit_is_met_close_to_optimally(
        shape in shapes(),
        base in bases(),
        max_segments in 1_usize..6,
    ) {
        let target = target(0, IndexType::I32);
        let atoms = atoms(base, &shape);
        let prejoined = prejoined(target, &atoms);
        let cover = Cover {
            target,
            spans: best_joins(target, &prejoined, 0),
            atoms: prejoined,
            gaps_are_zero: true,
        };
        let got = limit_segments(alloc::vec![cover.clone()], max_segments, u64::MAX);
        let (bytes, n) = cost(target, &got[0].spans);
        prop_assert!(n <= max_segments);
        let (least, _) = exhaustive(target, &atoms, max_segments);
        prop_assert!(bytes <= least + 2, "{bytes}, {least}");

        // With a byte limit equal to the unlimited length, the length does not grow.
        let (free, _) = cost(target, &cover.spans);
        let got = limit_segments(alloc::vec![cover], max_segments, free);
        prop_assert!(cost(target, &got[0].spans).0 <= free);
    }
}

#[test]
fn bytes_give_the_expected_spans() {
    let target = target(0, IndexType::I32);
    // A header at this address has 4 bytes, a length one.
    let zeros = |n: usize| alloc::vec![0; n];
    let check = |data: &[u8], expected: &[(u64, u64)]| {
        let piece = StaticMemoryInitializer {
            addr: 10,
            data: data.into(),
        };
        let got = Cover::of_zeroed(target, &[piece]).spans;
        let got: Vec<(u64, u64)> = got.iter().map(|it| (it.start, it.end)).collect();
        assert_eq!(got, expected);
    };
    check(&zeros(9), &[]);
    check(&[0, 1, 0, 0, 2, 0], &[(11, 15)]);
    check(&[&[1][..], &zeros(5), &[1]].concat(), &[(10, 17)]); // joining costs the same
    check(&[&[1][..], &zeros(6), &[1]].concat(), &[(10, 11), (17, 18)]);
}

#[test]
fn a_long_list_takes_linear_time() {
    let target = target(0, IndexType::I32);
    let atoms = atoms(1 << 21, &[(8, 1)].repeat(300_000));
    let got = best_joins(target, &atoms, 0);
    assert!(cost(target, &got) <= cost(target, &atoms));
}
