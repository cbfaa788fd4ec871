//! Instances in real memory, initialised by `wasm-meminit-apply` from an artifact.

use alloc::sync::Arc;

use wasm_meminit_analysis::entity::EntityRef;
use wasm_meminit_analysis::{GlobalIndex, IndexType, MemoryIndex, MemoryInitialization};
use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig, copy_into_zeroed};
use wasm_meminit_image_builder::Artifact;

use super::ways::Subject;
use wasm_meminit_test_oracle::instance::values;
use wasm_meminit_test_oracle::memory::{Memory, Outcome, Trap, to_usize};

/// The source of an image's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Copied into a zeroed buffer.
    Copy,
    /// Mapped, or whatever `MemoryImage::new` chooses on this system.
    Mapped,
    /// Copied from the heap into a slot.
    Heap,
    /// Mapped straight from a sealed file that holds the artifact.
    #[cfg(target_os = "linux")]
    File,
}

/// The most bytes in all memories together. Large modules are real ones, of which there are
/// few; there are thousands of small ones.
fn max_bytes(it: &Subject<'_>) -> u64 {
    let n_bytes = it.module.binary().map_or(0, <[u8]>::len);
    if n_bytes < 64 << 10 {
        4 << 20
    } else {
        64 << 20
    }
}

/// Returns the outcome in real memory, or `None` if the memories are too large.
pub(crate) fn start(it: &Subject<'_>, source: Source) -> Result<Option<Outcome>, String> {
    let before = it.memories();
    let total = before.iter().map(Memory::size).fold(0, u64::saturating_add);
    if max_bytes(it) < total {
        return Ok(None);
    }
    let artifact = Artifact::decode(&it.artifact).map_err(|err| err.to_string())?;
    let mut live = Vec::new();
    for (nth, memory) in before.iter().enumerate() {
        live.push(Live::new(&it.artifact, &artifact, nth, memory, source)?);
    }
    let replay = MemoryInitialization::Segmented(artifact.replay().collect());
    finish(it, &before, &mut live, &replay).map(Some)
}

/// Writes everything with `wasm_meminit_apply::replay`, including the runs.
pub(crate) fn replay(it: &Subject<'_>) -> Result<Option<Outcome>, String> {
    let before = it.memories();
    let total = before.iter().map(Memory::size).fold(0, u64::saturating_add);
    if max_bytes(it) < total {
        return Ok(None);
    }
    let mut live: Vec<Live> = before
        .iter()
        .map(|it| Live::Buffer(it.to_bytes()))
        .collect();
    finish(it, &before, &mut live, &it.image.initialization()).map(Some)
}

fn finish(
    it: &Subject<'_>,
    before: &[Memory],
    live: &mut [Live],
    rest: &MemoryInitialization<'_>,
) -> Result<Outcome, String> {
    let globals = values(it.module, &it.shape.global_values(it.host, true));
    let value = |global: GlobalIndex| globals[global.index()];
    let types = it.module.memories().values().map(|it| it.ty.index_type);
    let mut memories: Vec<(IndexType, &mut [u8])> =
        types.zip(live.iter_mut().map(Live::bytes)).collect();
    let trap = match wasm_meminit_apply::replay(rest, &mut memories, &value) {
        Ok(()) => None,
        Err(err) if err.is_trap() => Some(Trap::Data(err.segment.map(|it| it.as_u32()))),
        Err(err) => return Err(err.to_string()),
    };
    let memories = memories
        .iter()
        .zip(before)
        .map(|((_, bytes), before)| Memory::from_bytes(bytes, before.fill()))
        .collect();
    Ok(Outcome { memories, trap })
}

/// A memory that a program could use.
enum Live {
    Buffer(Vec<u8>),
    Slot(Box<MemorySlot>),
}

impl Live {
    fn new(
        bytes: &[u8],
        artifact: &Artifact<'_>,
        nth: usize,
        before: &Memory,
        source: Source,
    ) -> Result<Self, String> {
        let index = MemoryIndex::new(nth);
        let image = artifact.image(index).ok_or("no such memory")?;
        if image.is_empty() {
            // The host's bytes stay.
            return Ok(Self::Buffer(before.to_bytes()));
        }
        let text = |err: &dyn core::fmt::Display| err.to_string();
        let image = match source {
            Source::Copy => {
                let mut memory = vec![0; to_usize(before.size())];
                copy_into_zeroed(image, &mut memory).map_err(|err| text(&err))?;
                return Ok(Self::Buffer(memory));
            }
            Source::Mapped => MemoryImage::new(image),
            Source::Heap => MemoryImage::in_heap(image),
            #[cfg(target_os = "linux")]
            Source::File => MemoryImage::map_sealed(artifact, index, &sealed(bytes)?),
        };
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
        let image = Arc::new(image.map_err(|err| text(&err))?);
        let size = before.size();
        let mut slot = MemorySlot::new(&SlotConfig::new(size)).map_err(|err| text(&err))?;
        slot.instantiate(Some(&image), size)
            .map_err(|err| text(&err))?;
        Ok(Self::Slot(Box::new(slot)))
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Buffer(bytes) => bytes,
            Self::Slot(slot) => slot.as_mut_slice(),
        }
    }
}

/// Creates a sealed file, which can no longer be changed.
#[cfg(target_os = "linux")]
fn sealed(bytes: &[u8]) -> Result<std::fs::File, String> {
    use std::io::Write;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    loop {
        let fd = memfd_create("artifact", flags).map_err(|err| err.to_string())?;
        let mut file = std::fs::File::from(fd);
        file.write_all(bytes).map_err(|err| err.to_string())?;
        match fcntl_add_seals(&file, seals) {
            // The kernel still holds references to pages.
            Err(rustix::io::Errno::BUSY) => {}
            done => return done.map(|()| file).map_err(|err| err.to_string()),
        }
    }
}
