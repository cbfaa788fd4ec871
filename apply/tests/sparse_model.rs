//! Compares slots of up to hundreds of MiB with sparse models: images in many pieces,
//! partly copied, of pages smaller than the host's; all strategies and residency budgets;
//! memories that grow and are small again; page tables that are read or written and then
//! unused; single refused calls. In any order, a memory shows its initial contents and
//! what was written to it.
//!
//! `WASM_MEMINIT_CASES` sets the number of sequences, `WASM_MEMINIT_SEED` repeats one.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]

extern crate alloc;

mod common;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use std::env;

use wasm_meminit_analysis::{
    HostPageSize, IndexType, MemoryIndex, MemoryType, ModuleBuilder, OffsetExpr, Plan, Policy,
    Value, WasmPageSize,
};
use wasm_meminit_apply::testing;
use wasm_meminit_apply::{
    Call, ImageError, MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy, WorkingSet,
    reset_many,
};
use wasm_meminit_image_builder::{Artifact, ModuleImage};
use wasm_meminit_test_support::probe::{is_readable, merge_same, prefer_huge};

use crate::common::{HAS_GUARDS, Numbers, PAGE, STRATEGIES, bytes, sealed_file};

type Page = Box<[u8; PAGE]>;
type Pages = BTreeMap<usize, Page>;

const MIB: usize = 1 << 20;

/// Initial contents, and their image.
struct Picture {
    image: Option<Arc<MemoryImage>>,
    pages: Pages,
    data_end: usize,
    what: String,
}

fn put(pages: &mut Pages, at: usize, data: &[u8]) {
    for (nth, byte) in data.iter().enumerate() {
        let at = at + nth;
        let page = pages
            .entry(at / PAGE)
            .or_insert_with(|| Box::new([0; PAGE]));
        page[at % PAGE] = *byte;
    }
}

impl Picture {
    fn none() -> Self {
        Self {
            image: None,
            pages: Pages::new(),
            data_end: 0,
            what: "none".to_owned(),
        }
    }

    fn any(numbers: &mut Numbers, max: usize) -> Self {
        let n = numbers.pick(&[1, 1, 2, 3, 5, 12, 30, 80]);
        let spread = numbers.pick(&[8 * PAGE, MIB, 4 * MIB, 40 * MIB, 290 * MIB]);
        let page_size = numbers.pick(&[4096, 4096, 4096, 4096, 16384, 65536, 1, 2, 64, 512]);
        let base = match numbers.below(3) {
            0 => 0,
            _ => numbers.below(max / 2),
        };
        let mut segments: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..n {
            let at = base + numbers.below(spread);
            let up_to = numbers.pick(&[1, 10, 200, PAGE, 6 * PAGE]);
            let len = 1 + numbers.below(up_to);
            if max < at + len {
                continue;
            }
            let byte = numbers.byte();
            let data = (0..len).map(|nth| match nth % 7 {
                0 => 0,
                _ => byte,
            });
            segments.push((at, data.collect()));
        }
        let mut pages = Pages::new();
        for (at, data) in &segments {
            put(&mut pages, *at, data);
        }
        let data_end = pages.iter().rev().find_map(|(nth, page)| {
            let last = page.iter().rposition(|byte| *byte != 0)?;
            Some(nth * PAGE + last + 1)
        });
        let ty = MemoryType {
            index_type: IndexType::I64,
            shared: false,
            page_size: WasmPageSize::Kib64,
            min: bytes(max).div_ceil(65536),
            max: None,
        };
        let mut builder = ModuleBuilder::new();
        builder.memory(ty).expect("one");
        for (at, data) in &segments {
            let at = Value::I64(i64::try_from(*at).expect("small"));
            builder
                .active_segment(0, OffsetExpr::Const(at), data)
                .expect("fits");
        }
        let module = builder.finish().expect("valid");
        let page = HostPageSize::new(page_size).expect("a power of two");
        let gap = numbers.pick(&[0, 0, 1000, 100_000]);
        let policy = Policy::balanced(page).with_max_gap(gap);
        let plan = Plan::new(&module, &policy);
        assert!(plan.replay().is_empty(), "{:?}", plan.reasons());
        let encoded = ModuleImage::build(&module, &plan)
            .expect("small")
            .encode()
            .expect("small");
        let artifact = Artifact::decode(&encoded).expect("just encoded");
        let index = MemoryIndex::from_u32(0);
        let image = artifact.image(index).expect("one");
        let image = match numbers.below(4) {
            0 => MemoryImage::in_heap(image).expect("room"),
            1 => match MemoryImage::map_sealed(&artifact, index, &sealed_file(&encoded)) {
                Err(ImageError::PageSize { .. } | ImageError::NotSealed) => {
                    MemoryImage::new(image).expect("room")
                }
                mapped => mapped.expect("sealed"),
            },
            _ => MemoryImage::new(image).expect("room"),
        };
        let what = format!("{} of {n} by {page_size} {image:?}", image.source());
        Self {
            image: Some(Arc::new(image)),
            pages,
            data_end: data_end.unwrap_or(0),
            what,
        }
    }
}

struct Pair {
    slot: MemorySlot,
    max: usize,
    /// Pages that were ever touched or held data.
    ever: BTreeSet<usize>,
    in_use: Option<InUse>,
    what: String,
}

struct InUse {
    len: usize,
    now: Pages,
}

const ZEROS: [u8; PAGE] = [0; PAGE];

impl Pair {
    fn any(numbers: &mut Numbers) -> Self {
        let max = match numbers.below(7) {
            0 => 1 + numbers.below(30 * PAGE),
            1 => 8 * MIB,
            2 => 20 * MIB + 5,
            3 | 4 => 90 * MIB + numbers.below(PAGE),
            _ => 300 * MIB,
        };
        let strategy = numbers.pick(&STRATEGIES);
        // Comparing every byte of this many takes too long.
        let strategy = match strategy {
            Strategy::Copy if 20 * MIB < max => Strategy::Auto,
            it => it,
        };
        let keep = numbers.pick(&[
            0,
            1,
            5000,
            3 * 4096,
            50 * 4096 + 17,
            1 << 20,
            4 << 20,
            64 << 20,
            u64::MAX,
        ]);
        let pieces = numbers.pick(&[0, 1, 2, 3, 8, 64]);
        let config = SlotConfig::new(bytes(max))
            .with_strategy(strategy)
            .with_keep_resident(keep)
            .with_guard(bytes(PAGE))
            .with_max_pieces(pieces);
        Self {
            slot: MemorySlot::new(&config).expect("room"),
            max,
            ever: BTreeSet::new(),
            in_use: None,
            what: format!("{strategy}, max {max}, keep {keep}, pieces {pieces}"),
        }
    }

    fn check(&self, numbers: &mut Numbers, everything: bool, what: &str) {
        let Some(in_use) = &self.in_use else {
            assert!(self.slot.as_slice().is_empty());
            return;
        };
        let memory = self.slot.as_slice();
        assert_eq!(memory.len(), in_use.len, "{what}");
        let n_pages = in_use.len.div_ceil(PAGE);
        let one = |nth: usize| {
            let (from, to) = (nth * PAGE, in_use.len.min((nth + 1) * PAGE));
            let expected = in_use.now.get(&nth).map_or(&ZEROS, |page| page);
            let found = &memory[from..to];
            let same = *found == expected[..to - from];
            assert!(
                same,
                "{what}: page {nth} of {n_pages} of {}: {:?}, expected {:?}",
                self.what,
                found.iter().find(|it| **it != 0),
                expected.iter().find(|it| **it != 0)
            );
        };
        if everything {
            (0..n_pages).for_each(one);
            return;
        }
        for &nth in self.ever.range(..n_pages) {
            one(nth);
            if nth + 1 < n_pages && numbers.one_in(8) {
                one(nth + 1);
            }
        }
        for _ in 0..8.min(n_pages) {
            one(numbers.below(n_pages));
        }
    }

    fn probe(&mut self) {
        if !HAS_GUARDS || self.slot.is_poisoned() {
            return;
        }
        let Some(in_use) = &self.in_use else { return };
        let end = in_use.len.next_multiple_of(PAGE);
        let limit = self.max.next_multiple_of(PAGE);
        let base = self.slot.as_ptr().cast_const();
        for at in [end, limit] {
            assert!(
                !is_readable(base.wrapping_add(at)),
                "{at:#x}: {}",
                self.what
            );
        }
        let mut kept = self.ever.range(end / PAGE..limit / PAGE);
        if let Some(nth) = kept.next() {
            assert!(!is_readable(base.wrapping_add(nth * PAGE)), "{}", self.what);
        }
    }
}

struct World {
    numbers: Numbers,
    pictures: Vec<Picture>,
    pairs: Vec<Pair>,
    sets: Vec<WorkingSet>,
    refuses: bool,
    prints: bool,
    n_rounds: u64,
}

impl World {
    fn new(seed: u64, prints: bool) -> Self {
        let mut numbers = Numbers(seed);
        let pairs: Vec<_> = (0..2).map(|_| Pair::any(&mut numbers)).collect();
        let max = pairs.iter().map(|it| it.max).max().expect("two");
        let mut pictures = vec![Picture::none()];
        pictures.extend((0..4).map(|_| Picture::any(&mut numbers, max)));
        if prints {
            pairs.iter().for_each(|it| eprintln!("{}", it.what));
            pictures.iter().for_each(|it| eprintln!("{}", it.what));
        }
        Self {
            pictures,
            pairs,
            sets: Vec::new(),
            refuses: numbers.one_in(2),
            numbers,
            prints,
            n_rounds: 0,
        }
    }

    fn say(&self, what: &dyn Fn() -> String) {
        if self.prints {
            eprintln!("{}", what());
        }
    }

    fn refuse(&mut self) {
        let only = self.numbers.pick(&[
            None,
            Some(Call::Mmap),
            Some(Call::Mmap),
            Some(Call::Mprotect),
            Some(Call::Mprotect),
            Some(Call::Madvise),
            Some(Call::ProcessMadvise),
            Some(Call::PagemapScan),
            Some(Call::Fstat),
        ]);
        let plan = testing::Plan {
            skip: bytes(self.numbers.below(7)),
            fail: self.numbers.pick(&[1, 1, 1, 2, 3, u64::MAX]),
            only,
            code: self.numbers.pick(&[12, 12, 22, 1]),
        };
        // Results that are cached per process must not be wrong permanently.
        let plan = match plan.only {
            None | Some(Call::Madvise | Call::Fstat) => testing::Plan { code: 12, ..plan },
            _ => plan,
        };
        self.say(&|| format!("refuse {plan:?}"));
        testing::set(Some(plan));
    }

    fn step(&mut self) {
        if self.refuses && self.numbers.one_in(5) {
            self.refuse();
        }
        let nth = self.numbers.below(self.pairs.len());
        match (self.pairs[nth].in_use.is_some(), self.numbers.below(40)) {
            (true, 0..=9) => self.write(nth),
            (true, 10..=13) => self.read(nth),
            (true, 14..=18) => self.grow(nth),
            (true, 19) => self.zero(nth),
            (true, 20) => self.sets(nth),
            (true, 23) => {
                self.say(&|| format!("huge {nth}"));
                let memory = self.pairs[nth].slot.as_mut_slice();
                match self.numbers.below(3) {
                    0 => merge_same(memory),
                    _ => prefer_huge(memory),
                }
            }
            (_, 21) => self.reset_many(),
            (true, 22) => {
                let everything = self.numbers.one_in(6);
                self.pairs[nth].check(&mut self.numbers, everything, "in use");
            }
            (true, _) => self.reset(nth),
            (false, 0..=2) => {
                self.say(&|| format!("protect {nth}"));
                let done = self.pairs[nth].slot.protect();
                assert!(done.is_ok() || self.refuses, "{done:?}");
            }
            (false, _) => self.instantiate(nth),
        }
        testing::set(None);
        if self.pairs[nth].slot.is_poisoned() {
            assert!(self.refuses);
            self.say(&|| format!("poisoned {nth}"));
            self.pairs[nth] = Pair::any(&mut self.numbers);
        }
    }

    fn instantiate(&mut self, nth: usize) {
        let which = match self.numbers.below(3) {
            0 => self.numbers.below(self.pictures.len()),
            _ => 1 + nth,
        };
        let max = self.pairs[nth].max;
        let end = self.pictures[which].data_end;
        if max < end {
            return;
        }
        let len = match self.numbers.below(6) {
            0 => end,
            1 => max,
            2 => max.min(end + self.numbers.below(20 * PAGE)),
            _ => end + self.numbers.below(max - end + 1),
        };
        self.say(&|| format!("start {nth} from {which} with {len}"));
        let picture = &self.pictures[which];
        let pair = &mut self.pairs[nth];
        match pair.slot.instantiate(picture.image.as_ref(), bytes(len)) {
            Ok(()) => {
                let mut now = Pages::new();
                for (nth, page) in &picture.pages {
                    now.insert(*nth, page.clone());
                    pair.ever.insert(*nth);
                }
                pair.in_use = Some(InUse { len, now });
                let looks = self.numbers.below(40);
                testing::set(None);
                if looks < 20 {
                    pair.check(&mut self.numbers, looks == 0, "at the start");
                }
                pair.probe();
            }
            Err(SlotError::Os(_)) if self.refuses => {}
            Err(err) => panic!("{err}"),
        }
    }

    fn write(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        let Some(in_use) = &mut pair.in_use else {
            return;
        };
        if in_use.len == 0 {
            return;
        }
        let n_pages = in_use.len.div_ceil(PAGE);
        let first = match self.numbers.below(4) {
            0 => n_pages - 1,
            1 if !in_use.now.is_empty() => {
                let which = self.numbers.below(in_use.now.len());
                *in_use.now.keys().nth(which).expect("that many")
            }
            _ => self.numbers.below(n_pages),
        }
        .min(n_pages - 1);
        let (n, stride) = self.numbers.pick(&[
            (1, 1),
            (3, 1),
            (40, 1),
            (70, 2),
            (40, 512),
            (150, 513),
            (600, 3),
        ]);
        let byte = match self.numbers.one_in(8) {
            true => 0,
            false => self.numbers.byte(),
        };
        let whole = self.numbers.one_in(3);
        let offset = self.numbers.below(PAGE);
        if self.prints {
            eprintln!("write {nth}: {byte} to {n} pages from {first} by {stride}");
        }
        let memory = pair.slot.as_mut_slice();
        for page in (0..n).map(|it| (first + it * stride) % n_pages) {
            let at = page * PAGE;
            let range = match whole {
                true => at..at + PAGE,
                false => at + offset..at + offset + 1,
            };
            let range = range.start.min(in_use.len)..range.end.min(in_use.len);
            memory[range.clone()].fill(byte);
            let expected = in_use
                .now
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE]));
            expected[range.start - at.min(range.start)..range.end - at.min(range.start)].fill(byte);
            pair.ever.insert(page);
        }
    }

    fn read(&mut self, nth: usize) {
        let pair = &self.pairs[nth];
        let Some(in_use) = &pair.in_use else { return };
        let n_pages = in_use.len / PAGE;
        if n_pages == 0 {
            return;
        }
        let (n, stride) = self
            .numbers
            .pick(&[(5, 1), (2000, 1), (50, 512), (150, 513)]);
        let first = self.numbers.below(n_pages);
        self.say(&|| format!("read {nth}: {n} pages from {first} by {stride}"));
        let mut sum = 0_u64;
        for page in (0..n).map(|it| (first + it * stride) % n_pages) {
            let found = pair.slot.as_slice()[page * PAGE + 1];
            let expected = in_use.now.get(&page).map_or(0, |page| page[1]);
            assert_eq!(found, expected, "page {page} while reading");
            sum += u64::from(found);
        }
        assert_ne!(sum, u64::MAX);
    }

    fn grow(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        let Some(in_use) = &mut pair.in_use else {
            return;
        };
        let room = pair.max - in_use.len;
        let to = match self.numbers.below(4) {
            0 => pair.max,
            1 => in_use.len + self.numbers.below(room + 1),
            _ => pair.max.min(in_use.len + self.numbers.below(40 * PAGE)),
        };
        if self.prints {
            eprintln!("grow {nth} to {to}");
        }
        match pair.slot.grow(bytes(to)) {
            Ok(()) => in_use.len = to,
            Err(SlotError::Os(_)) if self.refuses => {}
            Err(err) => panic!("{err}"),
        }
        if pair.slot.is_poisoned() {
            pair.in_use = None;
            return;
        }
        testing::set(None);
        if self.numbers.one_in(2) {
            pair.check(&mut self.numbers, false, "grown");
        }
        pair.probe();
    }

    fn zero(&mut self, nth: usize) {
        self.say(&|| format!("zero {nth}"));
        let pair = &mut self.pairs[nth];
        let done = pair.slot.zero();
        testing::set(None);
        assert_eq!(done, Ok(()));
        pair.in_use.as_mut().expect("in use").now.clear();
        pair.check(&mut self.numbers, false, "zeroed");
        pair.probe();
    }

    fn sets(&mut self, nth: usize) {
        self.say(&|| format!("record and fetch {nth}"));
        let pair = &mut self.pairs[nth];
        if let Ok(set) = pair.slot.record() {
            self.sets.push(set);
        }
        if let Some(which) = self.sets.len().checked_sub(1) {
            let which = self.numbers.below(which + 1);
            if self.sets[which].bytes() < bytes(32 * MIB) {
                let _ = pair.slot.prefetch(&self.sets[which]);
            }
        }
        pair.check(&mut self.numbers, false, "fetched");
    }

    fn reset(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        let done = pair.slot.reset();
        pair.in_use = None;
        self.n_rounds += testing::n_calls();
        match done {
            Ok(report) => self.say(&|| format!("reset {nth}: {report:?}")),
            Err(SlotError::Poisoned) if self.refuses => {}
            Err(err) => panic!("{err}"),
        }
    }

    fn reset_many(&mut self) {
        self.say(&|| "reset many".to_owned());
        reset_many(self.pairs.iter_mut().map(|pair| &mut pair.slot));
        testing::set(None);
        for nth in 0..self.pairs.len() {
            self.pairs[nth].in_use = None;
            if self.pairs[nth].slot.is_poisoned() {
                assert!(self.refuses);
                self.pairs[nth] = Pair::any(&mut self.numbers);
            }
        }
    }
}

fn run(seed: u64, prints: bool) {
    let mut world = World::new(seed, prints);
    let n_steps = if seed.is_multiple_of(3) { 900 } else { 150 };
    for _ in 0..n_steps {
        world.step();
    }
}

#[test]
fn large_and_sparse_slots_match_the_model() {
    // Not while calls are refused: its results are permanent.
    let _ = wasm_meminit_apply::Capabilities::get();
    let first = env::var("WASM_MEMINIT_FIRST").map_or(1, |it| it.parse().expect("a number"));
    if let Ok(seed) = env::var("WASM_MEMINIT_SEED") {
        return run(seed.parse().expect("a number"), true);
    }
    let n: u64 = env::var("WASM_MEMINIT_CASES").map_or(12, |it| it.parse().expect("a number"));
    for seed in first..first + n {
        let ran = std::panic::catch_unwind(|| run(seed, false));
        testing::set(None);
        assert!(ran.is_ok(), "to reproduce: WASM_MEMINIT_SEED={seed}");
    }
}
