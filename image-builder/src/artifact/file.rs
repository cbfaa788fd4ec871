//! A decoded artifact: its head, and the bytes of its runs, verified at once or on demand.

use core::fmt;
use core::ops::Range;

use wasm_meminit_analysis::{
    Assumption, HostPageSize, MemoryIndex, MemoryInitialization, MemoryInitializer, Policy, Run,
};

use crate::artifact::error::{DecodeError, Part};
use crate::artifact::head::{ArtifactHead, ArtifactMemory};
use crate::image::baked_start::BakedStart;
use crate::image::memory::ImageRef;
use crate::image::module::initialization;
use crate::image::provenance::{SourceHash, Tool};
use crate::length::len_u64;

/// The relation of a module to an artifact; see
/// [`Artifact::module_role`](crate::Artifact::module_role).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModuleRole {
    /// The module that the artifact was built from. An engine that instantiates it writes
    /// the segments that are in the image a second time.
    Source,
    /// The module without the segments that are in the image.
    Stripped,
}

/// A decoded artifact that borrows its bytes.
///
/// # Who verifies the payload
///
/// [`decode`](Self::decode) checks everything and reads the whole file.
/// [`decode_unverified`](Self::decode_unverified) reads only the header. The caller must then
/// call [`verify_memory`](Self::verify_memory) before mapping or copying the bytes of a
/// memory, or [`verify`](Self::verify) for all memories, unless the file is known to be
/// intact: it was verified before, and nobody could have modified it since. Using damaged
/// bytes is never unsound, but the program's memory has wrong contents.
#[derive(Clone)]
pub struct Artifact<'a> {
    head: ArtifactHead<'a>,
    /// Invariant: its length is `head.file_len`.
    file: &'a [u8],
}

/// Prints its head, never the bytes of its images.
impl fmt::Debug for Artifact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Artifact").field(&self.head).finish()
    }
}

impl<'a> Artifact<'a> {
    /// Decodes an artifact and checks all of it: every checksum, length, order, alignment
    /// and bound, and that there are no trailing bytes.
    ///
    /// Allocates as much as [`ArtifactHead::decode`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the first error found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let artifact = Self::decode_unverified(bytes)?;
        artifact.verify()?;
        Ok(artifact)
    }

    /// Decodes an artifact without reading the bytes of its runs; see
    /// [above](Self#who-verifies-the-payload). If the file is mapped, only the pages of the
    /// header are accessed.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as for [`ArtifactHead::decode`], or if the file's length is not the
    /// one that the header implies.
    pub fn decode_unverified(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let head = ArtifactHead::decode(bytes)?;
        let (expected, found) = (head.file_len, len_u64(bytes.len()));
        match found.cmp(&expected) {
            core::cmp::Ordering::Less => Err(DecodeError::Truncated { expected, found }),
            core::cmp::Ordering::Greater => Err(DecodeError::TrailingBytes { expected, found }),
            core::cmp::Ordering::Equal => Ok(Self { head, file: bytes }),
        }
    }

    /// Verifies everything outside the header: the runs of all memories, and all padding.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the first error found.
    pub fn verify(&self) -> Result<(), DecodeError> {
        let mut end = self.head.header_end;
        for (nth, memory) in self.head.memories.iter().enumerate() {
            self.check_zero(end..memory.file_offset())?;
            self.verify_nth(nth, memory)?;
            end = memory.file_end;
        }
        debug_assert_eq!(end, self.head.file_len, "bytes that were not checked");
        Ok(())
    }

    /// Verifies the bytes of one memory: the checksum of each run, zeros around the runs as
    /// far as a mapping exposes them, zeros past the memory's end, and the flag of a start
    /// function.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the first error found. Returns `Ok` for a memory that does not
    /// exist.
    pub fn verify_memory(&self, memory: MemoryIndex) -> Result<(), DecodeError> {
        let nth = usize::try_from(memory.as_u32()).unwrap_or(usize::MAX);
        let Some(memory) = self.head.memories.get(nth) else {
            return Ok(());
        };
        // Mapping the first block exposes its start too.
        let offset = memory.file_offset();
        if let Some(first) = self.runs_of(memory).first() {
            let block = self.head.file_alignment;
            let lead = crate::image::blocks::lead(block, first.addr);
            self.check_zero(offset.saturating_sub(lead)..offset)?;
        }
        self.verify_nth(nth, memory)
    }

    fn verify_nth(&self, nth: usize, memory: &ArtifactMemory) -> Result<(), DecodeError> {
        let image = self.image_of(memory);
        let index = u32::try_from(nth).unwrap_or(u32::MAX);
        let mut end = memory.file_offset();
        let runs = image.runs_with_position().zip(self.head.checksums(nth));
        for ((position, run), checksum) in runs {
            let start = memory.file_offset().saturating_add(position);
            self.check_zero(end..start)?;
            end = start.saturating_add(len_u64(run.data.len()));
            if crc32fast::hash(&run.data) != checksum {
                return Err(DecodeError::RunChecksum {
                    memory: index,
                    addr: run.addr,
                });
            }
        }
        debug_assert_eq!(end, memory.file_end, "bytes that were not checked");
        self.check_end(&image, memory, index)?;
        match self.head.start {
            Some(start) if start.memory.as_u32() == index => check_flag(&image, &start),
            _ => Ok(()),
        }
    }

    /// Checks that bytes past the memory's end are zero. With wasm pages of one byte, the last
    /// host page may extend past the end.
    fn check_end(
        &self,
        image: &ImageRef<'_>,
        memory: &ArtifactMemory,
        index: u32,
    ) -> Result<(), DecodeError> {
        let (Some(last), Some(size)) = (image.runs().last(), memory.ty().min_bytes()) else {
            return Ok(());
        };
        let inside = size.saturating_sub(last.addr);
        let past = usize::try_from(inside)
            .ok()
            .and_then(|n| last.data.get(n..));
        match past.and_then(|past| past.iter().position(|byte| *byte != 0)) {
            None => Ok(()),
            Some(nth) => Err(DecodeError::PastEnd {
                memory: index,
                addr: size.saturating_add(len_u64(nth)),
            }),
        }
    }

    fn check_zero(&self, offsets: Range<u64>) -> Result<(), DecodeError> {
        let padding = self.bytes(offsets);
        if padding.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(DecodeError::Invalid {
                part: Part::Padding,
            })
        }
    }

    /// Returns a part of the file.
    fn bytes(&self, offsets: Range<u64>) -> &'a [u8] {
        let range = |offsets: Range<u64>| {
            let start = usize::try_from(offsets.start).ok()?;
            self.file.get(start..usize::try_from(offsets.end).ok()?)
        };
        let bytes = range(offsets);
        // Never fails: the file has the length that the head implies.
        debug_assert!(bytes.is_some(), "offsets outside the file");
        bytes.unwrap_or(&[])
    }

    fn runs_of(&self, memory: &ArtifactMemory) -> &[Run] {
        let runs = self.head.runs.get(memory.runs.clone());
        debug_assert!(runs.is_some(), "runs outside the list");
        runs.unwrap_or(&[])
    }

    /// Returns the head: everything but the bytes of runs.
    pub const fn head(&self) -> &ArtifactHead<'a> {
        &self.head
    }

    /// Returns the page size that runs are aligned to, in memory and in the file.
    pub const fn page_size(&self) -> HostPageSize {
        self.head.page_size
    }

    /// Returns the largest host page size that the file can be mapped with. Each page of that
    /// size that contains a byte of a run is stored whole and aligned, with the contents that
    /// the memory has; only the last page of the file ends with the last run.
    pub const fn file_alignment(&self) -> HostPageSize {
        self.head.file_alignment
    }

    /// Returns the hash of the module that the artifact was built from, if it was recorded.
    pub const fn source(&self) -> Option<SourceHash> {
        self.head.source
    }

    /// Returns the hash of the module without the segments that are in the image, if it was
    /// recorded.
    pub const fn stripped(&self) -> Option<SourceHash> {
        self.head.stripped
    }

    /// Returns the role of the module with this hash. `None` if it is another module, or if
    /// the artifact records no hash.
    pub fn module_role(&self, hash: SourceHash) -> Option<ModuleRole> {
        if self.head.stripped == Some(hash) {
            Some(ModuleRole::Stripped)
        } else if self.head.source == Some(hash) {
            Some(ModuleRole::Source)
        } else {
            None
        }
    }

    /// Returns the program that built the artifact.
    pub const fn tool(&self) -> Tool<'a> {
        self.head.tool
    }

    /// Returns the policy that the artifact was built with.
    pub const fn policy(&self) -> Policy {
        self.head.policy
    }

    /// Returns the assumptions about the host, sorted by kind and index. The artifact is
    /// correct if all of them hold.
    pub fn assumptions(&self) -> impl Iterator<Item = Assumption> + use<'a> {
        self.head.assumptions()
    }

    /// Returns whether an active element segment of the module may trap. If so, an engine
    /// must install the image only after the element segments have succeeded.
    pub const fn elements_may_trap(&self) -> bool {
        self.head.elements_may_trap
    }

    /// Describes the baked writes of the start function, if there are any.
    pub const fn start(&self) -> Option<BakedStart> {
        self.head.start
    }

    /// Returns all memories of the module, in index order, imported ones first.
    pub fn memories(&self) -> &[ArtifactMemory] {
        &self.head.memories
    }

    /// Returns the image of one memory, before any segment is replayed; empty if the memory
    /// is zero or only replayed. `None` if the memory does not exist.
    pub fn image(&self, memory: MemoryIndex) -> Option<ImageRef<'_>> {
        Some(self.image_of(self.head.memory(memory)?))
    }

    fn image_of(&self, memory: &ArtifactMemory) -> ImageRef<'_> {
        ImageRef {
            page_size: self.head.page_size,
            block: self.head.file_alignment,
            runs: self.runs_of(memory),
            bytes: self.bytes(memory.file_offset()..memory.file_end),
        }
    }

    /// Returns the segments to replay after the images are in place, in order.
    pub fn replay(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        self.head.replay()
    }

    /// Returns the initialisation of the memories, to be carried out by an engine.
    pub fn initialization(&self) -> MemoryInitialization<'_> {
        initialization(
            self.head.memories.iter().map(|it| self.image_of(it)),
            self.replay().collect(),
        )
    }
}

/// Checks that the flag in the image has the value that the header implies.
fn check_flag(image: &ImageRef<'_>, start: &BakedStart) -> Result<(), DecodeError> {
    let mut found = [0; 4];
    image.read(start.flag, &mut found);
    if u32::from_le_bytes(found) == start.flag_value() {
        Ok(())
    } else {
        Err(DecodeError::Invalid { part: Part::Start })
    }
}
