//! Systems that start to refuse calls, or to ignore them, later in a slot's life: pages
//! that the host locks, a sandbox that a program enters once it has started, descriptors
//! that are closed elsewhere. Sizes and images vary throughout.
//!
//! The next use never reads a byte of the last one, and nothing past a memory's end is
//! accessible. Refusals are reported by typed errors; a slot is poisoned only if a
//! mapping could not be replaced or access could not be removed.
#![cfg(all(
    target_os = "linux",
    any(not(feature = "test-portable"), feature = "test-unix")
))]

extern crate alloc;

mod common;
mod seccomp;

use alloc::sync::Arc;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd;

use wasm_meminit_apply::{
    Call, Capabilities, ImageSource, MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy,
    reset_many,
};
use wasm_meminit_test_support::descriptors::close_from;
use wasm_meminit_test_support::fork::in_fork;
use wasm_meminit_test_support::probe::{is_readable, lock, lock_all};
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    Numbers, PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image, lacks, skip, state,
};
use crate::seccomp::{Filtered, Rule, answer};

const SECRET: u8 = 0xa5;
const MAX: usize = 96 * PAGE;
const EPERM: u32 = 1;
const ENOMEM: u32 = 12;
const ENOSYS: u32 = 38;

type Picture = (Option<Arc<MemoryImage>>, Vec<u8>);

/// No image, and two images of each source.
fn pictures() -> Vec<Picture> {
    let mut pictures = vec![(None, Vec::new())];
    for source in SOURCES {
        for state in [
            state(6 * PAGE, &[(PAGE, 100, 1), (5 * PAGE, 7, 2)]),
            state(
                40 * PAGE,
                &[(0, 10, 3), (25 * PAGE, 2 * PAGE, 4), (39 * PAGE, 9, 5)],
            ),
        ] {
            pictures.push((Some(image(source, &state)), state));
        }
    }
    pictures
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    n_starts: u32,
    n_resets: u32,
    n_refused: u32,
    n_poisoned: u32,
}

/// Slots of every kind, and the uses they go through.
struct World {
    numbers: Numbers,
    pictures: Vec<Picture>,
    slots: Vec<MemorySlot>,
    counts: Counts,
}

impl World {
    fn new(seed: u64) -> Self {
        let slots = STRATEGIES.iter().flat_map(|strategy| {
            let keeps = match strategy {
                Strategy::Auto | Strategy::ScanAndCopy => &[0, 3 * PAGE, 1 << 20][..],
                // A heap image is within the budget or not.
                _ => &[1 << 20],
            };
            keeps.iter().map(|keep| {
                let config = SlotConfig::new(bytes(MAX)).with_guard(bytes(PAGE));
                let config = config
                    .with_strategy(*strategy)
                    .with_keep_resident(bytes(*keep));
                MemorySlot::new(&config).expect("room")
            })
        });
        // The pipe that probes need.
        assert!(is_readable([0].as_ptr()));
        Self {
            slots: slots.collect(),
            numbers: Numbers(seed),
            pictures: pictures(),
            counts: Counts::default(),
        }
    }

    /// Checks that neither the bytes past a memory's last page nor those past the slot
    /// are accessible.
    fn probe(slot: &mut MemorySlot, len: usize) {
        if slot.is_poisoned() {
            return;
        }
        let base = slot.as_ptr().cast_const();
        let end = len.next_multiple_of(PAGE);
        for at in [end, (end + MAX) / 2, MAX - 1, MAX] {
            if end <= at {
                assert!(!is_readable(base.wrapping_add(at)), "{at:#x} of {len:#x}");
            }
        }
    }

    /// Runs one use of one slot, from the start to the reset. Locks some pages if `locks`
    /// is set.
    fn use_once(&mut self, nth: usize, locks: bool) {
        let which = self.numbers.below(self.pictures.len());
        let (image, state) = &self.pictures[which];
        let room = MAX - state.len();
        let len = state.len() + self.numbers.below(room + 1);
        let slot = &mut self.slots[nth];
        match slot.instantiate(image.as_ref(), bytes(len)) {
            Ok(()) => self.counts.n_starts += 1,
            Err(SlotError::Os(_)) => {
                self.counts.n_refused += 1;
                assert!(slot.is_empty());
                return;
            }
            Err(SlotError::Poisoned) => return,
            Err(err) => panic!("{err}"),
        }
        let mut expected = state.clone();
        expected.resize(len, 0);
        assert_same(slot.as_slice(), &expected, "started");
        Self::probe(slot, len);

        let (from, n) = (self.numbers.below(MAX), self.numbers.below(40 * PAGE));
        let range = from.min(len)..len.min(from + n);
        slot.as_mut_slice()[range.clone()].fill(SECRET);
        expected[range.clone()].fill(SECRET);
        if locks && !lock(&mut slot.as_mut_slice()[range]) {
            self.counts.n_refused += 1;
        }
        let larger = len + self.numbers.below(MAX - len + 1);
        match slot.grow(bytes(larger)) {
            Ok(()) => expected.resize(larger, 0),
            Err(SlotError::Os(_)) => self.counts.n_refused += 1,
            Err(err) => panic!("{err}"),
        }
        if slot.is_poisoned() {
            self.counts.n_poisoned += 1;
            return;
        }
        assert_same(slot.as_slice(), &expected, "grown");
        Self::probe(slot, expected.len());
        if self.numbers.one_in(6) {
            slot.zero().expect("in use");
            assert!(slot.as_slice().iter().all(|byte| *byte == 0));
        }
        slot.as_mut_slice().fill(SECRET);
        let is_alone = self.numbers.one_in(2);
        let is_poisoned = match is_alone {
            true => slot.reset().is_err(),
            false => reset_many([&mut *slot]).n_poisoned != 0,
        };
        self.counts.n_resets += u32::from(!is_poisoned);
        self.counts.n_poisoned += u32::from(is_poisoned);
        assert_eq!(slot.is_poisoned(), is_poisoned);
        if self.numbers.one_in(5) {
            let _ = slot.protect();
        }
    }

    fn live(&mut self, n_uses: usize, locks: bool) {
        for _ in 0..n_uses {
            for nth in 0..self.slots.len() {
                self.use_once(nth, locks);
            }
        }
    }

    /// Checks that a slot that is not poisoned starts again once nothing is refused.
    fn all_start(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.is_poisoned()) {
            let (image, state) = &self.pictures[1];
            slot.instantiate(image.as_ref(), bytes(MAX)).expect("ready");
            let mut expected = state.clone();
            expected.resize(MAX, 0);
            assert_same(slot.as_slice(), &expected, "at the end");
        }
    }
}

/// Some pages of each use are locked, anywhere: later uses are smaller and larger.
#[test]
fn pages_are_locked() {
    let passed = in_process(test_name!(), "child", || {
        let mut world = World::new(1);
        world.live(5, false);
        world.live(40, true);
        let before = world.counts;
        assert_eq!((before.n_refused, before.n_poisoned), (0, 0), "{before:?}");
        world.live(5, false);
        world.all_start();
        eprintln!("locked: {:?}", world.counts);
        true
    });
    assert!(passed);
}

/// A program that locks all its memory, as real-time programs do: before its first slot,
/// or later.
#[test]
fn all_memory_is_locked() {
    for n_uses in [None, Some(0), Some(20)] {
        let passed = in_process(test_name!(), &format!("{n_uses:?}"), || {
            if n_uses.is_none() && !lock_all() {
                return lacks("this system locks no memory");
            }
            let mut world = World::new(2);
            if let Some(n_uses) = n_uses {
                world.live(n_uses, false);
                if !lock_all() {
                    return lacks("this system locks no memory");
                }
            }
            world.live(20, false);
            let counts = world.counts;
            assert_eq!((counts.n_refused, counts.n_poisoned), (0, 0), "{counts:?}");
            world.all_start();
            eprintln!("all locked after {n_uses:?}: {counts:?}");
            true
        });
        assert!(passed);
    }
}

/// A sandbox entered after some uses, which refuses calls one by one and in pairs.
#[test]
fn calls_are_forbidden_later() {
    let calls = Filtered::ALL;
    let pairs = calls.iter().enumerate().flat_map(|(nth, first)| {
        let others = calls[nth + 1..].iter().map(|second| vec![*first, *second]);
        [vec![*first]].into_iter().chain(others)
    });
    for (nth, refused) in pairs.enumerate() {
        let codes = [EPERM, ENOMEM, ENOSYS];
        let alone = [(1, EPERM), (18, ENOMEM), (18, ENOSYS), (18, EPERM)];
        let with_another = [(18, codes[nth % 3])];
        let cases = match refused.len() {
            1 => &alone[..],
            _ => &with_another,
        };
        for &(n_uses, code) in cases {
            let part = format!("{refused:?} after {n_uses}: {code}");
            let passed = in_process(test_name!(), &part, || {
                let mut world = World::new(bytes(nth));
                world.live(n_uses, false);
                let before = world.counts;
                assert_eq!((before.n_refused, before.n_poisoned), (0, 0));
                let rules: Vec<_> = refused
                    .iter()
                    .map(|call| Rule::refuse(*call, code))
                    .collect();
                if !answer(&rules) {
                    return lacks("this system does not allow filtering calls");
                }
                world.live(12, false);
                let counts = world.counts;
                eprintln!("{part}: {counts:?}");
                assert_eq!(counts.n_poisoned, 0);
                let starts_nothing = refused.iter().any(|it| {
                    matches!(
                        it,
                        Filtered::Mmap | Filtered::MprotectToOpen | Filtered::Fstat
                    )
                });
                assert!(counts.n_refused == 0 || starts_nothing, "{counts:?}");
                true
            });
            assert!(passed);
        }
    }
}

/// A system whose calls return 0 and do nothing, from the start of the process.
#[test]
fn calls_that_do_nothing() {
    if PATH != Path::Linux {
        skip("no calls are tried out on this path");
        return;
    }
    let calls = Filtered::LIES;
    let pairs = calls.iter().enumerate().flat_map(|(nth, first)| {
        let others = calls[nth + 1..].iter().map(|second| vec![*first, *second]);
        [vec![*first]].into_iter().chain(others)
    });
    for lies in pairs {
        let part = format!("{lies:?}");
        let passed = in_process(test_name!(), &part, || {
            let rules: Vec<_> = lies.iter().map(|call| Rule::refuse(*call, 0)).collect();
            if !answer(&rules) {
                return lacks("this system does not allow filtering calls");
            }
            let config = SlotConfig::new(bytes(MAX));
            match MemorySlot::new(&config) {
                Ok(_) => {
                    let mut world = World::new(7);
                    world.live(20, false);
                    let counts = world.counts;
                    eprintln!("{part}: {counts:?}; {}", Capabilities::get());
                    assert_eq!((counts.n_refused, counts.n_poisoned), (0, 0), "{counts:?}");
                }
                Err(SlotError::Os(err)) => eprintln!("{part}: no slots: {err}"),
                Err(err) => panic!("{err}"),
            }
            true
        });
        assert!(passed);
    }
}

/// A system whose calls stop having an effect after the trials. Only a part of that can
/// be noticed: see docs/security.md. A scan that reports nothing, a batch of no bytes and
/// a mapping at another address are noticed.
#[test]
fn calls_that_do_nothing_later() {
    for lies in [
        vec![Filtered::Ioctl],
        vec![Filtered::ProcessMadvise],
        vec![Filtered::MmapFixed],
        vec![Filtered::Ioctl, Filtered::ProcessMadvise],
    ] {
        let part = format!("{lies:?}");
        let passed = in_process(test_name!(), &part, || {
            let mut world = World::new(8);
            world.live(20, false);
            let rules: Vec<_> = lies.iter().map(|call| Rule::refuse(*call, 0)).collect();
            if !answer(&rules) {
                return lacks("this system does not allow filtering calls");
            }
            world.live(12, false);
            eprintln!("{part} later: {:?}", world.counts);
            let maps = !lies.contains(&Filtered::MmapFixed);
            assert!(world.counts.n_poisoned == 0 || !maps);
            true
        });
        assert!(passed);
    }
}

/// A system whose calls work on anonymous pages, and do nothing on pages of files: each
/// artifact's file is tried out before its pages are left to a call.
#[test]
fn calls_that_do_nothing_on_pages_of_files() {
    if PATH != Path::Linux {
        skip("no calls are tried out on this path");
        return;
    }
    for lie in [
        Filtered::MadviseToDiscard,
        Filtered::ProcessMadvise,
        Filtered::Ioctl,
    ] {
        for strategy in STRATEGIES {
            let part = format!("{lie:?}, {strategy}");
            let passed = in_process(test_name!(), &part, || {
                let _ = Capabilities::get();
                if !answer(&[Rule::refuse(lie, 0)]) {
                    return lacks("this system does not allow filtering calls");
                }
                let first = state(40 * PAGE, &[(0, 20 * PAGE, 3), (39 * PAGE, 9, 5)]);
                let image = image(ImageSource::ArtifactFile, &first);
                let config = SlotConfig::new(bytes(40 * PAGE)).with_strategy(strategy);
                let mut slot = MemorySlot::new(&config).expect("room");
                for nth in 0..6 {
                    slot.instantiate(Some(&image), bytes(40 * PAGE))
                        .expect("room");
                    assert_same(slot.as_slice(), &first, "started");
                    slot.as_mut_slice().fill(SECRET);
                    match nth % 2 {
                        0 => assert!(slot.reset().is_ok()),
                        _ => assert_eq!(reset_many([&mut slot]).n_poisoned, 0),
                    }
                }
                true
            });
            assert!(passed, "{part}");
        }
    }
}

/// All descriptors are closed in the middle of uses, and other files get their numbers.
/// Resets stay correct; images whose files are gone can no longer be mapped.
#[test]
fn descriptors_are_closed() {
    for n_files in [0, 3, 30, 2000] {
        let passed = in_process(test_name!(), &format!("{n_files} files"), || {
            let mut world = World::new(9);
            // Earlier descriptors stay open: the pipe that probes need.
            let first = File::open("/dev/null").expect("a file").as_raw_fd();
            world.pictures = pictures();
            let pictures = world.pictures.clone();
            world.live(20, false);
            let held: Vec<_> = world.slots.iter().map(|it| it.image().cloned()).collect();
            for slot in world.slots.iter_mut().step_by(2) {
                slot.instantiate(None, bytes(MAX)).expect("ready");
                slot.as_mut_slice().fill(SECRET);
            }
            assert!(close_from(u32::try_from(first).expect("small")));
            // Their owners would close descriptors that are not theirs.
            let files: Vec<File> = (0..n_files).map(|_| secret_file()).collect();
            for slot in world.slots.iter_mut().step_by(2) {
                slot.reset().expect("a strategy is left");
            }
            let before = world.counts;
            world.live(12, false);
            let counts = world.counts;
            eprintln!("closed, {n_files} files: {counts:?}");
            assert_eq!(counts.n_poisoned, 0);
            assert_ne!(counts.n_refused, before.n_refused, "images with files");
            for (image, _) in pictures.iter().filter(|it| it.0.is_some()) {
                let config = SlotConfig::new(bytes(MAX));
                let mut slot = MemorySlot::new(&config).expect("room");
                let started = slot.instantiate(image.as_ref(), bytes(MAX));
                let source = image.as_ref().map(|it| it.source());
                match started {
                    Ok(()) => assert_eq!(source, Some(ImageSource::Heap)),
                    Err(SlotError::Os(err)) => assert_eq!(err.call(), Call::Fstat),
                    Err(err) => panic!("{err}"),
                }
                assert!(!slot.is_poisoned());
            }
            // Images created now work as before.
            let now = self::pictures();
            world.pictures = now;
            let before = world.counts;
            world.live(5, false);
            assert_eq!(world.counts.n_refused, before.n_refused);
            if PATH == Path::Linux {
                assert!(Capabilities::get().scan.is_yes() || n_files == 2000);
            }
            core::mem::forget((files, pictures, world, held));
            true
        });
        assert!(passed);
    }
}

/// A file that the caller promised not to change is truncated. No start maps what the
/// file no longer has: reading that would end the process.
#[test]
fn an_artifact_is_truncated() {
    let passed = in_process(test_name!(), "child", || {
        let state = state(30 * PAGE, &[(0, 10, 3), (20 * PAGE, 10 * PAGE, 4)]);
        for left in [0, PAGE, 5 * PAGE] {
            let (image, file) = common::image_and_file(&state);
            for strategy in STRATEGIES {
                let config = SlotConfig::new(bytes(MAX)).with_strategy(strategy);
                let mut blank = MemorySlot::new(&config).expect("room");
                let mut holder = MemorySlot::new(&config).expect("room");
                file.set_len(bytes(100 * PAGE)).expect("longer");
                holder.instantiate(Some(&image), bytes(MAX)).expect("whole");
                holder.as_mut_slice().fill(SECRET);
                file.set_len(bytes(left)).expect("shorter");
                if matches!(strategy, Strategy::Discard | Strategy::Remap) {
                    // The other strategies read the image.
                    holder.reset().expect("nothing is refused");
                    holder.instantiate(None, bytes(MAX)).expect("another one");
                    assert_same(holder.as_slice(), &[0; MAX], "another one");
                }
                for _ in 0..3 {
                    let started = blank.instantiate(Some(&image), bytes(MAX));
                    let Err(SlotError::Os(err)) = started else {
                        panic!("{started:?}");
                    };
                    assert_eq!((err.call(), blank.is_poisoned()), (Call::Fstat, false));
                    blank.instantiate(None, bytes(MAX)).expect("ready");
                    assert_same(blank.as_slice(), &[0; MAX], "no image");
                    blank.as_mut_slice().fill(SECRET);
                    blank.reset().expect("nothing is refused");
                }
            }
        }
        true
    });
    assert!(passed);
}

/// Returns another file of the same kind, with bytes that must never be seen.
fn secret_file() -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create(c"other", flags).expect("a file"));
    file.write_all(&[SECRET; 16 * PAGE]).expect("room");
    file
}

/// A child of fork(2) in the middle of uses: like a daemon, it closes descriptors that it
/// does not know. Parent and child continue separately.
#[test]
fn a_child_goes_on() {
    let passed = in_process(test_name!(), "parent", || {
        let mut world = World::new(10);
        let first = File::open("/dev/null").expect("a file").as_raw_fd();
        world.pictures = pictures();
        world.live(20, false);
        for slot in &mut world.slots {
            slot.instantiate(None, bytes(MAX)).expect("ready");
            slot.as_mut_slice().fill(SECRET);
        }
        for closes in [false, true] {
            let lived = in_fork(|| {
                if closes {
                    assert!(close_from(u32::try_from(first).expect("small")));
                }
                for slot in &mut world.slots {
                    slot.reset().expect("a strategy is left");
                }
                world.live(10, false);
                assert_eq!(world.counts.n_poisoned, 0);
                assert!(closes || world.counts.n_refused == 0);
                true
            });
            assert!(lived);
            for slot in &mut world.slots {
                assert!(slot.as_slice().iter().all(|byte| *byte == SECRET));
            }
        }
        for slot in &mut world.slots {
            slot.reset().expect("nothing is refused");
        }
        world.live(10, false);
        assert_eq!((world.counts.n_refused, world.counts.n_poisoned), (0, 0));
        world.all_start();
        true
    });
    assert!(passed);
}
