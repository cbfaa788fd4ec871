//! Compares slots of several hundred MiB with maps of the pages that were touched:
//! memories so large that page tables are freed, images with large holes in few pieces
//! and many, pages that are only read, and uses that touch nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy, reset_many};
use wasm_meminit_image_builder::Image;

use crate::common::{HAS_GUARDS, Numbers, PAGE, SOURCES, assert_same, bytes, image, state};
use crate::system;

const TABLE: usize = 512 * PAGE;
const MAX: usize = 160 * TABLE;
/// Images end before this, so that they are quick to make.
const IMAGE_MAX: usize = 6 * TABLE;
const N_STEPS: usize = 120;

struct Picture {
    image: Option<Arc<MemoryImage>>,
    state: Vec<u8>,
}

/// Pages of a memory in use that differ from its initial contents, each filled with one
/// byte. Also the memory's size in bytes, and whether its initial contents are zero.
#[derive(Default)]
struct Memory {
    len: usize,
    picture: usize,
    written: BTreeMap<usize, u8>,
    is_zeroed: bool,
}

struct World {
    numbers: Numbers,
    pictures: Vec<Picture>,
    slot: MemorySlot,
    memory: Option<Memory>,
    /// Pages that any use has touched.
    touched: BTreeSet<usize>,
    refuses: bool,
    counts: BTreeMap<&'static str, u64>,
}

impl Picture {
    /// Islands of data with holes up to a few MiB between them.
    fn any(numbers: &mut Numbers) -> Self {
        let len = PAGE + numbers.below(IMAGE_MAX - PAGE);
        let pieces: Vec<_> = (0..1 + numbers.below(12))
            .map(|_| {
                let at = numbers.below(len);
                (
                    at,
                    (1 + numbers.below(2 * PAGE)).min(len - at),
                    numbers.byte(),
                )
            })
            .collect();
        let state = state(len, &pieces);
        let image = match numbers.below(3) {
            0 => image(numbers.pick(&SOURCES), &state),
            _ => {
                let captured = Image::capture(&state).expect("small");
                Arc::new(MemoryImage::new(captured.as_ref()).expect("room"))
            }
        };
        Self {
            image: Some(image),
            state,
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut pictures = vec![Picture {
            image: None,
            state: Vec::new(),
        }];
        pictures.extend((0..2).map(|_| Picture::any(&mut numbers)));
        Self {
            slot: Self::slot(&mut numbers),
            pictures,
            memory: None,
            touched: BTreeSet::new(),
            refuses: system::CAN_REFUSE && numbers.one_in(2),
            numbers,
            counts: BTreeMap::new(),
        }
    }

    fn slot(numbers: &mut Numbers) -> MemorySlot {
        // Not the strategies that process every byte.
        let strategy = numbers.pick(&[
            Strategy::Auto,
            Strategy::Auto,
            Strategy::ScanAndCopy,
            Strategy::Discard,
            Strategy::Remap,
        ]);
        let keep = numbers.pick(&[0, 16 * 4096, 4 << 20]);
        let max_pieces = numbers.pick(&[1, 2, 8]);
        let config = SlotConfig::new(bytes(MAX)).with_strategy(strategy);
        let config = config.with_keep_resident(keep).with_max_pieces(max_pieces);
        MemorySlot::new(&config).expect("room")
    }

    /// Returns the expected bytes of a page.
    fn expected(&self, memory: &Memory, page: usize) -> Vec<u8> {
        if let Some(byte) = memory.written.get(&page) {
            return vec![*byte; PAGE];
        }
        let state = match memory.is_zeroed {
            true => &[][..],
            false => &self.pictures[memory.picture].state,
        };
        let from = (page * PAGE).min(state.len());
        let mut bytes = state[from..state.len().min(from + PAGE)].to_vec();
        bytes.resize(PAGE, 0);
        bytes
    }

    /// Reads a page, and writes nothing.
    fn check_page(&self, page: usize) {
        let memory = self.memory.as_ref().expect("in use");
        let found = &self.slot.as_slice()[page * PAGE..(page + 1) * PAGE];
        assert_same(found, &self.expected(memory, page), "a page");
    }

    /// Checks every page that was ever touched, pages with data, and what is past the
    /// end.
    fn check(&mut self) {
        let Some(memory) = &self.memory else { return };
        let n_pages = memory.len / PAGE;
        assert_eq!(self.slot.len(), bytes(memory.len));
        for page in self.touched.range(..n_pages) {
            self.check_page(*page);
        }
        if self.numbers.one_in(4) {
            let data = self.pictures[memory.picture].state.len().div_ceil(PAGE);
            (0..data.min(n_pages)).for_each(|page| self.check_page(page));
        }
        if HAS_GUARDS && !self.slot.is_poisoned() {
            let base = self.slot.as_ptr().cast_const();
            let last = self.touched.last().map_or(0, |page| page * PAGE);
            for at in [n_pages * PAGE, last, MAX] {
                if n_pages * PAGE <= at {
                    let readable = system::is_readable(base.wrapping_add(at));
                    assert_ne!(readable, Some(true), "{at:#x} is readable");
                }
            }
        }
    }

    fn step(&mut self) {
        if self.refuses && self.numbers.one_in(5) {
            let n_failing = self.numbers.pick(&[1, 2, u64::MAX]);
            system::refuse(self.numbers.next() % 12, n_failing);
        }
        let name = match self.memory {
            None => self.start(),
            Some(_) => match self.numbers.below(12) {
                0..3 => self.write(),
                3..6 => self.read(),
                6 => self.grow(),
                7 if self.numbers.one_in(3) => self.zero(),
                _ => self.reset(),
            },
        };
        system::recover();
        *self.counts.entry(name).or_default() += 1;
        if self.slot.is_poisoned() {
            assert!(self.refuses);
            self.memory = None;
            self.slot = Self::slot(&mut self.numbers);
        }
    }

    fn start(&mut self) -> &'static str {
        if self.numbers.one_in(8) {
            match self.slot.protect() {
                Ok(()) => {}
                Err(SlotError::Os(_)) if self.refuses => {}
                Err(err) => panic!("{err}"),
            }
        }
        let picture = self.numbers.pick(&[0, 1, 1, 1, 2]);
        let least = self.pictures[picture].state.len().div_ceil(PAGE);
        let n_pages = match self.numbers.below(3) {
            0 => least + self.numbers.below(600),
            1 => MAX / PAGE,
            _ => least + self.numbers.below(MAX / PAGE - least),
        };
        let image = self.pictures[picture].image.as_ref();
        match self.slot.instantiate(image, bytes(n_pages * PAGE)) {
            Ok(()) => {}
            Err(SlotError::Os(_)) if self.refuses => return "start refused",
            Err(err) => panic!("{err}"),
        }
        self.memory = Some(Memory {
            len: n_pages * PAGE,
            picture,
            ..Memory::default()
        });
        // Checking reads pages, and quiet uses touch nothing.
        if self.numbers.one_in(2) {
            self.check();
        }
        "start"
    }

    /// Returns some pages: near each other, or one in each of many tables.
    fn pages(&mut self) -> Vec<usize> {
        let n_pages = self.memory.as_ref().map_or(0, |memory| memory.len / PAGE);
        if n_pages == 0 {
            return Vec::new();
        }
        let from = self.numbers.below(n_pages);
        let step = self.numbers.pick(&[1, 1, 7, 512, 512, 1024]);
        let n = 1 + self.numbers.below(60);
        let pages: Vec<_> = (from..n_pages).step_by(step).take(n).collect();
        self.touched.extend(&pages);
        pages
    }

    fn write(&mut self) -> &'static str {
        let byte = self.numbers.byte();
        for page in self.pages() {
            self.slot.as_mut_slice()[page * PAGE..(page + 1) * PAGE].fill(byte);
            let memory = self.memory.as_mut().expect("in use");
            memory.written.insert(page, byte);
        }
        "write"
    }

    fn read(&mut self) -> &'static str {
        for page in self.pages() {
            self.check_page(page);
        }
        "read"
    }

    fn grow(&mut self) -> &'static str {
        let memory = self.memory.as_mut().expect("in use");
        let len = memory.len + self.numbers.below((MAX - memory.len) / PAGE + 1) * PAGE;
        match self.slot.grow(bytes(len)) {
            Ok(()) => memory.len = len,
            Err(SlotError::Os(_)) if self.refuses => {}
            Err(err) => panic!("{err}"),
        }
        if self.slot.is_poisoned() {
            return "grow";
        }
        self.check();
        "grow"
    }

    fn zero(&mut self) -> &'static str {
        assert_eq!(self.slot.zero(), Ok(()));
        let memory = self.memory.as_mut().expect("in use");
        memory.written.clear();
        memory.is_zeroed = true;
        self.check();
        "zero"
    }

    fn reset(&mut self) -> &'static str {
        if self.numbers.one_in(2) {
            self.check();
        }
        self.memory = None;
        let is_poisoned = match self.numbers.below(4) {
            0 => reset_many([&mut self.slot]).n_poisoned != 0,
            _ => self.slot.reset().is_err(),
        };
        assert!(!is_poisoned || self.refuses);
        assert!(self.slot.is_empty());
        if self.numbers.one_in(30) {
            system::recover();
            // The image may be dropped before the slot drops it.
            let nth = 1 + self.numbers.below(2);
            self.pictures[nth] = Picture::any(&mut self.numbers);
        }
        "reset"
    }
}

#[test]
fn large_slots_match_the_model() {
    if !HAS_GUARDS {
        crate::common::skip("memories are buffers, which are completely resident");
        return;
    }
    let one: Option<u64> = std::env::var("WASM_MEMINIT_SEED")
        .ok()
        .map(|seed| seed.parse().expect("a number"));
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 1..31,
    };
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds {
        let ran = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..N_STEPS {
                world.step();
            }
            world.counts
        });
        system::recover();
        let Ok(ran) = ran else {
            panic!("to reproduce: WASM_MEMINIT_SEED={seed}");
        };
        for (name, n) in ran {
            *counts.entry(name).or_default() += n;
        }
    }
    println!("{counts:?}");
}
