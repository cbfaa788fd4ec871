//! A captured memory is written back into its module, and the next instance starts with it.

use proptest::prelude::*;
use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{PackOptions, RewriteError, pack_memory};

use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::is_valid;

fn index(nth: u32) -> MemoryIndex {
    MemoryIndex::from_u32(nth)
}

/// The second of three memories is captured; the others are unchanged.
fn wat(ty: &str, offset: &str) -> String {
    format!(
        r#"(module
             (import "env" "memory" (memory $a 1))
             (memory $b {ty})
             (memory $c 1)
             (data $first (memory $b) ({offset} 3) "cold")
             (data (memory $a) (i32.const 1) "imported")
             (data (memory $b) ({offset} 1) "colder")
             (data $passive "passive")
             (data (memory $c) (i32.const 2) "other")
             (func (memory.init $c $passive (i32.const 0) (i32.const 0) (i32.const 1))
                   (memory.init $c $first (i32.const 0) (i32.const 0) (i32.const 0))))"#
    )
}

fn check(ty: &str, offset: &str, memory: &[u8], page: u64, options: &PackOptions) {
    let wasm = wat::parse_str(wat(ty, offset)).expect("valid text");
    let module = Module::parse(&wasm).expect("valid");
    let page = HostPageSize::new(page).expect("a power of two");
    let image = Image::capture_with(memory, &Policy::balanced(page)).expect("small");
    let len = memory.len() as u64;
    let packed = pack_memory(&module, index(1), image.as_ref(), len, options).expect("packed");
    assert!(is_valid(&packed.wasm));

    let host = Host::new(&[0], 0, 0);
    let before = oracle::replay(&Shape::of(&wasm), &host).expect("small");
    let mut after = oracle::replay(&Shape::of(&packed.wasm), &host).expect("small");
    let got = after.memories[1].to_bytes();
    assert!(memory.len() <= got.len() && before.memories[1].size() <= got.len() as u64);
    let (same, zero) = got.split_at(memory.len());
    assert_eq!(same.iter().zip(memory).position(|(a, b)| a != b), None);
    assert!(zero.iter().all(|byte| *byte == 0));

    after.memories[1] = before.memories[1].clone();
    assert_eq!(after.differs_from(&before), None);
}

/// Memories that are mostly zero.
fn memories() -> impl Strategy<Value = Vec<u8>> {
    let island = (0_usize..70_000, 1_usize..40);
    (0_usize..140_000, prop::collection::vec(island, 0..20)).prop_map(|(len, islands)| {
        let mut memory = vec![0; len];
        for (at, n) in islands {
            memory
                .iter_mut()
                .skip(at)
                .take(n)
                .for_each(|byte| *byte = 7);
        }
        memory
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_next_instance_starts_with_the_same_bytes(
        memory in memories(),
        limit in prop_oneof![Just(10_000_usize), 0_usize..12],
        log2 in 0_u32..17,
    ) {
        let options = PackOptions::default().with_max_segments(limit);
        check("1 3", "i32.const", &memory, 1 << log2, &options);
        check("i64 1", "i64.const", &memory, 1 << log2, &options);
        check("9 (pagesize 1)", "i32.const", &memory, 1 << log2, &options);
    }
}

#[test]
fn impossible_memories_are_refused() {
    let wasm = wat::parse_str(wat("1 3", "i32.const")).expect("valid text");
    let module = Module::parse(&wasm).expect("valid");
    let image = Image::capture(&[1]).expect("small");
    let pack = |memory: u32, size_bytes| {
        let memory = index(memory);
        let options = PackOptions::default();
        pack_memory(&module, memory, image.as_ref(), size_bytes, &options).map(|_| ())
    };
    assert_eq!(pack(1, 3 << 16), Ok(()));
    let size_bytes = (3 << 16) + 1;
    let above = RewriteError::AboveMaximum {
        memory: index(1),
        size_bytes,
    };
    assert_eq!(pack(1, size_bytes), Err(above));
    assert_eq!(
        pack(0, 1),
        Err(RewriteError::ImportedMemory { memory: index(0) })
    );
    assert_eq!(
        pack(3, 1),
        Err(RewriteError::UnknownMemory { memory: index(3) })
    );
}
