//! Partial loading: what is read, and which errors are found.

use std::io::{self, Read};

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Policy};
use wasm_meminit_image_builder::{Artifact, ArtifactHead, DecodeError, ModuleRole, Part};

use crate::inputs::{Recipe, hash, page, wat};

/// Counts the bytes that are read from a file.
struct Counted<'a> {
    bytes: &'a [u8],
    n_read: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        self.n_read += n;
        Ok(n)
    }
}

const TWO: &str = r#"(module (memory 9) (memory $bytes 100 (pagesize 1))
    (data (i32.const 3) "first") (data (i32.const 300000) "second")
    (data (memory $bytes) (i32.const 90) "0123456789"))"#;

fn artifact(alignment: Option<HostPageSize>) -> Vec<u8> {
    let recipe = Recipe {
        alignment,
        ..Recipe::new(Policy::smallest(page(64)))
    };
    recipe.build(&wat(TWO)).expect("small")
}

#[test]
fn only_the_head_is_read() {
    for len in [1_u64, 1 << 24] {
        let text = format!(
            "(module (memory 512) (data (i32.const 0) \"a\") (data (i32.const {len}) \"b\"))"
        );
        let recipe = Recipe::new(Policy::balanced(page(4096)).with_max_gap(1 << 30));
        let bytes = recipe.build(&wat(&text)).expect("small");
        let mut counted = Counted {
            bytes: &bytes,
            n_read: 0,
        };
        let head = ArtifactHead::read(&mut counted).expect("an artifact");
        assert_eq!(counted.n_read, head.len());
        assert!(head.len() < 200);
        let decoded = ArtifactHead::decode(&head).expect("an artifact");
        assert_eq!(decoded.file_len(), bytes.len() as u64);
        assert_eq!(decoded.memories().len(), 1);
        let layout = decoded
            .layout(MemoryIndex::from_u32(0))
            .expect("one memory");
        assert_eq!(
            layout.last().map(|run| run.end()),
            Some(4096 + (len & !4095))
        );
        // The whole file may be passed as well.
        assert_eq!(
            ArtifactHead::decode(&bytes).expect("the same").file_len(),
            bytes.len() as u64
        );
    }
}

#[test]
fn a_truncated_head_is_rejected_without_a_large_allocation() {
    let bytes = artifact(None);
    let head = ArtifactHead::read(&mut bytes.as_slice()).expect("an artifact");
    for len in 0..head.len() {
        let err = ArtifactHead::read(&mut &bytes[..len]).expect_err("cut short");
        assert_eq!(err.kind(), io::ErrorKind::InvalidData);
        assert!(ArtifactHead::decode(&bytes[..len]).is_err());
    }
    // A header length of 4 GiB, with no header bytes.
    let mut long = bytes[..24].to_vec();
    long[12..16].fill(0xff);
    assert!(ArtifactHead::read(&mut long.as_slice()).is_err());
}

#[test]
fn the_payload_is_verified_on_demand() {
    for alignment in [None, Some(page(256))] {
        let good = artifact(alignment);
        let decoded = Artifact::decode(&good).expect("own");
        let (first, second) = (MemoryIndex::from_u32(0), MemoryIndex::from_u32(1));
        let at = |memory: usize, addr: u64| {
            let image = decoded
                .image(MemoryIndex::from_u32(memory as u32))
                .expect("two");
            let (position, run) = image
                .runs_with_position()
                .find(|(_, run)| (run.addr..run.addr + run.data.len() as u64).contains(&addr))
                .expect("a run");
            (decoded.memories()[memory].file_offset() + position + addr - run.addr) as usize
        };
        let mut bytes = good.clone();
        bytes[at(0, 300_001)] ^= 1;
        let damaged = Artifact::decode_unverified(&bytes).expect("its header is good");
        let err = DecodeError::RunChecksum {
            memory: 0,
            addr: 300_000 & !63,
        };
        assert_eq!(damaged.verify_memory(first), Err(err));
        assert_eq!(damaged.verify_memory(second), Ok(()));
        assert_eq!(damaged.verify_memory(MemoryIndex::from_u32(2)), Ok(()));
        assert_eq!(damaged.verify(), Err(err));
        assert_eq!(Artifact::decode(&bytes).expect_err("damaged"), err);

        // A byte of padding that a mapping would expose.
        let block = decoded.file_alignment().bytes() as usize;
        let start = at(0, 300_000 & !63);
        if start % block != 0 {
            let mut bytes = good.clone();
            bytes[start - 1] = 1;
            let damaged = Artifact::decode_unverified(&bytes).expect("its header is good");
            let err = DecodeError::Invalid {
                part: Part::Padding,
            };
            assert_eq!(damaged.verify_memory(first), Err(err));
            assert_eq!(damaged.verify_memory(second), Ok(()));
        }
    }
}

#[test]
fn bytes_past_the_end_of_a_memory_are_rejected() {
    let bytes = artifact(None);
    let mut file = crate::format::decode(&bytes).expect("own");
    let run = &mut file.memories[1].runs[0];
    assert_eq!((run.addr, run.data.len()), (64, 64));
    run.data[101 - 64] = 1;
    let forged = crate::encode::encode(&file).expect("as long");
    let err = DecodeError::PastEnd {
        memory: 1,
        addr: 101,
    };
    assert_eq!(Artifact::decode(&forged).expect_err("past the end"), err);
}

#[test]
fn a_file_of_the_wrong_length_is_rejected_by_its_head() {
    let bytes = artifact(None);
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(
        Artifact::decode_unverified(&longer),
        Err(DecodeError::TrailingBytes { .. })
    ));
    let shorter = &bytes[..bytes.len() - 1];
    assert!(matches!(
        Artifact::decode_unverified(shorter),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn modules_are_identified_by_their_hashes() {
    use wasm_meminit_analysis::{Module, Plan};
    use wasm_meminit_image_builder::ModuleImage;

    let wasm = wat(TWO);
    let module = Module::parse(&wasm).expect("a module");
    let image =
        ModuleImage::build(&module, &Plan::new(&module, &Policy::default())).expect("small");
    let image = image.with_source(hash(1)).with_stripped(hash(2));
    let bytes = image.encode().expect("small");
    let artifact = Artifact::decode(&bytes).expect("own");
    let roles = [1, 2, 3].map(|byte| artifact.module_role(hash(byte)));
    assert_eq!(
        roles,
        [Some(ModuleRole::Source), Some(ModuleRole::Stripped), None]
    );
}
