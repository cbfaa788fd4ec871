//! Linux: sealed memory files, page maps, batched advice.

mod advice;
mod errno;
mod map_lock;
mod mmap;
#[path = "memfd.rs"]
mod own_file;
mod pagemap;
mod per_process;
mod scratch;
mod trial;
mod verdict;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs::File;

use rustix::fs::SealFlags;

pub(crate) use self::advice::{batch_support, discard_many};
use self::errno::failed;
pub(crate) use self::mmap::{Reservation, Source, page_bytes, table_bytes};
pub(crate) use self::pagemap::{Written, scan_support};
pub(crate) use self::trial::discard_support;
use super::file::{FileError, MappedIn};
use crate::fault;
use crate::os::Call;

/// Whether memory can be mapped.
pub(crate) const HAS_MAPPINGS: bool = true;

/// Whether the files that [`Source::file`] creates are sealed memory files.
pub(crate) const OWN_FILES_ARE_SEALED: bool = true;

/// Returns how many mappings a process may have: `vm.max_map_count`, proc_sys_vm(5).
pub(crate) fn max_mappings() -> usize {
    static MAX: AtomicUsize = AtomicUsize::new(0);
    match MAX.load(Ordering::Relaxed) {
        0 => {
            let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
            let read = text.ok().and_then(|text| text.trim().parse().ok());
            // The kernel's default.
            let max = read.filter(|max| *max != 0).unwrap_or(65530);
            MAX.store(max, Ordering::Relaxed);
            max
        }
        max => max,
    }
}

/// Returns how the system maps the file: fstat(2), fstatfs(2).
pub(super) fn mapped_in(file: &File) -> Result<MappedIn, FileError> {
    /// `HUGETLBFS_MAGIC` of linux/magic.h. This is the only file system to whose page
    /// size mmap(2) rounds up lengths.
    const HUGETLBFS: u64 = 0x9584_58f6;

    let mut found = mmap::regular_file(file)?;
    fault::point(Call::Fstatfs)?;
    let system = rustix::fs::fstatfs(file).map_err(|err| failed(Call::Fstatfs, err))?;
    // The kernel's field is as wide as a machine word, but only 32 bits are significant.
    if system.f_type as u64 & 0xffff_ffff == HUGETLBFS {
        found.page_bytes = system.f_bsize as u64;
    }
    Ok(found)
}

/// Returns whether the file is permanently protected from changes and truncation:
/// fcntl(2).
pub(super) fn is_sealed(file: &File) -> bool {
    let seals = rustix::fs::fcntl_get_seals(file).unwrap_or(SealFlags::empty());
    // Not `FUTURE_WRITE`: that leaves existing writable mappings.
    seals.contains(SealFlags::SHRINK | SealFlags::WRITE)
}
