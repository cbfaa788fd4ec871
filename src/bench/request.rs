//! What to measure.

use core::time::Duration;

use wasm_meminit::analysis::{Module, Plan};
use wasm_meminit::image_builder::ModuleImage;

/// What to measure, and for how long.
pub(crate) struct Request<'m> {
    pub(crate) name: String,
    pub(crate) module: &'m Module<'m>,
    pub(crate) plan: &'m Plan<'m>,
    pub(crate) image: &'m ModuleImage<'m>,
    /// How many host pages a use writes to; one row of the table for each count.
    pub(crate) n_pages: &'m [u64],
    /// How long to measure for each row of a table.
    pub(crate) time: Duration,
}
