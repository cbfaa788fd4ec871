//! `bench`: measures what initialising a memory costs, at its first start and at each reset.

mod json;
pub(crate) mod paired;
mod resets;
mod starts;
mod text;

use alloc::sync::Arc;
use core::time::Duration;

use wasm_meminit_analysis::{MemoryIndex, Module, Plan};
use wasm_meminit_apply::{Capabilities, ImageError, MemoryImage, SlotError};
use wasm_meminit_image_builder::ModuleImage;

use self::resets::Reset;
use self::starts::Start;
use crate::progress::Progress;

pub(crate) use self::json::report as json;
pub(crate) use self::text::report as text;

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

/// Everything that was measured.
pub(crate) struct Report {
    name: String,
    capabilities: Capabilities,
    page_size: u64,
    memories: Vec<MemoryReport>,
}

/// One memory of the module.
struct MemoryReport {
    index: u32,
    /// The initial size; `None` for 2^64.
    bytes: Option<u64>,
    image_bytes: u64,
    n_runs: usize,
    n_replayed: u64,
    outcome: Result<Measured, NotMeasured>,
}

struct Measured {
    starts: Vec<Start>,
    resets: Vec<Reset>,
}

/// Why a memory was not measured.
#[derive(Clone, Debug)]
enum NotMeasured {
    NoBytes,
    Image(ImageError),
    Slot(SlotError),
    TooLarge,
}

impl core::fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoBytes => f.write_str("its initial size is 0"),
            Self::Image(err) => err.fmt(f),
            Self::Slot(err) => err.fmt(f),
            Self::TooLarge => f.write_str("it does not fit in the address space"),
        }
    }
}

impl From<SlotError> for NotMeasured {
    fn from(err: SlotError) -> Self {
        Self::Slot(err)
    }
}

/// Measures all memories of a module.
pub(crate) fn run(request: Request<'_>, progress: &Progress) -> Report {
    let memories = request.plan.memories();
    let n_lines = memories.len() * (1 + request.n_pages.len());
    progress.phase("measuring", Some(n_lines));
    let memories = memories
        .iter()
        .map(|(index, plan)| {
            let outcome = memory(&request, index, progress);
            MemoryReport {
                index: index.as_u32(),
                bytes: plan.ty().min_bytes(),
                image_bytes: plan.image_bytes(),
                n_runs: plan.runs().len(),
                n_replayed: plan.n_replayed(),
                outcome,
            }
        })
        .collect();
    Report {
        name: request.name,
        capabilities: Capabilities::get(),
        page_size: request.plan.page_size().bytes(),
        memories,
    }
}

fn memory(
    request: &Request<'_>,
    index: MemoryIndex,
    progress: &Progress,
) -> Result<Measured, NotMeasured> {
    let plan = &request.plan.memories()[index];
    let bytes = plan.ty().min_bytes().ok_or(NotMeasured::TooLarge)?;
    if bytes == 0 {
        return Err(NotMeasured::NoBytes);
    }
    let built = request.image.image(index).filter(|it| !it.is_empty());
    let image = match built {
        Some(built) => Some(Arc::new(
            MemoryImage::new(built).map_err(NotMeasured::Image)?,
        )),
        None => None,
    };
    let starts = starts::measure(request, index, bytes, built, image.as_ref())?;
    progress.advance(1);
    let mut resets = Vec::new();
    for &n_pages in request.n_pages {
        if n_pages * request.plan.page_size().bytes() <= bytes.max(request.plan.page_size().bytes())
        {
            resets.push(resets::measure(
                image.as_ref(),
                bytes,
                n_pages,
                request.time,
            )?);
        }
        progress.advance(1);
    }
    Ok(Measured { starts, resets })
}
