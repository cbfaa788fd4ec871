//! Index spaces of a module, as types that cannot be mixed up.
//!
//! Each is an index space of the specification (core, "Indices"). A number read
//! from input is compared with the length of its space *before* it becomes one
//! of these, because the reserved value `u32::MAX` is not an index.

use cranelift_entity::entity_impl;
use serde::{Deserialize, Serialize};

/// `u32::MAX` is no index: no module has that many of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnIndex;

impl core::fmt::Display for NotAnIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is reserved and no index", u32::MAX)
    }
}

impl core::error::Error for NotAnIndex {}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u32", into = "u32")]
        pub struct $name(u32);
        entity_impl!($name, $prefix);

        impl TryFrom<u32> for $name {
            type Error = NotAnIndex;

            fn try_from(index: u32) -> Result<Self, NotAnIndex> {
                if index == u32::MAX {
                    return Err(NotAnIndex);
                }
                Ok(Self(index))
            }
        }

        impl From<$name> for u32 {
            fn from(index: $name) -> Self {
                index.0
            }
        }
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
