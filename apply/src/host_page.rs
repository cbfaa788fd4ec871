//! The page size of this machine.

use wasm_meminit_image_builder::analysis::HostPageSize;

use crate::sys::page_bytes;

/// Returns the page size of this machine.
pub(crate) fn host_page_size() -> HostPageSize {
    let bytes = u64::try_from(page_bytes()).unwrap_or(0);
    // A power of two. No system has pages larger than 1 GiB.
    HostPageSize::new(bytes).unwrap_or(HostPageSize::KIB_4)
}
