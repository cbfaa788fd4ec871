//! Checks that every rewrite takes linear time: each algorithm runs on its worst cases, at
//! one size and at four times that size.

use core::hint::black_box;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, externalize, pack, pack_memory, strip,
    strip_renumbered,
};

use crate::clock::now;
use crate::generated;
use crate::report;

/// The largest exponent that counts as linear, allowing for logarithms and noise.
const MAX_EXPONENT: f64 = 1.3;

static ALONE: Mutex<()> = Mutex::new(());

/// Fails if four times the input takes more than 4 to the power of 1.3 times as long,
/// measured by the fastest of interleaved runs.
fn check(name: &str, n: u32, run: impl Fn(u32) -> Box<dyn Fn()>) {
    let (small, large) = (run(n), run(4 * n));
    // Tests run in parallel and would evict each other from the caches.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut least = [Duration::MAX; 2];
    let mut exponent = f64::INFINITY;
    // Noise only adds time, so more rounds approach the actual duration.
    for round in 0..40 {
        for (least, run) in least.iter_mut().zip([&small, &large]) {
            let start = now();
            run();
            *least = now().saturating_sub(start).min(*least);
        }
        exponent = (least[1].as_secs_f64() / least[0].as_secs_f64()).log(4.0);
        // Noise does not persist for this many rounds; stop early for quadratic algorithms.
        let is_clearly_superlinear = 12 <= round && 1.7 < exponent;
        if 2 <= round && exponent < MAX_EXPONENT || is_clearly_superlinear {
            break;
        }
    }
    report(&format!(
        "growth of {name}: n to the {exponent:.2}, {least:?}"
    ));
    assert!(exponent < MAX_EXPONENT, "{name}: n to the {exponent:.2}");
}

fn leaked(wasm: Vec<u8>) -> Module<'static> {
    Module::parse(Vec::leak(wasm)).expect("valid")
}

/// One-byte segments in ascending order, in descending order, all at one address, in 100
/// memories, and two pages apart; and one segment with gaps near the splitting threshold.
fn shapes(n: u32) -> [(&'static str, Vec<u8>); 6] {
    let byte = || vec![1];
    let gaps = (0..n).flat_map(|nth| {
        let gap = 5 + (nth * 7) % 11;
        core::iter::once(1).chain(vec![0; gap as usize])
    });
    [
        (
            "ascending",
            generated::segments(1, (0..n).map(|nth| (0, nth * 16, byte()))),
        ),
        (
            "descending",
            generated::segments(1, (0..n).rev().map(|nth| (0, nth * 16, byte()))),
        ),
        (
            "one address",
            generated::segments(1, (0..n).map(|_| (0, 5, byte()))),
        ),
        (
            "100 memories",
            generated::segments(100, (0..n).map(|nth| (nth % 100, nth / 100 * 40, byte()))),
        ),
        (
            "pages",
            generated::segments(1, (0..n).map(|nth| (0, nth * 8192, byte()))),
        ),
        (
            "gaps",
            generated::segments(1, [(0, 1 << 20, gaps.collect())]),
        ),
    ]
}

/// Four times 2,400 is below 10,000, the default limit on the number of segments.
#[test]
fn packing() {
    for objective in [
        PackFor::Balanced,
        PackFor::Size,
        PackFor::Compressed,
        PackFor::Start,
    ] {
        for max_segments in [None, Some(0)] {
            for nth in 0..shapes(1).len() {
                let name = shapes(1)[nth].0;
                check(
                    &format!("pack {objective:?} {max_segments:?} {name}"),
                    2_400,
                    |n| {
                        let module = leaked(shapes(n).into_iter().nth(nth).expect("there").1);
                        let mut options = PackOptions::default().with_objective(objective);
                        if let Some(max_segments) = max_segments {
                            options = options.with_max_segments(max_segments);
                        }
                        Box::new(move || {
                            black_box(pack(&module, &options).expect("packed"));
                        })
                    },
                );
            }
        }
    }
}

#[test]
fn stripping() {
    for nth in 0..shapes(1).len() {
        let name = shapes(1)[nth].0;
        for (rewrite, f) in [
            ("strip", strip as fn(&_, &_) -> _),
            ("renumber", strip_renumbered),
        ] {
            check(&format!("{rewrite} {name}"), 10_000, |n| {
                let module = leaked(shapes(n).into_iter().nth(nth).expect("there").1);
                let plan = Plan::new(&module, &Policy::smallest(HostPageSize::KIB_4));
                Box::new(move || {
                    black_box(f(&module, &plan).expect("stripped"));
                })
            });
        }
    }
}

/// A start function that writes and drops all segments.
#[test]
fn stripping_a_start_function() {
    check("strip of a start function", 5_000, |n| {
        let module = leaked(generated::start_function(n));
        let policy = Policy::default().with_start_function(StartFunction::WritesStripped);
        let plan = Plan::new(&module, &policy);
        assert!(plan.start().is_ok(), "{:?}", plan.start());
        Box::new(move || {
            black_box(strip(&module, &plan).expect("stripped"));
        })
    });
}

#[test]
fn imports() {
    check("externalize", 10_000, |n| {
        let module = leaked(generated::imports(n));
        Box::new(move || {
            let name = |nth: MemoryIndex| format!("memory{}", nth.as_u32());
            let rewritten = externalize(&module, DEFAULT_IMPORT_MODULE, &name);
            black_box(rewritten.expect("externalized"));
        })
    });
}

#[test]
fn packing_a_captured_memory() {
    check("pack_memory", 4_000, |n| {
        let module = leaked(generated::segments(1, []));
        let mut memory = vec![0; n as usize * 64];
        memory.iter_mut().step_by(64).for_each(|byte| *byte = 1);
        let image = Image::capture(&memory).expect("small");
        Box::new(move || {
            let index = MemoryIndex::from_u32(0);
            let options = PackOptions::default().with_max_segments(7);
            let packed = pack_memory(&module, index, image.as_ref(), 0, &options);
            black_box(packed.expect("packed"));
        })
    });
}
