//! Bundles: every one has a single encoding, and damage is found.

use proptest::prelude::*;
use wasm_meminit_analysis::{HostPageSize, Module, Plan, Policy};
use wasm_meminit_image_builder::{
    BUNDLE_MAGIC, Bundle, BundleError, BundleHead, DecodeError, MAX_BUNDLED, ModuleImage,
};

use crate::format::crc32;
use crate::inputs::{Recipe, page, wat};

/// Returns an artifact whose size and alignment depend on the arguments.
fn artifact(n_segments: u64, page_size: u64, alignment: u64) -> Vec<u8> {
    let segments: String = (0..n_segments)
        .map(|nth| format!("(data (i32.const {}) \"{nth}\")", nth * 40_000))
        .collect();
    let recipe = Recipe {
        alignment: Some(HostPageSize::new(alignment).expect("a page size")),
        ..Recipe::new(Policy::smallest(page(page_size)))
    };
    let text = format!("(module (memory 16) {segments})");
    recipe.build(&wat(&text)).expect("small")
}

fn parts(artifacts: &[Vec<u8>]) -> Vec<&[u8]> {
    artifacts.iter().map(Vec::as_slice).collect()
}

fn three() -> Vec<Vec<u8>> {
    vec![
        artifact(1, 64, 64),
        artifact(0, 4096, 4096),
        artifact(3, 4096, 1 << 16),
    ]
}

/// Corrects the checksum of an index that a test altered.
fn with_checksum(mut bundle: Vec<u8>, n: usize) -> Vec<u8> {
    let checksum = crc32(&bundle[24..24 + 16 * n]);
    bundle[16..20].copy_from_slice(&checksum.to_le_bytes());
    bundle
}

#[test]
fn parts_are_the_artifacts() {
    let artifacts = three();
    let bytes = Bundle::encode(&parts(&artifacts)).expect("small");
    let bundle = Bundle::decode(&bytes).expect("a bundle");
    assert_eq!(bundle.artifacts().len(), 3);
    for (nth, expected) in artifacts.iter().enumerate() {
        let (offset, part) = bundle.part(nth).expect("a part");
        assert_eq!(part, expected);
        let alignment = bundle.artifacts()[nth].file_alignment().bytes();
        assert_eq!(offset % alignment, 0, "{nth}");
        let start = usize::try_from(offset).expect("small");
        assert_eq!(&bytes[start..start + part.len()], expected);
    }
    assert!(bundle.part(3).is_none());
    let none = Bundle::encode(&[]).expect("small");
    assert_eq!(none.len(), 24);
    assert!(
        Bundle::decode(&none)
            .expect("a bundle")
            .artifacts()
            .is_empty()
    );
}

/// Of 1,000 artifacts that begin at gibibytes, the head is known without any padding.
#[test]
fn a_head_without_the_rest() {
    let module = Module::parse(b"\0asm\x01\0\0\0\x05\x03\x01\0\x01").expect("a memory");
    let gib = Policy::smallest(page(1 << 30));
    let [small, large] = [Policy::smallest(page(16)), gib].map(|policy| {
        let plan = Plan::new(&module, &policy);
        ModuleImage::build(&module, &plan).expect("small")
    });
    let encoded = |it: &ModuleImage<'_>| it.encode().expect("small");
    let parts = [encoded(&small), encoded(&small)];
    let bytes = Bundle::encode(&[&parts[0], &parts[1]]).expect("small");
    let small = small.encode_parts().expect("small");
    let head = BundleHead::new(&[small.clone(), small]).expect("small");
    assert!(bytes.starts_with(head.bytes()));
    assert_eq!(head.file_len(), bytes.len() as u64);
    let bundle = Bundle::decode(&bytes).expect("a bundle");
    let offsets = [0, 1].map(|nth| bundle.part(nth).expect("a part").0);
    assert_eq!(head.offsets(), offsets);

    let large = vec![large.encode_parts().expect("small"); MAX_BUNDLED];
    let head = BundleHead::new(&large).expect("no padding");
    assert_eq!(head.file_len(), (1000 << 30) + large[0].file_len());
}

#[test]
fn truncated_anywhere() {
    let bytes = Bundle::encode(&parts(&three())).expect("small");
    // Every length of the head, and some of the rest.
    for len in (0..200).chain((200..bytes.len()).step_by(997)) {
        let err = Bundle::decode(&bytes[..len]).expect_err("truncated");
        match len {
            0 => assert_eq!(err, BundleError::NotABundle),
            _ => assert!(
                matches!(err, BundleError::Truncated { .. }),
                "{len}: {err:?}"
            ),
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        Bundle::decode(&longer),
        Err(BundleError::TrailingBytes { .. })
    ));
}

#[test]
fn each_error() {
    let artifacts = three();
    let bytes = Bundle::encode(&parts(&artifacts)).expect("small");
    let altered = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        assert_ne!(bytes[at], value);
        bytes[at] = value;
        bytes
    };
    let decode = |bytes: &[u8]| Bundle::decode(bytes).map(drop);
    assert_eq!(decode(b"\x89WMI\r\n\x1a\n"), Err(BundleError::NotABundle));
    assert_eq!(decode(&altered(0, 0)), Err(BundleError::NotABundle));
    let version = BundleError::Version {
        found: 2,
        supported: 1,
    };
    assert_eq!(decode(&altered(8, 2)), Err(version));
    assert_eq!(decode(&altered(20, 1)), Err(BundleError::Preamble));
    assert_eq!(decode(&altered(24, 1)), Err(BundleError::Checksum));
    assert_eq!(decode(&altered(16, !bytes[16])), Err(BundleError::Checksum));
    assert_eq!(
        decode(&altered(13, 0xff)),
        Err(BundleError::TooMany { found: 0xff03 })
    );
    // An artifact one page later than it must be, and one within another.
    let offset = |nth: usize| 24 + 16 * nth;
    let mut moved = bytes.clone();
    moved[offset(1) + 1] += 0x10;
    assert!(decode(&with_checksum(moved.clone(), 3)).is_err());
    let mut moved = bytes.clone();
    moved[offset(1)..offset(1) + 8].copy_from_slice(&[0; 8]);
    let index = BundleError::Index { entry: 1 };
    assert_eq!(decode(&with_checksum(moved, 3)), Err(index));
    let mut far = bytes.clone();
    far[offset(2)..offset(2) + 16].fill(0xff);
    let index = BundleError::Index { entry: 2 };
    assert_eq!(decode(&with_checksum(far, 3)), Err(index));
    // A gap that is larger than padding: a valid artifact at the wrong place.
    let last = Bundle::decode(&bytes)
        .expect("a bundle")
        .part(2)
        .expect("a part")
        .0;
    let mut gap = bytes.clone();
    gap.splice(last as usize..last as usize, vec![0; 1 << 16]);
    gap[offset(2)..offset(2) + 8].copy_from_slice(&(last + (1 << 16)).to_le_bytes());
    let index = BundleError::Index { entry: 2 };
    assert_eq!(decode(&with_checksum(gap, 3)), Err(index));
    // A byte of padding, and a byte of an artifact.
    let padding = last as usize - 1;
    assert_eq!(
        decode(&altered(padding, 1)),
        Err(BundleError::Padding { entry: 2 })
    );
    let first = Bundle::decode(&bytes)
        .expect("a bundle")
        .part(0)
        .expect("a part")
        .0;
    let broken = BundleError::Artifact {
        entry: 0,
        error: DecodeError::NotAnArtifact,
    };
    assert_eq!(decode(&altered(first as usize, 0)), Err(broken));
    let parts = vec![&artifacts[1][..]; MAX_BUNDLED + 1];
    assert_eq!(
        Bundle::encode(&parts).map(drop),
        Err(BundleError::TooMany {
            found: MAX_BUNDLED + 1
        })
    );
    let mut most = Bundle::encode(&parts[1..]).expect("small");
    assert!(Bundle::decode(&most).is_ok());
    let n = u32::try_from(MAX_BUNDLED + 1).expect("small");
    most[12..16].copy_from_slice(&n.to_le_bytes());
    let found = MAX_BUNDLED + 1;
    assert_eq!(decode(&most), Err(BundleError::TooMany { found }));
    assert!(matches!(
        Bundle::encode(&[b"no artifact"]),
        Err(BundleError::Artifact { entry: 0, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was encoded is decoded, at the offsets that the format prescribes.
    #[test]
    fn encoding_is_unique(
        recipes in prop::collection::vec((0_u64..4, 6_u32..13, 0_u32..5), 0..6),
    ) {
        let artifacts: Vec<Vec<u8>> = recipes
            .iter()
            .map(|&(n, page, more)| artifact(n, 1 << page, 1 << (page + more)))
            .collect();
        let bytes = Bundle::encode(&parts(&artifacts)).expect("small");
        let bundle = Bundle::decode(&bytes).expect("a bundle");
        let mut end = 24 + 16 * artifacts.len() as u64;
        for (nth, expected) in artifacts.iter().enumerate() {
            let alignment = bundle.artifacts()[nth].file_alignment().bytes();
            let (offset, part) = bundle.part(nth).expect("a part");
            prop_assert_eq!(offset, end.next_multiple_of(alignment));
            prop_assert_eq!(part, &expected[..]);
            end = offset + part.len() as u64;
        }
        prop_assert_eq!(bytes.len() as u64, end);
    }

    /// A bundle with a byte changed is refused, wherever the byte is.
    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), value in 1_u8..) {
        let mut bytes = Bundle::encode(&parts(&three())).expect("small");
        let at = at.index(bytes.len());
        bytes[at] ^= value;
        prop_assert!(Bundle::decode(&bytes).is_err());
    }

    /// Noise after the magic is an error, not a panic.
    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&BUNDLE_MAGIC[..], &noise].concat();
        prop_assert!(Bundle::decode(&bytes).is_err());
    }
}
