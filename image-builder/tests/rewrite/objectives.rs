//! What `pack` makes small, and what it never makes worse for that.

use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, Packed, pack};

use crate::generated::segments;

const ALL: [PackFor; 4] = [
    PackFor::Balanced,
    PackFor::Size,
    PackFor::Compressed,
    PackFor::Start,
];

fn packed_with(wasm: &[u8], options: PackOptions) -> Packed {
    let module = Module::parse(wasm).expect("valid");
    pack(&module, &options).expect("packed")
}

fn packed(wasm: &[u8], objective: PackFor) -> Packed {
    packed_with(wasm, PackOptions::default().with_objective(objective))
}

/// Whether wasmtime, as it comes, makes an image of the module's memories.
pub(crate) fn has_image(wasm: &[u8]) -> bool {
    let module = Module::parse(wasm).expect("valid");
    let policy = Policy::single_run(HostPageSize::KIB_4, 16 << 20);
    Plan::new(&module, &policy).replay().is_empty()
}

/// A module whose one dense segment of 17 MiB is full of gaps.
fn dense() -> Vec<u8> {
    let kib: Vec<u8> = [vec![1; 1024], vec![0; 3072]].concat();
    segments(1, [(0, 1024, kib.repeat(17 << 8))])
}

#[test]
fn no_engine_loses_its_image() {
    let wasm = dense();
    assert!(has_image(&wasm));
    for objective in [PackFor::Balanced, PackFor::Compressed, PackFor::Start] {
        assert!(has_image(&packed(&wasm, objective).wasm), "{objective:?}");
    }
    // What that is worth in raw bytes: three quarters, for whoever asks for it.
    let small = packed(&wasm, PackFor::Size);
    assert!(small.wasm.len() < wasm.len() / 3);
    assert!(!has_image(&small.wasm));
}

/// As LLVM links a program: two segments, and zeros of all lengths in them.
#[test]
fn no_thousands_of_segments() {
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

    // And back: a module that was packed for size starts and compresses better joined.
    let joined = packed(&size.wasm, PackFor::Start);
    assert!(joined.is_changed && joined.after.segments <= 3);
    assert!(packed(&size.wasm, PackFor::Compressed).after.segments <= 100);
    let balanced = packed(&size.wasm, PackFor::Balanced);
    assert!(balanced.wasm.len() <= size.wasm.len());
}

#[test]
fn what_is_best_already_comes_back_as_it_is() {
    let data: Vec<u8> = (1..=255).collect();
    // The section's size is padded, which a rewrite would not do.
    let mut wasm = segments(1, [(0, 1024, data)]);
    let at = wasm.len() - 263 - 2;
    assert_eq!(wasm[at - 1], 11, "the data section's id");
    wasm[at + 1] |= 0x80;
    wasm.insert(at + 2, 0);
    Module::parse(&wasm).expect("valid");
    for objective in ALL {
        let before = packed(&wasm, objective);
        if before.is_changed {
            // A byte of padding is gone: by then nothing is left to gain.
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
fn a_limit_is_kept() {
    // Joined across 12 zeros each, they are larger, and less than twice as large.
    let close = segments(1, (0..3_000).map(|nth| (0, nth * 13, vec![1])));
    let [free, limited] = [None, Some(0)].map(|max_segments| {
        ALL.map(|objective| {
            let mut options = PackOptions::default().with_objective(objective);
            if let Some(max_segments) = max_segments {
                options = options.with_max_segments(max_segments);
            }
            packed_with(&close, options)
        })
    });
    assert_eq!(free[1].after.segments, 3_000, "the fewest bytes");
    for (objective, packed) in ALL.iter().zip(limited) {
        assert_eq!(packed.after.segments, 1, "{objective:?}");
    }

    // Far apart, they stay: filled gaps come to no more than the data's own size.
    let far = segments(1, (0..3_000).map(|nth| (0, nth << 20, vec![1])));
    for objective in ALL {
        let options = PackOptions::default()
            .with_objective(objective)
            .with_max_segments(1);
        let packed = packed_with(&far, options);
        assert!(packed.wasm.len() < 2 * far.len(), "{objective:?}");
    }
}

/// Three parts of 2 MiB in a span of 20: with the narrower gap filled, more than half of
/// it is data, and an engine makes an image. Offsets that are no single constant become one.
#[test]
fn a_start_gains_an_image() {
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
    .expect("text of our own");
    assert!(!has_image(&wasm));
    assert!(has_image(&packed(&wasm, PackFor::Start).wasm));
}

/// Each thread's instance writes the segments again, to a memory that is in use: a zero
/// that was not in them must not be.
#[test]
fn shared_imports_stay_as_they_are() {
    let text = |shared: &str| {
        format!(
            r#"(module (import "env" "memory" (memory 1 1 {shared}))
                 (data (i32.const 0) "first") (data (i32.const 7) "second"))"#
        )
    };
    for objective in ALL {
        let options = PackOptions::default()
            .with_objective(objective)
            .assume_zeroed_imports(true);
        let wasm = wat::parse_str(text("shared")).expect("text of our own");
        let shared = packed_with(&wasm, options);
        assert!(!shared.is_changed && shared.wasm == wasm, "{objective:?}");
        let wasm = wat::parse_str(text("")).expect("text of our own");
        assert_eq!(packed_with(&wasm, options).after.segments, 1);
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
