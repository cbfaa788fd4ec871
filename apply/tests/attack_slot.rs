//! A slot that changes from a copied image to a mapped one, where pages cannot be
//! discarded. Regression: zeros were written over the second image.
#![cfg(all(unix, feature = "fault-injection"))]

extern crate alloc;

mod common;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{Call, MemorySlot, SlotConfig};

use crate::common::{PAGE, SOURCES, STRATEGIES, assert_same, bytes, image, state};

const LEN: usize = 40 * PAGE;

#[test]
fn an_image_is_whole_after_another_one_was_erased() {
    let states = [
        state(20 * PAGE, &[(0, 20 * PAGE, 1)]),
        state(30 * PAGE, &[(3 * PAGE + 5, 2 * PAGE, 2), (29 * PAGE, 9, 3)]),
    ];
    // `EINVAL`, as for locked pages. It starts only later: the trial succeeded.
    let refused = Plan {
        skip: 0,
        fail: u64::MAX,
        only: Some(Call::Madvise),
        code: 22,
    };
    for strategy in STRATEGIES {
        for (before, after) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
            for from in SOURCES {
                for to in SOURCES {
                    let [old, new] = [(from, before), (to, after)]
                        .map(|(source, nth)| image(source, &states[nth]));
                    let config = SlotConfig::new(bytes(LEN)).with_strategy(strategy);
                    let mut slot = MemorySlot::new(&config).expect("room");
                    slot.instantiate(Some(&old), bytes(LEN)).expect("room");
                    slot.as_mut_slice()[PAGE..4 * PAGE].fill(0xa5);
                    slot.reset().expect("reset");
                    testing::set(Some(refused));
                    let started = slot.instantiate(Some(&new), bytes(LEN));
                    testing::set(None);
                    started.expect("room");
                    let mut expected = states[after].clone();
                    expected.resize(LEN, 0);
                    let what = format!("{strategy}, {from} to {to}");
                    assert_same(slot.as_slice(), &expected, &what);
                    slot.reset().expect("reset");
                }
            }
        }
    }
}
