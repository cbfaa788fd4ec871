//! Errors of the host: detected before any of its memories is written.

use core::num::NonZeroUsize;

use wasm_meminit_analysis::{GlobalIndex, IndexType, MemoryIndex, Policy, Value};
use wasm_meminit_apply::{
    AcquireError, Host, ImageError, InstanceMemory, InstantiateError, MemoryImage, MemorySlot,
    PoolConfig, PrepareError, PreparedModule, SlotConfig, SlotError, SlotPool,
};
use wasm_meminit_image_builder::{Artifact, Image, ModuleImage};

use super::{WASM_PAGE, at, prepare, slot};

const TWO: &str = r#"(module
    (import "env" "memory" (memory 1))
    (import "env" "base" (global $base i32))
    (memory $own 2)
    (data (memory 0) (i32.const 0) "imported")
    (data (memory $own) (i32.const 0) "baked")
    (data (memory $own) (global.get $base) "replayed"))"#;

fn memory(nth: u32) -> MemoryIndex {
    MemoryIndex::from_u32(nth)
}

/// Starts, expecting an error, and checks that the host's memory is unchanged.
#[track_caller]
fn refused(
    module: &PreparedModule,
    imported: usize,
    slot: &mut MemorySlot,
    globals: &dyn Fn(GlobalIndex) -> Option<Value>,
) -> InstantiateError {
    let mut imported = vec![9; imported];
    let memories = &mut [imported.as_mut_slice().into(), slot.into()];
    let err = module.instantiate(memories, globals).expect_err("refused");
    assert!(!err.is_trap(), "{err}");
    assert!(imported.iter().all(|byte| *byte == 9), "{err}");
    err
}

#[test]
fn a_missing_global_or_one_of_another_type_is_refused() {
    let module = prepare(TWO, &Policy::default());
    let base = GlobalIndex::from_u32(0);
    assert_eq!(
        module.globals().collect::<Vec<_>>(),
        [(base, IndexType::I32)]
    );
    let mut slot = slot();
    for found in [None, Some(Value::I64(0))] {
        let err = refused(&module, WASM_PAGE, &mut slot, &|_| found);
        let expected = InstantiateError::Global {
            global: base,
            expected: IndexType::I32,
            found,
        };
        assert_eq!(err, expected);
        assert_eq!(slot.reset(), Err(SlotError::NotInUse));
    }
    let err = refused(&module, WASM_PAGE, &mut slot, &|_| None);
    assert_eq!(
        err.to_string(),
        "global 0 needs a value of type i32, but none was provided"
    );
}

#[test]
fn an_imported_memory_below_its_declared_minimum_does_not_link() {
    let module = prepare(TWO, &Policy::default());
    let mut slot = slot();
    let err = refused(&module, WASM_PAGE - 1, &mut slot, &at(0));
    let expected = InstantiateError::TooSmall {
        memory: memory(0),
        min_bytes: 0x1_0000,
        bytes: 0xffff,
    };
    assert_eq!(err, expected);
    assert_eq!(slot.reset(), Err(SlotError::NotInUse));
}

#[test]
fn a_size_below_the_minimum_is_refused_and_one_above_it_is_not() {
    let module = prepare("(module (memory 2))", &Policy::default());
    let mut slot = slot();
    let mut with = |bytes| {
        let slot = &mut slot;
        module.instantiate(&mut [InstanceMemory::Slot { slot, bytes }], &|_| None)
    };
    let err = with(Some(0x1_ffff)).expect_err("too small");
    assert!(matches!(err, InstantiateError::TooSmall { .. }), "{err}");
    with(Some(0x3_0000)).expect("room");
    assert_eq!(slot.len(), 0x3_0000);
}

#[test]
fn the_number_of_memories_must_match_the_module() {
    let module = prepare(TWO, &Policy::default());
    let mut bytes = vec![0; WASM_PAGE];
    let given = &mut [bytes.as_mut_slice().into()];
    let expected = InstantiateError::MemoryCount {
        expected: 2,
        given: 1,
    };
    assert_eq!(module.instantiate(given, &at(0)), Err(expected));
}

#[test]
fn a_failed_start_resets_the_slots_already_started() {
    let wat = r#"(module
        (memory 1) (memory 2)
        (data (memory 0) (i32.const 0) "a")
        (data (memory 1) (i32.const 0) "b"))"#;
    let module = prepare(wat, &Policy::default());
    let (mut first, mut second) = (
        slot(),
        MemorySlot::new(&SlotConfig::new(0x1_0000)).expect("room"),
    );
    let memories = &mut [(&mut first).into(), (&mut second).into()];
    let expected = InstantiateError::Slot {
        memory: memory(1),
        error: SlotError::TooLarge {
            bytes: 0x2_0000,
            max_bytes: 0x1_0000,
        },
    };
    assert_eq!(module.instantiate(memories, &|_| None), Err(expected));
    assert_eq!(first.reset(), Err(SlotError::NotInUse));

    // A slot that was already in use stays in use.
    let mut second = slot();
    second.instantiate(None, 0x1_0000).expect("room");
    second.as_mut_slice()[0] = 7;
    let memories = &mut [(&mut first).into(), (&mut second).into()];
    let expected = InstantiateError::Slot {
        memory: memory(1),
        error: SlotError::InUse,
    };
    assert_eq!(module.instantiate(memories, &|_| None), Err(expected));
    assert_eq!(first.reset(), Err(SlotError::NotInUse));
    assert_eq!((second.len(), second.as_slice()[0]), (0x1_0000, 7));
}

#[test]
fn an_exhausted_pool_keeps_nothing() {
    let wat = r#"(module (memory 1) (memory 1))"#;
    let module = prepare(wat, &Policy::default());
    let max_slots = NonZeroUsize::MIN;
    let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(1 << 20), max_slots));
    let (mut first, mut second) = (None, None);
    let memories = &mut [(&pool, &mut first).into(), (&pool, &mut second).into()];
    let expected = InstantiateError::Acquire {
        memory: memory(1),
        error: AcquireError::Exhausted { max_slots: 1 },
    };
    assert_eq!(module.instantiate(memories, &|_| None), Err(expected));
    assert!(first.is_none() && second.is_none());
    // The first slot was returned.
    pool.try_acquire(None, 1).expect("ready");
}

#[test]
fn a_pooled_slot_must_hold_the_image() {
    let module = prepare(
        r#"(module (memory 1) (data (i32.const 0) "a"))"#,
        &Policy::default(),
    );
    let pool = PoolConfig::new(SlotConfig::new(1 << 20), NonZeroUsize::MIN);
    let pool = SlotPool::new(pool);
    let mut slot = pool.acquire(None, 0x1_0000).expect("room");
    let expected = InstantiateError::WrongImage { memory: memory(0) };
    let memories = &mut [(&mut slot).into()];
    assert_eq!(module.instantiate(memories, &|_| None), Err(expected));
    drop(slot);

    let image = module.memory(memory(0)).expect("one").image();
    let mut slot = pool.acquire(image, 0x1_0000).expect("room");
    let memories = &mut [(&mut slot).into()];
    assert_eq!(module.instantiate(memories, &|_| None), Ok(()));
    assert_eq!(slot.as_slice()[0], b'a');
}

#[test]
fn an_image_that_cannot_be_made_or_does_not_fit_names_its_memory() {
    let wasm = wat::parse_str(TWO).expect("valid");
    let module = wasm_meminit_analysis::Module::parse(&wasm).expect("valid");
    let plan = wasm_meminit_analysis::Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("small");
    let artifact = image.encode().expect("small");
    let artifact = Artifact::decode(&artifact).expect("just encoded");

    let error = ImageError::Unsupported;
    let made = PreparedModule::with_images(&artifact, &Host::new(), |_, _| Err(error));
    let expected = PrepareError::Image {
        memory: memory(1),
        error,
    };
    assert_eq!(made.expect_err("refused"), expected);

    let large = Image::capture(&[1; 0x2_0001]).expect("small");
    let made = PreparedModule::with_images(&artifact, &Host::new(), |_, _| {
        MemoryImage::in_heap(large.as_ref())
    });
    let err = made.expect_err("too large");
    assert!(matches!(err, PrepareError::DoesNotFit { .. }), "{err}");
}

/// The promise that imports are zero does not make them zero again after a failure.
#[test]
fn an_import_with_an_image_is_not_written_if_a_slot_fails_to_start() {
    let wat = r#"(module
        (import "env" "memory" (memory 1))
        (memory $own 2)
        (data (memory 0) (i32.const 0) "promised")
        (data (memory $own) (i32.const 0) "baked"))"#;
    let module = prepare(wat, &Policy::default().with_zeroed_imports(true));
    assert!(module.memories()[0].image().is_some());
    let mut imported = vec![0; WASM_PAGE];
    let mut small = MemorySlot::new(&SlotConfig::new(0x1_0000)).expect("room");
    let memories = &mut [imported.as_mut_slice().into(), (&mut small).into()];
    let err = module
        .instantiate(memories, &|_| None)
        .expect_err("too small");
    assert!(matches!(err, InstantiateError::Slot { .. }), "{err}");
    assert!(imported.iter().all(|byte| *byte == 0));

    let mut large = slot();
    let memories = &mut [imported.as_mut_slice().into(), (&mut large).into()];
    module.instantiate(memories, &|_| None).expect("room");
    assert_eq!(imported[..8], *b"promised");
}

/// A global that the module defines is not requested: its value is in the artifact.
#[test]
fn the_globals_are_those_of_replayed_offsets_each_once() {
    let wat = r#"(module
        (import "env" "unused" (global i32))
        (import "env" "base" (global $base i32))
        (import "env" "far" (global $far i64))
        (global $own i32 (i32.const 8))
        (memory 1)
        (memory i64 1)
        (data (global.get $own) "baked")
        (data (global.get $base) "a")
        (data (i32.add (global.get $base) (global.get $own)) "b")
        (data (memory 1) (global.get $far) "c"))"#;
    let module = prepare(wat, &Policy::default());
    let [base, far] = [1, 2].map(GlobalIndex::from_u32);
    let expected = [(base, IndexType::I32), (far, IndexType::I64)];
    assert!(module.globals().eq(expected));

    let mut slot = slot();
    let mut wide = vec![0; WASM_PAGE];
    let globals = |global| match global {
        _ if global == base => Some(Value::I32(100)),
        _ if global == far => Some(Value::I64(9)),
        _ => None,
    };
    let memories = &mut [(&mut slot).into(), wide.as_mut_slice().into()];
    assert_eq!(module.instantiate(memories, &globals), Ok(()));
    assert_eq!(slot.as_slice()[108], b'b');
}

/// Every system call of a start fails once: no slot stays in use, and the next start works.
#[cfg(all(target_os = "linux", feature = "fault-injection"))]
#[test]
fn a_start_that_the_system_refuses_leaves_every_slot_ready() {
    use wasm_meminit_apply::testing::{self, Plan};

    let wat = r#"(module
        (memory 1) (memory 1)
        (data (memory 0) (i32.const 0) "a")
        (data (memory 1) (i32.const 0) "b"))"#;
    let module = prepare(wat, &Policy::default());
    let (mut n_refused, mut n_lost) = (0, 0);
    for skip in 0.. {
        let mut slots = [slot(), slot()];
        testing::set(Some(Plan {
            skip,
            fail: 1,
            only: None,
            code: 12,
        }));
        let done = module.instantiate(&mut slots.each_mut().map(Into::into), &|_| None);
        let n_calls = testing::n_calls();
        testing::set(None);
        if let Err(err) = done {
            n_refused += 1;
            let InstantiateError::Slot { error, .. } = err else {
                panic!("{err}");
            };
            assert!(matches!(error, SlotError::Os(_)), "{error}");
            assert!(slots.iter().all(MemorySlot::is_empty));
            // Only a mapping that fails half-way costs a slot.
            let n_poisoned = slots.iter().filter(|slot| slot.is_poisoned()).count();
            n_lost += n_poisoned;
            if n_poisoned != 0 {
                continue;
            }
            module
                .instantiate(&mut slots.each_mut().map(Into::into), &|_| None)
                .expect("room");
        }
        assert_eq!(slots.each_ref().map(|slot| slot.as_slice()[0]), *b"ab");
        if n_calls <= skip {
            break;
        }
    }
    // Each slot needs at least a mapping and an `mprotect`.
    assert!(4 <= n_refused, "{n_refused}");
    assert_eq!(n_lost, 2, "one for each mapping of an image");
}
