//! The smallest list of active segments for the same initial memory.

use alloc::vec::Vec;

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy, SegmentMode};

use super::assemble::Assembly;
use super::cover::{self, Cover, n_segments};
use super::data::Target;
use super::error::RewriteError;
use super::original::Original;

/// What [`pack`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PackOptions {
    pub(super) max_segments: usize,
    assume_zeroed_imports: bool,
}

impl PackOptions {
    /// At most this many data segments, as far as the module gets no larger by that:
    /// above, the cheapest gaps are filled with zeros. 10,000 by default; 0 for as few
    /// as can be; more than [`MAX_DATA_SEGMENTS`] no engine takes.
    pub const fn with_max_segments(mut self, max_segments: usize) -> Self {
        self.max_segments = if max_segments < MAX_DATA_SEGMENTS {
            max_segments
        } else {
            MAX_DATA_SEGMENTS
        };
        self
    }

    /// Promises that imported memories are fresh, as
    /// [`Policy::assume_zeroed_imports`] does; without it their zeros stay.
    pub const fn assume_zeroed_imports(mut self, promise: bool) -> Self {
        self.assume_zeroed_imports = promise;
        self
    }
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            max_segments: 10_000,
            assume_zeroed_imports: false,
        }
    }
}

/// A packed module, and what that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its data before.
    pub before: DataSize,
    /// Its data now; the same as before where nothing was to be gained.
    pub after: DataSize,
}

/// The size of a module's data section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSize {
    /// Segments, active and passive.
    pub segments: usize,
    /// Bytes of the section, without its id and size.
    pub bytes: usize,
}

/// The same module with the smallest list of active segments for the same initial
/// memory.
///
/// Zeros are left out where a new segment costs less than they do, and neighbours are
/// joined where keeping them apart costs more: exactly, by what the encoding of each
/// header and length takes. Overlaps are resolved and empty segments dropped. The
/// result is never larger than the module; where nothing can be gained, it is the
/// module.
///
/// Only certain bytes move: segments that may trap, and those behind them, stay as
/// they are and in their order, so the program sees the same memory, the same trap and
/// the same partial writes. An imported memory may hold anything, so its segments are
/// joined where they touch and keep their zeros, unless
/// [`PackOptions::assume_zeroed_imports`] says otherwise. A value supplied with
/// [`Module::with_global`] is certain, and part of the result.
///
/// Passive segments stay whole. Where their indices change, so do those in function
/// bodies, in place.
///
/// ```
/// use wasm_meminit_analysis::Module;
/// use wasm_meminit_image_builder::rewrite::{PackOptions, pack};
///
/// let wasm = wat::parse_str(
///     r#"(module
///          (memory 1)
///          (data (i32.const 5) "world")
///          (data (i32.const 0) "hello")
///          (data (i32.const 64) "\00\00\00\00\00\00\00\00\00\00\00\00!"))"#,
/// )?;
/// let packed = pack(&Module::parse(&wasm)?, &PackOptions::default())?;
/// assert_eq!(packed.before.segments, 3);
///
/// let module = Module::parse(&packed.wasm)?;
/// let data: Vec<&[u8]> = module.segments().values().map(|it| it.data).collect();
/// assert_eq!(data, [&b"helloworld"[..], b"!"]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`RewriteError`] for a module that was not read from bytes, has function bodies that
/// cannot be read (looked at only where they may name data segments), or is an object
/// file.
pub fn pack(module: &Module<'_>, options: &PackOptions) -> Result<Packed, RewriteError> {
    let original = Original::read(module)?;
    if original.is_relocatable {
        return Err(RewriteError::Relocatable);
    }
    let before = DataSize {
        segments: original.segments.len(),
        bytes: original.data_bytes,
    };
    let packed = match smaller(module, &original, options)? {
        Some(wasm) => Packed {
            after: size_of(&wasm)?,
            before,
            wasm,
        },
        None => Packed {
            wasm: original.wasm.to_vec(),
            before,
            after: before,
        },
    };
    Ok(packed)
}

/// The data section of a module that we wrote.
pub(super) fn size_of(wasm: &[u8]) -> Result<DataSize, RewriteError> {
    use super::section::{id, sections};
    for section in sections(wasm) {
        let section = section?;
        if section.id == id::DATA {
            let count = section.reader().read_var_u32();
            return Ok(DataSize {
                segments: usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX),
                bytes: section.contents.len(),
            });
        }
    }
    Ok(DataSize {
        segments: 0,
        bytes: 0,
    })
}

/// The packed module, where it is smaller, or as small with fewer segments.
fn smaller(
    module: &Module<'_>,
    original: &Original<'_>,
    options: &PackOptions,
) -> Result<Option<Vec<u8>>, RewriteError> {
    // Layout does not matter here, only what is certain, and what of it is visible.
    let policy = Policy::smallest(HostPageSize::KIB_4).assume_zeroed_imports(true);
    let plan = Plan::new(module, &policy);
    let ways = ways(module, &plan, options);
    let is_replaced = replaced(module, &plan, &ways);
    if names_what_goes(module, original, &is_replaced) && module.elements_may_trap() {
        // A function that a trapping element segment has leaked could still read it.
        return Ok(None);
    }
    let assembly = Assembly::new(original, module, &is_replaced);

    let covers: Vec<Cover> = ways
        .iter()
        .map(|(memory, way)| cover(module, &plan, *memory, *way))
        .collect();
    let room = options.max_segments.saturating_sub(assembly.n_others());
    let covers = cover::limit(covers, room, assembly.replaced_bytes());
    let n_after = assembly.n_others().saturating_add(n_segments(&covers));
    let n_before = original.segments.len();
    if MAX_DATA_SEGMENTS < n_after {
        return Ok(None);
    }

    let mut segments = Vec::new();
    for cover in &covers {
        let pieces = plan.memories().get(cover.target.memory);
        let pieces = pieces.map(|it| it.pieces()).unwrap_or_default();
        cover
            .target
            .write_segments(&cover.stretches, &pieces, &mut segments)?;
    }
    let wasm = assembly.finish(&covers, &segments, None)?;
    Ok(wasm.filter(|wasm| {
        let (old, new) = (original.wasm.len(), wasm.len());
        new < old || (new == old && n_after < n_before)
    }))
}

/// What is known of a memory that is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is zero where no segment writes.
    Zeroed,
    /// It may hold anything.
    Unknown,
}

/// The memories that are packed, in index order.
///
/// Two imports may be the same memory, so of memories that nothing is known of only a
/// single one may have its segments reordered; and not one that other threads may look
/// at in between.
fn ways(module: &Module<'_>, plan: &Plan<'_>, options: &PackOptions) -> Vec<(MemoryIndex, Way)> {
    let baked = || plan.memories().iter().filter(|(_, it)| it.n_baked() != 0);
    let n_imported = baked().filter(|(_, it)| it.is_imported()).count();
    baked()
        .filter_map(|(memory, it)| {
            if !it.is_imported() || options.assume_zeroed_imports {
                return Some((memory, Way::Zeroed));
            }
            let is_shared = module.memories().get(memory)?.ty.shared;
            (n_imported == 1 && !is_shared).then_some((memory, Way::Unknown))
        })
        .collect()
}

/// For each segment, whether its bytes are certain and in a memory that is packed.
fn replaced(module: &Module<'_>, plan: &Plan<'_>, ways: &[(MemoryIndex, Way)]) -> Vec<bool> {
    let mut replayed = plan.replay().iter().map(|it| it.segment).peekable();
    let segments = module.segments().iter();
    segments
        .map(|(index, segment)| match segment.mode {
            SegmentMode::Passive => false,
            SegmentMode::Active { memory_index, .. } => {
                let is_replayed = replayed.next_if_eq(&index).is_some();
                !is_replayed && ways.iter().any(|(memory, _)| *memory == memory_index)
            }
        })
        .collect()
}

/// Whether a function body names one of these segments.
pub(super) fn names_what_goes(module: &Module<'_>, original: &Original<'_>, goes: &[bool]) -> bool {
    debug_assert_eq!(module.segments().len(), goes.len());
    original.uses.iter().any(|it| {
        let nth = usize::try_from(it.segment).unwrap_or(usize::MAX);
        goes.get(nth).copied().unwrap_or(false)
    })
}

fn cover(module: &Module<'_>, plan: &Plan<'_>, memory: MemoryIndex, way: Way) -> Cover {
    let index_type = module.memories().get(memory).map(|it| it.ty.index_type);
    let target = Target {
        memory,
        index_type: index_type.unwrap_or(wasm_meminit_analysis::IndexType::I32),
    };
    let pieces = plan.memories().get(memory);
    let pieces = pieces.map(|it| it.pieces()).unwrap_or_default();
    match way {
        Way::Zeroed => Cover::of_zeroed(target, &pieces),
        Way::Unknown => Cover::of_unknown(target, &pieces),
    }
}
