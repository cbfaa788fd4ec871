//! How modules are prepared.

use wasm_meminit_analysis::Policy;

/// How a module is [prepared](crate::Prepared).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    policy: Policy,
    memory_imports: MemoryImports,
}

/// Where the memories come from that a module imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryImports {
    /// The imports. The engine writes the module's data into them, since the adapter does not know
    /// what they contain, or who else uses them.
    #[default]
    Link,
    /// Each instance has new ones, which start from images, whatever the imports have.
    ///
    /// The module is changed: it defines these memories, and exports each under the name that it
    /// was imported as, unless an export has that name. The host finds them in
    /// [`Instance::exports`](wasmer::Instance::exports) once the instance exists. So host functions
    /// that a start function calls have no access to them: if they need it, use
    /// [`Link`](Self::Link).
    ///
    /// Not for modules whose instances share memories, such as threads.
    Provide,
}

impl Options {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how images are laid out. Default: [`Policy::default`].
    ///
    /// What it says about imported memories is replaced by
    /// [`with_memory_imports`](Self::with_memory_imports).
    #[must_use]
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets where imported memories come from. Default: [`MemoryImports::Link`].
    #[must_use]
    pub const fn with_memory_imports(mut self, memory_imports: MemoryImports) -> Self {
        self.memory_imports = memory_imports;
        self
    }

    /// Returns how images are laid out.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns where imported memories come from.
    pub const fn memory_imports(&self) -> MemoryImports {
        self.memory_imports
    }
}
