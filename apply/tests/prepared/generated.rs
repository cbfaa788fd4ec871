//! Generated modules, started in every kind of memory that a host can have, and compared
//! with the naive replay.

use alloc::sync::Arc;
use core::cell::Cell;
use core::num::NonZeroUsize;

use proptest::prelude::*;
use wasm_meminit_analysis::{HostPageSize, Policy, Value};
use wasm_meminit_apply::{
    InstanceMemory, InstantiateError, MemoryImage, MemorySlot, PoolConfig, PooledSlot,
    PreparedModule, SlotConfig, SlotPool,
};
use wasm_meminit_image_builder::Image;

use super::module::{Memory, Offset, Segment, Spec};
use super::{WASM_PAGE, assert_same, prepare, slot};

/// The kind of memory that the host provides.
#[derive(Clone, Copy, Debug)]
enum Way {
    Slot,
    Pool,
    Pooled,
    Bytes,
}

/// A memory that the test owns while a start borrows it.
enum Kept {
    Slot(Box<MemorySlot>),
    Pool(Option<PooledSlot>),
    Pooled(PooledSlot),
    Bytes(Vec<u8>),
}

impl Kept {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Slot(slot) => slot.as_mut_slice(),
            Self::Pool(slot) => slot.as_mut().expect("started").as_mut_slice(),
            Self::Pooled(slot) => slot.as_mut_slice(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Returns a slot that another module has used.
fn used_slot() -> MemorySlot {
    let image = Image::capture(&[7; 3 * 4096]).expect("small");
    let image = Arc::new(MemoryImage::new(image.as_ref()).expect("room"));
    let mut slot = slot();
    slot.instantiate(Some(&image), 3 << 16).expect("room");
    slot.as_mut_slice().fill(0xa5);
    slot.reset().expect("works");
    slot
}

struct Host<'a> {
    spec: &'a Spec,
    ways: [Way; 3],
    zeroed_imports: bool,
    module: PreparedModule,
    pool: SlotPool,
}

impl Host<'_> {
    /// Slots stay from start to start, including pooled ones; byte slices are new.
    fn renew(&self, nth: usize, kept: &mut Kept) {
        let memory = &self.spec.memories[nth];
        match kept {
            Kept::Slot(_) => {}
            Kept::Pool(slot) => *slot = None,
            Kept::Pooled(_) => *kept = self.keep(nth),
            Kept::Bytes(bytes) => {
                let zero = self.zeroed_imports || !memory.imported;
                *bytes = vec![if zero { 0 } else { memory.fill }; memory.bytes()];
            }
        }
    }

    fn keep(&self, nth: usize) -> Kept {
        let memory = &self.spec.memories[nth];
        let bytes = u64::try_from(memory.bytes()).expect("small");
        let is_fresh = !memory.imported || self.zeroed_imports || memory.fill == 0;
        match self.ways[nth] {
            _ if !is_fresh => Kept::Bytes(Vec::new()),
            Way::Bytes => Kept::Bytes(Vec::new()),
            Way::Slot => Kept::Slot(Box::new(used_slot())),
            Way::Pool => Kept::Pool(None),
            Way::Pooled => {
                let image = self.module.memories()[nth].image();
                Kept::Pooled(self.pool.try_acquire(image, bytes).expect("room"))
            }
        }
    }

    fn start(&self, kept: &mut [Kept]) -> Result<(), InstantiateError> {
        let mut memories: Vec<InstanceMemory<'_>> = Vec::new();
        for (memory, kept) in self.spec.memories.iter().zip(kept) {
            let bytes = Some(u64::try_from(memory.bytes()).expect("small"));
            // An imported memory may be larger than declared; a defined one is not.
            let bytes = bytes.filter(|_| memory.imported);
            memories.push(match kept {
                Kept::Slot(slot) => InstanceMemory::Slot { slot, bytes },
                Kept::Pool(slot) => InstanceMemory::Pool {
                    pool: &self.pool,
                    slot,
                    bytes,
                },
                Kept::Pooled(slot) => slot.into(),
                Kept::Bytes(bytes) => bytes.as_mut_slice().into(),
            });
        }
        let n_calls = Cell::new(0);
        let globals = |global| {
            n_calls.set(n_calls.get() + 1);
            self.spec.global(global)
        };
        let done = self.module.instantiate(&mut memories, &globals);
        assert_eq!(n_calls.get() == 0, self.module.globals().len() == 0);
        done
    }
}

fn check(spec: &Spec, ways: [Way; 3], policy: &Policy, zeroed_imports: bool) -> Tally {
    let policy = policy.with_zeroed_imports(zeroed_imports);
    let slots = SlotConfig::new(1 << 20);
    let max_slots = NonZeroUsize::new(4).expect("not zero");
    let host = Host {
        spec,
        ways,
        zeroed_imports,
        module: prepare(&spec.wat(), &policy),
        pool: SlotPool::new(PoolConfig::new(slots, max_slots)),
    };
    let mut expected = spec.before(zeroed_imports);
    let trap = spec.replay(&mut expected);

    let mut kept: Vec<Kept> = (0..spec.memories.len()).map(|nth| host.keep(nth)).collect();
    for instance in 0..3 {
        for (nth, kept) in kept.iter_mut().enumerate() {
            host.renew(nth, kept);
        }
        let found = host.start(&mut kept);
        let found = found.map_err(|err| match err {
            InstantiateError::Segment(err) if err.is_trap() => {
                let segment = err.segment.expect("no run traps");
                assert_eq!(
                    Ok(spec.segments[segment.as_u32() as usize].memory),
                    usize::try_from(err.memory_index.as_u32())
                );
                segment.as_u32()
            }
            err => panic!("{err}"),
        });
        assert_eq!(found.err(), trap.map(|nth| nth as u32));
        for (nth, (kept, expected)) in kept.iter_mut().zip(&expected).enumerate() {
            let what = format!("memory {nth}, instance {instance}");
            assert_same(kept.bytes(), expected, &what);
            kept.bytes().fill(0xa5);
            if let Kept::Slot(slot) = kept {
                slot.reset().expect("works");
            }
        }
    }
    let has_image = host.module.memories().iter().any(|it| it.image().is_some());
    let imported_image =
        |it: &wasm_meminit_apply::PreparedMemory| it.is_imported() && it.image().is_some();
    Tally {
        n_static: u32::from(has_image && host.module.n_replayed() == 0),
        n_hybrid: u32::from(has_image && host.module.n_replayed() != 0),
        n_segmented: u32::from(!has_image && host.module.n_replayed() != 0),
        n_traps: u32::from(trap.is_some()),
        n_imported_images: u32::from(host.module.memories().iter().any(imported_image)),
    }
}

/// Counts of the kinds of generated modules, so that the test notices when one is
/// missing.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    n_static: u32,
    n_hybrid: u32,
    n_segmented: u32,
    n_traps: u32,
    n_imported_images: u32,
}

fn memory() -> impl Strategy<Value = Memory> {
    (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        0_usize..=2,
        prop_oneof![Just(0_usize), Just(WASM_PAGE)],
        prop_oneof![Just(0_u8), Just(0x33)],
    )
        .prop_map(
            |(imported, is_64, shared, small_pages, size, extra, fill)| Memory {
                imported,
                is_64,
                shared: shared && !small_pages,
                small_pages,
                min: if small_pages {
                    [1, 5000, 8193][size]
                } else {
                    size
                },
                extra,
                fill,
            },
        )
}

/// Returns an address in bytes near one of the significant ones of a memory.
fn place(memory: &Memory, anchor: usize, delta: i64) -> u64 {
    let anchors = [
        0,
        4096,
        memory.min_bytes() / 2,
        memory.min_bytes(),
        memory.bytes(),
    ];
    let anchor = i64::try_from(anchors[anchor]).expect("small");
    (anchor + delta).max(0).cast_unsigned()
}

prop_compose! {
    fn spec()(
        mut memories in prop::collection::vec(memory(), 1..=3),
        choices in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_u8..6, 0_usize..5, -12_i64..3,
             prop::collection::vec(any::<u8>(), 0..12)),
            0..8,
        ),
        far in prop::bool::weighted(0.1),
        all_const in prop::bool::weighted(0.3),
        all_fit in prop::bool::weighted(0.7),
    ) -> Spec {
        memories.sort_by_key(|it| !it.imported);
        let mut globals = Vec::new();
        let mut segments = Vec::new();
        for (index, kind, anchor, delta, mut data) in choices {
            let nth = index.index(memories.len());
            let memory = &memories[nth];
            let mut addr = place(memory, anchor, delta);
            if all_fit {
                data.truncate(memory.min_bytes());
                let room = memory.min_bytes() - data.len();
                addr = addr.min(u64::try_from(room).expect("small"));
            }
            let mut global = |value: u64| {
                globals.push(if memory.is_64 {
                    Value::I64(value.cast_signed())
                } else {
                    Value::I32(u32::try_from(value & 0xffff_ffff).expect("cut").cast_signed())
                });
                globals.len() - 1
            };
            let offset = match kind {
                _ if all_const => Offset::Const(addr),
                0..=3 => Offset::Const(addr),
                4 if far && !all_fit => Offset::Global(global(u64::MAX - 3)),
                4 => Offset::Global(global(addr)),
                // A sum that wraps around.
                _ => Offset::Sum(global(addr.wrapping_sub(16)), 16),
            };
            segments.push(Segment { memory: nth, offset, data });
        }
        Spec { memories, globals, segments }
    }
}

fn ways() -> impl Strategy<Value = [Way; 3]> {
    prop::array::uniform3(prop_oneof![
        2 => Just(Way::Slot),
        1 => Just(Way::Pool),
        1 => Just(Way::Pooled),
        1 => Just(Way::Bytes),
    ])
}

fn policies() -> impl Strategy<Value = Policy> {
    let page = HostPageSize::KIB_4;
    prop_oneof![
        Just(Policy::balanced(page)),
        Just(Policy::smallest(page)),
        Just(Policy::reference(page)),
        Just(Policy::balanced(HostPageSize::KIB_64)),
    ]
}

#[test]
fn every_module_starts_with_the_contents_of_its_segments() {
    let tally = Cell::new(Tally::default());
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(spec in spec(), ways in ways(), policy in policies(), promise: bool)| {
        let one = check(&spec, ways, &policy, promise);
        let all = tally.get();
        tally.set(Tally {
            n_static: all.n_static + one.n_static,
            n_hybrid: all.n_hybrid + one.n_hybrid,
            n_segmented: all.n_segmented + one.n_segmented,
            n_traps: all.n_traps + one.n_traps,
            n_imported_images: all.n_imported_images + one.n_imported_images,
        });
    });
    let tally = tally.get();
    println!("{tally:?}");
    // Each kind makes up a substantial part of the modules; with far fewer, nothing would
    // be tested.
    let n_modules = tally.n_static + tally.n_hybrid + tally.n_segmented;
    for n in [
        tally.n_static,
        tally.n_hybrid,
        tally.n_segmented,
        tally.n_traps,
        tally.n_imported_images,
    ] {
        assert!(n_modules <= 40 * n, "{tally:?}");
    }
}
