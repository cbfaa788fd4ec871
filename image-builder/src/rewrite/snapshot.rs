//! Writes a captured memory back into the module that it was captured from.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::wasmparser::{self, MemorySectionReader};
use wasm_meminit_analysis::{MemoryIndex, MemoryType, Module, SegmentMode};

use super::assemble::Assembly;
use super::choose::with_image;
use super::cover::{Cover, encoded_len, n_segments};
use super::data::Target;
use super::error::{RewriteError, malformed};
use super::join::{NARROW, join_narrow, join_to};
use super::limit::limit_segments;
use super::options::{PackFor, PackOptions};
use super::original::Original;
use super::packed::{DataSize, Packed, size_of};
use super::section::{ItemList, id, items, sections};
use crate::image::memory::ImageRef;

/// Maximum length of the segments in a data section, with room for its count.
const MAX_DATA_BYTES: u64 = (1 << 32) - 16;

/// Makes a captured memory the initial contents of one of the module's memories: replaces the
/// memory's segments with a short list of segments that contain `image`'s bytes.
///
/// `size_bytes` is the size of the memory when it was captured; the module's minimum grows to
/// it. Active segments of other memories keep their contents and order, after the new ones.
/// Everything else is unchanged. In particular, the start function would run again; a snapshot
/// tool must handle that.
///
/// The [objective](PackOptions::with_objective) determines how the bytes are divided into
/// segments; [`PackFor::Balanced`] and [`PackFor::Compressed`] mean the same here. Filling
/// gaps adds at most as many bytes as the segments have, unless the module would otherwise
/// have too many segments for any engine.
///
/// Function bodies see the replaced segments as dropped.
///
/// ```
/// use wasm_meminit_analysis::{MemoryIndex, Module};
/// use wasm_meminit_image_builder::Image;
/// use wasm_meminit_image_builder::rewrite::{PackOptions, pack_memory};
///
/// let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "cold"))"#)?;
/// let mut memory = vec![0; 2 * 65536]; // the memory has grown
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
/// [`RewriteError`] as for [`pack`](super::pack()); if the memory does not exist or is
/// imported; if its type does not allow that size; and if more than [`MAX_DATA_SEGMENTS`]
/// segments would remain, which no engine accepts.
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
    let pieces: Vec<_> = image.runs().collect();
    let cover = Cover::of_zeroed(target, &pieces);
    let end = cover.spans.last().map_or(0, |it| it.end);
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
    let covers = snapshot_segments(cover, assembly.n_others(), options)?;
    let mut segments = Vec::new();
    for cover in &covers {
        target.write_segments(&cover.spans, &pieces, &mut segments)?;
    }
    let memories = (min != old.ty.min)
        .then(|| memory_section(module, original.wasm, memory, min))
        .transpose()?;
    let wasm = assembly.finish(&covers, &segments, memories.as_deref())?;
    // A larger index does not fit in a function body.
    let wasm = wasm.ok_or(RewriteError::TooLarge)?;
    Ok(Packed {
        before: DataSize {
            segments: original.segments.len(),
            bytes: original.data_bytes,
        },
        after: size_of(&wasm)?,
        is_changed: true,
        wasm,
    })
}

/// Divides the captured memory into segments, at most as many as engines accept.
fn snapshot_segments(
    cover: Cover,
    n_others: usize,
    options: &PackOptions,
) -> Result<Vec<Cover>, RewriteError> {
    let shortest = alloc::vec![cover];
    let doubled = encoded_len(&shortest).saturating_mul(2);
    let (limit, _) = options.limit(usize::MAX);
    let room = limit.saturating_sub(n_others);
    let covers = match options.objective() {
        PackFor::Size => limit_segments(shortest, room, doubled),
        PackFor::Balanced | PackFor::Compressed | PackFor::Start => {
            let covers = join_narrow(&shortest, NARROW, doubled);
            with_image(join_to(&covers, room, doubled), doubled)
        }
    };
    // No engine accepts more segments, so the size does not matter.
    let room = MAX_DATA_SEGMENTS.saturating_sub(n_others);
    let covers = join_to(&covers, room, MAX_DATA_BYTES);
    let n_segments = n_others.saturating_add(n_segments(&covers));
    if MAX_DATA_SEGMENTS < n_segments {
        return Err(RewriteError::TooManySegments { n_segments });
    }
    Ok(covers)
}

/// Returns the minimum in wasm pages that holds that many bytes, if the type allows it.
fn grown(ty: MemoryType, bytes: u64) -> Option<u64> {
    let min = bytes.div_ceil(ty.page_size.bytes()).max(ty.min);
    let ty = MemoryType { min, ..ty };
    ty.is_valid().then_some(min)
}

/// Returns the contents of the memory section with one minimum replaced, in wasm pages.
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
        let encoded = items::<wasmparser::MemoryType>(&section, reader.clone())?;
        let mut types = ItemList::default();
        for (at, (ty, bytes)) in reader.into_iter().zip(encoded).enumerate() {
            if at != nth {
                types.push(|out| out.extend_from_slice(bytes))?;
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
            types.push(|out| ty.encode(out))?;
        }
        return Ok(types.contents());
    }
    Err(unknown)
}
