//! The index spaces of a module, as distinct types.
//!
//! Each is an index space of the specification (core, "Indices"). A number read
//! from input is compared with the length of its space *before* it becomes one
//! of these, because the reserved value `u32::MAX` is not an index.

use cranelift_entity::entity_impl;

/// Error for `u32::MAX`, which is reserved and never a valid index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnIndex;

impl core::fmt::Display for NotAnIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is reserved and not a valid index", u32::MAX)
    }
}

impl core::error::Error for NotAnIndex {}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "u32", into = "u32"))]
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
    /// The index of a linear memory, imported ones first.
    MemoryIndex,
    "memory"
);
index!(
    /// The index of a linear memory among those that the module defines.
    DefinedMemoryIndex,
    "defined_memory"
);
index!(
    /// The index of a global, imported ones first.
    GlobalIndex,
    "global"
);
index!(
    /// The index of a data segment, active or passive, in module order.
    DataIndex,
    "data"
);
index!(
    /// The index of a function, imported ones first.
    FuncIndex,
    "func"
);

/// Returns the entity at `position`, or `None` if it is not below `len`.
///
/// Every index read from input goes through this function.
pub(crate) fn checked<T: cranelift_entity::EntityRef>(position: u32, len: usize) -> Option<T> {
    let position = usize::try_from(position).ok()?;
    (position < len && len < RESERVED).then(|| T::new(position))
}

/// `u32::MAX` as a length: no index space grows this large (`limits`).
const RESERVED: usize = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_reserved_value_is_not_an_index() {
        let err = DataIndex::try_from(u32::MAX).unwrap_err();
        assert_eq!(
            err.to_string(),
            "4294967295 is reserved and not a valid index"
        );
        let index = DataIndex::try_from(u32::MAX - 1).unwrap();
        assert_eq!(u32::from(index), u32::MAX - 1);
        assert_eq!(checked::<DataIndex>(2, 3).map(u32::from), Some(2));
        assert_eq!(checked::<DataIndex>(3, 3), None);
    }
}
