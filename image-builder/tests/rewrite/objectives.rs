//! What each objective of `pack` improves, and what it must not make worse.

use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, Packed, pack};

use crate::generated::segments;

fn packed_with(wasm: &[u8], options: PackOptions) -> Packed {
    let module = Module::parse(wasm).expect("valid");
    pack(&module, &options).expect("packed")
}

fn packed(wasm: &[u8], objective: PackFor) -> Packed {
    packed_with(wasm, PackOptions::default().with_objective(objective))
}

/// Returns whether wasmtime with default settings creates images of the module's memories.
pub(crate) fn has_image(wasm: &[u8]) -> bool {
    let module = Module::parse(wasm).expect("valid");
    let policy = Policy::single_run(HostPageSize::KIB_4, 16 << 20);
    Plan::new(&module, &policy).replay().is_empty()
}

/// A module with one dense segment of 17 MiB that contains many gaps, between data that cannot
/// be compressed.
fn dense() -> Vec<u8> {
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8 | 1
    };
    let mut bytes = vec![0; 17 << 20];
    for part in bytes.chunks_mut(256 << 10) {
        part[..64 << 10].fill_with(&mut noise);
    }
    segments(1, [(0, 1024, bytes)])
}

#[test]
fn packing_for_speed_keeps_engine_images() {
    let wasm = dense();
    assert!(has_image(&wasm));
    for objective in [PackFor::Balanced, PackFor::Compressed, PackFor::Start] {
        let packed = packed(&wasm, objective);
        assert!(has_image(&packed.wasm), "{objective:?}");
        // Zeros that the image does not need are left out.
        let saved = wasm.len() - packed.wasm.len();
        assert!(wasm.len() / 3 < saved, "{objective:?}: {saved}");
    }
    // Giving up the image would save about three quarters of the raw size.
    let small = packed(&wasm, PackFor::Size);
    assert!(small.wasm.len() < wasm.len() / 3);
    assert!(!has_image(&small.wasm));
}

/// Like a program linked by LLVM: two segments that contain zeros of all lengths.
#[test]
fn packing_does_not_create_thousands_of_segments() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut part = |n: u32| -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..n {
            bytes.extend((0..random() % 30).map(|nth| nth as u8 | 1));
            bytes.extend(vec![0; (random() % 25) as usize]);
        }
        bytes.push(1);
        bytes
    };
    let (first, second) = (part(20_000), part(3_000));
    let wasm = segments(1, [(0, 1024, first), (0, 1 << 20, second)]);
    for objective in [PackFor::Balanced, PackFor::Compressed, PackFor::Start] {
        let packed = packed(&wasm, objective);
        assert!(packed.after.segments <= 3, "{objective:?}: {packed:?}");
        assert!(packed.wasm.len() <= wasm.len());
    }
    let size = packed(&wasm, PackFor::Size);
    assert!(1_000 < size.after.segments && size.wasm.len() < wasm.len());
    assert!(size.after.segments <= 10_000);

    // Conversely, joining the segments of a module packed for size improves startup and compression.
    let joined = packed(&size.wasm, PackFor::Start);
    assert!(joined.is_changed && joined.after.segments <= 3);
    assert!(packed(&size.wasm, PackFor::Compressed).after.segments <= 100);
    let balanced = packed(&size.wasm, PackFor::Balanced);
    assert!(balanced.wasm.len() <= size.wasm.len());
}

#[test]
fn an_optimal_module_is_returned_unchanged() {
    let data: Vec<u8> = (1..=255).collect();
    // The section's size is padded, which a rewrite would not preserve.
    let mut wasm = segments(1, [(0, 1024, data)]);
    let at = wasm.len() - 263 - 2;
    assert_eq!(wasm[at - 1], 11, "the data section's id");
    wasm[at + 1] |= 0x80;
    wasm.insert(at + 2, 0);
    Module::parse(&wasm).expect("valid");
    for &objective in PackFor::ALL {
        let before = packed(&wasm, objective);
        if before.is_changed {
            // A byte of padding was removed. A second pass gains nothing.
            assert_eq!(before.wasm.len() + 1, wasm.len(), "{objective:?}");
        } else {
            assert_eq!(before.wasm, wasm, "{objective:?}");
            assert_eq!(before.after, before.before);
        }
        let again = packed(&before.wasm, objective);
        assert!(
            !again.is_changed && again.wasm == before.wasm,
            "{objective:?}"
        );
    }
}

#[test]
fn a_segment_limit_is_respected() {
    // Joined across 12 zeros each, the data grows, but to less than twice its size.
    let close = segments(1, (0..3_000).map(|nth| (0, nth * 13, vec![1])));
    let [free, limited] = [None, Some(0)].map(|max_segments| {
        let packed = PackFor::ALL.iter().map(|&objective| {
            let mut options = PackOptions::default().with_objective(objective);
            if let Some(max_segments) = max_segments {
                options = options.with_max_segments(max_segments);
            }
            packed_with(&close, options)
        });
        packed.collect::<Vec<_>>()
    });
    assert_eq!(free[1].after.segments, 3_000, "the fewest bytes");
    for (objective, packed) in PackFor::ALL.iter().zip(limited) {
        assert_eq!(packed.after.segments, 1, "{objective:?}");
    }

    // Far apart, they are not joined: filled gaps may at most double the data.
    let far = segments(1, (0..3_000).map(|nth| (0, nth << 20, vec![1])));
    for &objective in PackFor::ALL {
        let options = PackOptions::default()
            .with_objective(objective)
            .with_max_segments(1);
        let packed = packed_with(&far, options);
        assert!(packed.wasm.len() < 2 * far.len(), "{objective:?}");
    }
}

/// Three parts of 2 MiB in a span of 20 MiB: with the narrower gap filled, more than half of
/// it is data, and an engine creates an image. Also, offset expressions become constants.
#[test]
fn packing_for_start_can_gain_an_image() {
    let part = || vec![1; 2 << 20];
    let places = [0, 7 << 20, 18 << 20];
    let wasm = segments(1, places.map(|addr| (0, addr, part())));
    assert!(!has_image(&wasm));
    let start = packed(&wasm, PackFor::Start);
    assert!(has_image(&start.wasm));
    assert_eq!(start.after.segments, 2);
    assert!(!packed(&wasm, PackFor::Balanced).is_changed);

    let wasm = wat::parse_str(
        r#"(module (memory 1)
             (data (offset i32.const 1 i32.const 2 i32.add) "first")
             (data (i32.const 8) "second"))"#,
    )
    .expect("valid text");
    assert!(!has_image(&wasm));
    assert!(has_image(&packed(&wasm, PackFor::Start).wasm));
}

/// Each thread's instance writes the segments again, to a memory in use, so zeros must not be
/// added to them.
#[test]
fn shared_imports_are_not_packed() {
    let text = |shared: &str| {
        format!(
            r#"(module (import "env" "memory" (memory 1 1 {shared}))
                 (data (i32.const 0) "first") (data (i32.const 7) "second"))"#
        )
    };
    for &objective in PackFor::ALL {
        let options = PackOptions::default()
            .with_objective(objective)
            .with_zeroed_imports(true);
        let wasm = wat::parse_str(text("shared")).expect("valid text");
        let shared = packed_with(&wasm, options);
        assert!(!shared.is_changed && shared.wasm == wasm, "{objective:?}");
        let wasm = wat::parse_str(text("")).expect("valid text");
        assert_eq!(packed_with(&wasm, options).after.segments, 1);
    }
}

/// Two imports may be the same memory, also where one is too large for an image.
#[test]
fn imports_keep_their_order_though_one_has_no_image() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "a" (memory $a i64 200 (pagesize 1)))
             (import "env" "b" (memory $b i64 0xffffffffffffffff (pagesize 1)))
             (data (memory $b) (i64.const 0xfffffffffffffffe) "!")
             (data (memory $b) (i64.const 100) "before")
             (data (memory $a) (i64.const 100) "after")
             (data (memory $a) (i64.const 120) "")
             (data (memory $a) (i64.const 105) "tail"))"#,
    )
    .expect("valid text");
    for &objective in PackFor::ALL {
        let packed = packed(&wasm, objective);
        assert!(!packed.is_changed, "{objective:?}");
    }
}

/// A shared memory and one that is not cannot be the same.
#[test]
fn a_shared_import_does_not_keep_another_from_being_packed() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "shared" (memory $shared 1 1 shared))
             (import "env" "own" (memory $own 1))
             (data (memory $own) (i32.const 8) "first")
             (data (memory $shared) (i32.const 8) "other")
             (data (memory $own) (i32.const 13) "second"))"#,
    )
    .expect("valid text");
    for &objective in PackFor::ALL {
        let packed = packed(&wasm, objective);
        assert_eq!(packed.after.segments, 2, "{objective:?}");
    }
}

/// No promise makes two imports of one name distinct: the host has one memory of that name.
#[test]
fn imports_of_one_name_keep_their_order() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "m" (memory $a 1))
             (import "env" "m" (memory $b 1))
             (data (memory $a) (i32.const 0) "aaaa")
             (data (memory $b) (i32.const 0) "bbbb")
             (data (memory $a) (i32.const 2) "cc"))"#,
    )
    .expect("valid text");
    for &objective in PackFor::ALL {
        let options = PackOptions::default().with_objective(objective);
        let packed = packed_with(&wasm, options.with_zeroed_imports(true));
        assert!(!packed.is_changed, "{objective:?}");
    }
}

/// Between segments of an imported memory is what the host has written there.
#[test]
fn gaps_in_imported_memories_are_kept() {
    let wasm = wat::parse_str(
        r#"(module (import "env" "memory" (memory 1))
             (data (i32.const 8) "first") (data (i32.const 13) "second") (data (i32.const 20) "z"))"#,
    );
    let wasm = wasm.expect("valid text");
    for &objective in PackFor::ALL {
        let packed = packed(&wasm, objective);
        let module = Module::parse(&packed.wasm).expect("valid");
        let data: Vec<&[u8]> = module.segments().values().map(|it| it.data).collect();
        assert_eq!(data, [&b"firstsecond"[..], b"z"], "{objective:?}");
    }
}

/// Source maps name offsets in the file.
#[test]
fn code_stays_where_it_is_though_numbers_are_padded() {
    let wasm = wat::parse_str(
        r#"(module (memory 1) (func data.drop 0)
            (data "passive") (data (i32.const 8) "ab") (data (i32.const 10) "cd"))"#,
    )
    .expect("well formed");
    let plain = [0x0c, 1, 3];
    let at = wasm.windows(3).position(|it| it == plain);
    let at = at.expect("a data count section");
    let padded = [0x0c, 0x85, 0x80, 0x80, 0x80, 0, 0x83, 0x80, 0x80, 0x80, 0];
    let mut wide = wasm[..at].to_vec();
    wide.extend_from_slice(&padded);
    wide.extend_from_slice(&wasm[at + 3..]);

    let packed = packed(&wide, PackFor::Size);
    assert_eq!((packed.before.segments, packed.after.segments), (3, 2));
    let expected = [0x0c, 0x85, 0x80, 0x80, 0x80, 0, 0x82, 0x80, 0x80, 0x80, 0];
    assert_eq!(packed.wasm[at..at + padded.len()], expected);
    let code = at + padded.len()..at + padded.len() + 9;
    assert_eq!(packed.wasm[code.clone()], wide[code]);
}

/// As many bytes and segments, which compress as well, in another order.
#[test]
fn without_a_gain_a_module_is_returned_unchanged() {
    let wasm = segments(1, [(0, 200_000, vec![b'b']), (0, 100_000, vec![b'a'])]);
    for &objective in PackFor::ALL {
        let packed = packed(&wasm, objective);
        assert!(!packed.is_changed && packed.wasm == wasm, "{objective:?}");
    }
}

/// A regular pattern compresses better than the headers that would replace its zeros.
#[test]
fn a_balanced_module_does_not_grow_compressed() {
    let part = [vec![1], vec![0; 1199]].concat();
    let wasm = segments(1, [(0, 1024, [part.repeat(900), vec![1]].concat())]);
    let small = packed(&wasm, PackFor::Size);
    assert!(small.is_changed && 100 * small.wasm.len() < 2 * wasm.len());
    for objective in [PackFor::Balanced, PackFor::Compressed] {
        assert!(!packed(&wasm, objective).is_changed, "{objective:?}");
    }
}

/// wasmtime creates images of sparse memories that span less than 16 MiB.
#[test]
fn a_sparse_span_of_16_mib_is_filled_for_an_image() {
    const LEN: u32 = 2 << 20;
    let module = |span: u32| {
        let places = [0, 6 << 20, span - LEN];
        segments(1, places.map(|addr| (0, addr, vec![1; LEN as usize])))
    };
    let below = module((16 << 20) - 1);
    assert!(has_image(&below));
    assert!(!packed(&below, PackFor::Start).is_changed);
    let at = module(16 << 20);
    assert!(!has_image(&at));
    let packed = packed(&at, PackFor::Start);
    assert!(has_image(&packed.wasm));
    assert_eq!(packed.after.segments, 2);
}

/// Engines accept 100,000 segments, and no more.
#[test]
fn packing_uses_as_many_segments_as_engines_accept() {
    let bytes = [vec![1], vec![0; 15]].concat().repeat(100_002);
    let wasm = segments(1, [(0, 0, bytes)]);
    let options = PackOptions::default().with_objective(PackFor::Size);
    let packed = packed_with(&wasm, options.with_max_segments(usize::MAX));
    assert_eq!(packed.after.segments, 100_000);
    assert!(packed.wasm.len() < wasm.len());
}
