//! Builds images: the initial contents of memories as page-aligned runs.

pub(crate) mod baked_start;
pub(crate) mod blocks;
mod capture;
pub(crate) mod error;
pub(crate) mod memory;
pub(crate) mod module;
pub(crate) mod provenance;
mod splice;
