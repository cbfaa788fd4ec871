//! What errors say: what failed, with which value.

use core::error::Error;

use wasm_meminit_image_builder::analysis::{
    DataIndex, HostPageSize, MemoryIndex, MemoryInitialization, Module, Plan, Policy,
};
use wasm_meminit_image_builder::rewrite::RewriteError;
use wasm_meminit_image_builder::verify::{Finding, MustReplay};
use wasm_meminit_image_builder::{
    Artifact, BuildError, BundleError, DecodeError, EncodeError, ModuleImage, Part, try_static_init,
};

#[track_caller]
fn check(cases: &[(&dyn Error, &str)]) {
    for (error, expected) in cases {
        assert_eq!(error.to_string(), *expected);
        assert!(error.source().is_none(), "{expected}");
    }
}

#[test]
fn of_building() {
    check(&[
        (
            &BuildError::SizeLimit {
                image_bytes: 9,
                limit: 8,
            },
            "an image of 9 bytes exceeds the limit of 8 bytes",
        ),
        (
            &BuildError::TooLarge { image_bytes: 9 },
            "an image of 9 bytes does not fit in the address space",
        ),
        (
            &BuildError::PageSize {
                wasm_page: 1,
                host_page: 8,
            },
            "the policy rejects wasm pages of 1 byte, smaller than host pages of 8 bytes",
        ),
        (
            &BuildError::OutOfMemory { image_bytes: 9 },
            "failed to allocate an image of 9 bytes",
        ),
        (
            &BuildError::WrongPlan,
            "the plan was made for another module",
        ),
        (&EncodeError::OutOfMemory, "failed to allocate the artifact"),
        (
            &EncodeError::HeaderTooLarge,
            "the artifact's header would be 4 GiB or larger",
        ),
    ]);
}

#[test]
fn of_bundles() {
    check(&[
        (&BundleError::NotABundle, "not a wasm-meminit bundle"),
        (
            &BundleError::Version {
                found: 9,
                supported: 1,
            },
            "bundle has version 9, expected version 1\n\
             hint: build it again from its component",
        ),
        (&BundleError::Preamble, "bundle damaged: invalid preamble"),
        (
            &BundleError::TooMany { found: 70_000 },
            "70000 artifacts, at most 1000 fit a bundle",
        ),
        (&BundleError::TooLarge, "the bundle is too large for memory"),
        (
            &BundleError::Truncated {
                expected: 9,
                found: 8,
            },
            "bundle truncated: 8 bytes, expected 9",
        ),
        (
            &BundleError::TrailingBytes {
                expected: 8,
                found: 9,
            },
            "bundle has trailing bytes: 9 bytes, expected 8",
        ),
        (
            &BundleError::Checksum,
            "bundle damaged: checksum mismatch in the index",
        ),
        (
            &BundleError::Index { entry: 1 },
            "bundle damaged: invalid entry 1 of the index",
        ),
        (
            &BundleError::Padding { entry: 1 },
            "bundle damaged: invalid padding before artifact 1",
        ),
    ]);
    let error = DecodeError::Checksum { part: Part::Header };
    let caused = BundleError::Artifact { entry: 2, error };
    let text = "artifact damaged: checksum mismatch in the header";
    assert_eq!(caused.to_string(), format!("artifact 2: {text}"));
    let source = caused.source().map(ToString::to_string);
    assert_eq!(source.as_deref(), Some(text));
}

#[test]
fn of_rewriting() {
    let memory = MemoryIndex::from_u32(2);
    check(&[
        (
            &RewriteError::NoBinary,
            "the module was not parsed from bytes",
        ),
        (
            &RewriteError::Malformed { offset: 16 },
            "malformed WebAssembly binary (at offset 0x10)",
        ),
        (
            &RewriteError::WrongPlan,
            "the plan was made for another module",
        ),
        (
            &RewriteError::Relocatable,
            "cannot rewrite an object file: its relocations refer to data segments\n\
             hint: link it first",
        ),
        (
            &RewriteError::NameTaken { memory },
            "cannot import memory 2: another import already has its name",
        ),
        (
            &RewriteError::ImportedTwice { memory },
            "memory 2 is imported under the name of another one",
        ),
        (
            &RewriteError::UnknownMemory { memory },
            "memory 2 does not exist",
        ),
        (
            &RewriteError::ImportedMemory { memory },
            "memory 2 is imported",
        ),
        (
            &RewriteError::AboveMaximum {
                memory,
                size_bytes: 9,
            },
            "9 bytes exceed the maximum size of memory 2",
        ),
        (
            &RewriteError::TooManySegments { n_segments: 9 },
            "9 data segments would remain, but engines accept at most 100000",
        ),
        (
            &RewriteError::TooLarge,
            "a section would be 4 GiB or larger",
        ),
        (&RewriteError::TooDeep, "components are nested too deeply"),
    ]);
}

#[test]
fn of_findings() {
    let (memory, segment) = (MemoryIndex::from_u32(2), DataIndex::from_u32(3));
    for (finding, text) in [
        (
            Finding::ReplayList { segment },
            "replay list: segment 3 differs from the module",
        ),
        (
            Finding::NotStripped { segment },
            "the module is not stripped: segment 3 still has its bytes and is not in the replay list",
        ),
        (
            Finding::Run { memory, addr: 16 },
            "memory 2 has a run at address 0x10 although it is imported and the artifact does not \
             assume that it is zeroed",
        ),
    ] {
        assert_eq!(finding.to_string(), text);
    }
    for (because, text) in [
        (MustReplay::UnknownAddress, "its address is not known"),
        (MustReplay::OutOfBounds, "it is out of bounds"),
        (MustReplay::ImportedMemory, "its memory is imported"),
        (
            MustReplay::AfterBarrier(segment),
            "it is after barrier segment 3",
        ),
    ] {
        let finding = Finding::MustReplay {
            segment: DataIndex::from_u32(4),
            because,
        };
        let expected = format!("segment 4 is not replayed although {text}");
        assert_eq!(finding.to_string(), expected);
    }
}

#[test]
fn of_parts() {
    for (part, text) in [
        (Part::Preamble, "preamble"),
        (Part::Header, "header"),
        (Part::MemoryType, "memory type"),
        (Part::Runs, "runs"),
        (Part::Replay, "replay list"),
        (Part::Start, "start function"),
        (Part::Padding, "padding"),
        (Part::Assumptions, "assumptions"),
    ] {
        let error = DecodeError::Invalid { part };
        assert_eq!(
            error.to_string(),
            format!("artifact damaged: invalid {text}")
        );
    }
}

/// Of a plan, what it replays; and an artifact has all that its plan has.
#[test]
fn an_artifact_has_what_was_planned() {
    let text = r#"(module (import "e" "base" (global i32)) (memory 1)
        (data (i32.const 8) "baked") (data (global.get 0) "replayed"))"#;
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("valid");
    let policy = Policy::smallest(HostPageSize::KIB_16);
    let plan = Plan::new(&module, &policy);
    let image = ModuleImage::build(&module, &plan).expect("small");
    assert_eq!(image.replay(), plan.replay());
    assert_eq!(image.replay()[0].segment, DataIndex::from_u32(1));
    assert_eq!(image.start(), None);
    let init = image.initialization();
    assert!(matches!(init, MemoryInitialization::Hybrid { .. }));
    let memory = MemoryIndex::from_u32(0);
    let run = init.runs(memory).first().expect("baked");
    assert_eq!(
        (init.replay(), &run.data[8..13]),
        (plan.replay(), &b"baked"[..])
    );
    let bytes = image.encode().expect("small");
    let parts = image.encode_parts().expect("small");
    let parts = [&[parts.head()], parts.payload()].concat().concat();
    assert_eq!(parts, bytes);
    let artifact = Artifact::decode(&bytes).expect("as it was encoded");
    assert_eq!(artifact.head().page_size(), HostPageSize::KIB_16);
    assert_eq!(artifact.head().policy(), policy);
    assert_eq!(artifact.initialization().runs(memory), init.runs(memory));
    assert_eq!(artifact.initialization().replay(), init.replay());
    assert!(!artifact.head().elements_may_trap());
    assert_eq!(artifact.head().start(), None);
    let all = try_static_init(&module, HostPageSize::KIB_4, 0).expect("built");
    assert_eq!(all.replay().len(), 2);
    assert!(all.initialization().is_segmented(), "nothing is baked");
    let image = all.image(memory).expect("a memory");
    assert_eq!(image.runs().count(), 0);
    // Without a replay, an engine needs only the runs.
    let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "x"))"#).expect("text");
    let module = Module::parse(&wasm).expect("valid");
    let fixed = try_static_init(&module, HostPageSize::KIB_4, 0).expect("built");
    let fixed = fixed.initialization();
    assert!(matches!(fixed, MemoryInitialization::Static { .. }));
    assert_eq!(fixed.runs(memory).len(), 1);
}
