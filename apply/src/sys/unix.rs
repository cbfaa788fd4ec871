//! Unix systems other than Linux: mappings, but neither sealed files nor page maps.

mod absent;
mod mmap;

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::absent::{Written, batch_support, discard_many, max_mappings, scan_support};
pub(crate) use self::mmap::{Reservation, Source, page_bytes, table_bytes};
use super::{FileError, MappedIn};
use crate::fault;
use crate::os::{Call, OsError, Support};

/// Whether memory can be mapped.
pub(crate) const HAS_MAPPINGS: bool = true;

/// Whether the files that [`Source::file`] creates are sealed memory files. They are
/// unlinked files.
pub(crate) const OWN_FILES_ARE_SEALED: bool = false;

/// Creates a file that nobody else knows of, `len` bytes long, all of them holes.
///
/// It has a name for a moment: an unpredictable one, of a new file that only its owner
/// may access. Another process of the same user could open it, but could just as well
/// write to this process's memory.
fn anonymous_file(len: usize) -> Result<OwnedFd, OsError> {
    static N_FILES: AtomicU64 = AtomicU64::new(0);
    let nth = N_FILES.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = time.map_or(0, |time| time.subsec_nanos());
    let name = std::format!("wasm-meminit-{}-{nth}-{nanos}", std::process::id());
    let path = std::env::temp_dir().join(name);

    fault::point(Call::Open)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(&path)
        .map_err(|err| failed(Call::Open, &err))?;
    fault::point(Call::Unlink)?;
    std::fs::remove_file(&path).map_err(|err| failed(Call::Unlink, &err))?;
    fault::point(Call::Ftruncate)?;
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    file.set_len(len)
        .map_err(|err| failed(Call::Ftruncate, &err))?;
    Ok(file.into())
}

/// `MADV_DONTNEED`, where it exists, does not promise zeros.
pub(crate) const fn discard_support() -> Support {
    Support::Absent
}

/// The result of a trial: see the file for Linux, where some calls have pretended to
/// work.
#[derive(Debug)]
struct Verdict;

impl Verdict {
    const fn unknown() -> Self {
        Self
    }

    fn get(&self, _call: Call, trial: impl FnOnce() -> Result<(), OsError>) -> Result<(), OsError> {
        trial()
    }
}

/// Only mappings are used on this target.
#[allow(
    clippy::unnecessary_wraps,
    reason = "the Linux version makes calls that can fail"
)]
const fn try_out() -> Result<(), OsError> {
    Ok(())
}

/// These systems have no limit that adding a mapping would exceed.
mod map_lock {
    #[derive(Debug)]
    pub(super) struct MapGuard;

    pub(super) const fn lock_shared() -> MapGuard {
        MapGuard
    }

    pub(super) const fn lock_exclusive() -> MapGuard {
        MapGuard
    }
}

/// Pages of files are only mapped on this target.
#[allow(
    clippy::unnecessary_wraps,
    reason = "the Linux version makes calls that can fail"
)]
const fn try_file(_file: &OwnedFd, _offset: u64) -> Result<(), OsError> {
    Ok(())
}

/// Nothing to do: nobody else can open the file.
#[allow(
    clippy::unnecessary_wraps,
    reason = "the Linux version makes a call that can fail"
)]
const fn seal(_file: &OwnedFd) -> Result<(), OsError> {
    Ok(())
}

/// Returns how the system maps the file. No known file system makes mmap(2) round a
/// length up to more than a page.
pub(crate) fn mapped_in(file: &File) -> Result<MappedIn, FileError> {
    mmap::regular_file(file)
}

impl Reservation {
    /// Pages cannot be discarded on this target: `MADV_DONTNEED`, where it exists, does
    /// not guarantee zeros.
    pub(crate) const fn discard(&mut self, _range: Range<usize>) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }

    /// Not supported either.
    pub(crate) const fn discard_ranges(&mut self, _ranges: &[Range<usize>]) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }
}

/// There are no seals on this target.
pub(crate) const fn is_sealed(_file: &File) -> bool {
    false
}

fn failed(call: Call, err: &std::io::Error) -> OsError {
    OsError {
        call,
        code: err.raw_os_error().unwrap_or(0),
    }
}
