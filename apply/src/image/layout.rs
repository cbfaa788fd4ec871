//! The layout of an image in addresses of this machine.

use alloc::boxed::Box;
use alloc::vec::Vec;

use wasm_meminit_image_builder::ImageRef;

use super::placement::StoredRun;
use crate::copy::data_end;
use crate::error::ImageError;
use crate::host_page::host_page_size;
use crate::os::OsError;
use crate::sys::Source;

/// An image's layout in addresses of this machine.
pub(crate) struct Layout {
    pub(crate) runs: Box<[StoredRun]>,
    pub(crate) data_end: usize,
    pub(crate) len: usize,
}

impl Layout {
    /// Converts addresses to this machine's. Runs are cut after the last host page with a
    /// non-zero byte; `stored` is the position in the image's bytes.
    pub(crate) fn new(image: &ImageRef<'_>) -> Result<Self, ImageError> {
        let too_large = ImageError::TooLarge {
            image_end: image.end(),
        };
        let data_end = data_end(image);
        let len = host_page_size().round_up(data_end).ok_or(too_large)?;
        let to_usize = |addr: u64| usize::try_from(addr).map_err(|_| too_large);
        // Half the address space, so that the sum of two addresses cannot wrap.
        if usize::MAX / 2 < to_usize(len)? {
            return Err(too_large);
        }
        let mut runs = Vec::new();
        let stored = image.runs_with_position().map(|(position, _)| position);
        for (run, stored) in image.layout().iter().zip(stored) {
            if len <= run.addr {
                break;
            }
            runs.push(StoredRun {
                at: to_usize(run.addr)?,
                len: to_usize(run.end().min(len) - run.addr)?,
                stored: to_usize(stored)?,
            });
        }
        Ok(Self {
            runs: runs.into(),
            data_end: to_usize(data_end)?,
            len: to_usize(len)?,
        })
    }

    /// Copies the runs of these bytes to a file of our own, if this target has files.
    pub(crate) fn file(&self, bytes: &[u8]) -> Result<Option<Source>, OsError> {
        let part = |run: &StoredRun| (run.at, &bytes[run.stored..run.stored + run.len]);
        Source::file(self.len, self.runs.iter().map(part))
    }
}
