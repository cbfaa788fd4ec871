//! Unix that is not Linux: mappings, but neither sealed files nor page maps.

mod absent;
mod mmap;

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::absent::{Written, batch_support, discard_many, max_mappings, scan_support};
pub(crate) use self::mmap::{Reservation, Source, host_page_size, table_bytes};
use super::{MappedIn, fault};
use crate::capabilities::Support;
use crate::error::{Call, ImageError, OsError};
use crate::image::ImageSource;
use crate::reset::Strategy;

/// What a reset does unless told.
pub(crate) const DEFAULT_STRATEGY: Strategy = Strategy::Remap;

/// What kind of file [`anonymous_file`] makes.
const FILE_KIND: ImageSource = ImageSource::UnlinkedFile;

/// A file of which nobody else knows, `len` bytes long, all of them holes.
///
/// It has a name for a moment, unpredictable and of a new file with access for its
/// owner only: another process of the same user could open it, and could as well
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

/// What was tried out: see the file of Linux, where calls have pretended to work.
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

/// Mappings are all that is used here.
#[allow(
    clippy::unnecessary_wraps,
    reason = "Linux has calls here that can fail"
)]
const fn try_out() -> Result<(), OsError> {
    Ok(())
}

/// There is no limit here that to add a mapping would exceed.
mod turns {
    #[derive(Debug)]
    pub(super) struct Turn;

    pub(super) const fn replacing() -> Turn {
        Turn
    }

    pub(super) const fn adding() -> Turn {
        Turn
    }
}

/// Pages of files are only mapped here.
#[allow(
    clippy::unnecessary_wraps,
    reason = "Linux has calls here that can fail"
)]
const fn try_file(_file: &OwnedFd, _offset: u64) -> Result<(), OsError> {
    Ok(())
}

/// Nothing to do: nobody else can open it.
#[allow(
    clippy::unnecessary_wraps,
    reason = "Linux has a call here that can fail"
)]
const fn seal(_file: &OwnedFd) -> Result<(), OsError> {
    Ok(())
}

/// How the system maps the file. Nothing that a file system says makes mmap(2) round a
/// length up to more than a page.
pub(crate) fn mapped_in(file: &File) -> Result<MappedIn, ImageError> {
    mmap::regular_file(file)
}

impl Reservation {
    /// Pages cannot be discarded here: `MADV_DONTNEED`, where it exists, does not promise
    /// zeros.
    pub(crate) const fn discard(&mut self, _range: Range<usize>) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }

    /// The same.
    pub(crate) const fn discard_ranges(&mut self, _ranges: &[Range<usize>]) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }
}

/// There are no seals here.
pub(crate) const fn is_sealed(_file: &File) -> bool {
    false
}

fn failed(call: Call, err: &std::io::Error) -> OsError {
    OsError {
        call,
        code: err.raw_os_error().unwrap_or(0),
    }
}
