//! The first use of a slot, from every kind of image.

extern crate alloc;

mod common;

use alloc::sync::Arc;

use wasm_meminit_apply::{
    ImageSource, MemoryImage, MemorySlot, MemoryTooSmall, SlotConfig, SlotError,
};
use wasm_meminit_image_builder::Image;

use crate::common::BEST;

const WASM_PAGE: u64 = 65536;

/// Returns contents of `len` bytes with these bytes in them.
fn state(len: usize, bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut state = vec![0; len];
    for (at, byte) in bytes {
        state[*at] = *byte;
    }
    state
}

fn images(state: &[u8]) -> [Arc<MemoryImage>; 2] {
    let image = Image::capture(state).expect("small");
    [
        MemoryImage::new(image.as_ref()),
        MemoryImage::in_heap(image.as_ref()),
    ]
    .map(|image| Arc::new(image.expect("room")))
}

fn slot(max_bytes: u64) -> MemorySlot {
    MemorySlot::new(&SlotConfig::new(max_bytes)).expect("room")
}

#[track_caller]
fn assert_holds(slot: &MemorySlot, expected: &[u8]) {
    let bytes = slot.as_slice();
    assert_eq!(bytes.len(), expected.len());
    let wrong = (0..bytes.len()).find(|&at| bytes[at] != expected[at]);
    assert_eq!(wrong, None, "first wrong address");
}

#[test]
fn every_source_gives_the_captured_contents() {
    let page = 65536;
    for state in [
        state(0, &[]),
        state(100, &[(0, 1), (99, 2)]),
        state(page, &[]),
        state(page, &[(0, 1)]),
        state(4 * page, &[(4095, 1), (4096, 2), (4 * page - 1, 3)]),
        state(40 * page, &[(page, 1), (39 * page + 7, 2)]),
    ] {
        for image in images(&state) {
            let len = u64::try_from(state.len()).expect("small");
            let mut slot = slot(64 * WASM_PAGE);
            slot.instantiate(Some(&image), len).expect("fits");
            assert_holds(&slot, &state);
            slot.as_mut_slice().fill(0xa5);

            // Other slots do not see what was written.
            let mut other = self::slot(64 * WASM_PAGE);
            other.instantiate(Some(&image), len).expect("fits");
            assert_holds(&other, &state);
        }
    }
}

#[test]
fn images_are_in_the_file_of_their_path() {
    let [image, heap] = images(&state(65536, &[(5000, 1)]));
    assert_eq!(image.source(), BEST);
    assert_eq!(heap.source(), ImageSource::Heap);
    assert_eq!(image.data_end(), 5001);
}

#[test]
fn growth_adds_zeros_and_keeps_bytes() {
    for image in images(&state(65536, &[(65535, 7)])) {
        let mut slot = slot(4 * WASM_PAGE);
        slot.instantiate(Some(&image), WASM_PAGE).expect("fits");
        slot.as_mut_slice()[0] = 9;
        slot.grow(WASM_PAGE + 1).expect("room");
        slot.grow(3 * WASM_PAGE).expect("room");
        assert_holds(&slot, &state(3 * 65536, &[(0, 9), (65535, 7)]));
        assert_eq!(
            slot.grow(WASM_PAGE),
            Err(SlotError::Shrinks {
                bytes: WASM_PAGE,
                current: 3 * WASM_PAGE
            })
        );
        assert_eq!(
            slot.grow(4 * WASM_PAGE + 1),
            Err(SlotError::TooLarge {
                bytes: 4 * WASM_PAGE + 1,
                max_bytes: 4 * WASM_PAGE
            })
        );
        assert_eq!(slot.len(), 3 * WASM_PAGE);
    }
}

#[test]
fn calls_in_the_wrong_state_change_nothing() {
    let [image, _] = images(&state(65536, &[(5000, 1)]));
    let mut slot = slot(2 * WASM_PAGE);
    assert_eq!(slot.grow(0), Err(SlotError::NotInUse));
    assert_eq!(slot.reset(), Err(SlotError::NotInUse));
    assert_eq!(
        slot.instantiate(Some(&image), 5000),
        Err(SlotError::MemoryTooSmall(MemoryTooSmall {
            image_end: 5001,
            memory_bytes: 5000
        }))
    );
    slot.instantiate(Some(&image), 5001).expect("fits");
    assert_eq!(slot.instantiate(None, 0), Err(SlotError::InUse));
    assert_holds(&slot, &state(5001, &[(5000, 1)]));
}

#[test]
fn a_slot_of_no_bytes_has_none() {
    let mut slot = slot(0);
    slot.instantiate(None, 0).expect("fits");
    assert!(slot.is_empty());
    assert_eq!(slot.grow(0), Ok(()));
}
