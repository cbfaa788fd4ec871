//! Unix that is not Linux: mappings, but neither sealed files nor page maps.

mod absent;
mod mmap;

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use core::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "floor")]
pub use self::absent::Floor;
pub(crate) use self::absent::{
    Written, batch_support, discard_many, discard_support, max_mappings, scan_support,
};
pub(crate) use self::mmap::{Reservation, Source, host_page_size, table_bytes};
use super::fault;
use crate::error::{Call, OsError};
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

/// There are no seals here.
pub(super) const fn is_sealed(_file: &File) -> bool {
    false
}

fn failed(call: Call, err: &std::io::Error) -> OsError {
    OsError {
        call,
        code: err.raw_os_error().unwrap_or(0),
    }
}
