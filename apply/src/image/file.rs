//! Maps images directly from an artifact's file.

use std::fs::File;

use wasm_meminit_image_builder::Artifact;
use wasm_meminit_image_builder::analysis::MemoryIndex;

use super::layout::Layout;
use super::memory_image::MemoryImage;
use crate::error::ImageError;
use crate::host_page::host_page_size;
use crate::sys::{SealedFile, Source};

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
    #[allow(
        unsafe_code,
        reason = "only the caller can promise that the file does not change"
    )]
    pub unsafe fn map_file(
        artifact: &Artifact<'_>,
        memory: MemoryIndex,
        file: &File,
    ) -> Result<Self, ImageError> {
        let Some(plan) = Mapping::new(artifact, memory)? else {
            return Self::empty_from(artifact, memory);
        };
        // SAFETY: the caller guarantees that the file does not change, and how it is mapped.
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
        let Some(sealed) = SealedFile::new(file) else {
            return Err(ImageError::NotSealed);
        };
        let Some(plan) = Mapping::new(artifact, memory)? else {
            return Self::empty_from(artifact, memory);
        };
        let source = Source::from_sealed_file(sealed, plan.offset, plan.len)?;
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
    /// Checks that the part exists and is aligned to pages. Returns `None` if it is empty.
    fn new(artifact: &Artifact<'_>, memory: MemoryIndex) -> Result<Option<Self>, ImageError> {
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
