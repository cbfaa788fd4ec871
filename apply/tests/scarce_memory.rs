//! Slots where the allocator refuses: an error, never the end of the process.

mod common;

use wasm_meminit_apply::{MemorySlot, SlotConfig};
use wasm_meminit_test_support::allocator::Refusing;

use crate::common::{STRATEGIES, bytes};

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// Regression: on the portable path, a memory that was smaller than the one before it ended the
/// process, for a buffer that was to shrink.
#[test]
fn no_use_ends_the_process() {
    const LARGE: usize = 1 << 20;
    const SMALL: usize = 1 << 16;
    for strategy in STRATEGIES {
        for keep in [0, u64::MAX] {
            let config = SlotConfig::new(bytes(LARGE))
                .with_strategy(strategy)
                .with_keep_resident(keep);
            let mut slot = MemorySlot::new(&config).expect("room");
            for len in [LARGE, SMALL, LARGE] {
                let started = slot.instantiate(None, bytes(len));
                if started.is_err() {
                    // What the refusals have taken is there again.
                    slot.instantiate(None, bytes(len)).expect("room");
                }
                slot.as_mut_slice().fill(7);
                let reset = Refusing::during(|| slot.reset().map(drop));
                assert_eq!(reset, Ok(()), "{strategy}");
                if Refusing::during(|| slot.instantiate(None, bytes(SMALL))).is_ok() {
                    assert!(slot.as_slice().iter().all(|byte| *byte == 0), "{strategy}");
                    slot.reset().expect("reset");
                }
            }
        }
    }
}
