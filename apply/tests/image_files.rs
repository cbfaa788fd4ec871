//! Files of images: which files are refused, and what happens to an image that gets none.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use alloc::sync::Arc;
use std::fs::File;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::{
    Call, ImageError, ImageSource, InstanceMemory, MemoryImage, MemorySlot, PoolConfig, SlotConfig,
    SlotPool,
};
use wasm_meminit_image_builder::{Artifact, Image, ModuleImage};
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    BEST, PAGE, PATH, Path, artifact, assert_same, bytes, lacks, sealed_file, skip, state,
};

const EMFILE: i32 = 24;
const EFBIG: i32 = 27;

#[track_caller]
fn refused(artifact: &Artifact<'_>, file: &File) -> ImageError {
    MemoryImage::map_sealed(artifact, first_memory(), file).expect_err("must not be mapped")
}

fn first_memory() -> MemoryIndex {
    MemoryIndex::from_u32(0)
}

fn set_limit(resource: Resource, bytes: u64) {
    let limit = Rlimit {
        current: Some(bytes),
        ..getrlimit(resource)
    };
    setrlimit(resource, limit).expect("lower is allowed");
}

/// Regression: mmap(2) rounds a mapping of huge pages up to whole ones, also with
/// `MAP_FIXED`: it went past the end of the reservation, over whatever was mapped there.
#[test]
fn a_file_of_huge_pages_is_refused() {
    const HUGE: u64 = 2 << 20;
    if PATH != Path::Linux {
        skip("files are not sealed");
        return;
    }
    let text = format!(
        r#"(module (memory 257) (data (i32.const {}) "x"))"#,
        8 * HUGE
    );
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let policy = Policy::balanced(HostPageSize::new(HUGE).expect("a power of two"));
    let plan = Plan::new(&module, &policy);
    let built = ModuleImage::build(&module, &plan).expect("small");
    let built = built.encode().expect("small");
    let decoded = Artifact::decode(&built).expect("just encoded");

    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    // Such a file can be created, and its length set, even without huge pages.
    let Ok(file) = rustix::fs::memfd_create(c"huge", flags) else {
        lacks("this kernel has no huge pages");
        return;
    };
    rustix::fs::ftruncate(&file, 4 * HUGE).expect("a multiple of huge pages");
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK).expect("sealed");
    let file = File::from(file);
    let expected = ImageError::FilePageSize {
        file: HUGE,
        host: bytes(PAGE),
    };
    assert_eq!(refused(&decoded, &file), expected);
}

#[test]
fn irregular_files_are_refused() {
    if PATH != Path::Linux {
        skip("files are not sealed");
        return;
    }
    let built = artifact(&[1; PAGE], &Policy::default());
    let decoded = Artifact::decode(&built).expect("just encoded");
    for path in ["/dev/zero", "/"] {
        let file = File::open(path).expect("there");
        assert_eq!(refused(&decoded, &file), ImageError::NotSealed, "{path}");
    }
}

/// Regression: a sealed file was not compared with the artifact: a memory that grew
/// showed what the file had after the data.
#[test]
fn a_file_that_differs_from_the_artifact_is_refused() {
    if PATH != Path::Linux {
        skip("files are not sealed");
        return;
    }
    let first = state(3 * PAGE, &[(0, 7, 1), (2 * PAGE, 9, 2)]);
    let policy = Policy::balanced(HostPageSize::KIB_4).with_max_gap(0);
    let built = artifact(&first, &policy);
    let decoded = Artifact::decode(&built).expect("just encoded");
    let start = decoded.memories()[0].file_offset();
    let start = usize::try_from(start).expect("small");
    // The first byte, the last of the data, the padding after it, and the end of the last
    // page.
    for at in [0, 6, 7, PAGE - 1, PAGE, PAGE + 8, PAGE + 9, 2 * PAGE - 1] {
        let mut other = built.clone();
        other[start + at] ^= 0x80;
        let expected = ImageError::FileDiffers {
            offset: bytes(start + at),
        };
        assert_eq!(refused(&decoded, &sealed_file(&other)), expected, "{at}");
    }
    // Bytes that are never mapped may differ.
    let mut other = built.clone();
    other.extend([1; PAGE]);
    let image = MemoryImage::map_sealed(&decoded, first_memory(), &sealed_file(&other));
    let image = Arc::new(image.expect("the same bytes"));
    assert_eq!(image.source(), ImageSource::ArtifactFile);
    let mut slot = MemorySlot::new(&SlotConfig::new(bytes(4 * PAGE))).expect("room");
    slot.instantiate(Some(&image), image.data_end())
        .expect("fits");
    slot.grow(bytes(4 * PAGE)).expect("room");
    let mut expected = first;
    expected.resize(4 * PAGE, 0);
    assert_same(slot.as_slice(), &expected, "grown");
}

/// Regression: ftruncate(2) beyond `RLIMIT_FSIZE` raises `SIGXFSZ`, which ended the
/// process.
#[test]
fn a_limit_on_file_sizes_is_kept() {
    let first = state(40 * PAGE, &[(0, 40 * PAGE, 1)]);
    for (limit, source) in [
        (0, ImageSource::Heap),
        (40 * PAGE - 1, ImageSource::Heap),
        (40 * PAGE, BEST),
    ] {
        let passed = in_process(test_name!(), &limit.to_string(), || {
            set_limit(Resource::Fsize, bytes(limit));
            let captured = Image::capture(&first).expect("small");
            let image = MemoryImage::new(captured.as_ref()).expect("a file or the heap");
            assert_eq!(image.source(), source);
            if source != BEST {
                let why = image.fallback().expect("a file was tried");
                assert_eq!((why.call(), why.code()), (Call::Ftruncate, EFBIG));
                let strict = MemoryImage::in_file(captured.as_ref());
                assert_eq!(strict.expect_err("no file"), ImageError::Os(why));
            }
            let mut slot = MemorySlot::new(&SlotConfig::new(bytes(40 * PAGE))).expect("room");
            slot.instantiate(Some(&Arc::new(image)), bytes(40 * PAGE))
                .expect("room");
            assert_same(slot.as_slice(), &first, "from the image that could be made");
            true
        });
        assert!(passed, "{limit}");
    }
}

/// Regression: without descriptors, images were put on the heap permanently, and nothing
/// reported it.
#[test]
fn an_image_without_a_file_reports_why_and_can_get_one_later() {
    let first = state(5 * PAGE, &[(PAGE, PAGE, 1), (4 * PAGE, 9, 2)]);
    let passed = in_process(test_name!(), "child", || {
        let captured = Image::capture(&first).expect("small");
        if PATH == Path::Portable {
            let image = MemoryImage::new(captured.as_ref()).expect("room");
            assert_eq!(image.fallback(), None, "this path only has the heap");
            let strict = MemoryImage::in_file(captured.as_ref());
            assert_eq!(strict.expect_err("none"), ImageError::Unsupported);
            assert_eq!(image.to_file().expect_err("none"), ImageError::Unsupported);
            return true;
        }
        let usual = getrlimit(Resource::Nofile);
        set_limit(Resource::Nofile, 0);
        let image = MemoryImage::new(captured.as_ref()).expect("room");
        assert_eq!(image.source(), ImageSource::Heap);
        let why = image.fallback().expect("a file was tried");
        assert_eq!(why.code(), EMFILE);
        for strict in [MemoryImage::in_file(captured.as_ref()), image.to_file()] {
            assert_eq!(strict.expect_err("no file"), ImageError::Os(why));
        }
        setrlimit(Resource::Nofile, usual).expect("as before");

        let later = image.to_file().expect("a file");
        let strict = MemoryImage::in_file(captured.as_ref()).expect("a file");
        let twice = later.to_file().expect("another file");
        // A slot that holds one of them starts from the other.
        let mut slot = MemorySlot::new(&SlotConfig::new(bytes(5 * PAGE))).expect("room");
        slot.instantiate(Some(&Arc::new(image)), bytes(5 * PAGE))
            .expect("room");
        slot.reset().expect("reset");
        for image in [later, strict, twice] {
            assert_eq!((image.source(), image.fallback()), (BEST, None));
            slot.instantiate(Some(&Arc::new(image)), bytes(5 * PAGE))
                .expect("room");
            assert_same(slot.as_slice(), &first, "from a file");
            slot.as_mut_slice().fill(0xa5);
            slot.reset().expect("reset");
        }
        true
    });
    assert!(passed);
}

/// Regression: an artifact with a thousand runs took a thousand mappings in each slot:
/// the 32nd slot failed, and a start took milliseconds.
#[test]
fn a_file_of_many_runs_takes_few_mappings() {
    if PATH == Path::Portable {
        skip("nothing is mapped on this path");
        return;
    }
    let passed = in_process(test_name!(), "child", || {
        const N_RUNS: usize = 1000;
        let mut first = vec![0; 2 * N_RUNS * PAGE];
        for page in first.chunks_mut(2 * PAGE) {
            page[5] = 1;
        }
        let policy = Policy::smallest(HostPageSize::KIB_4).with_max_gap(0);
        let built = artifact(&first, &policy);
        let decoded = Artifact::decode(&built).expect("just encoded");
        let image = decoded.image(first_memory()).expect("one memory");
        assert_eq!(image.layout().len(), N_RUNS);
        let file = sealed_file(&built);
        let image = match PATH {
            Path::Linux => MemoryImage::map_sealed(&decoded, first_memory(), &file),
            _ => MemoryImage::new(image),
        };
        let image = Arc::new(image.expect("room"));
        let n_mappings = || {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
            maps.lines().count()
        };
        let before = n_mappings();
        let max_bytes = bytes(first.len());
        let max_slots = core::num::NonZeroUsize::new(100).expect("not zero");
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(max_bytes), max_slots));
        let mut held = Vec::new();
        for _ in 0..100 {
            let slot = pool.try_acquire(Some(&image), max_bytes).expect("room");
            assert_same(slot.as_slice(), &first, "at the start");
            held.push(slot);
        }
        let per_slot = (n_mappings() - before).div_ceil(100);
        assert!(per_slot <= 2 * 8 + 3, "{per_slot} mappings for each slot");
        // What is not mapped is copied, and counted as such.
        let stats = pool.stats();
        let copies = image.source() == ImageSource::ArtifactFile;
        assert_eq!(stats.n_image_copies, if copies { 100 } else { 0 });
        true
    });
    assert!(passed);
}

/// Each slot maps an image in several pieces, if it may: all slots of a pool together must not
/// use up the mappings of the process.
#[test]
fn slots_of_a_large_pool_leave_room_for_each_other() {
    const N_ISLANDS: usize = 8;
    const MIB: usize = 1 << 20;
    if PATH != Path::Linux {
        skip("the number of mappings is not limited");
        return;
    }
    let max = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("/proc");
    let max: usize = max.trim().parse().expect("a number");
    if 200_000 < max {
        lacks("vm.max_map_count is over 200,000: so many slots take too long");
        return;
    }
    let passed = in_process(test_name!(), "child", || {
        let islands = [0, 1, 2, 3, 4, 5, 6, 7].map(|nth| (2 * nth * MIB, PAGE, 1 + nth as u8));
        let first = state(2 * N_ISLANDS * MIB, &islands);
        let captured = Image::capture(&first).expect("small");
        let image = Arc::new(MemoryImage::new(captured.as_ref()).expect("room"));
        let max_bytes = bytes(first.len());
        // With a piece for each island, half as many slots would be too many.
        let n_slots = max / 8;
        let max_slots = core::num::NonZeroUsize::new(n_slots).expect("not zero");
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(max_bytes), max_slots));
        let mut held = Vec::new();
        for nth in 0..n_slots {
            match pool.try_acquire(Some(&image), max_bytes) {
                Ok(slot) => held.push(slot),
                Err(err) => panic!("slot {nth} of {n_slots}: {err}"),
            }
        }
        let last = held.last().expect("several");
        assert_same(last.as_slice(), &first, "at the start");
        true
    });
    assert!(passed);
}

#[test]
fn an_image_without_bytes_needs_no_file() {
    let captured = Image::capture(&[0; PAGE]).expect("small");
    let image = MemoryImage::in_file(captured.as_ref()).expect("nothing to store");
    assert!(image.is_empty());
    assert!(image.to_file().expect("nothing to store").is_empty());
    assert_eq!(image.fallback(), None);
}

/// Debug output has sizes and addresses. Regression: it contained every byte of a heap
/// image, and of a memory without mappings.
#[test]
fn debug_text_is_short_and_shows_no_bytes() {
    const SECRET: &[u8] = b"hunter2!hunter2!";
    let shown = "104, 117, 110, 116";
    let mut first = vec![0; 300 * PAGE];
    for page in first.chunks_mut(2 * PAGE) {
        page[..SECRET.len()].copy_from_slice(SECRET);
    }
    let policy = Policy::balanced(HostPageSize::KIB_4).with_max_gap(0);
    let captured = Image::capture_with(&first, &policy).expect("small");
    let images = [
        MemoryImage::in_heap(captured.as_ref()),
        MemoryImage::new(captured.as_ref()),
    ];
    for image in images {
        let image = Arc::new(image.expect("room"));
        let config = SlotConfig::new(bytes(300 * PAGE));
        let mut slot = MemorySlot::new(&config).expect("room");
        slot.instantiate(Some(&image), bytes(300 * PAGE))
            .expect("room");
        slot.as_mut_slice()[PAGE..PAGE + SECRET.len()].copy_from_slice(SECRET);
        let one = core::num::NonZeroUsize::MIN;
        let pool = SlotPool::new(PoolConfig::new(config, one));
        let mut pooled = pool
            .try_acquire(Some(&image), bytes(300 * PAGE))
            .expect("room");
        pooled.as_mut_slice()[PAGE..PAGE + SECRET.len()].copy_from_slice(SECRET);
        let mut texts = vec![
            format!("{image:?}"),
            format!("{slot:?}"),
            format!("{pooled:?}"),
            format!("{pool:?}"),
            format!("{:?}", InstanceMemory::from(slot.as_mut_slice())),
            format!("{:?}", InstanceMemory::from(&mut slot)),
            format!("{captured:?}"),
            format!("{:?}", captured.as_ref()),
        ];
        drop(pooled);
        slot.reset().expect("reset");
        texts.extend([format!("{slot:?}"), format!("{pool:?}")]);
        for text in texts {
            assert!(!text.contains(shown) && !text.contains("hunter2"), "{text}");
            assert!(text.len() < 4000, "{} characters: {text}", text.len());
        }
    }
}
