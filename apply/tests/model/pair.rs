//! A slot, and the bytes that it should have.

use alloc::sync::Arc;

use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy};

use crate::common::{Numbers, PAGE, SOURCES, STRATEGIES, assert_same, bytes, image, state};
use crate::system;

pub(crate) const MAX_BYTES: usize = 24 * PAGE;

/// An image and its contents; the last entry is no image.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) image: Option<Arc<MemoryImage>>,
    pub(crate) state: Vec<u8>,
}

/// A slot, and the expected memory in it.
pub(crate) struct Pair {
    pub(crate) slot: MemorySlot,
    pub(crate) strategy: Strategy,
    pub(crate) max_bytes: usize,
    pub(crate) guard: usize,
    pub(crate) guard_before: usize,
    pub(crate) keep_resident: u64,
    /// For the memory in use: its initial contents, and its bytes now.
    pub(crate) model: Option<Model>,
    pub(crate) is_protected: bool,
}

pub(crate) struct Model {
    pub(crate) first: Vec<u8>,
    pub(crate) now: Vec<u8>,
}

impl Picture {
    pub(crate) fn any(numbers: &mut Numbers) -> Self {
        let len = match numbers.below(4) {
            0 => 1 + numbers.below(MAX_BYTES),
            1 => 1 + numbers.below(2 * PAGE),
            2 => PAGE * (1 + numbers.below(MAX_BYTES / PAGE)),
            _ => MAX_BYTES,
        };
        let mut state = state(len, &[]);
        for _ in 0..numbers.below(5) {
            let at = numbers.below(len);
            let up_to = numbers.pick(&[1, 100, PAGE, 3 * PAGE]);
            let end = len.min(at + 1 + numbers.below(up_to));
            state[at..end].fill(numbers.byte());
        }
        let source = numbers.pick(&SOURCES);
        let image = Some(image(source, &state));
        Self { image, state }
    }

    pub(crate) const fn none() -> Self {
        Self {
            image: None,
            state: Vec::new(),
        }
    }
}

impl Pair {
    pub(crate) fn any(numbers: &mut Numbers) -> Self {
        let strategy = numbers.pick(&STRATEGIES);
        let max_bytes = match numbers.below(6) {
            0 => numbers.below(PAGE + 1),
            1 => numbers.below(MAX_BYTES),
            _ => MAX_BYTES,
        };
        let keep_resident = numbers.pick(&[0, 100, 4096, 3 * 4096, 1 << 16, 1 << 22, u64::MAX]);
        let guard = numbers.pick(&[0, 1, PAGE, 16 * PAGE]);
        let guard_before = numbers.pick(&[0, 0, PAGE]);
        let config = SlotConfig::new(bytes(max_bytes))
            .with_strategy(strategy)
            .with_keep_resident(keep_resident)
            .with_guard(bytes(guard))
            .with_guard_before(bytes(guard_before))
            .with_max_pieces(numbers.pick(&[1, 2, 8]));
        Self {
            slot: MemorySlot::new(&config).expect("room"),
            strategy,
            max_bytes,
            guard,
            guard_before,
            keep_resident,
            model: None,
            is_protected: false,
        }
    }

    /// Checks that the bytes after the memory's last host page, and before its first, are
    /// inaccessible.
    ///
    /// For a poisoned slot, this holds only if the system still accepted a call.
    pub(crate) fn probe(&mut self, numbers: &mut Numbers) {
        if self.slot.is_poisoned() {
            return;
        }
        let base = self.slot.as_ptr().cast_const();
        let len = self.model.as_ref().map_or(0, |model| model.now.len());
        let end = len.next_multiple_of(PAGE);
        let limit = self.max_bytes.next_multiple_of(PAGE) + self.guard.next_multiple_of(PAGE);
        let mut probes = Vec::new();
        if end < limit {
            probes.extend([end, limit - 1, end + numbers.below(limit - end)]);
        }
        for at in probes {
            let readable = system::is_readable(base.wrapping_add(at));
            assert_ne!(
                readable,
                Some(true),
                "{at:#x} of {len:#x} bytes is readable"
            );
        }
        if self.guard_before != 0 {
            let before = base.wrapping_sub(1 + numbers.below(self.guard_before));
            assert_ne!(system::is_readable(before), Some(true), "before the base");
        }
    }

    pub(crate) fn assert_holds(&self, what: &str) {
        let expected = self.model.as_ref().map_or(&[][..], |model| &model.now);
        assert_same(self.slot.as_slice(), expected, what);
    }

    /// Checks a slot after a refused call: the memory is as it was before the call, or
    /// gone; never something in between.
    pub(crate) fn after_failure(&mut self, stays: bool) {
        if self.slot.is_poisoned() {
            assert!(self.slot.is_empty());
            assert!(self.slot.image().is_none());
            assert_eq!(self.slot.instantiate(None, 0), Err(SlotError::Poisoned));
            assert_eq!(self.slot.grow(0), Err(SlotError::Poisoned));
            assert_eq!(self.slot.zero(), Err(SlotError::Poisoned));
            assert_eq!(self.slot.reset(), Err(SlotError::Poisoned));
            self.model = None;
        } else if stays {
            self.assert_holds("after a failure");
        } else {
            // Ready, with the old contents, the new ones, or none: the next starts show
            // whether that is so.
            assert!(self.slot.is_empty());
            self.model = None;
        }
    }
}
