//! Constant expressions: the offsets of segments, and the initialisers of globals.

pub(crate) mod const_expr;
pub(crate) mod offset_expr;
pub(crate) mod value;
mod well_typed;
