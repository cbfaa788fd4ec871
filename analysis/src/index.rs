//! Index spaces of a module, as types that cannot be mixed up.
//!
//! Each is an index space of the specification (core, "Indices"). A number read
//! from input is compared with the length of its space *before* it becomes one
//! of these, because the reserved value `u32::MAX` is not an index.

use cranelift_entity::entity_impl;
use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u32);
        entity_impl!($name, $prefix);
    };
}

index!(
    /// A linear memory of a module, imported ones first.
    MemoryIndex,
    "memory"
);
index!(
    /// A linear memory that the module itself defines.
    DefinedMemoryIndex,
    "defined_memory"
);
index!(
    /// A global of a module, imported ones first.
    GlobalIndex,
    "global"
);
index!(
    /// A data segment, active or passive, in module order.
    DataIndex,
    "data"
);
index!(
    /// A function of a module, imported ones first.
    FuncIndex,
    "func"
);

/// The entity at `position`, or `None` where it is not below `len`.
///
/// The one way from a number in input to an index.
pub(crate) fn checked<T: cranelift_entity::EntityRef>(position: u32, len: usize) -> Option<T> {
    let position = usize::try_from(position).ok()?;
    (position < len && len < RESERVED).then(|| T::new(position))
}

/// `u32::MAX` as a length: an index space never grows this large (`limits`).
const RESERVED: usize = 0xffff_ffff;
