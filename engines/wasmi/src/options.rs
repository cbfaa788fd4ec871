//! How modules are prepared.

/// How a module is [prepared](crate::Prepared).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    memory_imports: MemoryImports,
}

/// Where the memories come from that a module imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryImports {
    /// The linker. Zeros in the module's data are kept, since the adapter does not know what
    /// these memories contain.
    #[default]
    Link,
    /// Each instance has new ones, whatever the linker has.
    ///
    /// The module is changed: it defines these memories, and exports each under the name that it
    /// was imported as, unless an export has that name. The host finds them there, as in
    /// [`Caller::get_export`](wasmi::Caller::get_export).
    ///
    /// Not for modules whose instances share memories.
    Provide,
}

impl Options {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where imported memories come from. Default: [`MemoryImports::Link`].
    #[must_use]
    pub const fn with_memory_imports(mut self, memory_imports: MemoryImports) -> Self {
        self.memory_imports = memory_imports;
        self
    }

    /// Returns where imported memories come from.
    pub const fn memory_imports(&self) -> MemoryImports {
        self.memory_imports
    }
}
