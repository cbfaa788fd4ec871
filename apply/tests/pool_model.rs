//! Compares pools with plain byte vectors: after any operations in any order, each start
//! shows its image and nothing else, and each memory what was written to it.

extern crate alloc;

use alloc::sync::Arc;
use core::num::NonZeroUsize;

use proptest::prelude::*;
use wasm_meminit_apply::{
    AcquireError, MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotPool,
    Strategy as By,
};
use wasm_meminit_image_builder::Image;

const MAX_BYTES: usize = 24 * 4096;
const MAX_SLOTS: usize = 4;
const STRATEGIES: [By; 5] = [By::Auto, By::ScanAndCopy, By::Discard, By::Remap, By::Copy];

#[derive(Clone, Debug)]
enum Op {
    Start {
        image: usize,
        bytes: usize,
    },
    Write {
        slot: usize,
        at: usize,
        len: usize,
        byte: u8,
    },
    Grow {
        slot: usize,
        by: usize,
    },
    Zero {
        slot: usize,
    },
    End {
        slot: usize,
    },
    Drain,
    Evict {
        image: usize,
    },
}

#[derive(Clone, Debug)]
struct Case {
    by: By,
    n_shards: usize,
    keep_resident: u64,
    max_resident: u64,
    batch: Option<usize>,
    ops: Vec<Op>,
}

/// The expected bytes of a memory.
struct Model {
    slot: PooledSlot,
    bytes: Vec<u8>,
}

/// The initial contents to start from; the last slots hold none.
fn initial_contents() -> [Vec<u8>; 4] {
    let mut sparse = vec![0; 16 * 4096];
    sparse[5 * 4096 + 7] = 2;
    sparse[15 * 4096 + 4095] = 3;
    [vec![1; 3 * 4096], sparse, vec![4; 100], Vec::new()]
}

fn images(states: &[Vec<u8>]) -> Vec<Option<Arc<MemoryImage>>> {
    let image = |(nth, state): (usize, &Vec<u8>)| {
        let image = Image::capture(state).expect("small");
        let image = match nth % 2 {
            0 => MemoryImage::new(image.as_ref()),
            _ => MemoryImage::in_heap(image.as_ref()),
        };
        (!state.is_empty()).then(|| Arc::new(image.expect("room")))
    };
    // Each one from a file and from the heap.
    let twice = states.iter().flat_map(|state| [state, state]);
    twice.enumerate().map(image).collect()
}

#[track_caller]
fn assert_same(what: &str, got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    if got != expected {
        let wrong = (0..got.len()).find(|&at| got[at] != expected[at]);
        panic!("{what}: address {wrong:?}");
    }
}

fn bytes(n: usize) -> u64 {
    u64::try_from(n).expect("small")
}

fn check(case: &Case) {
    let n = |n| NonZeroUsize::new(n).expect("not zero");
    let states = initial_contents();
    let images = images(&states);
    let slot = SlotConfig::new(bytes(MAX_BYTES))
        .with_strategy(case.by)
        .with_keep_resident(case.keep_resident);
    let reset_on = case
        .batch
        .map_or(ResetOn::Return, |len| ResetOn::Batch(n(len)));
    let config = PoolConfig::new(slot, n(MAX_SLOTS))
        .with_shards(n(case.n_shards))
        .with_max_resident(case.max_resident)
        .with_reset_on(reset_on);
    let pool = SlotPool::new(config);
    let mut memories: Vec<Model> = Vec::new();
    let mut n_starts = 0;
    for op in &case.ops {
        run(op, &pool, &states, &images, &mut memories, &mut n_starts);
        let stats = pool.stats();
        assert_eq!(stats.n_hits + stats.n_maps + stats.n_blank, n_starts);
        let n_here = stats.n_ready + stats.n_queued + bytes(memories.len());
        assert_eq!(stats.n_slots, n_here);
        assert!(stats.n_slots <= bytes(MAX_SLOTS));
        assert!(stats.resident_bytes <= case.max_resident);
    }
    for memory in memories {
        assert_same("end", memory.slot.as_slice(), &memory.bytes);
    }
}

fn run(
    op: &Op,
    pool: &SlotPool,
    states: &[Vec<u8>],
    images: &[Option<Arc<MemoryImage>>],
    memories: &mut Vec<Model>,
    n_starts: &mut u64,
) {
    let n_memories = memories.len();
    let nth = |slot: usize| slot.checked_rem(n_memories);
    match *op {
        Op::Start { image, bytes: len } => {
            let mut expected = states[image / 2].clone();
            let len = len.max(expected.len());
            expected.resize(len, 0);
            match pool.try_acquire(images[image].as_ref(), bytes(len)) {
                Ok(slot) => {
                    *n_starts += 1;
                    assert_same("start", slot.as_slice(), &expected);
                    let bytes = expected;
                    memories.push(Model { slot, bytes });
                }
                Err(err) => {
                    let max_slots = MAX_SLOTS;
                    assert_eq!(err, AcquireError::Exhausted { max_slots });
                    assert_eq!(n_memories, MAX_SLOTS, "refused too early");
                }
            }
        }
        Op::Write {
            slot,
            at,
            len,
            byte,
        } => {
            let Some(memory) = nth(slot).map(|nth| &mut memories[nth]) else {
                return;
            };
            let from = at.min(memory.bytes.len());
            let to = (at + len).min(memory.bytes.len());
            memory.bytes[from..to].fill(byte);
            memory.slot.as_mut_slice()[from..to].fill(byte);
        }
        Op::Grow { slot, by } => {
            let Some(memory) = nth(slot).map(|nth| &mut memories[nth]) else {
                return;
            };
            let len = (memory.bytes.len() + by).min(MAX_BYTES);
            memory.slot.grow(bytes(len)).expect("fits");
            memory.bytes.resize(len, 0);
            assert_same("grow", memory.slot.as_slice(), &memory.bytes);
        }
        Op::Zero { slot } => {
            let Some(memory) = nth(slot).map(|nth| &mut memories[nth]) else {
                return;
            };
            memory.slot.zero().expect("in use");
            memory.bytes.fill(0);
            assert_same("zero", memory.slot.as_slice(), &memory.bytes);
        }
        Op::End { slot } => {
            if let Some(nth) = nth(slot) {
                let memory = memories.swap_remove(nth);
                assert_same("end", memory.slot.as_slice(), &memory.bytes);
            }
        }
        Op::Drain => {
            pool.drain();
            assert_eq!(pool.stats().n_queued, 0);
        }
        Op::Evict { image } => {
            if let Some(image) = &images[image] {
                pool.evict(image);
            }
        }
    }
}

/// Sizes and addresses at host page boundaries, or next to them.
fn edge(max: usize) -> impl Strategy<Value = usize> {
    (0..=max / 4096, 0_usize..3).prop_map(|(page, back)| (page * 4096).saturating_sub(back))
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0..MAX_SLOTS;
    let write = (slot.clone(), edge(MAX_BYTES), edge(4 * 4096), 1_u8..);
    prop_oneof![
        4 => (0_usize..8, edge(MAX_BYTES)).prop_map(|(image, bytes)| Op::Start { image, bytes }),
        4 => write.prop_map(|(slot, at, len, byte)| Op::Write { slot, at, len, byte }),
        1 => (slot.clone(), edge(4 * 4096)).prop_map(|(slot, by)| Op::Grow { slot, by }),
        1 => slot.clone().prop_map(|slot| Op::Zero { slot }),
        4 => slot.prop_map(|slot| Op::End { slot }),
        1 => Just(Op::Drain),
        1 => (0_usize..8).prop_map(|image| Op::Evict { image }),
    ]
}

fn case(by: By) -> impl Strategy<Value = Case> {
    let keep_resident = prop_oneof![Just(0), Just(3 * 4096), Just(4 << 20)];
    let max_resident = prop_oneof![Just(0), Just(10 * 4096), Just(u64::MAX)];
    let batch = prop_oneof![Just(None), (1_usize..=MAX_SLOTS).prop_map(Some)];
    let ops = prop::collection::vec(op(), 1..120);
    (1_usize..=3, keep_resident, max_resident, batch, ops).prop_map(
        move |(n_shards, keep_resident, max_resident, batch, ops)| Case {
            by,
            n_shards,
            keep_resident,
            max_resident,
            batch,
            ops,
        },
    )
}

proptest! {
    #[test]
    fn every_start_shows_its_image_and_nothing_else(
        cases in STRATEGIES.map(case)
    ) {
        for case in &cases {
            check(case);
        }
    }
}
