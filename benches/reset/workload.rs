//! The workload of every reset bench, including those that compare with other engines.

use alloc::sync::Arc;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_apply::MemoryImage;
use wasm_meminit_image_builder::Image;

pub(crate) const PAGE: usize = 4096;
pub(crate) const IMAGE: usize = 1 << 20;
pub(crate) const MEMORY: usize = 16 << 20;

/// Returns bytes that are never zero, so that every page of the image is stored, and never 255.
pub(crate) fn image_bytes() -> Vec<u8> {
    (0..IMAGE).map(|at| (at % 251 + 1) as u8).collect()
}

pub(crate) fn image() -> Arc<MemoryImage> {
    image_of(&image_bytes())
}

pub(crate) fn image_of(bytes: &[u8]) -> Arc<MemoryImage> {
    let image = Image::capture(bytes).expect("small");
    Arc::new(MemoryImage::new(image.as_ref()).expect("small"))
}

/// Writes to `n_pages` pages, evenly spread, so that no two are adjacent.
pub(crate) fn touch(memory: &mut [u8], n_pages: usize) {
    let stride = memory.len() / PAGE / n_pages.max(1);
    for nth in 0..n_pages {
        write(memory, nth * stride);
    }
}

/// Writes a byte that no image contains to a page, at an offset that differs between pages.
pub(crate) fn write(memory: &mut [u8], page: usize) {
    memory[page * PAGE + page * 64 % PAGE] = 255;
}

pub(crate) fn timed(n: u32, mut job: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..n {
        job();
    }
    start.elapsed()
}
