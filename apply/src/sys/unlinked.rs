//! Unlinked files.

use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fault;
use crate::os::{Call, OsError};

/// Creates a file that nobody else knows of, `len` bytes long, all of them holes.
///
/// It has a name for a moment: an unpredictable one, of a new file that only its owner
/// may access. Another process of the same user could open it, but could just as well
/// write to this process's memory.
pub(super) fn anonymous_file(len: usize) -> Result<OwnedFd, OsError> {
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

/// Nothing to do: nobody else can open the file.
#[allow(
    clippy::unnecessary_wraps,
    reason = "the Linux version makes a call that can fail"
)]
pub(super) const fn seal(_file: &OwnedFd) -> Result<(), OsError> {
    Ok(())
}

fn failed(call: Call, err: &std::io::Error) -> OsError {
    OsError {
        call,
        code: err.raw_os_error().unwrap_or(0),
    }
}
