//! Systems that lack something: a container that forbids calls, no `/proc`, little
//! address space, few mappings, no descriptors. Each runs in its own process: whatever is
//! missing, slots work correctly, and `Capabilities` reports what is missing.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use wasm_meminit_apply::{
    Call, Capabilities, ImageSource, MemoryImage, MemorySlot, PoolConfig, SlotConfig, SlotError,
    SlotPool, Strategy, Support, reset_many,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::probe::lock;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    HAS_GUARDS, PAGE, PATH, Path, STRATEGIES, assert_same, bytes, lacks, skip, state,
};

const SECRET: u8 = 0xa5;
const LEN: usize = 20 * PAGE;
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EMFILE: i32 = 24;
const ENOSYS: i32 = 38;

fn initial_contents() -> Vec<u8> {
    state(10 * PAGE, &[(5, 100, 1), (9 * PAGE, PAGE, 2)])
}

/// Returns whether this path uses scans and batches, so that it reports their support.
fn uses_scans() -> bool {
    PATH == Path::Linux || !skip("scans and batches are not used")
}

/// Checks all operations of slots, with every strategy, alone and in batches, from any
/// image that can be made.
fn check_everything() {
    let state = initial_contents();
    let captured = Image::capture(&state).expect("small");
    let image = Arc::new(MemoryImage::new(captured.as_ref()).expect("a file or the heap"));
    let mut expected = state;
    expected.resize(LEN, 0);
    for strategy in STRATEGIES {
        let config = SlotConfig::new(bytes(LEN)).with_strategy(strategy);
        let mut slots = [0, 1].map(|_| MemorySlot::new(&config).expect("room"));
        for _ in 0..3 {
            for slot in &mut slots {
                for picture in [Some(&image), None, Some(&image)] {
                    slot.instantiate(picture, bytes(LEN)).expect("room");
                    match picture {
                        Some(_) => assert_same(slot.as_slice(), &expected, "image"),
                        None => assert_same(slot.as_slice(), &[0; LEN], "zero"),
                    }
                    slot.as_mut_slice().fill(SECRET);
                    slot.reset().expect("a strategy is left");
                }
                slot.instantiate(Some(&image), bytes(LEN)).expect("room");
                slot.as_mut_slice().fill(SECRET);
            }
            assert_eq!(reset_many(&mut slots).n_poisoned, 0);
        }
        for slot in &mut slots {
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            assert_same(slot.as_slice(), &expected, "reset together");
        }
    }
}

/// Runs `check` in a process where these calls fail with that error.
#[track_caller]
fn without(test: &str, calls: &[number::Number], code: i32, check: impl FnOnce()) {
    let part = format!("without {calls:?}");
    let passed = in_process(test, &part, || {
        let rules: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
        let refused = SeccompAction::Errno(code.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().expect("a known machine");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch);
        let filter: BpfProgram = filter.expect("a filter").try_into().expect("a program");
        if apply_filter(&filter).is_err() {
            return lacks("this system does not allow filtering calls");
        }
        check();
        true
    });
    assert!(passed);
}

/// System call numbers: linux/unistd.h of each architecture.
mod number {
    pub(crate) type Number = i64;

    #[cfg(target_arch = "x86_64")]
    mod machine {
        use super::Number;
        pub(crate) const MADVISE: Number = 28;
        pub(crate) const OPENAT: Number = 257;
        pub(crate) const OPEN: Number = 2;
        pub(crate) const IOCTL: Number = 16;
        pub(crate) const MEMFD_CREATE: Number = 319;
        pub(crate) const PIDFD_OPEN: Number = 434;
        pub(crate) const PRCTL: Number = 157;
        pub(crate) const PROCESS_MADVISE: Number = 440;
    }

    #[cfg(not(target_arch = "x86_64"))]
    mod machine {
        //! The numbers that all newer architectures share.
        use super::Number;
        pub(crate) const MADVISE: Number = 233;
        pub(crate) const OPENAT: Number = 56;
        /// This call does not exist: the same number again.
        pub(crate) const OPEN: Number = OPENAT;
        pub(crate) const IOCTL: Number = 29;
        pub(crate) const MEMFD_CREATE: Number = 279;
        pub(crate) const PIDFD_OPEN: Number = 434;
        pub(crate) const PRCTL: Number = 167;
        pub(crate) const PROCESS_MADVISE: Number = 440;
    }

    pub(crate) use machine::*;
}

#[track_caller]
fn assert_refused(support: Support, call: Call, code: i32) {
    let Support::Refused(err) = support else {
        panic!("{support}");
    };
    assert_eq!((err.call(), err.code()), (call, code));
}

#[test]
fn scans_are_forbidden() {
    without(test_name!(), &[number::IOCTL], EPERM, || {
        if uses_scans() {
            let found = Capabilities::get();
            assert_refused(found.scan, Call::PagemapScan, EPERM);
            assert_eq!(found.strategy, Strategy::Discard);
        }
        check_everything();
    });
}

#[test]
fn the_page_map_cannot_be_opened() {
    without(
        test_name!(),
        &[number::OPENAT, number::OPEN],
        ENOENT,
        || {
            if uses_scans() {
                let found = Capabilities::get();
                assert!(matches!(found.scan, Support::Refused(err) if err.code() == ENOENT));
                assert_eq!(found.strategy, Strategy::Discard);
            }
            check_everything();
        },
    );
}

/// Regression: where prctl(2) does not tell it, as before Linux 6.4, the page size was read from a
/// file; where none can be opened, the first slot panicked.
#[test]
fn the_page_size_needs_no_file() {
    let calls = [number::PRCTL, number::OPENAT, number::OPEN];
    without(test_name!(), &calls, ENOENT, check_everything);
}

#[test]
fn batches_are_forbidden() {
    for call in [number::PROCESS_MADVISE, number::PIDFD_OPEN] {
        without(test_name!(), &[call], ENOSYS, || {
            if uses_scans() {
                let found = Capabilities::get();
                assert!(matches!(found.batch, Support::Refused(err) if err.code() == ENOSYS));
            }
            check_everything();
        });
    }
}

/// Not even pages can be discarded: only fresh mappings are left.
#[test]
fn all_advice_is_forbidden() {
    let calls = [number::MADVISE, number::PROCESS_MADVISE, number::IOCTL];
    without(test_name!(), &calls, EPERM, check_everything);
}

#[test]
fn there_are_no_memory_files() {
    without(test_name!(), &[number::MEMFD_CREATE], ENOSYS, || {
        let expected = match PATH {
            Path::Unix => ImageSource::UnlinkedFile,
            _ => ImageSource::Heap,
        };
        assert_eq!(Capabilities::get().image_source, expected);
        check_everything();
    });
}

/// Without `/proc`: an empty root directory.
#[test]
fn there_is_no_proc() {
    let empty = tempfile::tempdir().expect("a directory");
    let passed = in_process(test_name!(), "child", || {
        if rustix::process::chroot(empty.path()).is_err() {
            return lacks("only root may change the root directory");
        }
        if uses_scans() {
            let found = Capabilities::get();
            assert_refused(found.scan, Call::PagemapScan, ENOENT);
        }
        check_everything();
        true
    });
    assert!(passed);
}

#[test]
fn there_are_no_descriptors_left() {
    let passed = in_process(test_name!(), "child", || {
        let limit = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: Some(0),
            ..limit
        };
        setrlimit(Resource::Nofile, none).expect("lower is allowed");
        assert!(!Capabilities::get().scan.is_yes());
        assert!(!Capabilities::get().batch.is_yes());
        let captured = Image::capture(&initial_contents()).expect("small");
        // An image has a file, or is on the heap and reports the error.
        match MemoryImage::new(captured.as_ref()) {
            Ok(image) => assert_eq!(image.source(), ImageSource::Heap),
            Err(err) => panic!("{err}"),
        }
        // It is temporary, and so not remembered.
        setrlimit(Resource::Nofile, limit).expect("as before");
        check_everything();
        let now = Capabilities::get();
        for support in [now.scan, now.batch] {
            let for_descriptors = matches!(support, Support::Refused(err) if err.code() == EMFILE);
            assert!(!for_descriptors, "{now}");
        }
        true
    });
    assert!(passed);
}

#[test]
fn addresses_are_limited() {
    if !HAS_GUARDS {
        skip("no address space is reserved");
        return;
    }
    let passed = in_process(test_name!(), "child", || {
        let limit = getrlimit(Resource::As);
        setrlimit(
            Resource::As,
            Rlimit {
                current: Some(1 << 31),
                ..limit
            },
        )
        .expect("lower is allowed");
        let refused = MemorySlot::new(&SlotConfig::new(1 << 32));
        let Err(SlotError::Os(err)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(err.call(), Call::Mmap);
        check_everything();

        // A pool works with the address space that there is.
        let n = core::num::NonZeroUsize::new(100).expect("not zero");
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(1 << 28), n));
        let mut held = Vec::new();
        while let Ok(slot) = pool.try_acquire(None, bytes(LEN)) {
            held.push(slot);
        }
        assert!((1..8).contains(&held.len()), "{}", held.len());
        held[0].as_mut_slice().fill(SECRET);
        held.clear();
        let slot = pool
            .try_acquire(None, bytes(LEN))
            .expect("one was returned");
        assert_same(slot.as_slice(), &[0; LEN], "from the pool");
        true
    });
    assert!(passed);
}

/// Locked pages cannot be discarded: madvise(2) fails with `EINVAL`, and a batch ends
/// before them.
#[test]
fn pages_are_locked() {
    let passed = in_process(test_name!(), "child", || {
        for strategy in STRATEGIES {
            for locked in 0..3 {
                let config = SlotConfig::new(bytes(LEN)).with_strategy(strategy);
                let mut slots = [0; 3].map(|_| MemorySlot::new(&config).expect("room"));
                for slot in &mut slots {
                    slot.instantiate(None, bytes(LEN)).expect("room");
                    slot.as_mut_slice().fill(SECRET);
                }
                if !lock(slots[locked].as_mut_slice()) {
                    return lacks("this system locks no pages");
                }
                assert_eq!(reset_many(&mut slots).n_poisoned, 0);
                for slot in &mut slots {
                    slot.instantiate(None, bytes(LEN)).expect("room");
                    assert_same(slot.as_slice(), &[0; LEN], "after a batch");
                    slot.as_mut_slice().fill(SECRET);
                    lock(slot.as_mut_slice());
                    slot.reset().expect("a strategy is left");
                    slot.instantiate(None, bytes(LEN)).expect("room");
                    assert_same(slot.as_slice(), &[0; LEN], "alone");
                }
            }
        }
        true
    });
    assert!(passed);
}

/// `vm.max_map_count`: a slot that cannot get another mapping returns an error, shows
/// nothing of others, and works again once there is room.
#[test]
fn mappings_are_used_up() {
    if !HAS_GUARDS {
        skip("nothing is mapped on this path");
        return;
    }
    let passed = in_process(test_name!(), "child", || {
        let captured = Image::capture(&initial_contents()).expect("small");
        let image = Arc::new(MemoryImage::new(captured.as_ref()).expect("a file"));
        let config = SlotConfig::new(bytes(LEN));
        let mut slots = Vec::new();
        let refused = loop {
            let started = MemorySlot::new(&config).and_then(|mut slot| {
                let image = (slots.len() % 2 == 0).then_some(&image);
                let started = slot.instantiate(image, bytes(LEN - PAGE));
                slots.push(slot);
                started
            });
            if let Err(err) = started {
                break err;
            }
            if slots.len() == 200_000 {
                return lacks("this system does not limit mappings");
            }
        };
        assert!(matches!(refused, SlotError::Os(_)), "{refused}");

        let mut expected = initial_contents();
        expected.resize(LEN, 0);
        // Each slot in use is reset, and starts as before, from another image, or not at
        // all.
        let n = slots.len();
        for (nth, slot) in slots.iter_mut().enumerate().skip(n.saturating_sub(64)) {
            slot.as_mut_slice().fill(SECRET);
            let _ = slot.grow(bytes(LEN));
            let _ = slot.reset();
            let picture = (nth % 3 == 0).then_some(&image);
            if slot.instantiate(picture, bytes(LEN)).is_ok() {
                match picture {
                    Some(_) => assert_same(slot.as_slice(), &expected, "image"),
                    None => assert_same(slot.as_slice(), &[0; LEN], "zero"),
                }
            }
        }
        slots.truncate(n / 2);
        check_everything();
        true
    });
    assert!(passed);
}
