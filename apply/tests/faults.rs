//! Every system call fails, at every position, once and permanently: afterwards no byte
//! of an earlier use is readable, and a slot is clean or poisoned, never in between.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]

extern crate alloc;

mod common;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    Call, Capabilities, ImageError, ImageSource, MemoryImage, MemorySlot, SlotConfig, SlotError,
    Strategy, reset_many,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::probe::is_readable;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    BEST, HAS_GUARDS, PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image, skip,
};

const SECRET: u8 = 0xa5;
const LEN: usize = 40 * PAGE;

/// All calls that any system makes.
const CALLS: [Call; 13] = [
    Call::Allocate,
    Call::Fcntl,
    Call::Ftruncate,
    Call::Madvise,
    Call::MemfdCreate,
    Call::Mmap,
    Call::Mprotect,
    Call::Open,
    Call::PagemapScan,
    Call::PidfdOpen,
    Call::ProcessMadvise,
    Call::Pwrite,
    Call::Unlink,
];

/// Those that the path under test makes in the life of a slot, successful or not.
const OF_SLOTS: &[Call] = match PATH {
    Path::Linux => &[Call::Madvise, Call::Mmap, Call::Mprotect, Call::PagemapScan],
    Path::Unix => &[Call::Mmap, Call::Mprotect],
    Path::Portable => &[Call::Allocate],
};

/// The same for images.
const OF_IMAGES: &[Call] = match PATH {
    Path::Linux => &[
        Call::MemfdCreate,
        Call::Ftruncate,
        Call::Pwrite,
        Call::Fcntl,
        Call::Mmap,
    ],
    Path::Unix => &[
        Call::Open,
        Call::Unlink,
        Call::Ftruncate,
        Call::Pwrite,
        Call::Mmap,
    ],
    Path::Portable => &[Call::Allocate],
};

/// Returns the failures to inject from this call on: once, twice, permanently, as a
/// container forbids it, and as a process that locks its memory is refused more.
fn plans(call: Call, skip: u64) -> [Plan; 5] {
    const EPERM: i32 = 1;
    const EAGAIN: i32 = 11;
    const ENOMEM: i32 = 12;
    let plan = |(code, fail)| Plan {
        skip,
        fail,
        only: Some(call),
        code,
    };
    [
        (ENOMEM, 1),
        (ENOMEM, 2),
        (ENOMEM, u64::MAX),
        (EPERM, u64::MAX),
        (EAGAIN, 1),
    ]
    .map(plan)
}

/// A slot, and the bytes that its memory should have.
struct Walk {
    slot: MemorySlot,
    now: Option<Vec<u8>>,
}

type Picture = (Option<Arc<MemoryImage>>, Vec<u8>);

impl Walk {
    fn start(&mut self, picture: &Picture, len: usize) {
        match self.slot.instantiate(picture.0.as_ref(), bytes(len)) {
            Ok(()) => {
                let mut now = picture.1.clone();
                now.resize(len, 0);
                self.now = Some(now);
            }
            Err(SlotError::Os(_) | SlotError::Poisoned) => self.now = None,
            Err(SlotError::InUse) => assert!(self.now.is_some()),
            Err(err) => panic!("{err}"),
        }
        self.check("started");
        self.slot.as_mut_slice().fill(SECRET);
        if let Some(now) = &mut self.now {
            now.fill(SECRET);
        }
    }

    fn grow(&mut self, len: usize) {
        match self.slot.grow(bytes(len)) {
            Ok(()) => self.now.as_mut().expect("in use").resize(len, 0),
            Err(SlotError::Os(_)) if !self.slot.is_poisoned() => {}
            Err(_) => self.now = None,
        }
        self.check("grown");
    }

    fn zero(&mut self) {
        assert_eq!(self.slot.zero().is_ok(), self.now.is_some());
        self.now.iter_mut().for_each(|it| it.fill(0));
        self.check("zeroed");
    }

    fn reset(&mut self) {
        let done = self.slot.reset();
        assert!(matches!(
            done,
            Ok(_) | Err(SlotError::Poisoned | SlotError::NotInUse)
        ));
        self.now = None;
        self.check("reset");
    }

    fn check(&mut self, what: &str) {
        let expected = self.now.as_deref().unwrap_or_default();
        assert_same(self.slot.as_slice(), expected, what);
        if self.slot.is_poisoned() {
            return;
        }
        let end = match self.now {
            Some(_) => expected.len().next_multiple_of(PAGE),
            // Ready: everything readable through an old pointer is initial contents,
            // which the next start shows.
            None => LEN,
        };
        if !HAS_GUARDS {
            return;
        }
        let base = self.slot.as_ptr().cast_const();
        for at in [end, LEN, LEN + PAGE].into_iter().filter(|at| end <= *at) {
            assert!(!is_readable(base.wrapping_add(at)), "{what}: {at:#x}");
        }
    }
}

/// The operations on a slot while calls fail.
fn life(walk: &mut Walk, pictures: &[Picture; 3]) {
    let [none, small, large] = pictures;
    walk.start(small, 10 * PAGE);
    walk.grow(20 * PAGE);
    let pages = walk.slot.record().ok();
    walk.reset();
    walk.start(small, 12 * PAGE);
    if let Some(pages) = pages {
        let _ = walk.slot.prefetch(&pages);
    }
    walk.reset();
    walk.start(large, LEN);
    walk.reset();
    let _ = walk.slot.protect();
    walk.check("protected");
    walk.start(none, 3 * PAGE);
    let mut other = MemorySlot::new(&SlotConfig::new(bytes(PAGE)));
    if let Ok(other) = &mut other {
        let _ = other.instantiate(None, bytes(PAGE));
        other.as_mut_slice().fill(SECRET);
    }
    reset_many([&mut walk.slot].into_iter().chain(&mut other));
    walk.now = None;
    walk.check("reset with another");
    if let Ok(other) = &mut other
        && other.instantiate(None, bytes(PAGE)).is_ok()
    {
        assert_same(other.as_slice(), &[0; PAGE], "the other one");
    }
    walk.start(small, 10 * PAGE);
    walk.zero();
    walk.reset();
}

/// Calls succeed again: a slot that is not poisoned is like new.
fn afterwards(walk: &mut Walk, pictures: &[Picture; 3]) -> bool {
    if walk.slot.is_poisoned() {
        assert!(walk.slot.is_empty());
        assert_eq!(walk.slot.instantiate(None, 0), Err(SlotError::Poisoned));
        return false;
    }
    if walk.now.is_some() {
        walk.reset();
    }
    for nth in [0, 1, 0, 2, 2, 1, 0] {
        walk.start(&pictures[nth], LEN);
        assert!(
            walk.now.is_some(),
            "a start failed although all calls succeed"
        );
        walk.reset();
    }
    true
}

#[derive(Default)]
struct Counts {
    /// Positions by call.
    positions: BTreeMap<&'static str, u64>,
    n_runs: u64,
    n_poisoned: u64,
}

impl Counts {
    fn say(&self, what: &str) {
        println!(
            "{what}: {} positions of {} calls, {} runs, {} poisoned: {:?}",
            self.positions.values().sum::<u64>(),
            self.positions.len(),
            self.n_runs,
            self.n_poisoned,
            self.positions
        );
    }
}

fn static_name(call: Call) -> &'static str {
    // Leaks a few bytes for each of a dozen calls.
    String::leak(call.to_string())
}

fn walk(strategy: Strategy, keep: u64) -> Walk {
    let config = SlotConfig::new(bytes(LEN))
        .with_strategy(strategy)
        .with_keep_resident(keep);
    Walk {
        slot: MemorySlot::new(&config).expect("room"),
        now: None,
    }
}

fn pictures(source: ImageSource) -> [Picture; 3] {
    let small = common::state(5 * PAGE, &[(PAGE, 100, 1), (4 * PAGE, 7, 2)]);
    let large = common::state(30 * PAGE, &[(0, 10, 3), (20 * PAGE, 10 * PAGE, 4)]);
    [
        (None, Vec::new()),
        (Some(image(source, &small)), small),
        (Some(image(source, &large)), large),
    ]
}

#[test]
fn a_slot_is_clean_or_poisoned() {
    let mut counts = Counts::default();
    for strategy in STRATEGIES {
        for source in SOURCES {
            let pictures = pictures(source);
            for (call, keep) in CALLS.into_iter().flat_map(|it| [(it, 4096), (it, 1 << 20)]) {
                for skip in 0.. {
                    let mut n_calls = 0;
                    for plan in plans(call, skip) {
                        let mut walk = walk(strategy, keep);
                        testing::set(Some(plan));
                        life(&mut walk, &pictures);
                        n_calls = n_calls.max(testing::n_calls());
                        testing::set(None);
                        counts.n_poisoned += u64::from(!afterwards(&mut walk, &pictures));
                        counts.n_runs += 1;
                    }
                    if n_calls <= skip {
                        break;
                    }
                    *counts.positions.entry(static_name(call)).or_default() += 1;
                }
            }
        }
    }
    counts.say("slots");
    for &call in OF_SLOTS {
        // Without scans, as before Linux 6.7, no slot asks for one.
        if call == Call::PagemapScan && !Capabilities::get().scan.is_yes() {
            continue;
        }
        assert!(
            counts.positions.contains_key(static_name(call)),
            "{call} never failed"
        );
    }
    assert!(
        counts
            .positions
            .contains_key(static_name(Call::ProcessMadvise))
            || no_batches()
    );
    assert_ne!(counts.n_poisoned, 0, "no failure poisoned a slot");
}

fn no_batches() -> bool {
    !Capabilities::get().batch.is_yes()
}

/// What is opened once per process: each run is its own process.
#[test]
fn the_first_use_in_a_process() {
    if PATH != Path::Linux {
        skip("no descriptors are opened per process");
        return;
    }
    let mut counts = Counts::default();
    for call in [
        Call::Open,
        Call::PidfdOpen,
        Call::ProcessMadvise,
        Call::PagemapScan,
        Call::Mmap,
        Call::Mprotect,
        Call::Madvise,
    ] {
        for skip in 0..6 {
            let mut was_reached = false;
            for plan in plans(call, skip) {
                let reached = |plan| {
                    // The first slot opens and tries out what the system supports.
                    testing::set(Some(plan));
                    drop(MemorySlot::new(&SlotConfig::new(1 << 20)));
                    let n_first = testing::n_calls();
                    testing::set(None);
                    let Ok(slot) = MemorySlot::new(&SlotConfig::new(1 << 20)) else {
                        // A refusal that is remembered: there are no mappings.
                        assert!([Call::Mmap, Call::Mprotect].contains(&call), "{plan:?}");
                        return skip < n_first;
                    };
                    drop(slot);
                    let pictures = pictures(BEST);
                    let mut walk = walk(Strategy::Auto, 1 << 20);
                    testing::set(Some(plan));
                    life(&mut walk, &pictures);
                    let capabilities = Capabilities::get();
                    let n_calls = testing::n_calls();
                    testing::set(None);
                    afterwards(&mut walk, &pictures);
                    // It is supported, or the reason is reported.
                    assert!(!capabilities.to_string().is_empty());
                    skip < n_first.max(n_calls)
                };
                let part = format!("{plan:?}");
                was_reached |= in_process(test_name!(), &part, || reached(plan));
                counts.n_runs += 1;
            }
            if !was_reached {
                break;
            }
            *counts.positions.entry(static_name(call)).or_default() += 1;
        }
    }
    counts.say("first use");
    assert!(counts.positions.contains_key(static_name(Call::Open)));
    assert!(counts.positions.contains_key(static_name(Call::PidfdOpen)));
}

/// Regression: what the system supports was tried out at the first reset. A process that was at its
/// limit of mappings by then compared all of its memories, for good.
#[test]
fn the_first_reset_maps_nothing() {
    let passed = in_process(test_name!(), "child", || {
        let mut images = vec![None];
        while let Some(image) = images.pop() {
            let mut slot = MemorySlot::new(&SlotConfig::new(1 << 20)).expect("room");
            slot.instantiate(image.as_ref(), 1 << 20).expect("room");
            slot.as_mut_slice()[0] = 1;
            testing::set(Some(Plan {
                skip: 0,
                fail: u64::MAX,
                only: Some(Call::Mmap),
                code: 12,
            }));
            let report = slot.reset().expect("reset");
            testing::set(None);
            let can_scan = Capabilities::get().scan.is_yes();
            assert!(
                !can_scan || report.by == Strategy::ScanAndCopy,
                "{report:?}"
            );
            if image.is_none() {
                // Not earlier: an image is tried out, too.
                let [_, small, large] = pictures(BEST);
                images = vec![small.0, large.0];
            }
        }
        true
    });
    assert!(passed);
}

/// A file that the kernel does not seal immediately must not put the image on the heap.
#[test]
fn a_busy_file_is_written_again() {
    if PATH != Path::Linux {
        skip("files are not sealed");
        return;
    }
    let image = Image::capture(&[1; PAGE]).expect("small");
    let busy = |fail| Plan {
        skip: 0,
        fail,
        only: Some(Call::Fcntl),
        code: 16, // EBUSY
    };
    for (fail, source) in [(2, ImageSource::MemoryFile), (3, ImageSource::Heap)] {
        testing::set(Some(busy(fail)));
        let made = MemoryImage::new(image.as_ref());
        testing::set(None);
        assert_eq!(made.expect("room").source(), source);
    }
}

#[test]
fn an_image_is_whole_or_an_error() {
    let mut counts = Counts::default();
    let state = common::state(30 * PAGE, &[(0, 10, 3), (20 * PAGE, 10 * PAGE, 4)]);
    let captured = Image::capture(&state).expect("small");
    for call in CALLS {
        for skip in 0.. {
            let mut n_calls = 0;
            for plan in plans(call, skip) {
                testing::set(Some(plan));
                let made = MemoryImage::new(captured.as_ref());
                n_calls = testing::n_calls();
                testing::set(None);
                counts.n_runs += 1;
                match made {
                    Ok(made) => {
                        let mut walk = walk(Strategy::Auto, 1 << 20);
                        walk.start(&(Some(Arc::new(made)), state.clone()), LEN);
                        assert!(walk.now.is_some());
                    }
                    Err(ImageError::Os(err)) => {
                        assert!(err.call() == call || plan.fail == u64::MAX, "{err}");
                    }
                    Err(err) => panic!("{err}"),
                }
            }
            if n_calls <= skip {
                break;
            }
            *counts.positions.entry(static_name(call)).or_default() += 1;
        }
    }
    counts.say("images");
    for &call in OF_IMAGES {
        assert!(
            counts.positions.contains_key(static_name(call)),
            "{call} never failed"
        );
    }
}
