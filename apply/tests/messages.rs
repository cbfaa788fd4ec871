//! What errors say: what failed, with which value, and what caused it.

use core::error::Error;

use wasm_meminit_apply::{
    AcquireError, Assumption, Call, DataIndex, EvalError, GlobalIndex, HostHas, ImageError,
    IndexType, InstantiateError, MemoryIndex, MemoryTooSmall, PrepareError, SlotError, Support,
    Value,
};

#[track_caller]
fn check(cases: &[(&dyn Error, &str)]) {
    for (error, expected) in cases {
        assert_eq!(error.to_string(), *expected);
        assert!(error.source().is_none(), "{expected}");
    }
}

/// A cause is part of the message, and can be asked for.
#[track_caller]
fn check_caused(error: &dyn Error, expected: &str, cause: &str) {
    assert_eq!(error.to_string(), expected);
    let source = error.source().map(ToString::to_string);
    assert_eq!(source.as_deref(), Some(cause));
}

const SMALL: MemoryTooSmall = MemoryTooSmall {
    image_end: 17,
    memory_bytes: 16,
};
const SMALL_TEXT: &str = "the image ends at address 0x11, past the end of the memory of 0x10 bytes";

#[test]
fn of_images() {
    check(&[
        (
            &ImageError::TooLarge { image_end: 16 },
            "the image ends at address 0x10, which does not fit the address space",
        ),
        (
            &ImageError::PageSize {
                image: 1,
                host: 4096,
            },
            "runs aligned to 1 bytes cannot be mapped with host pages of 4096 bytes",
        ),
        (&ImageError::NoSuchMemory, "the artifact has no such memory"),
        (
            &ImageError::FileTooShort {
                expected: 9,
                found: 8,
            },
            "the file has 8 bytes, the artifact needs 9",
        ),
        (&ImageError::NotRegular, "the file is not a regular file"),
        (
            &ImageError::FilePageSize { file: 9, host: 8 },
            "the file is mapped in pages of 9 bytes, but the host page is 8 bytes",
        ),
        (
            &ImageError::FileOffset {
                offset: 17,
                host: 8,
            },
            "file offset 0x11 is not a multiple of the host page size of 8 bytes",
        ),
        (
            &ImageError::FileDiffers { offset: 17 },
            "the file differs from the artifact at offset 0x11",
        ),
        (
            &ImageError::NotSealed,
            "the file is not sealed against writing and shrinking",
        ),
        (&ImageError::Unsupported, "this target cannot map files"),
    ]);
}

#[test]
fn of_slots_and_pools() {
    check(&[
        (&SlotError::InUse, "the slot is in use"),
        (&SlotError::NotInUse, "the slot is not in use"),
        (
            &SlotError::Poisoned,
            "the slot was poisoned by an earlier failure",
        ),
        (
            &SlotError::TooLarge {
                bytes: 9,
                max_bytes: 8,
            },
            "a memory of 9 bytes does not fit the slot, which reserves 8 bytes",
        ),
        (
            &SlotError::Shrinks {
                bytes: 8,
                current: 9,
            },
            "a memory of 9 bytes cannot shrink to 8 bytes",
        ),
        (
            &SlotError::Unsupported,
            "this system does not support the operation",
        ),
        (
            &AcquireError::Exhausted { max_slots: 3 },
            "all 3 slots of the pool are in use",
        ),
        (
            &AcquireError::TimedOut { max_slots: 3 },
            "timed out waiting for a slot: none of the pool's 3 slots was returned",
        ),
    ]);
    check_caused(&SlotError::from(SMALL), SMALL_TEXT, SMALL_TEXT);
    let acquired = AcquireError::from(SlotError::InUse);
    check_caused(&acquired, "the slot is in use", "the slot is in use");
}

#[test]
fn of_modules() {
    let memory = MemoryIndex::from_u32(4);
    let global = GlobalIndex::from_u32(3);
    let (in_use, no_memory) = (SlotError::InUse, ImageError::NoSuchMemory);
    check_caused(
        &PrepareError::Image {
            memory,
            error: no_memory,
        },
        "image of memory 4: the artifact has no such memory",
        "the artifact has no such memory",
    );
    check_caused(
        &PrepareError::Offset {
            segment: DataIndex::from_u32(5),
            error: EvalError::UnknownGlobal(global),
        },
        "offset of data segment 5: the value of global 3 is not known",
        "the value of global 3 is not known",
    );
    check_caused(
        &InstantiateError::Slot {
            memory,
            error: in_use,
        },
        "memory 4: the slot is in use",
        "the slot is in use",
    );
    check_caused(
        &InstantiateError::Acquire {
            memory,
            error: AcquireError::Exhausted { max_slots: 3 },
        },
        "memory 4: all 3 slots of the pool are in use",
        "all 3 slots of the pool are in use",
    );
    let needs = |found| InstantiateError::Global {
        global,
        expected: IndexType::I64,
        found,
    };
    check(&[
        (
            &PrepareError::OutOfMemory,
            "allocation failed for the data segments to replay",
        ),
        (
            &needs(Some(Value::I32(1))),
            "global 3 needs a value of type i64, found 1 of type i32",
        ),
        (
            &needs(None),
            "global 3 needs a value of type i64, but none was provided",
        ),
        (
            &InstantiateError::MemoryCount {
                expected: 1,
                given: 0,
            },
            "the module has 1 memory, but 0 were passed",
        ),
        (
            &InstantiateError::MemoryCount {
                expected: 2,
                given: 1,
            },
            "the module has 2 memories, but 1 was passed",
        ),
    ]);
}

/// Equal numbers of different types are told apart.
#[test]
fn of_globals_that_the_images_depend_on() {
    let global = GlobalIndex::from_u32(3);
    let built_for = |assumed, found| InstantiateError::AssumedGlobal {
        global,
        assumed,
        found,
    };
    let assumption = |found| PrepareError::Assumption {
        assumed: Assumption::GlobalValue {
            global,
            module: "host".into(),
            name: "base".into(),
            value: Value::I32(7),
        },
        found,
    };
    check(&[
        (
            &built_for(Value::I32(7), Value::I32(8)),
            "global 3 is 8, but the images were built for 7",
        ),
        (
            &built_for(Value::I32(7), Value::I64(7)),
            "global 3 is 7 of type i64, but the images were built for 7 of type i32",
        ),
        (
            &assumption(HostHas::Value(Value::I32(8))),
            "the artifact assumes that global 3 (\"host\" \"base\") is 7, but this host has 8\n\
             hint: rebuild the artifact for what this host supplies",
        ),
        (
            &assumption(HostHas::Value(Value::I64(7))),
            "the artifact assumes that global 3 (\"host\" \"base\") is 7, but this host has 7 of \
             type i64, not i32\nhint: rebuild the artifact for what this host supplies",
        ),
        (
            &assumption(HostHas::Unstated),
            "the artifact assumes that global 3 (\"host\" \"base\") is 7, but this host does not \
             say\nhint: if it holds, state it in the `Host`; else rebuild the artifact for what \
             this host supplies",
        ),
    ]);
}

#[test]
fn calls_have_the_names_of_their_manual_pages() {
    let calls = [
        (Call::Allocate, "allocation"),
        (Call::Fcntl, "fcntl"),
        (Call::Fstat, "fstat"),
        (Call::Fstatfs, "fstatfs"),
        (Call::Ftruncate, "ftruncate"),
        (Call::PagemapScan, "ioctl(PAGEMAP_SCAN)"),
        (Call::Madvise, "madvise"),
        (Call::MemfdCreate, "memfd_create"),
        (Call::Mmap, "mmap"),
        (Call::Mprotect, "mprotect"),
        (Call::Munmap, "munmap"),
        (Call::Open, "open"),
        (Call::PidfdOpen, "pidfd_open"),
        (Call::ProcessMadvise, "process_madvise"),
        (Call::Pwrite, "pwrite"),
        (Call::Unlink, "unlink"),
    ];
    for (call, name) in calls {
        assert_eq!(call.to_string(), name);
    }
    assert_eq!(Support::Absent.to_string(), "no: not on this target");
}
