//! Tests of rewriting: the objectives of `pack`, stripped modules, memories that become the
//! module's own, and rejected inputs.

mod generated;
mod internalized;
mod objectives;
mod rejected;
mod stripped;
