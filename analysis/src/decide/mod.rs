//! Decides what each memory's image contains, what must be replayed, and why.

pub(crate) mod assumption;
mod draft;
pub(crate) mod extent;
pub(crate) mod fingerprint;
pub(crate) mod layout;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod reason;
pub(crate) mod runs;
mod start_plan;
pub(crate) mod visible;
