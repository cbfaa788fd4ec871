//! A whole artifact: its head, and the bytes of its runs, checked at once or on demand.

use core::ops::Range;

use wasm_meminit_analysis::{
    Assumption, HostPageSize, MemoryIndex, MemoryInitialization, MemoryInitializer, Policy, Run,
};

use crate::build::{SourceHash, initialization};
use crate::decode::{ArtifactHead, ArtifactMemory};
use crate::error::{DecodeError, Part};
use crate::image::ImageRef;
use crate::provenance::{ModuleRole, Tool};
use crate::start::BakedStart;
use crate::wire::len_u64;

/// The first bytes of every artifact. Like PNG's, they show damage by programs that
/// take the file for text.
pub const MAGIC: [u8; 8] = *b"\x89WMI\r\n\x1a\n";

/// The format version that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 3;

/// A decoded artifact, whose bytes are borrowed.
///
/// # Who verifies the payload
///
/// [`decode`](Self::decode) checks everything, and reads the whole file to do so. With
/// [`decode_unverified`](Self::decode_unverified) the bytes of runs are not looked at,
/// which costs what the header costs. Then, before bytes of a memory are mapped or
/// copied, [`verify_memory`](Self::verify_memory) is called for it, or
/// [`verify`](Self::verify) for all, by everybody who does not know that the file is
/// intact: that it is as its builder wrote it, because it was verified before and nobody
/// could change it since. Images with other bytes are never unsound, but the program's
/// memory is wrong.
#[derive(Clone, Debug)]
pub struct Artifact<'a> {
    head: ArtifactHead<'a>,
    /// As long as the head says.
    file: &'a [u8],
}

impl<'a> Artifact<'a> {
    /// Reads an artifact and checks all of it: every checksum, length, order,
    /// alignment and bound, and that nothing follows.
    ///
    /// Allocates as [`ArtifactHead::decode`] does.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], the first that was found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let artifact = Self::decode_unverified(bytes)?;
        artifact.verify()?;
        Ok(artifact)
    }

    /// Reads an artifact without a look at the bytes of its runs: see
    /// [above](Self#who-verifies-the-payload). Of a file that is mapped, only the
    /// header's pages are read.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as for [`ArtifactHead::decode`], and where the file is longer or
    /// shorter than it says.
    pub fn decode_unverified(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let head = ArtifactHead::decode(bytes)?;
        let (expected, found) = (head.file_len, len_u64(bytes.len()));
        match found.cmp(&expected) {
            core::cmp::Ordering::Less => Err(DecodeError::Truncated { expected, found }),
            core::cmp::Ordering::Greater => Err(DecodeError::TrailingBytes { expected, found }),
            core::cmp::Ordering::Equal => Ok(Self { head, file: bytes }),
        }
    }

    /// Checks everything outside the header: the runs of all memories, and all padding.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], the first that was found.
    pub fn verify(&self) -> Result<(), DecodeError> {
        let mut end = self.head.header_end;
        for (nth, memory) in self.head.memories.iter().enumerate() {
            if memory.runs.is_empty() {
                continue;
            }
            self.check_zero(end..memory.file_offset())?;
            self.verify_nth(nth, memory)?;
            end = memory.file_end;
        }
        debug_assert_eq!(end, self.head.file_len, "bytes that were not looked at");
        Ok(())
    }

    /// Checks the bytes of one memory: the checksum of each run, zeros around them as far
    /// as a mapping shows them, zeros past the memory's end, and the flag of a start
    /// function.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], the first that was found. A memory that the module does not have
    /// has nothing that could be wrong.
    pub fn verify_memory(&self, memory: MemoryIndex) -> Result<(), DecodeError> {
        let nth = usize::try_from(memory.as_u32()).unwrap_or(usize::MAX);
        let Some(memory) = self.head.memories.get(nth) else {
            return Ok(());
        };
        // The start of the first block is mapped along.
        let offset = memory.file_offset();
        if let Some(first) = self.runs_of(memory).first() {
            let block = self.head.file_alignment;
            let lead = crate::blocks::lead(block, first.offset);
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
            if crc32fast::hash(run.data) != checksum {
                return Err(DecodeError::RunChecksum {
                    memory: index,
                    addr: run.offset,
                });
            }
        }
        debug_assert_eq!(end, memory.file_end, "bytes that were not looked at");
        self.check_end(&image, memory, index)?;
        match self.head.start {
            Some(start) if start.memory.as_u32() == index => check_flag(&image, &start),
            _ => Ok(()),
        }
    }

    /// The last page may reach past the end of a memory with pages of one byte.
    fn check_end(
        &self,
        image: &ImageRef<'_>,
        memory: &ArtifactMemory,
        index: u32,
    ) -> Result<(), DecodeError> {
        let (Some(last), Some(size)) = (image.runs().last(), memory.ty().min_bytes()) else {
            return Ok(());
        };
        let inside = size.saturating_sub(last.offset);
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

    /// A part of the file.
    fn bytes(&self, offsets: Range<u64>) -> &'a [u8] {
        let range = |offsets: Range<u64>| {
            let start = usize::try_from(offsets.start).ok()?;
            self.file.get(start..usize::try_from(offsets.end).ok()?)
        };
        let bytes = range(offsets);
        // Always within: the file is as long as the head says.
        debug_assert!(bytes.is_some(), "offsets outside the file");
        bytes.unwrap_or(&[])
    }

    fn runs_of(&self, memory: &ArtifactMemory) -> &[Run] {
        let runs = self.head.runs.get(memory.runs.clone());
        debug_assert!(runs.is_some(), "runs outside the list");
        runs.unwrap_or(&[])
    }

    /// Everything but the bytes of runs.
    pub const fn head(&self) -> &ArtifactHead<'a> {
        &self.head
    }

    /// The page size that runs are aligned to, in memory and in the file.
    pub const fn page_size(&self) -> HostPageSize {
        self.head.page_size
    }

    /// The largest host pages that the file can be mapped with: each page of that size in
    /// which a run has a byte is in the file as a whole, at a multiple of that size, as
    /// the memory has it. Only the file's last page ends with the last run.
    pub const fn file_alignment(&self) -> HostPageSize {
        self.head.file_alignment
    }

    /// The hash of the module that it was built from, where its builder gave one.
    pub const fn source(&self) -> Option<SourceHash> {
        self.head.source
    }

    /// The hash of the module without the segments that are in the image, where its
    /// builder gave one.
    pub const fn stripped(&self) -> Option<SourceHash> {
        self.head.stripped
    }

    /// What the module with this hash is to the artifact; `None` for another module, and
    /// where the artifact does not say.
    pub fn module_role(&self, hash: SourceHash) -> Option<ModuleRole> {
        if self.head.stripped == Some(hash) {
            Some(ModuleRole::Stripped)
        } else if self.head.source == Some(hash) {
            Some(ModuleRole::Source)
        } else {
            None
        }
    }

    /// The program that built it.
    pub const fn tool(&self) -> Tool<'a> {
        self.head.tool
    }

    /// The policy that it was built by.
    pub const fn policy(&self) -> Policy {
        self.head.policy
    }

    /// What it takes for granted about the host: it is right wherever all of these hold.
    /// In the order of kind and index, each once.
    pub fn assumptions(&self) -> impl Iterator<Item = Assumption> + use<'a> {
        self.head.assumptions()
    }

    /// Whether an active element segment of the module may trap: then an engine makes
    /// the image visible only once the elements succeeded.
    pub const fn elements_may_trap(&self) -> bool {
        self.head.elements_may_trap
    }

    /// What the image of a shared memory holds in place of the start function, if it does.
    pub const fn start(&self) -> Option<BakedStart> {
        self.head.start
    }

    /// Every memory of the module, in index order, imported ones first.
    pub fn memories(&self) -> &[ArtifactMemory] {
        &self.head.memories
    }

    /// The image of one memory, as it is before anything is replayed; empty where it is
    /// zero or replayed. `None` where the module has no such memory.
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

    /// The segments to replay once the images are in place, in order.
    pub fn replay(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        self.head.replay()
    }

    /// How an engine initialises the memories from here.
    pub fn initialization(&self) -> MemoryInitialization<'_> {
        initialization(
            self.head.memories.iter().map(|it| self.image_of(it)),
            self.replay().collect(),
        )
    }
}

/// The flag stands in the image as the header says.
fn check_flag(image: &ImageRef<'_>, start: &BakedStart) -> Result<(), DecodeError> {
    let mut found = [0; 4];
    image.read(start.flag, &mut found);
    if u32::from_le_bytes(found) == start.flag_value() {
        Ok(())
    } else {
        Err(DecodeError::Invalid { part: Part::Start })
    }
}
