//! Compares a pool's report with the kernel's: own pages with `/proc/self/smaps_rollup`,
//! page tables with `VmPTE`, images with the blocks of their files; for guests that
//! write, only read, do both, write far apart, or touch everything.
#![cfg(target_os = "linux")]

extern crate alloc;

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use std::fs;
use std::os::unix::fs::MetadataExt;

use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::{
    Capabilities, ImageSource, MemoryImage, MemorySlot, PoolConfig, PoolStats, SlotConfig,
    SlotPool, Strategy,
};
use wasm_meminit_image_builder::{Image, ModuleImage};
use wasm_meminit_test_support::images::STRATEGIES;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::report::Report;
use wasm_meminit_test_support::skips::skip_test;
use wasm_meminit_test_support::test_name;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;
const LEN: usize = 1 << 30;
const N_SLOTS: usize = 4;

/// A megabyte of stack, some data, a large hole and some more data: two pieces.
fn image() -> Arc<MemoryImage> {
    let text = format!(
        r#"(module (memory {})
             (data (i32.const {MIB}) "{}")
             (data (i32.const {}) "{}"))"#,
        LEN / 65536,
        "first".repeat(40_000),
        LEN / 2,
        "second".repeat(10_000),
    );
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let built = ModuleImage::build(&module, &Plan::new(&module, &Policy::default()));
    let built = built.expect("small");
    let image = built.image(MemoryIndex::from_u32(0)).expect("one memory");
    Arc::new(MemoryImage::new(image).expect("room"))
}

/// What a guest does in one use, and the least it must leave to be reported: own pages
/// and page tables of all slots.
struct Guest {
    name: &'static str,
    run: fn(&mut [u8]),
    pages: usize,
    tables: usize,
}

fn read(memory: &[u8], step: usize) {
    let sum: u64 = memory.iter().step_by(step).map(|it| u64::from(*it)).sum();
    core::hint::black_box(sum);
}

fn write(memory: &mut [u8], step: usize) {
    memory.iter_mut().step_by(step).for_each(|it| *it = 7);
}

const GUESTS: [Guest; 5] = [
    Guest {
        name: "writes",
        run: |memory| write(&mut memory[..3 * MIB], PAGE),
        pages: N_SLOTS * 2 * MIB,
        tables: N_SLOTS * PAGE,
    },
    Guest {
        name: "only reads",
        run: |memory| read(memory, PAGE),
        pages: 0,
        tables: N_SLOTS * 500 * PAGE,
    },
    Guest {
        name: "reads and writes",
        run: |memory| {
            read(&memory[..256 * MIB], PAGE);
            write(&mut memory[256 * MIB..258 * MIB], PAGE);
        },
        pages: N_SLOTS * MIB,
        tables: N_SLOTS * 100 * PAGE,
    },
    Guest {
        name: "writes far apart",
        run: |memory| write(memory, 2 * MIB),
        pages: N_SLOTS * 500 * PAGE,
        tables: N_SLOTS * 500 * PAGE,
    },
    Guest {
        name: "touches all of it",
        run: |memory| write(&mut memory[..LEN / 2], PAGE),
        pages: N_SLOTS * 3 * MIB,
        tables: N_SLOTS * PAGE,
    },
];

/// What the kernel reports about this process, in bytes.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    anonymous: usize,
    tables: usize,
    shared: usize,
}

impl Kernel {
    fn ask() -> Self {
        let (rollup, status) = (Report::smaps_rollup(), Report::status());
        let field = |report: &Report, name| report.bytes(name).expect("a number of kB");
        Self {
            anonymous: field(&rollup, "Anonymous"),
            tables: field(&status, "VmPTE"),
            shared: field(&status, "RssShmem"),
        }
    }
}

/// Returns the size in bytes of the memory files that this process has open.
fn files() -> u64 {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    entries
        .filter(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|link| link.to_string_lossy().contains("wasm-meminit"))
        })
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .map(|metadata| metadata.blocks() * 512)
        .sum()
}

#[track_caller]
fn assert_near(found: usize, reported: u64, slack: usize, what: &str) {
    let reported = usize::try_from(reported).expect("fits");
    let allowed = slack + reported.max(found) / 10;
    assert!(
        found.abs_diff(reported) <= allowed,
        "{what}: the kernel reports {found}, the pool {reported}"
    );
}

/// Compares the pool's report with the kernel's, as growth since `before`.
fn compare(pool: &SlotPool, before: &Kernel, what: &str) -> (PoolStats, Kernel) {
    let (stats, now) = (pool.stats(), Kernel::ask());
    let pages = now.anonymous.saturating_sub(before.anonymous);
    let tables = now.tables.saturating_sub(before.tables);
    println!(
        "{what}: pages {pages}, tables {tables}, files {}; {stats:?}",
        files()
    );
    assert_near(
        pages,
        stats.resident_bytes,
        256 << 10,
        &format!("{what}: own pages"),
    );
    // Tables of higher levels, and those of the allocator, are not counted by anyone.
    assert_near(
        tables,
        stats.page_table_bytes,
        128 << 10,
        &format!("{what}: page tables"),
    );
    assert_eq!(stats.image_bytes, files(), "{what}: images");
    (stats, now)
}

fn use_all(pool: &SlotPool, image: &Arc<MemoryImage>, run: impl Fn(&mut [u8])) {
    let bytes = u64::try_from(LEN).expect("fits");
    let mut held: Vec<_> = (0..N_SLOTS)
        .map(|_| pool.try_acquire(Some(image), bytes).expect("room"))
        .collect();
    held.iter_mut().for_each(|slot| run(slot.as_mut_slice()));
}

fn check(guest: &Guest) -> bool {
    let image = image();
    assert_eq!(image.source(), ImageSource::MemoryFile);
    let size = u64::try_from(LEN).expect("fits");
    let config = PoolConfig::new(
        SlotConfig::new(size),
        NonZeroUsize::new(N_SLOTS).expect("not zero"),
    );
    // What is created once per process exists after this.
    let warm = SlotPool::new(config);
    use_all(&warm, &image, |memory| memory[0] = 1);
    drop(warm);
    let before = Kernel::ask();
    let file = image.own_bytes();

    let pool = SlotPool::new(config);
    use_all(&pool, &image, guest.run);
    let (stats, now) = compare(&pool, &before, "after the use");
    // The test would notice anything unreported.
    assert!(
        guest.pages <= now.anonymous - before.anonymous,
        "too few pages"
    );
    assert!(guest.tables <= now.tables - before.tables, "too few tables");
    assert!(stats.image_bytes >= file);
    // No matter how much of its holes was read.
    assert!(image.own_bytes() <= file + 64 * 1024, "the image has grown");

    // Other guests: what only the first one needed is freed.
    for _ in 0..40 {
        use_all(&pool, &image, |memory| memory[..4 * PAGE].fill(1));
    }
    let (stats, _) = compare(&pool, &before, "after forty quiet uses");
    let held = stats.resident_bytes + stats.page_table_bytes;
    assert!(held <= 512 << 10, "{held} bytes are still held");

    pool.evict(&image);
    drop(pool);
    let weak = Arc::downgrade(&image);
    drop(image);
    assert_eq!(weak.strong_count(), 0);
    assert_eq!(files(), 0, "the image's file is closed");
    let after = Kernel::ask();
    assert!(
        after.shared <= 64 * 1024,
        "pages of files are still resident: {after:?}"
    );
    assert!(
        after.anonymous <= before.anonymous + (256 << 10),
        "{after:?}"
    );
    assert!(after.tables <= before.tables + (128 << 10), "{after:?}");
    true
}

#[test]
fn reports_match_the_kernel() {
    if !Capabilities::get().scan.is_yes() {
        return skip_test("this system has no scans");
    }
    for guest in &GUESTS {
        assert!(
            in_process(test_name!(), guest.name, || check(guest)),
            "{}",
            guest.name
        );
    }
}

/// The limit on pages and page tables holds, whatever guests do.
#[test]
fn the_residency_limit_is_kept() {
    for guest in &GUESTS {
        let passed = in_process(test_name!(), guest.name, || {
            let image = image();
            let size = u64::try_from(LEN).expect("fits");
            let n = NonZeroUsize::new(N_SLOTS).expect("not zero");
            for max in [0, 64 << 10, 1 << 20] {
                let before = Kernel::ask();
                let config = PoolConfig::new(SlotConfig::new(size), n).with_max_resident(max);
                let pool = SlotPool::new(config);
                use_all(&pool, &image, guest.run);
                let stats = pool.stats();
                let held = stats.resident_bytes + stats.page_table_bytes;
                assert!(held <= max, "{}: {held} above {max}", guest.name);
                let now = Kernel::ask();
                let pages = now.anonymous.saturating_sub(before.anonymous);
                let tables = now.tables.saturating_sub(before.tables);
                let max = usize::try_from(max).expect("fits");
                assert!(
                    pages + tables <= max + (320 << 10),
                    "{}: {pages} + {tables}",
                    guest.name
                );
            }
            true
        });
        assert!(passed, "{}", guest.name);
    }
}

/// The pages that an image on the heap is copied to are the slot's own: they count, and are
/// within its budget.
#[test]
fn copied_images_count_and_keep_the_budget() {
    const BUDGET: usize = 4 * MIB;
    for strategy in STRATEGIES {
        for n_mib in [1, 8] {
            let part = format!("{strategy}, {n_mib} MiB");
            let passed = in_process(test_name!(), &part, || {
                let (len, size) = (n_mib * MIB, u64::try_from(16 * MIB).expect("fits"));
                let captured = Image::capture(&vec![1; len]).expect("small");
                let image = Arc::new(MemoryImage::in_heap(captured.as_ref()).expect("room"));
                let budget = u64::try_from(BUDGET).expect("fits");
                let config = SlotConfig::new(size)
                    .with_strategy(strategy)
                    .with_keep_resident(budget);
                // What is created once per process exists after this.
                let mut warm = MemorySlot::new(&config).expect("room");
                warm.instantiate(None, size).expect("room");
                warm.as_mut_slice()[0] = 1;
                warm.reset().expect("reset");
                drop(warm);

                let before = Kernel::ask();
                let mut slot = MemorySlot::new(&config).expect("room");
                for nth in 0..3 {
                    slot.instantiate(Some(&image), size).expect("room");
                    slot.as_mut_slice()[len - 1] = 7;
                    let report = slot.reset().expect("reset");
                    let held = Kernel::ask().anonymous.saturating_sub(before.anonymous);
                    let what = format!("{part}, use {nth}");
                    if report.by == Strategy::Copy {
                        // At most: it does not look for pages that no use has touched.
                        let most = usize::try_from(report.resident_bytes).expect("fits");
                        assert!(held <= most + (256 << 10), "{what}: {held}, {report:?}");
                    } else {
                        assert_near(held, report.resident_bytes, 256 << 10, &what);
                        assert!(report.resident_bytes <= budget, "{what}: {report:?}");
                    }
                }
                true
            });
            assert!(passed, "{part}");
        }
    }
}

/// Regression: tables of one use stayed, up to the limit, and each return then discarded the pages
/// of all slots.
#[test]
fn tables_that_no_use_needs_leave_room_for_pages() {
    const LEN: usize = 2 << 30;
    const MANY: usize = 32;
    let slot = SlotConfig::new(LEN as u64);
    let max = NonZeroUsize::new(MANY).expect("some");
    let pool = SlotPool::new(PoolConfig::new(slot, max).with_max_resident(MIB as u64));
    let mut last = 0;
    for round in 0..6 {
        let before = pool.stats().n_discarded;
        let held = (0..MANY).map(|_| pool.acquire(None, LEN as u64));
        let Ok(mut held) = held.collect::<Result<Vec<_>, _>>() else {
            return skip_test("there are not enough addresses");
        };
        for slot in &mut held {
            match round {
                0 => write(&mut slot.as_mut_slice()[..60 * MIB], 2 * MIB),
                _ => slot.as_mut_slice()[0] = 1,
            }
        }
        drop(held);
        last = pool.stats().n_discarded - before;
        eprintln!("round {round}: {last} discarded, {:?}", pool.stats());
    }
    assert_eq!(last, 0, "a page and a table of each slot have room");
}

/// Comparing a memory takes the tables of all its pages.
#[test]
fn tables_count_where_all_of_a_memory_is_compared() {
    let passed = in_process(test_name!(), "child", || {
        let config = SlotConfig::new(LEN as u64).with_strategy(Strategy::Copy);
        let mut slot = MemorySlot::new(&config).expect("room");
        slot.instantiate(None, LEN as u64).expect("room");
        let before = Report::status().bytes("VmPTE").expect("/proc");
        let report = slot.reset().expect("reset");
        let found = Report::status().bytes("VmPTE").expect("/proc") - before;
        assert_near(found, report.page_table_bytes, 64 << 10, "tables");
        true
    });
    assert!(passed);
}

/// Regression: the trials of a process were on its first image, and read a hole into a page.
#[test]
fn a_first_image_has_only_its_own_pages() {
    let is_exact = || image().own_bytes() == ((49 + 15) * PAGE) as u64;
    assert!(in_process(test_name!(), "first image", is_exact));
}
