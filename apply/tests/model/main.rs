//! Compares slots with plain byte vectors: after any operations in any order, each start
//! shows its initial contents and nothing else, and each memory what was written to it.
//!
//! `WASM_MEMINIT_CASES` sets the number of operations (default: 20,000);
//! `WASM_MEMINIT_SEED` repeats one sequence. With the feature `fault-injection`, half of
//! the sequences run on a system that sometimes refuses calls, and host pages after a
//! memory are probed.
#![cfg(target_os = "linux")]

extern crate alloc;

#[path = "../common/mod.rs"]
mod common;
mod pair;
mod sparse;
mod system;

use alloc::collections::BTreeMap;
use std::env;

use wasm_meminit_apply::{
    Capabilities, MemoryTooSmall, SlotError, Strategy, WorkingSet, reset_many,
};

use crate::common::{Numbers, PAGE, STRATEGIES, bytes, done_by};
use crate::pair::{MAX_BYTES, Model, Pair, Picture};

const N_OPERATIONS: usize = 20_000;
/// Every fourth sequence is long, so that its slots live long enough to age.
const N_PER_SEQUENCE: [usize; 4] = [600, 60, 60, 60];
const N_SLOTS: usize = 3;
const N_IMAGES: usize = 4;

struct World {
    numbers: Numbers,
    pictures: Vec<Picture>,
    pairs: Vec<Pair>,
    working_sets: Vec<WorkingSet>,
    /// Otherwise only sometimes, so that pages stay untouched.
    looks_at_every_start: bool,
    /// Whether calls fail.
    refuses: bool,
    slots_live_long: bool,
    prints: bool,
    counts: Counts,
}

/// How often each operation was done to slots of each strategy, in the order of
/// `STRATEGIES`; the last count is for operations on several slots or none.
type Counts = BTreeMap<&'static str, [u64; STRATEGIES.len() + 1]>;

impl World {
    fn new(seed: u64, prints: bool) -> Self {
        let mut numbers = Numbers(seed);
        let mut pictures = vec![Picture::none()];
        pictures.extend((1..N_IMAGES).map(|_| Picture::any(&mut numbers)));
        Self {
            pairs: (0..N_SLOTS).map(|_| Pair::any(&mut numbers)).collect(),
            pictures,
            working_sets: Vec::new(),
            looks_at_every_start: !numbers.one_in(3),
            refuses: system::CAN_REFUSE && numbers.one_in(2),
            slots_live_long: N_PER_SEQUENCE[0] == n_steps(seed),
            numbers,
            prints,
            counts: BTreeMap::new(),
        }
    }

    fn say(&mut self, name: &'static str, slot: Option<usize>, what: &dyn Fn() -> String) {
        let strategy = slot.map(|nth| self.pairs[nth].strategy);
        let column = STRATEGIES.iter().position(|it| Some(*it) == strategy);
        self.counts.entry(name).or_default()[column.unwrap_or(STRATEGIES.len())] += 1;
        if self.prints {
            eprintln!("{name} {}", what());
        }
    }

    fn step(&mut self) {
        if self.refuses && self.numbers.one_in(4) {
            let n_failing = self.numbers.pick(&[1, 1, 2, 3, u64::MAX]);
            let skip = self.numbers.next() % 6;
            self.say("refuse", None, &|| format!("{skip}..+{n_failing}"));
            system::refuse(skip, n_failing);
        }
        let nth = self.numbers.below(N_SLOTS);
        let is_in_use = self.pairs[nth].model.is_some();
        if is_in_use {
            self.step_in_use(nth);
        } else {
            self.step_ready(nth);
        }
        system::recover();
        if self.pairs[nth].slot.is_poisoned() {
            self.replace_slot(nth);
        }
    }

    fn step_in_use(&mut self, nth: usize) {
        match self.numbers.below(60) {
            0 if !self.slots_live_long => self.replace_slot(nth),
            1 => self.replace_image(),
            2 => self.protect(nth),
            3 => self.instantiate(nth),
            4 | 5 => self.reset_many(),
            6..9 => self.record(nth),
            9..12 => self.prefetch(nth),
            12 => self.zero(nth),
            13..20 => self.grow(nth),
            20..23 => self.read(nth),
            23..25 => self.read_some(nth),
            25..45 => self.write(nth),
            _ => self.reset(nth),
        }
    }

    fn step_ready(&mut self, nth: usize) {
        match self.numbers.below(24) {
            0 if !self.slots_live_long => self.replace_slot(nth),
            1 | 2 => self.replace_image(),
            3 | 4 => self.protect(nth),
            5 | 6 => self.reset_many(),
            7 => assert_eq!(self.pairs[nth].slot.reset(), Err(SlotError::NotInUse)),
            8 => self.grow_often(nth),
            _ => self.instantiate(nth),
        }
    }

    fn looks(&mut self) -> bool {
        self.looks_at_every_start || self.numbers.one_in(3)
    }

    fn replace_slot(&mut self, nth: usize) {
        system::recover();
        self.pairs[nth] = Pair::any(&mut self.numbers);
        let (by, keep) = (self.pairs[nth].strategy, self.pairs[nth].keep_resident);
        let max = self.pairs[nth].max_bytes;
        self.say("slot", Some(nth), &|| {
            format!("{nth}: {by}, keep {keep}, max {max}")
        });
    }

    fn replace_image(&mut self) {
        system::recover();
        let nth = 1 + self.numbers.below(N_IMAGES - 1);
        self.pictures[nth] = Picture::any(&mut self.numbers);
        let image = self.pictures[nth].image.clone();
        self.say("image", None, &|| format!("{nth}: {image:?}"));
    }

    fn instantiate(&mut self, nth: usize) {
        let which = self.numbers.below(N_IMAGES);
        let picture = self.pictures[which].clone();
        let end = picture.image.as_ref().map_or(0, |image| image.data_end());
        let end = usize::try_from(end).expect("small");
        let room = MAX_BYTES - end;
        let len = match self.numbers.below(8) {
            0 => end,
            1 => self.numbers.below(MAX_BYTES + PAGE),
            2 => self.pairs[nth].max_bytes,
            _ => end + self.numbers.below(room + 1),
        };
        self.say("start", Some(nth), &|| {
            format!("{nth} from {which}, {len} bytes")
        });
        let looks = self.looks();
        let pair = &mut self.pairs[nth];
        let max_bytes = pair.max_bytes;
        let done = pair.slot.instantiate(picture.image.as_ref(), bytes(len));
        let expected = if pair.model.is_some() {
            Err(SlotError::InUse)
        } else if max_bytes < len {
            Err(SlotError::TooLarge {
                bytes: bytes(len),
                max_bytes: bytes(max_bytes),
            })
        } else if len < end {
            Err(SlotError::MemoryTooSmall(MemoryTooSmall {
                image_end: bytes(end),
                memory_bytes: bytes(len),
            }))
        } else {
            Ok(())
        };
        if let (Err(SlotError::Os(_)), Ok(()), true) = (&done, &expected, self.refuses) {
            return pair.after_failure(false);
        }
        assert_eq!(done, expected);
        if done.is_ok() {
            let mut first = picture.state;
            first.resize(len, 0);
            let now = first.clone();
            pair.model = Some(Model { first, now });
            pair.is_protected = false;
            assert_eq!(pair.slot.len(), bytes(len));
            if looks {
                pair.assert_holds("at the start");
            }
            pair.probe(&mut self.numbers);
        }
    }

    fn write(&mut self, nth: usize) {
        let len = self.pairs[nth].slot.as_slice().len();
        if len == 0 {
            return;
        }
        let byte = self.numbers.byte();
        let (from, len, step) = match self.numbers.below(5) {
            0 => (0, len, 1),
            1 => (self.numbers.below(PAGE.min(len)), len, PAGE),
            2 => (self.numbers.below(PAGE.min(len)), len, 2 * PAGE),
            3 => (len - 1, len, 1),
            _ => {
                let from = self.numbers.below(len);
                (from, len.min(from + 1 + self.numbers.below(3 * PAGE)), 1)
            }
        };
        self.say("write", Some(nth), &|| {
            format!("{nth}: {byte} to {from}..{len} by {step}")
        });
        let pair = &mut self.pairs[nth];
        let Some(model) = &mut pair.model else { return };
        for bytes in [pair.slot.as_mut_slice(), &mut model.now] {
            bytes[from..len]
                .iter_mut()
                .step_by(step)
                .for_each(|it| *it = byte);
        }
    }

    fn read(&mut self, nth: usize) {
        self.say("read", Some(nth), &|| format!("{nth}"));
        self.pairs[nth].assert_holds("while in use");
        let pair = &mut self.pairs[nth];
        pair.probe(&mut self.numbers);
    }

    /// Reads some pages and writes none; a scan finds them nevertheless.
    fn read_some(&mut self, nth: usize) {
        let len = self.pairs[nth].slot.as_slice().len();
        let Some(model) = &self.pairs[nth].model else {
            return;
        };
        let from = self.numbers.below(len + 1) / PAGE * PAGE;
        let step = self.numbers.pick(&[PAGE, 2 * PAGE, 5 * PAGE]);
        for at in (from..len).step_by(step) {
            assert_eq!(self.pairs[nth].slot.as_slice()[at], model.now[at]);
        }
        self.say("read some", Some(nth), &|| {
            format!("{nth}: {from}.. by {step}")
        });
    }

    fn grow(&mut self, nth: usize) {
        let len = self.pairs[nth].slot.as_slice().len();
        let to = match self.numbers.below(5) {
            0 => self.numbers.below(MAX_BYTES + 2 * PAGE),
            1 => self.pairs[nth].max_bytes,
            _ => len + self.numbers.below(3 * PAGE),
        };
        self.say("grow", Some(nth), &|| format!("{nth} to {to}"));
        let pair = &mut self.pairs[nth];
        let done = pair.slot.grow(bytes(to));
        let expected = if pair.max_bytes < to {
            Err(SlotError::TooLarge {
                bytes: bytes(to),
                max_bytes: bytes(pair.max_bytes),
            })
        } else if to < len {
            Err(SlotError::Shrinks {
                bytes: bytes(to),
                current: bytes(len),
            })
        } else {
            Ok(())
        };
        if let (Err(SlotError::Os(_)), Ok(()), true) = (&done, &expected, self.refuses) {
            return pair.after_failure(true);
        }
        assert_eq!(done, expected);
        if let (Ok(()), Some(model)) = (done, &mut pair.model) {
            model.first.resize(to, 0);
            model.now.resize(to, 0);
        }
        pair.assert_holds("after growth");
        pair.probe(&mut self.numbers);
    }

    /// Runs uses of one image, some of which grow and write there, until pages have aged.
    fn grow_often(&mut self, nth: usize) {
        let which = self.numbers.below(N_IMAGES);
        let picture = self.pictures[which].clone();
        let first = picture.state.len().max(self.numbers.below(MAX_BYTES / 2));
        let period = 1 + self.numbers.below(4);
        self.say("grow often", Some(nth), &|| {
            format!("{nth} from {which}, {first} bytes, every {period}")
        });
        for round in 0..20 {
            let pair = &mut self.pairs[nth];
            if pair.max_bytes < first {
                return;
            }
            let started = pair.slot.instantiate(picture.image.as_ref(), bytes(first));
            if started.is_err() {
                assert!(self.refuses, "{started:?}");
                return pair.after_failure(false);
            }
            let mut first_state = picture.state.clone();
            first_state.resize(first, 0);
            let now = first_state.clone();
            pair.model = Some(Model {
                first: first_state,
                now,
            });
            pair.is_protected = false;
            pair.assert_holds("at the start");
            pair.probe(&mut self.numbers);
            if round % period == 0 {
                self.grow(nth);
            }
            if self.pairs[nth].model.is_some() {
                self.write(nth);
                self.reset(nth);
            }
            if self.pairs[nth].slot.is_poisoned() {
                return;
            }
        }
    }

    fn zero(&mut self, nth: usize) {
        self.say("zero", Some(nth), &|| format!("{nth}"));
        let looks = self.looks();
        let pair = &mut self.pairs[nth];
        assert_eq!(pair.slot.zero(), Ok(()));
        let model = pair.model.as_mut().expect("in use");
        model.first.fill(0);
        model.now.fill(0);
        if looks {
            pair.assert_holds("after `zero`");
        }
        self.pairs[nth].probe(&mut self.numbers);
    }

    fn reset(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        let (strategy, keep) = (pair.strategy, pair.keep_resident);
        let is_empty = pair.slot.is_empty();
        let is_mapped = pair.slot.image().is_none_or(|image| {
            image.is_empty() || image.source() != wasm_meminit_apply::ImageSource::Heap
        });
        match pair.slot.reset() {
            Ok(report) => {
                pair.model = None;
                if !self.refuses {
                    assert!(
                        done_by(strategy, report.by, is_empty),
                        "{strategy}: {report:?}"
                    );
                }
                if report.by == Strategy::ScanAndCopy && is_mapped {
                    assert!(report.resident_bytes <= keep, "{report:?}, keep {keep}");
                }
                let name = match report.by {
                    Strategy::ScanAndCopy => "reset: scan and copy",
                    Strategy::Discard => "reset: discard",
                    Strategy::Remap => "reset: remap",
                    _ => "reset: copy",
                };
                self.say(name, Some(nth), &|| format!("{nth}: {report:?}"));
            }
            Err(SlotError::Poisoned) if self.refuses => pair.after_failure(false),
            Err(err) => panic!("{err}"),
        }
        let pair = &mut self.pairs[nth];
        assert!(pair.slot.is_empty());
    }

    fn protect(&mut self, nth: usize) {
        self.say("protect", Some(nth), &|| format!("{nth}"));
        let pair = &mut self.pairs[nth];
        match (pair.slot.protect(), &pair.model) {
            (Err(SlotError::InUse), Some(_)) => pair.assert_holds("still in use"),
            (Ok(()), None) => {
                pair.is_protected = true;
                pair.probe(&mut self.numbers);
            }
            (Err(SlotError::Os(_)), None) if self.refuses => pair.after_failure(false),
            (done, _) => panic!("{done:?}"),
        }
    }

    /// Checks that every page that differs from its initial contents was reported as
    /// written.
    fn record(&mut self, nth: usize) {
        self.say("record", Some(nth), &|| format!("{nth}"));
        let pair = &self.pairs[nth];
        let model = pair.model.as_ref().expect("in use");
        let set = match pair.slot.record() {
            Ok(set) => set,
            Err(SlotError::Os(_)) if self.refuses || !Capabilities::get().scan.is_yes() => return,
            Err(err) => panic!("{err}"),
        };
        let pages = model.now.chunks(PAGE).zip(model.first.chunks(PAGE));
        for (nth, _) in pages.enumerate().filter(|(_, (now, first))| now != first) {
            let page = bytes(nth * PAGE);
            let found = set.ranges().any(|range| range.contains(&page));
            assert!(found, "the page at {page:#x} was written: {set:?}");
        }
        self.working_sets.push(set);
    }

    fn prefetch(&mut self, nth: usize) {
        if self.working_sets.is_empty() {
            return;
        }
        let which = self.numbers.below(self.working_sets.len());
        self.say("prefetch", Some(nth), &|| format!("{nth} as {which}"));
        let looks = self.looks();
        let pair = &mut self.pairs[nth];
        match pair.slot.prefetch(&self.working_sets[which]) {
            Ok(n) => assert!(n <= self.working_sets[which].bytes()),
            Err(SlotError::Os(_)) if self.refuses => {}
            Err(err) => panic!("{err}"),
        }
        if looks {
            pair.assert_holds("after pages were fetched");
        }
    }

    fn reset_many(&mut self) {
        let chosen: Vec<bool> = (0..N_SLOTS).map(|_| !self.numbers.one_in(4)).collect();
        self.say("reset many", None, &|| format!("{chosen:?}"));
        let pairs = || chosen.iter().copied();
        let in_use = self.pairs.iter().zip(pairs());
        let n_in_use = in_use
            .filter(|(pair, chosen)| *chosen && pair.model.is_some())
            .count();
        let slots = self.pairs.iter_mut().zip(pairs());
        let report = reset_many(slots.filter(|(_, it)| *it).map(|(pair, _)| &mut pair.slot));
        let n_reset = report.n_batched + report.n_single + report.n_poisoned;
        assert_eq!(n_reset, bytes(n_in_use), "{report:?}");
        assert!(report.n_poisoned == 0 || self.refuses);
        for (nth, _) in chosen.iter().enumerate().filter(|(_, it)| **it) {
            self.pairs[nth].model = None;
            assert!(self.pairs[nth].slot.is_empty());
            if self.pairs[nth].slot.is_poisoned() {
                self.replace_slot(nth);
            }
        }
    }
}

fn n_steps(seed: u64) -> usize {
    N_PER_SEQUENCE[Numbers(seed).below(N_PER_SEQUENCE.len())]
}

fn run(seed: u64, prints: bool) -> Counts {
    let mut world = World::new(seed, prints);
    for _ in 0..n_steps(seed) {
        world.step();
    }
    world.counts
}

#[test]
fn slots_match_the_model() {
    if let Ok(seed) = env::var("WASM_MEMINIT_SEED") {
        run(seed.parse().expect("a number"), true);
        return;
    }
    let n_operations: usize = match env::var("WASM_MEMINIT_CASES") {
        Ok(n) => n.parse().expect("WASM_MEMINIT_CASES is a number"),
        Err(_) => N_OPERATIONS,
    };
    let mut counts = Counts::new();
    let mut n_done = 0;
    let mut seed = 0x5eed_0000_0000;
    while n_done < n_operations {
        seed += 1;
        n_done += n_steps(seed);
        let ran = std::panic::catch_unwind(|| run(seed, false));
        system::recover();
        let Ok(ran) = ran else {
            panic!("to reproduce: WASM_MEMINIT_SEED={seed}");
        };
        for (name, row) in ran {
            let sums = counts.entry(name).or_default();
            sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
        }
    }
    print(&counts);
}

fn print(counts: &Counts) {
    let names = STRATEGIES.map(|it| it.to_string());
    let names = names.iter().map(String::as_str).chain(["several"]);
    let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("{cell:>14}")).collect();
        println!("{name:<20}{cells}");
    };
    row("", &mut names.map(String::from));
    for (name, numbers) in counts {
        row(name, &mut numbers.iter().map(u64::to_string));
    }
    let sum: u64 = counts.values().flatten().sum();
    println!("{sum} operations");
}
