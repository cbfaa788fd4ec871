//! A captured memory into the module that it was captured from.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{self, MemorySectionReader};
use wasm_meminit_analysis::{MemoryIndex, MemoryType, Module, Piece, SegmentMode};

use super::assemble::Assembly;
use super::cover::{self, Cover};
use super::data::Target;
use super::error::{RewriteError, malformed};
use super::externalize::items;
use super::original::Original;
use super::pack::{DataSize, PackOptions, Packed, size_of};
use super::section::{id, sections};
use crate::image::ImageRef;

/// The module with a captured memory as the first state of one of its own: `image`'s
/// bytes in the smallest list of segments, in place of those that the memory had.
///
/// `size_bytes` is how large the memory was when it was captured; the module's minimum
/// grows to it. Segments of other memories, active ones in their order and behind the
/// new ones, stay as they are, and so does everything else: the start function, say,
/// would run again, which a snapshot tool must see to.
///
/// To function bodies the segments that are replaced are as if dropped.
///
/// ```
/// use wasm_meminit_analysis::{MemoryIndex, Module};
/// use wasm_meminit_image_builder::Image;
/// use wasm_meminit_image_builder::rewrite::{PackOptions, pack_memory};
///
/// let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "cold"))"#)?;
/// let mut memory = vec![0; 2 * 65536]; // it has grown since
/// memory[70_000] = 7;
/// let image = Image::capture(&memory)?;
///
/// let module = Module::parse(&wasm)?;
/// let index = MemoryIndex::from_u32(0);
/// let options = PackOptions::default();
/// let warm = pack_memory(&module, index, image.as_ref(), 2 * 65536, &options)?;
/// let module = Module::parse(&warm.wasm)?;
/// assert_eq!(module.memories()[index].ty.min, 2); // wasm pages
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`RewriteError`] as for [`pack`](super::pack()); for a memory that the module does
/// not have or imports; for one that its type does not allow to be that large.
pub fn pack_memory(
    module: &Module<'_>,
    memory: MemoryIndex,
    image: ImageRef<'_>,
    size_bytes: u64,
    options: &PackOptions,
) -> Result<Packed, RewriteError> {
    let Some(old) = module.memories().get(memory) else {
        return Err(RewriteError::UnknownMemory { memory });
    };
    if old.import.is_some() {
        return Err(RewriteError::ImportedMemory { memory });
    }
    let original = Original::read(module)?;
    if original.is_relocatable {
        return Err(RewriteError::Relocatable);
    }
    let target = Target {
        memory,
        index_type: old.ty.index_type,
    };
    let runs: Vec<_> = image.runs().collect();
    let pieces: Vec<Piece<'_>> = runs
        .iter()
        .map(|run| Piece {
            addr: run.offset,
            data: &run.data,
        })
        .collect();
    let cover = Cover::of_zeroed(target, &pieces);
    let end = cover.stretches.last().map_or(0, |it| it.end);
    let min = grown(old.ty, size_bytes.max(end)).ok_or(RewriteError::AboveMaximum {
        memory,
        size_bytes: size_bytes.max(end),
    })?;

    let is_replaced: Vec<bool> = module
        .segments()
        .values()
        .map(|it| matches!(it.mode, SegmentMode::Active { memory_index, .. } if memory_index == memory))
        .collect();
    let assembly = Assembly::new(&original, module, &is_replaced);
    let room = options.max_segments.saturating_sub(assembly.n_others());
    let covers = cover::limit(alloc::vec![cover], room, u32::MAX.into());
    let mut segments = Vec::new();
    for cover in &covers {
        target.write_segments(&cover.stretches, &pieces, &mut segments)?;
    }
    let memories = (min != old.ty.min)
        .then(|| memory_section(module, original.wasm, memory, min))
        .transpose()?;
    let wasm = assembly.finish(&covers, &segments, memories.as_deref())?;
    // A body that names a segment has too little room for a larger index.
    let wasm = wasm.ok_or(RewriteError::TooLarge)?;
    Ok(Packed {
        before: DataSize {
            segments: original.segments.len(),
            bytes: original.data_bytes,
        },
        after: size_of(&wasm)?,
        wasm,
    })
}

/// The minimum that holds that many bytes, in wasm pages, where the type allows it.
fn grown(ty: MemoryType, bytes: u64) -> Option<u64> {
    let min = bytes.div_ceil(ty.page_size.bytes()).max(ty.min);
    let ty = MemoryType { min, ..ty };
    ty.is_valid().then_some(min)
}

/// The contents of the memory section with another minimum, in wasm pages, for one.
fn memory_section(
    module: &Module<'_>,
    wasm: &[u8],
    memory: MemoryIndex,
    min: u64,
) -> Result<Vec<u8>, RewriteError> {
    let nth = module.defined_memory_index(memory);
    let nth = nth.and_then(|it| usize::try_from(it.as_u32()).ok());
    let unknown = RewriteError::UnknownMemory { memory };
    let nth = nth.ok_or(unknown)?;
    for section in sections(wasm) {
        let section = section?;
        if section.id != id::MEMORY {
            continue;
        }
        let reader = MemorySectionReader::new(section.reader()).map_err(|err| malformed(&err))?;
        let types = items::<wasmparser::MemoryType>(&section, reader.clone())?;
        let mut contents = Vec::new();
        reader.count().encode(&mut contents);
        for (at, (ty, bytes)) in reader.into_iter().zip(types).enumerate() {
            if at != nth {
                contents.extend_from_slice(bytes);
                continue;
            }
            let ty = ty.map_err(|err| malformed(&err))?;
            let ty = wasm_encoder::MemoryType {
                minimum: min,
                maximum: ty.maximum,
                memory64: ty.memory64,
                shared: ty.shared,
                page_size_log2: ty.page_size_log2,
            };
            ty.encode(&mut contents);
        }
        return Ok(contents);
    }
    Err(unknown)
}
