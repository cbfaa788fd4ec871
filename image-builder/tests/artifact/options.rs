//! Every artifact that is written can be read, for all options.

use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::ModuleImage;

use crate::both;
use crate::inputs::{Recipe, modules, page, recipes};

fn policies(page: HostPageSize) -> Vec<Policy> {
    vec![
        Policy::balanced(page),
        Policy::smallest(page),
        Policy::reference(page),
        Policy::balanced(page).with_max_gap(0),
        Policy::smallest(page)
            .with_max_runs(2)
            .with_max_image_size(1 << 20),
    ]
}

#[test]
fn every_artifact_is_read_by_both_decoders() {
    let starts = [
        StartFunction::Unchanged,
        StartFunction::AlreadyInitialized,
        StartFunction::AlreadyInitializedTls,
        StartFunction::WritesStripped,
    ];
    let mut n = 0;
    for (name, wasm) in modules() {
        for bytes in [1, 2, 16, 4096, 1 << 16, 1 << 21] {
            for policy in policies(page(bytes)) {
                for start in starts {
                    let policy = policy
                        .with_zeroed_imports(bytes != 16)
                        .with_start_function(start);
                    // No larger alignments: the files would be too large.
                    for alignment in [None, Some(page(bytes)), Some(page(64.max(bytes)))] {
                        let recipe = Recipe {
                            alignment,
                            ..Recipe::new(policy)
                        };
                        let Some(artifact) = recipe.build(&wasm) else {
                            continue;
                        };
                        if artifact.len() < 1 << 18
                            || alignment.is_none()
                                && start == StartFunction::Unchanged
                                && n % 16 == 0
                        {
                            both(&format!("{name} {policy:?} {alignment:?}"), &artifact);
                            n += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{n} artifacts");
    assert!(n > 3_000, "only {n}");
}

/// Encoding allocates no padding, whatever the page size.
#[test]
fn padding_of_1_gib_is_not_allocated() {
    for (name, wasm, recipe) in recipes() {
        let module = recipe.module(&wasm);
        let plan = Plan::new(&module, &Policy::smallest(page(1)));
        let image = ModuleImage::build(&module, &plan).expect("small");
        let image = image.with_file_alignment(page(1 << 30));
        let parts = image.encode_parts().expect("parts borrow");
        let sum = |parts: &[&[u8]]| parts.iter().map(|it| it.len() as u64).sum::<u64>();
        let is_baked = plan.memories().values().any(|it| it.image_bytes() != 0);
        assert!(parts.head().len() < 4096, "{name}");
        assert_eq!(1 << 29 < sum(parts.payload()), is_baked, "{name}");
        // All padding borrows the same zeros.
        let mut places: Vec<*const u8> = parts.payload().iter().map(|it| it.as_ptr()).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() < 64, "{name}");
    }
}

/// The default adds at most a quarter, and is not used for small or sparse images.
#[test]
fn the_default_alignment_supports_all_page_sizes_for_large_images() {
    let text = r#"(module (memory 64) (data (i32.const 1000000) "a") (data (i32.const 2500000) "b")
        (data (i32.const 65536) ""#
        .to_owned()
        + &"0123456789abcdef".repeat(50_000)
        + "\"))";
    let wasm = wat::parse_str(text).expect("text format");
    let large = Recipe::new(Policy::default()).build(&wasm).expect("small");
    let file = both("large", &large);
    assert_eq!(file.align_log2, 16);
    let runs = &file.memories[0].runs;
    assert!(1 < runs.len());
    for run in runs {
        assert_eq!(run.offset % 65536, run.addr % 65536);
        assert!(run.data.len().is_multiple_of(4096));
    }
    let unaligned = Recipe {
        alignment: Some(page(4096)),
        ..Recipe::new(Policy::default())
    };
    let unaligned = unaligned.build(&wasm).expect("small").len();
    assert!(large.len() <= unaligned + unaligned / 4);

    let small = wat::parse_str(r#"(module (memory 64) (data (i32.const 9) "a"))"#).unwrap();
    let small = Recipe::new(Policy::default()).build(&small).expect("small");
    assert_eq!((both("small", &small).align_log2, small.len()), (12, 8192));
}

/// The bytes depend only on the module and the policy.
#[test]
fn the_same_input_gives_the_same_bytes() {
    for (name, wasm, recipe) in recipes() {
        let elsewhere = wasm.clone();
        assert!(recipe.build(&wasm) == recipe.build(&elsewhere), "{name}");
        let module = Module::parse(&wasm).expect("a module");
        let plan = Plan::new(&module, &recipe.policy);
        let image = ModuleImage::build(&module, &plan).expect("small");
        let parts = image.encode_parts().expect("small");
        let joined = [&[parts.head()], parts.payload()].concat().concat();
        assert!(joined == image.encode().expect("small"), "{name}");
    }
}
