//! A system that refuses calls, if failures can be injected.

#[cfg(feature = "fault-injection")]
use crate::common::HAS_GUARDS;

#[cfg(feature = "fault-injection")]
pub(crate) fn refuse(skip: u64, fail: u64) {
    const ENOMEM: i32 = 12;
    wasm_meminit_apply::testing::set(Some(wasm_meminit_apply::testing::Plan {
        skip,
        fail,
        only: None,
        code: ENOMEM,
    }));
}

#[cfg(feature = "fault-injection")]
pub(crate) fn recover() {
    wasm_meminit_apply::testing::set(None);
}

#[cfg(feature = "fault-injection")]
pub(crate) fn is_readable(at: *const u8) -> Option<bool> {
    HAS_GUARDS.then(|| wasm_meminit_test_support::probe::is_readable(at))
}

pub(crate) const CAN_REFUSE: bool = cfg!(feature = "fault-injection");

#[cfg(not(feature = "fault-injection"))]
pub(crate) fn refuse(_skip: u64, _fail: u64) {}

#[cfg(not(feature = "fault-injection"))]
pub(crate) fn recover() {}

#[cfg(not(feature = "fault-injection"))]
pub(crate) fn is_readable(_at: *const u8) -> Option<bool> {
    None
}
