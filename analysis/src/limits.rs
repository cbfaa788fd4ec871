//! Limits on the modules that this crate accepts, and the reason for each.
//!
//! The counts are the implementation limits of the JavaScript embedding
//! (<https://webassembly.github.io/spec/js-api/#limits>): no engine runs a module that
//! exceeds them. Because data is borrowed, they also bound what parsing allocates to a
//! small multiple of the input.

/// Maximum number of data segments in a module.
pub const MAX_DATA_SEGMENTS: usize = 100_000;

/// Maximum number of memories in a module, imported and defined.
pub const MAX_MEMORIES: usize = 100;

/// Maximum number of globals in a module, imported and defined.
pub const MAX_GLOBALS: usize = 1_000_000;

/// Maximum number of imports of a module; each import of a compact group counts.
pub const MAX_IMPORTS: usize = 1_000_000;

/// Maximum depth of the operand stack when a constant expression is evaluated.
///
/// A module with a segment whose offset is deeper is rejected, because the segment could
/// not be replayed. A global whose initialiser is deeper has no known value. Toolchains
/// emit at most three operands; the limit keeps evaluation off the heap.
pub const MAX_EXPR_DEPTH: usize = 64;

/// Maximum number of core modules read from a component.
pub const MAX_MODULES: usize = 1_000;
