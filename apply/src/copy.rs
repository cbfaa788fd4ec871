//! Copies an image into the caller's bytes: no operating system, no `unsafe`.

use wasm_meminit_image_builder::ImageRef;

use crate::error::MemoryTooSmall;

/// Returns one past the address of the last non-zero byte of an image.
///
/// From there to the end of the last run, the image is padding.
pub(crate) fn data_end(image: &ImageRef<'_>) -> u64 {
    let Some(last) = image.layout().last() else {
        return 0;
    };
    let padding = image.bytes().iter().rev().take_while(|byte| **byte == 0);
    let n_padding = u64::try_from(padding.count()).unwrap_or(u64::MAX);
    if n_padding < last.len {
        last.end() - n_padding
    } else {
        // Only an image that was not made from a plan ends with a run of zeros.
        image.runs().fold(0, |end, run| {
            let used = run.data.iter().rposition(|byte| *byte != 0);
            used.map_or(end, |at| run.addr + 1 + len_u64(at))
        })
    }
}

/// Copies an image into a memory that is all zero.
///
/// Writes only the image's runs. With custom page sizes a memory can end inside the
/// image's last page; the padding past its end is skipped.
///
/// ```
/// use wasm_meminit_image_builder::Image;
///
/// let mut contents = vec![0; 65536];
/// contents[10] = 7;
/// let image = Image::capture(&contents)?;
///
/// let mut memory = vec![0; 65536];
/// wasm_meminit_apply::copy_into_zeroed(image.as_ref(), &mut memory)?;
/// assert_eq!(memory, contents);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`MemoryTooSmall`] if a non-zero byte does not fit; then nothing was written.
pub fn copy_into_zeroed(image: ImageRef<'_>, memory: &mut [u8]) -> Result<(), MemoryTooSmall> {
    check(&image, memory)?;
    for run in image.runs() {
        let from = index(run.addr, memory);
        let target = &mut memory[from..];
        let len = run.data.len().min(target.len());
        target[..len].copy_from_slice(&run.data[..len]);
    }
    Ok(())
}

/// Resets a memory to its initial contents, whatever it holds.
///
/// Copies the image's runs and zeroes every byte around them.
///
/// Writes each byte of the memory once.
///
/// # Errors
///
/// [`MemoryTooSmall`] if a non-zero byte does not fit; then nothing was written.
pub fn copy_over(image: ImageRef<'_>, memory: &mut [u8]) -> Result<(), MemoryTooSmall> {
    check(&image, memory)?;
    let mut done = 0;
    for run in image.runs() {
        let from = index(run.addr, memory);
        memory[done..from].fill(0);
        let target = &mut memory[from..];
        let len = run.data.len().min(target.len());
        target[..len].copy_from_slice(&run.data[..len]);
        done = from + len;
    }
    memory[done..].fill(0);
    Ok(())
}

fn check(image: &ImageRef<'_>, memory: &[u8]) -> Result<(), MemoryTooSmall> {
    let memory_bytes = len_u64(memory.len());
    let image_end = data_end(image);
    if memory_bytes < image_end {
        return Err(MemoryTooSmall {
            image_end,
            memory_bytes,
        });
    }
    Ok(())
}

/// Converts an address to a position in the memory; an address past the end becomes the
/// end.
fn index(addr: u64, memory: &[u8]) -> usize {
    usize::try_from(addr).map_or(memory.len(), |at| at.min(memory.len()))
}

fn len_u64(len: usize) -> u64 {
    // Never saturates: no target has more than 64 bits.
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use wasm_meminit_image_builder::Image;

    use super::*;

    fn check_copies(contents: &[u8]) {
        let image = Image::capture(contents).expect("small");
        let image = image.as_ref();
        let used = contents.iter().rposition(|byte| *byte != 0);
        let end = used.map_or(0, |at| at + 1);
        assert_eq!(data_end(&image), len_u64(end));
        // Every size next to the end of the data, of a page and of the contents.
        for len in [0, end.saturating_sub(1), end, end + 1, contents.len()] {
            let mut expected: Vec<u8> = contents.to_vec();
            expected.resize(len, 0);
            let mut zeroed = vec![0; len];
            let mut dirty = vec![0xa5; len];
            if len < end {
                let err = MemoryTooSmall {
                    image_end: len_u64(end),
                    memory_bytes: len_u64(len),
                };
                assert_eq!(copy_into_zeroed(image, &mut zeroed), Err(err));
                assert_eq!(copy_over(image, &mut dirty), Err(err));
                assert!(zeroed.iter().all(|byte| *byte == 0));
                assert!(dirty.iter().all(|byte| *byte == 0xa5));
            } else {
                assert_eq!(copy_into_zeroed(image, &mut zeroed), Ok(()));
                assert_eq!(copy_over(image, &mut dirty), Ok(()));
                assert!(zeroed == expected && dirty == expected);
            }
        }
    }

    #[test]
    fn portable_edges_of_pages_and_memories() {
        check_copies(&[]);
        check_copies(&[0; 5000]);
        check_copies(&[1; 100]);
        for at in [0, 1, 4095, 4096, 8191, 8192, 12_286, 12_287] {
            let mut state = vec![0; 12_288];
            state[at] = 1;
            check_copies(&state);
        }
    }

    /// An artifact may be used unverified: then its last run may be zeros.
    #[test]
    fn portable_zeros_at_the_end_of_an_image_need_no_memory() {
        use wasm_meminit_image_builder::analysis::{HostPageSize, MemoryIndex, MemoryType};
        use wasm_meminit_image_builder::analysis::{IndexType, OffsetExpr, Value, WasmPageSize};
        use wasm_meminit_image_builder::analysis::{Module, ModuleBuilder, Plan, Policy};
        use wasm_meminit_image_builder::{Artifact, ModuleImage};

        let mut builder = ModuleBuilder::new();
        let ty = MemoryType {
            index_type: IndexType::I32,
            shared: false,
            page_size: WasmPageSize::Kib64,
            min: 1,
            max: None,
        };
        builder.memory(ty).expect("one");
        for (addr, data) in [(5000, &b"seen"[..]), (20_000, b"cleared")] {
            let offset = OffsetExpr::Const(Value::I32(addr));
            builder.active_segment(0, offset, data).expect("valid");
        }
        let module: Module<'_> = builder.finish().expect("valid");
        let plan = Plan::new(&module, &Policy::smallest(HostPageSize::KIB_4));
        let image = ModuleImage::build(&module, &plan).expect("small");
        let mut file = image.encode().expect("small");
        let memory = MemoryIndex::from_u32(0);
        let end = |file: &[u8]| {
            let artifact = Artifact::decode_unverified(file).expect("as long");
            let image = artifact.image(memory).expect("exists");
            assert_eq!(image.layout().len(), 2);
            data_end(&image)
        };
        assert_eq!(end(&file), 20_007);
        let data = file.windows(7).position(|it| it == b"cleared");
        let data = data.expect("in the last run");
        file[data..data + 7].fill(0);
        assert_eq!(end(&file), 5004);
        let data = file.windows(4).position(|it| it == b"seen");
        let data = data.expect("in the first run");
        file[data..data + 4].fill(0);
        assert_eq!(end(&file), 0);
    }

    proptest! {
        #[test]
        fn portable_copies_are_the_captured_state(
            len in 0_usize..70_000,
            bytes in prop::collection::vec((0_usize..70_000, 1_u8..), 0..4),
        ) {
            let mut state = vec![0; len];
            for (at, byte) in bytes {
                if let Some(cell) = state.get_mut(at) {
                    *cell = byte;
                }
            }
            check_copies(&state);
        }
    }
}
