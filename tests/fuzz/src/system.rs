//! Initial contents to start from, and a system that refuses calls.

use alloc::sync::Arc;
use std::sync::Once;

use arbitrary::{Result, Unstructured};
use wasm_meminit_apply::{ImageSource, MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::images::STRATEGIES;
use wasm_meminit_test_support::initial_contents::{self, PAGE};

/// Whether the path under test has no mappings.
pub(crate) const IS_PORTABLE: bool =
    cfg!(all(feature = "test-portable", not(feature = "test-unix")));

/// The largest memory of a slot.
pub(crate) const MAX_BYTES: usize = 24 * PAGE;

/// An image and its contents; without an image there are none.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) image: Option<Arc<MemoryImage>>,
    pub(crate) state: Vec<u8>,
}

impl Picture {
    /// Returns the size of the smallest memory for it.
    pub(crate) fn end(&self) -> usize {
        let end = self.image.as_ref().map_or(0, |image| image.data_end());
        usize::try_from(end).expect("small")
    }

    /// Returns a memory of that size with these contents.
    pub(crate) fn memory(&self, len: usize) -> Vec<u8> {
        let mut bytes = self.state.clone();
        bytes.resize(len, 0);
        bytes
    }
}

/// Returns the same images each time: mapped, copied, from artifact files, and none. They stay
/// alive, so that an input costs no files.
pub(crate) fn pictures() -> Vec<Picture> {
    thread_local! {
        static PICTURES: Vec<Picture> = make_pictures();
    }
    PICTURES.with(Clone::clone)
}

fn make_pictures() -> Vec<Picture> {
    let island = initial_contents::state(
        16 * PAGE,
        &[
            (5 * PAGE + 7, 1, 2),
            (15 * PAGE + 4095, 1, 3),
            (9 * PAGE, 2 * PAGE, 4),
        ],
    );
    let states = [
        vec![1; 3 * PAGE],
        island,
        initial_contents::state(MAX_BYTES, &[(0, 100, 5), (MAX_BYTES - 1, 1, 6)]),
        vec![7; 100],
    ];
    let mut pictures = vec![Picture {
        image: None,
        state: Vec::new(),
    }];
    for state in states {
        let captured = Image::capture(&state).expect("small");
        let mapped = MemoryImage::new(captured.as_ref()).expect("room");
        let copied = MemoryImage::in_heap(captured.as_ref()).expect("room");
        let mut images = vec![Arc::new(mapped), Arc::new(copied)];
        if !IS_PORTABLE {
            images.push(initial_contents::image(ImageSource::ArtifactFile, &state));
        }
        pictures.extend(images.into_iter().map(|image| Picture {
            image: Some(image),
            state: state.clone(),
        }));
    }
    pictures
}

/// Makes some of the following calls of this thread fail.
#[cfg(feature = "fault-injection")]
pub(crate) fn refuse(u: &mut Unstructured<'_>) -> Result<()> {
    use wasm_meminit_apply::Call;
    use wasm_meminit_apply::testing::{self, Plan};

    const ENOMEM: i32 = 12;
    const EAGAIN: i32 = 11;
    const EINVAL: i32 = 22;
    const EPERM: i32 = 1;
    // Not `munmap`: what it does not unmap would use up the mappings of a long run.
    let only = *u.choose(&[
        None,
        Some(Call::Mmap),
        Some(Call::Mprotect),
        Some(Call::Madvise),
        Some(Call::PagemapScan),
        Some(Call::ProcessMadvise),
        Some(Call::Allocate),
        Some(Call::Fstat),
    ])?;
    let skip = u.int_in_range(0..=7)?;
    testing::set(Some(Plan {
        skip,
        fail: *u.choose(&[1, 2, 3, u64::MAX])?,
        only,
        code: *u.choose(&[ENOMEM, ENOMEM, EAGAIN, EINVAL, EPERM])?,
    }));
    SKIPPED.set(skip);
    Ok(())
}

#[cfg(not(feature = "fault-injection"))]
pub(crate) fn refuse(_u: &mut Unstructured<'_>) -> Result<()> {
    Ok(())
}

#[cfg(feature = "fault-injection")]
std::thread_local! {
    /// How many calls succeed before one is refused.
    static SKIPPED: core::cell::Cell<u64> = const { core::cell::Cell::new(u64::MAX) };
}

/// Returns whether a call was refused since the last [`recover`].
pub(crate) fn was_refused() -> bool {
    #[cfg(feature = "fault-injection")]
    return SKIPPED.get() < wasm_meminit_apply::testing::n_calls();
    #[cfg(not(feature = "fault-injection"))]
    false
}

/// Lets all calls succeed again.
pub(crate) fn recover() {
    #[cfg(feature = "fault-injection")]
    {
        wasm_meminit_apply::testing::set(None);
        SKIPPED.set(u64::MAX);
    }
}

/// Runs a sequence of calls, and returns whether it reached what the target is for.
pub(crate) fn run(
    input: &[u8],
    sequence: impl FnOnce(&mut Unstructured<'_>, &mut bool) -> Result<()>,
) -> bool {
    // What the library tries out once in a process: it remembers a failure that is permanent, and
    // an injected one is not.
    static TRIED: Once = Once::new();
    recover();
    TRIED.call_once(|| drop(MemorySlot::new(&SlotConfig::new(0))));
    let mut is_reached = false;
    let _ = sequence(&mut Unstructured::new(input), &mut is_reached);
    recover();
    is_reached
}

/// Returns whether the system, not the caller, is the cause: a call was really refused.
pub(crate) fn is_refusal(err: &SlotError) -> bool {
    was_refused() && matches!(err, SlotError::Os(_) | SlotError::Poisoned)
}

pub(crate) fn strategy(u: &mut Unstructured<'_>) -> Result<Strategy> {
    Ok(*u.choose(&STRATEGIES)?)
}

/// Returns a size or an address: near a page boundary, or anywhere.
pub(crate) fn edge(u: &mut Unstructured<'_>, max: usize) -> Result<usize> {
    let pages = u.int_in_range(0..=max / PAGE)?;
    let shift = u.int_in_range(0..=7)?;
    Ok(match shift {
        0..4 => pages * PAGE,
        4 => pages * PAGE + 1,
        5 => (pages * PAGE).saturating_sub(1),
        _ => u.int_in_range(0..=max)?,
    }
    .min(max))
}

/// Compares all bytes.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    initial_contents::assert_same(found, expected, what);
}
