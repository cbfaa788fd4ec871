//! The decoded and checked head of an artifact.

use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_analysis::{
    Assumption, HostPageSize, IndexType, MemoryIndex, MemoryInitializer, MemoryType, Policy, Run,
};

use crate::artifact::entry::{RUN_LEN, run_of, take_segment};
use crate::artifact::provenance::take_assumption;
use crate::artifact::wire::Reader;
use crate::image::baked_start::BakedStart;
use crate::image::provenance::SourceHash;
use crate::image::provenance::Tool;

/// Everything in an artifact but the bytes of runs: the layout of the file, and what it was
/// built for.
///
/// Decoding takes time linear in the size of the header, however large the images are. The
/// header is fully checked. The payload is not, nor is the actual length of the file, which
/// should be [`file_len`](Self::file_len).
///
/// ```
/// use wasm_meminit_analysis::{Module, Plan, Policy};
/// use wasm_meminit_image_builder::{ArtifactHead, ModuleImage};
///
/// # let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "x"))"#)?;
/// # let module = Module::parse(&wasm)?;
/// # let plan = Plan::new(&module, &Policy::default());
/// let artifact = ModuleImage::build(&module, &plan)?.encode()?;
/// // Works with any reader, such as a file, and reads only the head.
/// let head = ArtifactHead::read(&mut artifact.as_slice())?;
/// let head = ArtifactHead::decode(&head)?;
/// assert_eq!(head.file_len(), artifact.len() as u64);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ArtifactHead<'a> {
    pub(crate) page_size: HostPageSize,
    pub(crate) file_alignment: HostPageSize,
    pub(crate) elements_may_trap: bool,
    pub(crate) source: Option<SourceHash>,
    pub(crate) stripped: Option<SourceHash>,
    pub(crate) tool: Tool<'a>,
    pub(crate) policy: Policy,
    /// Their number, and a reader positioned at the first.
    pub(crate) assumptions: (u64, Reader<'a>),
    pub(crate) start: Option<BakedStart>,
    pub(crate) memories: Vec<ArtifactMemory>,
    /// The runs of all memories, in index order.
    pub(crate) runs: Vec<Run>,
    /// For each memory, its runs as encoded in the header, with checksums.
    pub(crate) entries: Vec<&'a [[u8; RUN_LEN]]>,
    /// Their number, and a reader positioned at the first.
    pub(crate) replay: (u64, Reader<'a>),
    /// The file offset of the end of the header.
    pub(crate) header_end: u64,
    pub(crate) file_len: u64,
}

/// One memory of an [`Artifact`](crate::Artifact).
#[derive(Clone, Debug)]
pub struct ArtifactMemory {
    pub(crate) ty: MemoryType,
    pub(crate) imported: bool,
    /// The range of this memory's runs in `ArtifactHead::runs`.
    pub(crate) runs: core::ops::Range<usize>,
    pub(crate) file_offset: u64,
    pub(crate) file_end: u64,
}

impl ArtifactMemory {
    /// Returns the memory's type. If the artifact relies on an
    /// [assumed size](Assumption::MemorySize), that size is its minimum.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Returns whether the memory is imported.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Returns the file offset of the first byte of the first run, a multiple of the page
    /// size. [`ImageRef::runs_with_position`](crate::ImageRef::runs_with_position) returns
    /// the positions of the other runs relative to it.
    pub const fn file_offset(&self) -> u64 {
        self.file_offset
    }
}

/// Prints what it is about, and how much of it there is.
impl fmt::Debug for ArtifactHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactHead")
            .field("page_size", &self.page_size)
            .field("file_alignment", &self.file_alignment)
            .field("policy", &self.policy)
            .field("tool", &self.tool)
            .field("memories", &self.memories)
            .field("n_assumptions", &self.assumptions.0)
            .field("n_runs", &self.runs.len())
            .field("n_replayed", &self.replay.0)
            .field("file_len", &self.file_len)
            .finish_non_exhaustive()
    }
}

impl<'a> ArtifactHead<'a> {
    /// Returns the page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// Returns the largest host page size that the file can be mapped with.
    pub const fn file_alignment(&self) -> HostPageSize {
        self.file_alignment
    }

    /// Returns the length of the file in bytes.
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Returns all memories of the module, in index order, imported ones first.
    pub fn memories(&self) -> &[ArtifactMemory] {
        &self.memories
    }

    /// Returns one memory, or `None` if it does not exist.
    pub fn memory(&self, memory: MemoryIndex) -> Option<&ArtifactMemory> {
        self.memories.get(usize::try_from(memory.as_u32()).ok()?)
    }

    /// Returns the runs of one memory, in address order. `None` if the memory does not exist.
    pub fn layout(&self, memory: MemoryIndex) -> Option<&[Run]> {
        self.runs.get(self.memory(memory)?.runs.clone())
    }

    /// Returns the hash of the module that the artifact was built from, if it was recorded.
    pub const fn source(&self) -> Option<SourceHash> {
        self.source
    }

    /// Returns the hash of the module without the segments that are in the image, if it was
    /// recorded.
    pub const fn stripped(&self) -> Option<SourceHash> {
        self.stripped
    }

    /// Returns the program that built the artifact.
    pub const fn tool(&self) -> Tool<'a> {
        self.tool
    }

    /// Returns the policy that the artifact was built with.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns the assumptions about the host, sorted by kind and index. The artifact is
    /// correct if all of them hold.
    pub fn assumptions(&self) -> impl Iterator<Item = Assumption> + use<'a> {
        let (n, mut reader) = self.assumptions;
        // Never ends early: `decode` read the same bytes.
        (0..n).map_while(move |_| take_assumption(&mut reader))
    }

    /// Returns whether an active element segment of the module may trap. If so, an engine
    /// must install the image only after the element segments have succeeded.
    pub const fn elements_may_trap(&self) -> bool {
        self.elements_may_trap
    }

    /// Describes the baked writes of the start function, if there are any.
    pub const fn start(&self) -> Option<BakedStart> {
        self.start
    }

    /// Returns the segments to replay after the images are in place, in order.
    pub fn replay(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        let (n, mut reader) = self.replay;
        // Never ends early: `decode` read the same bytes.
        (0..n).map_while(move |_| take_segment(&mut reader, |nth| self.index_type(nth)))
    }

    /// Returns the index type of the memory at this position.
    pub(crate) fn index_type(&self, memory: usize) -> Option<IndexType> {
        self.memories.get(memory).map(|it| it.ty.index_type)
    }

    /// Returns the checksums of a memory's runs.
    pub(crate) fn checksums(&self, memory: usize) -> impl Iterator<Item = u32> + '_ {
        let entries = self.entries.get(memory).copied().unwrap_or(&[]);
        entries.iter().map(|entry| run_of(entry).1)
    }
}
