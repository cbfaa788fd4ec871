//! What the head of an artifact says, once it was checked.

use alloc::vec::Vec;

use wasm_meminit_analysis::{
    Assumption, HostPageSize, MemoryIndex, MemoryInitializer, MemoryType, Policy, Run,
};

use crate::build::SourceHash;
use crate::decode::{RUN_LEN, run_of, take_replay};
use crate::provenance::{Tool, take_assumption};
use crate::start::BakedStart;
use crate::wire::Reader;

/// Everything in an artifact but the bytes of runs: what is in the file, where, and what
/// it was built for.
///
/// Costs what the header costs, however large the images are. All of the header was
/// checked; nothing is known of the payload, nor whether the file is as long as
/// [`file_len`](Self::file_len) says.
///
/// ```
/// use wasm_meminit_analysis::{Module, Plan, Policy};
/// use wasm_meminit_image_builder::{ArtifactHead, ModuleImage};
///
/// # let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "x"))"#)?;
/// # let module = Module::parse(&wasm)?;
/// # let plan = Plan::new(&module, &Policy::default());
/// let artifact = ModuleImage::build(&module, &plan)?.encode()?;
/// // Any reader: a file, say, of which the rest is left alone.
/// let head = ArtifactHead::read(&mut artifact.as_slice())?;
/// let head = ArtifactHead::decode(&head)?;
/// assert_eq!(head.file_len(), artifact.len() as u64);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArtifactHead<'a> {
    pub(crate) page_size: HostPageSize,
    pub(crate) file_alignment: HostPageSize,
    pub(crate) elements_may_trap: bool,
    pub(crate) source: Option<SourceHash>,
    pub(crate) stripped: Option<SourceHash>,
    pub(crate) tool: Tool<'a>,
    pub(crate) policy: Policy,
    /// Their number, and what they are read from.
    pub(crate) assumptions: (u64, Reader<'a>),
    pub(crate) start: Option<BakedStart>,
    pub(crate) memories: Vec<ArtifactMemory>,
    /// The runs of all memories, memory after memory.
    pub(crate) runs: Vec<Run>,
    /// The same as the header has them, for each memory, with checksums.
    pub(crate) entries: Vec<&'a [[u8; RUN_LEN]]>,
    /// Their number, and what they are read from.
    pub(crate) replay: (u64, Reader<'a>),
    /// Offset after the header.
    pub(crate) header_end: u64,
    pub(crate) file_len: u64,
}

/// One memory of an [`Artifact`](crate::Artifact).
#[derive(Clone, Debug)]
pub struct ArtifactMemory {
    pub(crate) ty: MemoryType,
    pub(crate) imported: bool,
    /// Which of the artifact's runs are this memory's.
    pub(crate) runs: core::ops::Range<usize>,
    pub(crate) file_offset: u64,
    pub(crate) file_end: u64,
}

impl ArtifactMemory {
    /// The memory's type. Where the artifact rests on an
    /// [assumed size](Assumption::MemorySize), that is its minimum.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Whether the module imports it.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Offset in the artifact's file of the first byte of its first run; a multiple of the
    /// page size. The others follow as
    /// [`ImageRef::runs_with_position`](crate::ImageRef::runs_with_position) says.
    pub const fn file_offset(&self) -> u64 {
        self.file_offset
    }
}

impl<'a> ArtifactHead<'a> {
    /// The page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// The largest host pages that the file can be mapped with.
    pub const fn file_alignment(&self) -> HostPageSize {
        self.file_alignment
    }

    /// How long the file is, in bytes.
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Every memory of the module, in index order, imported ones first.
    pub fn memories(&self) -> &[ArtifactMemory] {
        &self.memories
    }

    /// One memory, or `None` where the module has no such memory.
    pub fn memory(&self, memory: MemoryIndex) -> Option<&ArtifactMemory> {
        self.memories.get(usize::try_from(memory.as_u32()).ok()?)
    }

    /// The runs of one memory, in address order. `None` where the module has no such
    /// memory.
    pub fn layout(&self, memory: MemoryIndex) -> Option<&[Run]> {
        self.runs.get(self.memory(memory)?.runs.clone())
    }

    /// The hash of the module that it was built from, where its builder gave one.
    pub const fn source(&self) -> Option<SourceHash> {
        self.source
    }

    /// The hash of the module without the segments that are in the image, where its
    /// builder gave one.
    pub const fn stripped(&self) -> Option<SourceHash> {
        self.stripped
    }

    /// The program that built it.
    pub const fn tool(&self) -> Tool<'a> {
        self.tool
    }

    /// The policy that it was built by.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// What it takes for granted about the host: it is right wherever all of these hold.
    /// In the order of kind and index, each once.
    pub fn assumptions(&self) -> impl Iterator<Item = Assumption> + use<'a> {
        let (n, mut reader) = self.assumptions;
        // Never ends early: `decode` read the same bytes.
        (0..n).map_while(move |_| take_assumption(&mut reader))
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

    /// The segments to replay once the images are in place, in order.
    pub fn replay(&self) -> impl Iterator<Item = MemoryInitializer<'a>> + '_ {
        let (n, mut reader) = self.replay;
        // Never ends early: `decode` read the same bytes.
        (0..n).map_while(move |_| take_replay(&mut reader, &self.memories))
    }

    /// The checksum of one run of a memory.
    pub(crate) fn checksums(&self, memory: usize) -> impl Iterator<Item = u32> + '_ {
        let entries = self.entries.get(memory).copied().unwrap_or(&[]);
        entries.iter().map(|entry| run_of(entry).1)
    }
}
