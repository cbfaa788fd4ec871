//! What the host supplies: values of imported globals, and sizes of imported memories.

use cranelift_entity::EntityRef;

use crate::{Global, GlobalIndex, MemoryIndex, Module, Value};

/// Error returned by [`Module::with_global`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GlobalError {
    /// The module has no such global.
    Unknown(GlobalIndex),
    /// The module defines that global itself.
    Defined(GlobalIndex),
    /// The global is mutable or not an integer, so no address can depend on it.
    Unusable(GlobalIndex),
    /// The type of the value differs from that of the global.
    Type(GlobalIndex),
    /// A different value was supplied before.
    Contradiction {
        /// The global.
        global: GlobalIndex,
        /// The value that was supplied first.
        before: Value,
        /// The value that was supplied now.
        value: Value,
    },
}

impl core::fmt::Display for GlobalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown(global) => write!(f, "global {} does not exist", global.as_u32()),
            Self::Defined(global) => write!(f, "global {} is not imported", global.as_u32()),
            Self::Unusable(global) => {
                write!(f, "global {} is mutable or not an integer", global.as_u32())
            }
            Self::Type(global) => write!(
                f,
                "the type of the value differs from that of global {}",
                global.as_u32()
            ),
            Self::Contradiction {
                global,
                before,
                value,
            } => write!(
                f,
                "conflicting values for global {}: first {before}, now {value}",
                global.as_u32()
            ),
        }
    }
}

impl core::error::Error for GlobalError {}

/// Error returned by [`Module::with_memory_size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemorySizeError {
    /// The module has no such memory.
    Unknown(MemoryIndex),
    /// The module defines that memory itself, so its size is the declared one.
    Defined(MemoryIndex),
    /// The size is not a whole number of wasm pages.
    NotPages {
        /// The size in bytes.
        bytes: u64,
        /// The wasm page size in bytes.
        page_size: u64,
    },
    /// The size is below the declared minimum, so the import would fail.
    TooSmall {
        /// The size in bytes.
        bytes: u64,
        /// The declared minimum in bytes; `None` if it is 2⁶⁴.
        min_bytes: Option<u64>,
    },
    /// The size exceeds the declared maximum, or what the index type can address.
    TooLarge {
        /// The size in bytes.
        bytes: u64,
        /// The declared maximum in bytes, if there is one below 2⁶⁴.
        max_bytes: Option<u64>,
    },
    /// A different size was supplied before.
    Contradiction {
        /// The size that was supplied first, in bytes.
        before: u64,
        /// The size that was supplied now, in bytes.
        bytes: u64,
    },
}

impl core::fmt::Display for MemorySizeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Unknown(memory) => write!(f, "memory {} does not exist", memory.as_u32()),
            Self::Defined(memory) => write!(f, "memory {} is not imported", memory.as_u32()),
            Self::NotPages { bytes, page_size } => write!(
                f,
                "invalid memory size: {bytes} bytes, expected a multiple of the wasm page size, {page_size} bytes"
            ),
            Self::TooSmall { bytes, min_bytes } => {
                write!(
                    f,
                    "a memory of {bytes} bytes is too small: the declared minimum is "
                )?;
                match min_bytes {
                    Some(min_bytes) => write!(f, "{min_bytes} bytes"),
                    None => f.write_str("2^64 bytes"),
                }
            }
            Self::TooLarge { bytes, max_bytes } => {
                write!(f, "a memory of {bytes} bytes is too large: ")?;
                match max_bytes {
                    Some(max_bytes) => write!(f, "the declared maximum is {max_bytes} bytes"),
                    None => f.write_str("its index type cannot address that many"),
                }
            }
            Self::Contradiction { before, bytes } => write!(
                f,
                "conflicting sizes for a memory: first {before} bytes, now {bytes} bytes"
            ),
        }
    }
}

impl core::error::Error for MemorySizeError {}

impl Module<'_> {
    /// Supplies the value of an imported immutable global.
    ///
    /// The addresses of segments that depend on it become known, as do the values of
    /// globals initialised from it. A plan that uses the value lists it as an
    /// [`Assumption`](crate::Assumption). Supplying all values takes time linear in the
    /// size of the module.
    ///
    /// # Errors
    ///
    /// [`GlobalError`] if no offset can depend on such a value, or if a different value was
    /// supplied before.
    pub fn with_global(mut self, global: GlobalIndex, value: Value) -> Result<Self, GlobalError> {
        let slot = self
            .globals
            .get_mut(global)
            .ok_or(GlobalError::Unknown(global))?;
        if self.global_imports.len() <= global.index() {
            return Err(GlobalError::Defined(global));
        }
        match *slot {
            Global::Unusable => Err(GlobalError::Unusable(global)),
            Global::Known(before) if before == value => Ok(self),
            Global::Known(before) if before.ty() == value.ty() => Err(GlobalError::Contradiction {
                global,
                before,
                value,
            }),
            Global::Unknown(ty) if ty == value.ty() => {
                *slot = Global::Known(value);
                self.deferred.resolve(global, &mut self.globals);
                Ok(self)
            }
            Global::Known(_) | Global::Unknown(_) => Err(GlobalError::Type(global)),
        }
    }

    /// Forgets every value and size that was supplied.
    #[must_use]
    pub fn without_supplied(mut self) -> Self {
        let imported = self.global_imports.keys();
        let dependent = self.deferred.iter().map(|(global, _)| global);
        for global in imported.chain(dependent) {
            if let Some(slot) = self.globals.get_mut(global)
                && let Global::Known(value) = *slot
            {
                *slot = Global::Unknown(value.ty());
            }
        }
        self.deferred.forget();
        self.assumed_sizes.clear();
        self
    }

    /// Supplies the initial size of an imported memory, in bytes.
    ///
    /// A module declares only the minimum size that it needs. A side module of a dynamically
    /// linked program declares enough for its own data, although the data may be placed
    /// anywhere in the memory. With the actual size, such segments are known to be in bounds.
    /// The memory may be larger than stated, but not smaller. [`Module::memories`] still
    /// returns the declared type. A plan that uses the size lists it as an
    /// [`Assumption`](crate::Assumption).
    ///
    /// ```
    /// # #[cfg(feature = "parse")] {
    /// use wasm_meminit_analysis::{GlobalIndex, MemoryIndex, Module, Plan, Policy, Value};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module
    ///          (import "env" "memory" (memory 1))
    ///          (import "env" "__memory_base" (global $base i32))
    ///          (data (global.get $base) "side module"))"#,
    /// ).unwrap();
    /// let module = Module::parse(&wasm).unwrap()
    ///     .with_global(GlobalIndex::from_u32(0), Value::I32(8 << 20)).unwrap()
    ///     .with_memory_size(MemoryIndex::from_u32(0), 16 << 20).unwrap();
    /// let plan = Plan::new(&module, &Policy::default().with_zeroed_imports(true));
    /// assert!(plan.replay().is_empty());
    /// assert_eq!(plan.assumptions().len(), 3); // the base, the zeroed memory, and its size
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MemorySizeError`] if no memory of that size can be imported, or if a different size
    /// was supplied before.
    pub fn with_memory_size(
        mut self,
        memory: MemoryIndex,
        bytes: u64,
    ) -> Result<Self, MemorySizeError> {
        let Some(it) = self.memories.get(memory) else {
            return Err(MemorySizeError::Unknown(memory));
        };
        if it.import.is_none() {
            return Err(MemorySizeError::Defined(memory));
        }
        let page_size = it.ty.page_size.bytes();
        if !bytes.is_multiple_of(page_size) {
            return Err(MemorySizeError::NotPages { bytes, page_size });
        }
        match it.ty.min_bytes() {
            Some(min_bytes) if min_bytes <= bytes => {}
            min_bytes => return Err(MemorySizeError::TooSmall { bytes, min_bytes }),
        }
        // A type with this minimum is valid if and only if a memory can have this size.
        let mut ty = it.ty;
        ty.min = bytes.checked_div(page_size).unwrap_or(0);
        if !ty.is_valid() {
            return Err(MemorySizeError::TooLarge {
                bytes,
                max_bytes: ty.max_bytes(),
            });
        }
        match self.assumed_sizes.get(memory).copied().flatten() {
            Some(before) if before != bytes => {
                return Err(MemorySizeError::Contradiction { before, bytes });
            }
            _ => {}
        }
        self.assumed_sizes.resize(self.memories.len());
        if let Some(slot) = self.assumed_sizes.get_mut(memory) {
            *slot = Some(bytes);
        }
        Ok(self)
    }
}
