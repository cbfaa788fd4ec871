//! Programs that lock all their memory, as real-time programs do, up to the limit on that.
#![cfg(all(
    target_os = "linux",
    any(not(feature = "test-portable"), feature = "test-unix")
))]

mod common;

use core::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use wasm_meminit_apply::{
    ImageSource, MemorySlot, PoolConfig, SlotConfig, SlotError, SlotPool, Strategy,
};
use wasm_meminit_test_support::probe::{Filler, lock_future};
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::report::Report;
use wasm_meminit_test_support::test_name;

use crate::common::{PAGE, assert_same, bytes, image, lacks, state};

/// Regression: a program that locks all its memory reached the limit on that. The system refused to
/// replace mappings, which changes nothing, and every refusal cost the pool a slot for good.
#[test]
fn locked_memory_is_limited() {
    let passed = in_process(test_name!(), "child", || {
        let contents = |byte| state(1 << 20, &[(0, 1 << 20, byte)]);
        let [one, two] = [1, 2].map(|byte| image(ImageSource::MemoryFile, &contents(byte)));
        let before = locked();
        if !lock_future() || !limit_locked(8 << 20) {
            return lacks("this system limits no locked memory");
        }
        let slot = SlotConfig::new(1 << 20).with_guard(0);
        let max = NonZeroUsize::new(1000).expect("some");
        let pool = SlotPool::new(PoolConfig::new(slot, max).with_shards(NonZeroUsize::MIN));
        let mut held: Vec<_> = core::iter::from_fn(|| pool.try_acquire(Some(&one), 1 << 20).ok())
            .take(max.get())
            .collect();
        assert!((2..max.get()).contains(&held.len()), "{} slots", held.len());
        held.pop();
        let n_held = held.len();
        for slot in &mut held {
            slot.as_mut_slice().fill(0xa5);
        }
        drop(held);
        for _ in 0..2 * n_held {
            // They hold the other image, and the system does not replace it.
            if let Ok(slot) = pool.try_acquire(Some(&two), 1 << 20) {
                assert_same(slot.as_slice(), &contents(2), "the other image");
            }
        }
        let stats = pool.stats();
        eprintln!(
            "{n_held} slots, {} bytes locked: {stats:?}",
            locked() - before
        );
        assert_eq!(stats.n_poisoned, 0, "{stats:?}");
        let again = pool.try_acquire(Some(&one), 1 << 20).expect("as before");
        assert_same(again.as_slice(), &contents(1), "the same image");
        true
    });
    assert!(passed);
}

/// Regression: the system refused the larger of two pieces after the smaller one was mapped, and
/// the slot was lost. Zeroing it lost it too.
#[test]
fn a_refused_piece_leaves_the_slot_as_it_was() {
    let passed = in_process(test_name!(), "child", || {
        let contents = |byte| state(4 << 20, &[(0, 4 * PAGE, byte), (3 << 20, 1 << 20, byte)]);
        let [one, two] = [1, 2].map(|byte| image(ImageSource::MemoryFile, &contents(byte)));
        let mut slot = MemorySlot::new(&SlotConfig::new(4 << 20).with_guard(0)).expect("room");
        slot.instantiate(Some(&one), 4 << 20).expect("room");
        if !lock_future() || !limit_locked(6 << 20) {
            return lacks("this system limits no locked memory");
        }
        let _filler = Filler::all_but(40 * PAGE);
        assert_eq!(slot.zero(), Ok(()));
        assert!(slot.as_slice().iter().all(|byte| *byte == 0));
        slot.reset().expect("in use");
        let refused = slot.instantiate(Some(&two), 4 << 20);
        assert!(matches!(refused, Err(SlotError::Os(_))), "{refused:?}");
        slot.instantiate(Some(&one), 4 << 20).expect("as before");
        assert_same(slot.as_slice(), &contents(1), "the same image");
        true
    });
    assert!(passed);
}

/// Regression: each refusal leaked locked pages.
#[test]
fn a_refusal_leaves_no_pages_behind() {
    let passed = in_process(test_name!(), "child", || {
        let config = SlotConfig::new(bytes(4 * PAGE)).with_guard(0);
        let mut slot = MemorySlot::new(&config.with_strategy(Strategy::Remap)).expect("room");
        let mut use_once = || {
            slot.instantiate(None, bytes(4 * PAGE)).expect("room");
            slot.reset().expect("in use").by
        };
        if !lock_future() || !limit_locked(4 << 20) {
            return lacks("this system limits no locked memory");
        }
        use_once();
        let before = locked();
        let mut n_refused = 0;
        for _ in 0..10 {
            let filler = Filler::all_but(0);
            n_refused += u32::from(use_once() != Strategy::Remap);
            drop(filler);
            use_once();
        }
        assert_ne!(n_refused, 0, "nothing was refused");
        // A page is left split off.
        assert!(
            locked() <= before + 4 * bytes(PAGE),
            "{} bytes more",
            locked() - before
        );
        true
    });
    assert!(passed);
}

/// Returns how much memory of this process is locked.
fn locked() -> u64 {
    let bytes = Report::status().bytes("VmLck").expect("/proc");
    u64::try_from(bytes).expect("64 bits")
}

/// Limits it, also for a privileged process. Returns whether it did.
fn limit_locked(bytes: u64) -> bool {
    let maximum = getrlimit(Resource::Memlock).maximum;
    let current = Some(maximum.map_or(bytes, |maximum| maximum.min(bytes)));
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    setrlimit(Resource::Memlock, Rlimit { current, maximum }).is_ok()
        && set_capabilities(None, none).is_ok()
}
