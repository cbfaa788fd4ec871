//! Serves requests for memories.

use alloc::sync::Arc;

use wasm_meminit_analysis::{IndexType, WasmPageSize};
use wasm_meminit_apply::{MemoryImage, MemoryType, PooledSlot};
use wasmer::{MemoryStyle, Pages, WASM_PAGE_SIZE};

use crate::error::MemoryError;
use crate::frame;
use crate::pool::Pool;

const PAGE_BYTES: u64 = WASM_PAGE_SIZE as u64;

/// Starts a memory that a module defines, with its image if the module was prepared.
pub(crate) fn start(
    pool: &Arc<Pool>,
    ty: wasmer::MemoryType,
    style: MemoryStyle,
) -> Result<PooledSlot, MemoryError> {
    let claim = frame::claim(pool, memory_type(ty))?;
    let image = claim.as_ref().and_then(|it| it.image.as_ref());
    let started = acquire(pool, image, ty, style);
    // What a start function instantiates is not the module's: its failure may be handled.
    if let (Some(_), Err(err)) = (&claim, &started) {
        frame::fail(pool, err.clone());
    }
    started
}

/// Starts a zeroed memory.
pub(crate) fn start_zeroed(
    pool: &Pool,
    ty: wasmer::MemoryType,
    style: MemoryStyle,
) -> Result<PooledSlot, MemoryError> {
    acquire(pool, None, ty, style)
}

fn acquire(
    pool: &Pool,
    image: Option<&Arc<MemoryImage>>,
    ty: wasmer::MemoryType,
    style: MemoryStyle,
) -> Result<PooledSlot, MemoryError> {
    let bytes = u64::from(ty.minimum.0).saturating_mul(PAGE_BYTES);
    match style {
        MemoryStyle::Static => pool.acquire(image, bytes),
        MemoryStyle::Dynamic { .. } => Err(MemoryError::OtherStyle { style }),
    }
}

/// Refuses the types that the engine refuses for memories of its own: those that only a host can
/// request, because modules with them are invalid.
pub(crate) fn check(ty: wasmer::MemoryType) -> Result<(), wasmer::MemoryError> {
    let max_allowed = Pages::max_value();
    if max_allowed < ty.minimum {
        return Err(wasmer::MemoryError::MinimumMemoryTooLarge {
            min_requested: ty.minimum,
            max_allowed,
        });
    }
    match ty.maximum {
        Some(max) if max_allowed < max => Err(wasmer::MemoryError::MaximumMemoryTooLarge {
            max_requested: max,
            max_allowed,
        }),
        Some(max) if max < ty.minimum => Err(wasmer::MemoryError::InvalidMemory {
            reason: format!(
                "the maximum ({} pages) is less than the minimum ({} pages)",
                max.0, ty.minimum.0
            ),
        }),
        _ => Ok(()),
    }
}

/// Counts a memory that a module defines, and that is not taken from the pool.
pub(crate) fn pass(pool: &Arc<Pool>, ty: wasmer::MemoryType) -> Result<(), MemoryError> {
    frame::claim(pool, memory_type(ty)).map(drop)
}

/// Converts the engine's type to ours. The engine has no others.
fn memory_type(ty: wasmer::MemoryType) -> MemoryType {
    MemoryType {
        index_type: IndexType::I32,
        shared: ty.shared,
        page_size: WasmPageSize::Kib64,
        min: ty.minimum.0.into(),
        max: ty.maximum.map(|it| it.0.into()),
    }
}

/// Returns the number of whole pages in so many bytes.
pub(crate) fn n_pages(bytes: u64) -> Pages {
    Pages(u32::try_from(bytes / PAGE_BYTES).unwrap_or(u32::MAX))
}

/// Returns the size in bytes after growth, unless that exceeds the maximum.
pub(crate) fn grown(current: Pages, delta: Pages, maximum: Option<Pages>) -> Option<u64> {
    let max = maximum.map_or(Pages::max_value().0, |it| it.0.min(Pages::max_value().0));
    let pages = current.0.checked_add(delta.0)?;
    (pages <= max).then(|| u64::from(pages) * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_has_limits() {
        let grown =
            |current, delta, max: Option<u32>| grown(Pages(current), Pages(delta), max.map(Pages));
        assert_eq!(grown(1, 0, Some(1)), Some(0x1_0000));
        assert_eq!(grown(1, 1, Some(1)), None);
        assert_eq!(grown(1, 65535, None), Some(4 << 30));
        assert_eq!(grown(1, 65536, None), None);
        assert_eq!(grown(1, 65536, Some(70000)), None);
        assert_eq!(grown(1, u32::MAX, None), None);
    }

    #[test]
    fn pages_are_whole() {
        assert_eq!(n_pages(0xffff), Pages(0));
        assert_eq!(n_pages(4 << 30), Pages(65536));
        assert_eq!(n_pages(u64::MAX), Pages(u32::MAX));
    }
}
