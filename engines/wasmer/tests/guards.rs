//! Systems on which memories have no guards, and move when they grow: compiled code would access
//! other data of the process. `cargo xtask engines test wasmer` runs these tests on both kinds.

mod support;

use core::num::NonZeroUsize;

use wasm_meminit_wasmer::apply::MemorySlot;
use wasm_meminit_wasmer::{Memories, MemoriesConfig, MemoryError};

use support::plain;

/// Without an engine, no memory can be requested.
#[test]
fn engines_need_guards() {
    let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::MIN));
    let refused = memories.engine(plain()).err();
    let expected = (!MemorySlot::HAS_GUARDS).then_some(MemoryError::NoGuards);
    assert_eq!(refused, expected);
}
