//! `bench`: measures what initialising a memory costs, at its first start and at each reset.

mod json;
pub(crate) mod paired;
mod report;
mod request;
mod resets;
mod spread;
mod starts;
mod text;
mod verdict;

use alloc::sync::Arc;

use wasm_meminit::analysis::MemoryIndex;
use wasm_meminit::apply::{Capabilities, MemoryImage};

use self::report::{Measured, MemoryReport, NotMeasured, Report};
use crate::progress::Progress;

/// The fewest rounds of each measurement, however long they take: with fewer, a spread means
/// nothing.
const MIN_ROUNDS: usize = 5;

pub(crate) use self::json::report as json;
pub(crate) use self::request::Request;
pub(crate) use self::text::report as text;

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
