//! Calls of slots, compared with plain byte vectors.

use arbitrary::{Result, Unstructured};
use wasm_meminit_apply::{
    Capabilities, MemorySlot, MemoryTooSmall, SlotConfig, SlotError, Strategy, WorkingSet,
    reset_many,
};
use wasm_meminit_test_support::initial_contents::{PAGE, bytes};

use crate::system::{
    self, MAX_BYTES, Picture, assert_same, edge, is_refusal, pictures, was_refused,
};

/// A memory in use: its initial contents, and its bytes now.
struct Model {
    first: Vec<u8>,
    now: Vec<u8>,
}

struct Pair {
    slot: MemorySlot,
    max_bytes: usize,
    model: Option<Model>,
}

struct World {
    pairs: Vec<Pair>,
    pictures: Vec<Picture>,
    working_sets: Vec<WorkingSet>,
    /// Whether each start is compared: otherwise pages stay untouched.
    looks: bool,
    has_reset: bool,
}

/// Returns whether a memory was reset.
pub(crate) fn run(input: &[u8]) -> bool {
    system::run(input, sequence)
}

fn sequence(u: &mut Unstructured<'_>, is_reached: &mut bool) -> Result<()> {
    let mut world = World {
        pictures: pictures(),
        pairs: vec![new_pair(u)?, new_pair(u)?],
        working_sets: Vec::new(),
        looks: u.arbitrary()?,
        has_reset: false,
    };
    while !u.is_empty() {
        world.step(u)?;
        *is_reached |= world.has_reset;
    }
    for pair in &world.pairs {
        pair.check("at the end");
    }
    Ok(())
}

fn new_pair(u: &mut Unstructured<'_>) -> Result<Pair> {
    let max_bytes = match u.ratio(1, 4)? {
        true => edge(u, MAX_BYTES)?,
        false => MAX_BYTES,
    };
    let config = SlotConfig::new(bytes(max_bytes))
        .with_strategy(system::strategy(u)?)
        .with_keep_resident(*u.choose(&[0, 100, 4096, 3 * 4096, 1 << 22, u64::MAX])?)
        .with_guard(*u.choose(&[0, 1, 4096, 1 << 16])?)
        .with_guard_before(*u.choose(&[0, 0, 4096])?)
        .with_max_pieces(*u.choose(&[0, 1, 2, 8, usize::MAX])?);
    Ok(Pair {
        slot: MemorySlot::new(&config).expect("room"),
        max_bytes,
        model: None,
    })
}

impl Pair {
    #[track_caller]
    fn check(&self, what: &str) {
        let expected = self.model.as_ref().map_or(&[][..], |model| &model.now);
        assert_same(self.slot.as_slice(), expected, what);
        assert_eq!(self.slot.len(), bytes(expected.len()));
    }

    /// After a refusal, the memory is as before the call, or gone; never something in between.
    fn after_refusal(&mut self, stays: bool) {
        if self.slot.is_poisoned() {
            assert!(self.slot.image().is_none());
            assert_eq!(self.slot.instantiate(None, 0), Err(SlotError::Poisoned));
            assert_eq!(self.slot.reset(), Err(SlotError::Poisoned));
        }
        if self.slot.is_poisoned() || !stays {
            self.model = None;
        }
        self.check("after a refusal");
    }
}

impl World {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let nth = usize::from(u.arbitrary::<bool>()?);
        let op = u.int_in_range(0..=15)?;
        if u.ratio(1, 4)? {
            system::refuse(u)?;
        }
        match op {
            0..4 => self.start(nth, u)?,
            4..7 => self.write(nth, u)?,
            7 | 8 => self.grow(nth, u)?,
            9 | 10 => self.reset(nth),
            11 => self.zero(nth),
            12 => self.protect(nth),
            13 => self.record_or_prefetch(nth, u)?,
            14 => self.reset_both(),
            _ => self.replace(nth, u)?,
        }
        let is_poisoned = |it: &Pair| it.slot.is_poisoned();
        assert!(was_refused() || !self.pairs.iter().any(is_poisoned));
        system::recover();
        for pair in self.pairs.iter_mut().filter(|it| is_poisoned(it)) {
            *pair = new_pair(u)?;
        }
        Ok(())
    }

    fn start(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let picture = u.choose(&self.pictures)?;
        let end = picture.end();
        let len = match u.int_in_range(0..=3)? {
            0 => end,
            1 => edge(u, MAX_BYTES + PAGE)?,
            _ => end + edge(u, MAX_BYTES - end)?,
        };
        let pair = &mut self.pairs[nth];
        let expected = if pair.model.is_some() {
            Err(SlotError::InUse)
        } else if pair.max_bytes < len {
            Err(SlotError::TooLarge {
                bytes: bytes(len),
                max_bytes: bytes(pair.max_bytes),
            })
        } else if len < end {
            Err(SlotError::MemoryTooSmall(MemoryTooSmall {
                image_end: bytes(end),
                memory_bytes: bytes(len),
            }))
        } else {
            Ok(())
        };
        match pair.slot.instantiate(picture.image.as_ref(), bytes(len)) {
            Err(err) if expected.is_ok() && is_refusal(&err) => pair.after_refusal(false),
            done => {
                assert_eq!(done, expected);
                if expected.is_ok() {
                    let first = picture.memory(len);
                    let now = first.clone();
                    pair.model = Some(Model { first, now });
                }
                if self.looks {
                    pair.check("after a start");
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let pair = &mut self.pairs[nth];
        let Some(model) = &mut pair.model else {
            return Ok(());
        };
        let len = model.now.len();
        let from = edge(u, len)?;
        let to = match u.int_in_range(0..=2)? {
            0 => len,
            1 => len.min(from + 1),
            _ => len.min(from + edge(u, 4 * PAGE)?),
        };
        let step = *u.choose(&[1, PAGE, 2 * PAGE, 5 * PAGE])?;
        let byte = u.arbitrary::<u8>()? | 1;
        let is_read = u.ratio(1, 5)?;
        if is_read {
            for at in (from..to).step_by(step) {
                assert_eq!(pair.slot.as_slice()[at], model.now[at], "at {at:#x}");
            }
            return Ok(());
        }
        for bytes in [pair.slot.as_mut_slice(), &mut model.now] {
            let written = bytes[from..to].iter_mut().step_by(step);
            written.for_each(|it| *it = byte);
        }
        Ok(())
    }

    fn grow(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let pair = &mut self.pairs[nth];
        let len = pair.model.as_ref().map_or(0, |model| model.now.len());
        let to = match u.int_in_range(0..=3)? {
            0 => edge(u, MAX_BYTES + PAGE)?,
            1 => pair.max_bytes,
            _ => len + edge(u, 4 * PAGE)?,
        };
        let done = pair.slot.grow(bytes(to));
        let expected = if pair.model.is_none() {
            Err(SlotError::NotInUse)
        } else if pair.max_bytes < to {
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
        match done {
            Err(err) if expected.is_ok() && is_refusal(&err) => {
                pair.after_refusal(true);
                return Ok(());
            }
            done => assert_eq!(done, expected),
        }
        if let (Ok(()), Some(model)) = (expected, &mut pair.model) {
            model.first.resize(to, 0);
            model.now.resize(to, 0);
        }
        pair.check("after growth");
        Ok(())
    }

    fn reset(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        match (pair.slot.reset(), pair.model.is_some()) {
            (Ok(report), true) => {
                assert_ne!(report.by, Strategy::Auto);
                pair.model = None;
                self.has_reset = true;
            }
            (Err(SlotError::NotInUse), false) => {}
            (Err(SlotError::Poisoned), true) if was_refused() => pair.after_refusal(false),
            (done, _) => panic!("{done:?}"),
        }
        pair.check("after a reset");
    }

    fn zero(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        match (pair.slot.zero(), &mut pair.model) {
            (Ok(()), Some(model)) => {
                model.first.fill(0);
                model.now.fill(0);
            }
            (Err(SlotError::NotInUse), None) => {}
            (done, _) => panic!("{done:?}"),
        }
        pair.check("after `zero`");
    }

    fn protect(&mut self, nth: usize) {
        let pair = &mut self.pairs[nth];
        match (pair.slot.protect(), pair.model.is_some()) {
            (Ok(()), false) | (Err(SlotError::InUse), true) => {}
            (Err(err), false) if is_refusal(&err) => {}
            (done, _) => panic!("{done:?}"),
        }
    }

    fn record_or_prefetch(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let pair = &mut self.pairs[nth];
        if let (false, Ok(set)) = (u.arbitrary()?, u.choose(&self.working_sets)) {
            match (pair.slot.prefetch(set), pair.model.is_some()) {
                (Ok(n), _) => assert!(n <= set.bytes()),
                (Err(SlotError::NotInUse), false) => {}
                (Err(err), _) if is_refusal(&err) => {}
                (Err(err), _) => panic!("{err}"),
            }
            pair.check("after pages were fetched");
            return Ok(());
        }
        match (pair.slot.record(), &pair.model) {
            (Ok(set), Some(model)) => {
                let pages = model.now.chunks(PAGE).zip(model.first.chunks(PAGE));
                for (nth, _) in pages.enumerate().filter(|(_, (now, first))| now != first) {
                    let page = bytes(nth * PAGE);
                    let is_found = set.ranges().any(|range| range.contains(&page));
                    assert!(is_found, "the page at {page:#x} was written: {set:?}");
                }
                self.working_sets.push(set);
            }
            (Err(SlotError::NotInUse), None) => {}
            (Err(SlotError::Os(_)), Some(_)) => {
                assert!(was_refused() || !Capabilities::get().scan.is_yes());
            }
            (done, _) => panic!("{done:?}"),
        }
        Ok(())
    }

    fn reset_both(&mut self) {
        let n_in_use = self.pairs.iter().filter(|it| it.model.is_some()).count();
        let report = reset_many(self.pairs.iter_mut().map(|it| &mut it.slot));
        let n_reset = report.n_batched + report.n_single + report.n_poisoned;
        assert_eq!(n_reset, bytes(n_in_use), "{report:?}");
        assert!(report.n_poisoned == 0 || was_refused());
        for pair in &mut self.pairs {
            pair.model = None;
            pair.check("after a reset of both");
        }
    }

    /// Another slot takes its place, or one that the system really refuses.
    fn replace(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        if u.ratio(1, 3)? {
            let huge = *u.choose(&[1 << 47, 1 << 62, u64::MAX - 4095, u64::MAX])?;
            assert!(MemorySlot::new(&SlotConfig::new(huge)).is_err());
            let config = SlotConfig::new(0).with_guard(huge);
            assert!(system::IS_PORTABLE || MemorySlot::new(&config).is_err());
            return Ok(());
        }
        system::recover();
        self.pairs[nth] = new_pair(u)?;
        Ok(())
    }
}
