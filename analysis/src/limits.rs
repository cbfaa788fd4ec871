//! What this crate refuses to read, each limit beside its reason.
//!
//! The counts are those that engines agree on in the JavaScript embedding
//! (<https://webassembly.github.io/spec/js-api/#limits>): a module above them
//! runs nowhere. Together with borrowed data they bound what parsing allocates:
//! a small multiple of the input.

/// Most data segments of one module.
pub const MAX_DATA_SEGMENTS: usize = 100_000;

/// Most memories of one module, imported and defined.
pub const MAX_MEMORIES: usize = 100;

/// Most globals of one module, imported and defined.
pub const MAX_GLOBALS: usize = 1_000_000;

/// Most imports of one module, each of a compact group counted.
pub const MAX_IMPORTS: usize = 1_000_000;

/// Deepest operand stack of an expression that is evaluated. A segment whose offset is
/// deeper is refused with its module, since nobody could replay it; a global whose
/// initialiser is deeper has no certain value.
///
/// Toolchains emit at most three operands; the limit keeps evaluation off the heap.
pub const MAX_EXPR_DEPTH: usize = 64;

/// Most core modules read from one component.
pub const MAX_MODULES: usize = 1_000;
