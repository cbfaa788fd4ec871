//! Maps images directly from an artifact's file.

#![allow(
    unsafe_code,
    reason = "`sys` maps a file only with the promise that it does not change"
)]

use std::fs::File;

use wasm_meminit_image_builder::Artifact;
use wasm_meminit_image_builder::analysis::MemoryIndex;

use super::layout::Layout;
use super::memory_image::MemoryImage;
use crate::error::ImageError;
use crate::host_page::host_page_size;
use crate::sys::{self, Source};

impl MemoryImage {
    /// Maps the bytes of a memory directly from its artifact's file.
    ///
    /// Nothing is copied, and each start maps every run.
    ///
    /// `artifact` must have been decoded from the bytes of `file`, from its beginning;
    /// the file descriptor is duplicated. The file's bytes are neither read nor compared
    /// with the artifact: if they differ, memories start with the file's bytes.
    ///
    /// [`new`](Self::new) is the safe alternative: it copies, so what was checked cannot
    /// change. [`map_sealed`](Self::map_sealed) is safe too.
    ///
    /// # Errors
    ///
    /// * [`ImageError::NoSuchMemory`].
    /// * [`ImageError::PageSize`]: the artifact was built for smaller pages than this
    ///   machine has. [`ImageError::FileOffset`]: the memory's bytes do not start at a
    ///   page boundary.
    /// * [`ImageError::NotRegular`], [`ImageError::FilePageSize`]: a device, a pipe, or a
    ///   huge-page file, which the system maps in larger units than requested.
    /// * [`ImageError::FileTooShort`].
    /// * [`ImageError::Unsupported`] on targets without mappings; [`ImageError::Os`].
    ///
    /// # Safety
    ///
    /// As long as the image, or a slot that holds it, is alive, nothing may write to the
    /// file or truncate it, in this or any other process. Otherwise bytes that Rust
    /// assumes to be immutable change, memories hold data that was never checked, and an
    /// access past the new end of the file raises `SIGBUS`: see mmap(2).
    ///
    /// The system must map the file in pages of this machine. That is checked where the
    /// system reports it (Linux: hugetlbfs); for other file systems that round mappings
    /// up, the caller is responsible.
    pub unsafe fn map_file(
        artifact: &Artifact<'_>,
        memory: MemoryIndex,
        file: &File,
    ) -> Result<Self, ImageError> {
        let Some(plan) = Mapping::new(artifact, memory, file)? else {
            return Self::empty_from(artifact, memory);
        };
        // SAFETY: the caller guarantees that the file does not change.
        let source = unsafe { Source::from_file(file, plan.offset, plan.len) }?;
        Ok(Self::new_in(source, plan.layout))
    }

    /// Maps a file that the kernel protects from changes.
    ///
    /// The file must be a memory file sealed against writing and shrinking (Linux). Like
    /// [`map_file`](Self::map_file), but every byte that can become visible in a memory
    /// is compared with the artifact.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use wasm_meminit_analysis::{Module, Plan, Policy};
    /// # use wasm_meminit_image_builder::ModuleImage;
    /// use wasm_meminit_apply::{Artifact, ImageError, MemoryImage, MemoryIndex};
    ///
    /// # let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 9) "a"))"#).unwrap();
    /// # let module = Module::parse(&wasm).unwrap();
    /// # let plan = Plan::new(&module, &Policy::default());
    /// # let bytes = ModuleImage::build(&module, &plan).unwrap().encode().unwrap();
    /// let artifact = Artifact::decode(&bytes).unwrap();
    /// let executable = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    /// let err = MemoryImage::map_sealed(&artifact, MemoryIndex::from_u32(0), &executable);
    /// assert_eq!(err.unwrap_err(), ImageError::NotSealed);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ImageError::NotSealed`]; [`ImageError::FileDiffers`]; otherwise as for
    /// [`map_file`](Self::map_file).
    pub fn map_sealed(
        artifact: &Artifact<'_>,
        memory: MemoryIndex,
        file: &File,
    ) -> Result<Self, ImageError> {
        if !sys::is_sealed(file) {
            return Err(ImageError::NotSealed);
        }
        let Some(plan) = Mapping::new(artifact, memory, file)? else {
            return Self::empty_from(artifact, memory);
        };
        // SAFETY: a seal cannot be removed, so the file does not change; and the one kind
        // of memory file that is mapped in larger units was refused.
        let source = unsafe { Source::from_file(file, plan.offset, plan.len) }?;
        let image = artifact.image(memory).ok_or(ImageError::NoSuchMemory)?;
        if let Some(at) = first_difference(source.bytes(), image.bytes()) {
            let at = u64::try_from(at).unwrap_or(u64::MAX);
            return Err(ImageError::FileDiffers {
                offset: plan.offset.saturating_add(at),
            });
        }
        Ok(Self::new_in(source, plan.layout))
    }

    /// Returns the image of a memory without bytes: nothing is mapped.
    fn empty_from(artifact: &Artifact<'_>, memory: MemoryIndex) -> Result<Self, ImageError> {
        let image = artifact.image(memory).ok_or(ImageError::NoSuchMemory)?;
        Self::in_heap(image)
    }
}

/// The part of a file that is mapped for a memory.
struct Mapping {
    layout: Layout,
    /// Offset in the file, in bytes.
    offset: u64,
    /// Length in bytes.
    len: usize,
}

impl Mapping {
    /// Checks that the part exists and can be mapped. Returns `None` if it is empty.
    fn new(
        artifact: &Artifact<'_>,
        memory: MemoryIndex,
        file: &File,
    ) -> Result<Option<Self>, ImageError> {
        let position = usize::try_from(memory.as_u32()).unwrap_or(usize::MAX);
        let (Some(image), Some(head)) = (artifact.image(memory), artifact.memories().get(position))
        else {
            return Err(ImageError::NoSuchMemory);
        };
        let (image_page, host) = (image.page_size().bytes(), host_page_size().bytes());
        if image_page < host {
            return Err(ImageError::PageSize {
                image: image_page,
                host,
            });
        }
        let layout = Layout::new(&image)?;
        let len = layout.runs.last().map_or(0, |run| run.stored + run.len);
        if len == 0 {
            return Ok(None);
        }
        let offset = head.file_offset();
        if !offset.is_multiple_of(host) {
            return Err(ImageError::FileOffset { offset, host });
        }
        let found = sys::mapped_in(file)?;
        if found.page_bytes != host {
            return Err(ImageError::FilePageSize {
                file: found.page_bytes,
                host,
            });
        }
        let expected = offset.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        if found.len < expected {
            return Err(ImageError::FileTooShort {
                expected,
                found: found.len,
            });
        }
        Ok(Some(Self {
            layout,
            offset,
            len,
        }))
    }
}

/// Returns the position of the first difference, if the first `found.len()` bytes differ.
fn first_difference(found: &[u8], expected: &[u8]) -> Option<usize> {
    if expected.get(..found.len()) == Some(found) {
        return None;
    }
    let same = |(found, expected)| found == expected;
    Some(
        found
            .iter()
            .zip(expected)
            .take_while(|&it| same(it))
            .count(),
    )
}

#[cfg(all(
    test,
    unix,
    not(miri),
    not(all(feature = "test-portable", not(feature = "test-unix")))
))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec;
    use alloc::vec::Vec;
    use std::io::Write;

    use wasm_meminit_analysis::{Module, Plan, Policy};
    use wasm_meminit_image_builder::ModuleImage;

    use super::*;
    use crate::{ImageSource, MemorySlot, SlotConfig};

    const WAT: &str = r#"(module
        (memory 1)
        (memory 20)
        (data (i32.const 8) "first")
        (data (memory 1) (i32.const 5000) "second")
        (data (memory 1) (i32.const 1000000) "far"))"#;

    fn artifact() -> Vec<u8> {
        let wasm = wat::parse_str(WAT).expect("text");
        let module = Module::parse(&wasm).expect("module");
        let plan = Plan::new(&module, &Policy::default());
        let image = ModuleImage::build(&module, &plan).expect("image");
        image.encode().expect("artifact")
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("room");
        file
    }

    #[test]
    fn a_memory_starts_from_the_artifact_file() {
        let bytes = artifact();
        let file = file(&bytes);
        let artifact = Artifact::decode(&bytes).expect("own");
        let index = MemoryIndex::from_u32(1);
        // SAFETY: the file has no name, and this test does not change it.
        let image = unsafe { MemoryImage::map_file(&artifact, index, &file) }.expect("mapped");
        assert_eq!(image.source(), ImageSource::ArtifactFile);
        drop(file);

        let mut expected = vec![0; 20 * 65536];
        crate::copy_into_zeroed(artifact.image(index).expect("two"), &mut expected).expect("fits");
        let image = Arc::new(image);
        let mut slot = MemorySlot::new(&SlotConfig::new(20 * 65536)).expect("room");
        slot.instantiate(Some(&image), 20 * 65536).expect("fits");
        assert!(slot.as_slice() == expected);
        slot.as_mut_slice().fill(1);
        let mut other = MemorySlot::new(&SlotConfig::new(20 * 65536)).expect("room");
        other.instantiate(Some(&image), 20 * 65536).expect("fits");
        assert!(other.as_slice() == expected);
    }

    #[test]
    fn a_file_that_lacks_bytes_is_refused() {
        let bytes = artifact();
        let file = file(&bytes[..bytes.len() - 1]);
        let artifact = Artifact::decode(&bytes).expect("own");
        let found = u64::try_from(bytes.len()).expect("small") - 1;
        // SAFETY: the file has no name, and this test does not change it.
        let err = unsafe { MemoryImage::map_file(&artifact, MemoryIndex::from_u32(1), &file) };
        assert_eq!(
            err.expect_err("short"),
            ImageError::FileTooShort {
                expected: found + 1,
                found
            }
        );
        // SAFETY: as above.
        let err = unsafe { MemoryImage::map_file(&artifact, MemoryIndex::from_u32(2), &file) };
        assert_eq!(err.expect_err("two memories"), ImageError::NoSuchMemory);
    }

    #[test]
    fn irregular_files_are_refused() {
        let bytes = artifact();
        let artifact = Artifact::decode(&bytes).expect("own");
        for path in ["/dev/zero", "/"] {
            let file = File::open(path).expect("on every unix");
            // SAFETY: nothing is mapped.
            let err = unsafe { MemoryImage::map_file(&artifact, MemoryIndex::from_u32(1), &file) };
            assert_eq!(err.expect_err("no file"), ImageError::NotRegular, "{path}");
        }
    }

    #[cfg(all(
        target_os = "linux",
        not(all(feature = "test-unix", not(feature = "test-portable")))
    ))]
    #[test]
    fn only_sealed_files_are_mapped_safely() {
        use rustix::fs::{MemfdFlags, SealFlags};

        let bytes = artifact();
        let artifact = Artifact::decode(&bytes).expect("own");
        let file = rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING).expect("a file");
        let mut file = File::from(file);
        file.write_all(&bytes).expect("room");
        let index = MemoryIndex::from_u32(0);
        for seals in [SealFlags::empty(), SealFlags::WRITE, SealFlags::SHRINK] {
            // Retry while the kernel still holds on to the file's page.
            while let Err(err) = rustix::fs::fcntl_add_seals(&file, seals) {
                assert_eq!(err, rustix::io::Errno::BUSY);
            }
            let mapped = MemoryImage::map_sealed(&artifact, index, &file);
            match seals {
                SealFlags::SHRINK => assert_eq!(mapped.expect("sealed").data_end(), 13),
                _ => assert_eq!(mapped.expect_err("not sealed"), ImageError::NotSealed),
            }
        }
    }
}
