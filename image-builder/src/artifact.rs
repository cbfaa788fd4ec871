//! The artifact: images and replay list as one checked, mappable piece of bytes.
//!
//! `FORMAT.md` is the specification; this file and `header.rs` are its code.

use alloc::vec::Vec;

use wasm_meminit_analysis::limits::MAX_MEMORIES;
use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, MemoryInitialization, MemoryInitializer, MemoryType, Run,
};

use crate::build::{ModuleImage, SourceHash, initialization};
use crate::error::{DecodeError, EncodeError, Part};
use crate::header::{Front, MemoryHead, ReplayEntry, check_runs, put, take};
use crate::image::ImageRef;
use crate::start::{BakedStart, StartHead};

/// The first bytes of every artifact. Like PNG's, they show damage by programs that
/// take the file for text.
pub const MAGIC: [u8; 8] = *b"\x89WMI\r\n\x1a\n";

/// The format version that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;

/// Magic, version, header length, header checksum, payload checksum.
const PREAMBLE_LEN: usize = 24;

/// An artifact in parts, so that it can be written without another copy of the
/// images: [`head`](Self::head), then every slice of [`payload`](Self::payload).
#[derive(Clone, Debug)]
pub struct EncodedArtifact<'a> {
    head: Vec<u8>,
    payload: Vec<&'a [u8]>,
}

impl<'a> EncodedArtifact<'a> {
    /// Preamble, header and padding.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The bytes of all runs.
    pub fn payload(&self) -> &[&'a [u8]] {
        &self.payload
    }
}

impl ModuleImage<'_> {
    /// The artifact as one buffer. The same module and policy give the same bytes.
    ///
    /// # Errors
    ///
    /// As for [`encode_parts`](Self::encode_parts), or where the allocator has no
    /// room for all of it.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let parts = self.encode_parts()?;
        let mut bytes = parts.head;
        let len = parts
            .payload
            .iter()
            .try_fold(0_usize, |sum, it| sum.checked_add(it.len()));
        bytes
            .try_reserve_exact(len.ok_or(EncodeError::OutOfMemory)?)
            .map_err(|_| EncodeError::OutOfMemory)?;
        for part in parts.payload {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }

    /// The artifact in parts that borrow the images.
    ///
    /// # Errors
    ///
    /// [`EncodeError::HeaderTooLarge`] where the segments to replay have too many
    /// bytes.
    pub fn encode_parts(&self) -> Result<EncodedArtifact<'_>, EncodeError> {
        let header = self.header();
        let header_len = u32::try_from(header.len()).map_err(|_| EncodeError::HeaderTooLarge)?;
        let payload: Vec<&[u8]> = self
            .memories
            .values()
            .map(|it| it.image.bytes.as_slice())
            .filter(|bytes| !bytes.is_empty())
            .collect();

        let mut payload_checksum = crc32fast::Hasher::new();
        payload
            .iter()
            .for_each(|bytes| payload_checksum.update(bytes));

        let mut head = Vec::new();
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        head.extend_from_slice(&header_len.to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        head.extend_from_slice(&payload_checksum.finalize().to_le_bytes());
        head.extend_from_slice(&header);
        if !payload.is_empty() {
            let len = u64::try_from(head.len())
                .ok()
                .and_then(|len| self.page_size.round_up(len));
            let len = len.and_then(|len| usize::try_from(len).ok());
            head.resize(len.ok_or(EncodeError::OutOfMemory)?, 0);
        }
        Ok(EncodedArtifact { head, payload })
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        put(
            &mut header,
            &Front {
                page_size: self.page_size,
                elements_may_trap: self.elements_may_trap,
                source: self.source.map(|it| it.0),
                start: self.start.as_ref().map(StartHead::new),
                n_memories: u32::try_from(self.memories.len()).unwrap_or(u32::MAX),
            },
        );
        for memory in self.memories.values() {
            let n_runs = u64::try_from(memory.image.runs.len()).unwrap_or(u64::MAX);
            put(
                &mut header,
                &MemoryHead {
                    ty: memory.ty,
                    imported: memory.imported,
                    n_runs,
                },
            );
            memory
                .image
                .runs
                .iter()
                .for_each(|run| put(&mut header, run));
        }
        put(
            &mut header,
            &u64::try_from(self.replay.len()).unwrap_or(u64::MAX),
        );
        self.replay
            .iter()
            .for_each(|it| put(&mut header, &ReplayEntry::new(it)));
        header
    }
}

/// A decoded artifact: everything in it was checked, and its bytes are borrowed.
#[derive(Clone, Debug)]
pub struct Artifact<'a> {
    page_size: HostPageSize,
    elements_may_trap: bool,
    source: Option<SourceHash>,
    start: Option<BakedStart>,
    memories: Vec<ArtifactMemory>,
    /// The runs of all memories, memory after memory.
    runs: Vec<Run>,
    types: Vec<MemoryType>,
    replay: &'a [u8],
    payload: &'a [u8],
}

/// One memory of an [`Artifact`].
#[derive(Clone, Debug)]
pub struct ArtifactMemory {
    ty: MemoryType,
    imported: bool,
    /// Which of the artifact's runs are this memory's.
    runs: core::ops::Range<usize>,
    /// Which bytes of the payload are this memory's.
    bytes: core::ops::Range<usize>,
    file_offset: u64,
}

impl ArtifactMemory {
    /// The memory's type.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Whether the module imports it.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Where in the artifact the bytes of its first run begin; the others follow. A
    /// multiple of the page size, so that a run can be mapped straight from the file.
    pub const fn file_offset(&self) -> u64 {
        self.file_offset
    }
}

impl<'a> Artifact<'a> {
    /// Reads an artifact and checks all of it: both checksums, every length, order,
    /// alignment and bound, and that nothing follows.
    ///
    /// Allocates 16 bytes for each run, which stands for at least one page of input,
    /// and at most 16 KiB besides.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], the first that was found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let preamble = Preamble::decode(bytes)?;
        let header_end = PREAMBLE_LEN.saturating_add(preamble.header_len);
        let Some(header) = bytes.get(PREAMBLE_LEN..header_end) else {
            return Err(truncated(header_end, bytes));
        };
        if crc32fast::hash(header) != preamble.header_checksum {
            return Err(DecodeError::Checksum { part: Part::Header });
        }

        let mut rest = header;
        let front: Front = take(&mut rest, Part::Header)?;
        let header_invalid = DecodeError::Invalid { part: Part::Header };
        let n_memories = usize::try_from(front.n_memories).map_err(|_| header_invalid)?;
        if MAX_MEMORIES < n_memories {
            return Err(header_invalid);
        }
        let payload_at = payload_at(front.page_size, header_end).ok_or(header_invalid)?;
        let mut layout = Layout {
            page_size: front.page_size,
            file_len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            payload_at,
            runs: Vec::new(),
            memories: Vec::with_capacity(n_memories),
            payload_len: 0,
        };
        for _ in 0..n_memories {
            layout.take_memory(&mut rest)?;
        }
        let types: Vec<MemoryType> = layout.memories.iter().map(|it| it.ty).collect();
        check_replay(rest, &types)?;
        let start = check_start(front.start, &types)?;

        let payload = layout.payload(bytes, header_end)?;
        if crc32fast::hash(payload) != preamble.payload_checksum {
            return Err(DecodeError::Checksum {
                part: Part::Payload,
            });
        }
        let artifact = Self {
            page_size: front.page_size,
            elements_may_trap: front.elements_may_trap,
            source: front.source.map(SourceHash),
            start,
            memories: layout.memories,
            runs: layout.runs,
            types,
            replay: rest,
            payload,
        };
        artifact.check_flag()?;
        Ok(artifact)
    }

    /// The flag stands in the image as the header says.
    fn check_flag(&self) -> Result<(), DecodeError> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let expected = if start.is_done { 2_u32 } else { 0 };
        let mut found = 0_u32;
        for run in self
            .image(start.memory)
            .into_iter()
            .flat_map(|it| it.runs())
        {
            // Aligned, so all of it is in one run or none.
            let at = start.flag.checked_sub(run.offset);
            let at = at.and_then(|at| usize::try_from(at).ok());
            if let Some(bytes) = at.and_then(|at| run.data.get(at..)?.first_chunk::<4>()) {
                found = u32::from_le_bytes(*bytes);
            }
        }
        if found == expected {
            Ok(())
        } else {
            Err(DecodeError::Invalid { part: Part::Start })
        }
    }

    /// The page size that runs are aligned to, in memory and in the file.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// The hash of the module that it was built from, where its builder gave one.
    pub const fn source(&self) -> Option<SourceHash> {
        self.source
    }

    /// Whether an active element segment of the module may trap: then an engine makes
    /// the image visible only once the elements succeeded.
    pub const fn elements_may_trap(&self) -> bool {
        self.elements_may_trap
    }

    /// What the image of a shared memory holds in place of the start function, if it does.
    pub const fn start(&self) -> Option<BakedStart> {
        self.start
    }

    /// Every memory of the module, in index order, imported ones first.
    pub fn memories(&self) -> &[ArtifactMemory] {
        &self.memories
    }

    /// The image of one memory; empty where it is zero or replayed. `None` where the
    /// module has no such memory.
    pub fn image(&self, memory: MemoryIndex) -> Option<ImageRef<'_>> {
        let memory = self.memories.get(usize::try_from(memory.as_u32()).ok()?)?;
        Some(self.image_of(memory))
    }

    fn image_of(&self, memory: &ArtifactMemory) -> ImageRef<'_> {
        ImageRef {
            page_size: self.page_size,
            // Always within: both ranges were made from these lists.
            runs: self.runs.get(memory.runs.clone()).unwrap_or(&[]),
            bytes: self.payload.get(memory.bytes.clone()).unwrap_or(&[]),
        }
    }

    /// The segments to replay once the images are in place, in order.
    pub fn replay(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        // Neither can fail: `decode` read the same bytes.
        let mut rest = self.replay;
        let n: u64 = take(&mut rest, Part::Replay).unwrap_or(0);
        (0..n).map_while(move |_| {
            take::<ReplayEntry<'a>>(&mut rest, Part::Replay)
                .ok()?
                .check(&self.types)
        })
    }

    /// How an engine brings the memories to their first state from here.
    pub fn initialization(&self) -> MemoryInitialization<'_> {
        initialization(
            self.memories.iter().map(|it| self.image_of(it)),
            self.replay().collect(),
        )
    }
}

struct Preamble {
    header_len: usize,
    header_checksum: u32,
    payload_checksum: u32,
}

impl Preamble {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) || known == 0 {
            return Err(DecodeError::NotAnArtifact);
        }
        let Some((_, fields)) = bytes.split_at_checked(MAGIC.len()) else {
            return Err(truncated(PREAMBLE_LEN, bytes));
        };
        let (fields, _) = fields.as_chunks::<4>();
        let field = |nth: usize| {
            fields
                .get(nth)
                .copied()
                .map(u32::from_le_bytes)
                .ok_or(truncated(PREAMBLE_LEN, bytes))
        };
        let version = field(0)?;
        if version != FORMAT_VERSION {
            return Err(DecodeError::Version {
                found: version,
                supported: FORMAT_VERSION,
            });
        }
        let header_len = usize::try_from(field(1)?);
        let header_len = header_len.map_err(|_| DecodeError::Invalid {
            part: Part::Preamble,
        })?;
        Ok(Self {
            header_len,
            header_checksum: field(2)?,
            payload_checksum: field(3)?,
        })
    }
}

fn truncated(expected: usize, bytes: &[u8]) -> DecodeError {
    DecodeError::Truncated {
        expected: u64::try_from(expected).unwrap_or(u64::MAX),
        found: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    }
}

/// Where the payload begins, if there is one.
fn payload_at(page_size: HostPageSize, header_end: usize) -> Option<u64> {
    page_size.round_up(u64::try_from(header_end).ok()?)
}

/// Runs and memories while they are read.
struct Layout {
    page_size: HostPageSize,
    file_len: u64,
    payload_at: u64,
    runs: Vec<Run>,
    memories: Vec<ArtifactMemory>,
    payload_len: u64,
}

impl Layout {
    fn take_memory(&mut self, rest: &mut &[u8]) -> Result<(), DecodeError> {
        let invalid = DecodeError::Invalid { part: Part::Runs };
        let head: MemoryHead = take(rest, Part::MemoryType)?;
        if !head.ty.is_valid() {
            return Err(DecodeError::Invalid {
                part: Part::MemoryType,
            });
        }
        // Each run has at least a page of payload, so the file vouches for the list.
        let least = head
            .n_runs
            .checked_mul(self.page_size.bytes())
            .ok_or(invalid)?;
        let expected = self
            .payload_at
            .checked_add(self.payload_len)
            .and_then(|len| len.checked_add(least))
            .ok_or(invalid)?;
        if head.n_runs != 0 && self.file_len < expected {
            return Err(DecodeError::Truncated {
                expected,
                found: self.file_len,
            });
        }
        let first = self.runs.len();
        let bytes_from = self.payload_len;
        self.runs
            .reserve_exact(usize::try_from(head.n_runs).map_err(|_| invalid)?);
        for _ in 0..head.n_runs {
            let run: Run = take(rest, Part::Runs)?;
            self.payload_len = self.payload_len.checked_add(run.len).ok_or(invalid)?;
            self.runs.push(run);
        }
        let runs = first..self.runs.len();
        let own = self.runs.get(runs.clone()).unwrap_or(&[]);
        if !check_runs(own, self.page_size, &head.ty) {
            return Err(invalid);
        }
        let to_usize = |at| usize::try_from(at).map_err(|_| invalid);
        self.memories.push(ArtifactMemory {
            ty: head.ty,
            imported: head.imported,
            runs,
            bytes: to_usize(bytes_from)?..to_usize(self.payload_len)?,
            file_offset: self.payload_at.checked_add(bytes_from).ok_or(invalid)?,
        });
        Ok(())
    }

    /// The payload, once everything around it was checked.
    fn payload<'a>(&self, bytes: &'a [u8], header_end: usize) -> Result<&'a [u8], DecodeError> {
        let found = self.file_len;
        let start = if self.payload_len == 0 {
            header_end
        } else {
            let invalid = DecodeError::Invalid { part: Part::Runs };
            let expected = self
                .payload_at
                .checked_add(self.payload_len)
                .ok_or(invalid)?;
            if found < expected {
                return Err(DecodeError::Truncated { expected, found });
            }
            usize::try_from(self.payload_at).map_err(|_| invalid)?
        };
        let padding = bytes.get(header_end..start).unwrap_or(&[]);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Invalid {
                part: Part::Padding,
            });
        }
        let payload = bytes.get(start..).unwrap_or(&[]);
        let expected = u64::try_from(start)
            .unwrap_or(u64::MAX)
            .saturating_add(self.payload_len);
        if expected < found {
            return Err(DecodeError::TrailingBytes { expected, found });
        }
        Ok(payload)
    }
}

fn check_start(
    start: Option<StartHead>,
    types: &[MemoryType],
) -> Result<Option<BakedStart>, DecodeError> {
    let min_bytes = |memory| types.get(usize::try_from(memory).ok()?)?.min_bytes();
    match start.map(|it| it.check(&min_bytes)) {
        None => Ok(None),
        Some(Some(start)) => Ok(Some(start)),
        Some(None) => Err(DecodeError::Invalid { part: Part::Start }),
    }
}

/// Reads the replay list once, so that later reads cannot fail.
fn check_replay(mut rest: &[u8], types: &[MemoryType]) -> Result<(), DecodeError> {
    let invalid = DecodeError::Invalid { part: Part::Replay };
    let n: u64 = take(&mut rest, Part::Replay)?;
    let mut last = None;
    for _ in 0..n {
        let entry: ReplayEntry<'_> = take(&mut rest, Part::Replay)?;
        let initializer = entry.check(types).ok_or(invalid)?;
        if last.is_some_and(|last| initializer.segment <= last) {
            return Err(invalid);
        }
        last = Some(initializer.segment);
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::Invalid { part: Part::Header })
    }
}
