//! What all systems with `mmap` share.

mod call;
mod reservation;
mod source;

use wasm_meminit_image_builder::analysis::HostPageSize;

pub(crate) use self::reservation::Reservation;
pub(crate) use self::source::Source;
use super::{FILE_KIND, anonymous_file, seal};

/// The size of what this machine maps at once.
pub(crate) fn host_page_size() -> HostPageSize {
    let bytes = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    // POSIX: a power of two. No system has pages above 1 GiB.
    HostPageSize::new(bytes).unwrap_or(HostPageSize::KIB_4)
}
