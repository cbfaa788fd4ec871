//! Finds the best list of active segments for the same initial memory.

use alloc::vec::Vec;

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::{
    HostPageSize, IndexType, MemoryIndex, MemoryPlan, Module, Plan, Policy, SegmentMode,
};

use super::assemble::Assembly;
use super::choose::{Bounds, candidates};
use super::cover::{Cover, n_segments};
use super::data::Target;
use super::deflate::comparable_len;
use super::error::RewriteError;
use super::join::{ALWAYS_ALLOWED, NARROW};
use super::options::{BALANCED_LIMIT, PackFor, PackOptions};
use super::original::Original;
use super::packed::{DataSize, Packed, size_of};
use crate::length::len_u64;

/// Rewrites a module with the best list of active segments for the same initial memory.
///
/// [`PackOptions::with_objective`] defines what is best. Overlaps are resolved and empty
/// segments removed. Zeros are omitted and neighbours joined where that helps the
/// objective. If there is no gain, the module is returned unchanged, byte for byte.
///
/// Only segments with known addresses are rewritten. Segments that may trap, and those after
/// them, keep their contents and order, so the program sees the same memory, the same trap
/// and the same partial writes. An imported memory may initially contain anything, so its
/// segments are joined only where they touch, and keep their zeros, unless
/// [`PackOptions::with_zeroed_imports`] is set. A value supplied with
/// [`Module::with_global`] or [`Module::with_memory_size`] becomes part of the result.
///
/// Passive segments are not changed, so a start function that writes them works as before.
/// If their indices change, those in function bodies are replaced in place: the code section
/// keeps its length, including a padded size, and its offset from the data count section,
/// which keeps its length too unless the number of segments needs more bytes than before.
/// Source maps and debug information then remain valid.
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
/// [`RewriteError`] if the module was not parsed from bytes, has function bodies that cannot
/// be parsed (only those of modules with a data count section are), or is an object file.
pub fn pack(module: &Module<'_>, options: &PackOptions) -> Result<Packed, RewriteError> {
    let original = Original::read(module)?;
    if original.is_relocatable {
        return Err(RewriteError::Relocatable);
    }
    let before = DataSize {
        segments: original.segments.len(),
        bytes: original.data_bytes,
    };
    let better = better(module, &original, options)?;
    Ok(match better {
        Some(wasm) => Packed {
            after: size_of(&wasm)?,
            before,
            is_changed: true,
            wasm,
        },
        None => Packed {
            wasm: original.wasm.to_vec(),
            before,
            after: before,
            is_changed: false,
        },
    })
}

/// Returns the packed module, if it is better by the objective.
fn better(
    module: &Module<'_>,
    original: &Original<'_>,
    options: &PackOptions,
) -> Result<Option<Vec<u8>>, RewriteError> {
    // The layout is irrelevant; only known addresses and visible bytes matter.
    let policy = Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true);
    let plan = Plan::new(module, &policy);
    let packed_memories = packed_memories(&plan, options);
    let is_replaced = replaced(module, &plan, &packed_memories);
    if original.names_any(&is_replaced) && module.elements_may_trap() {
        // A function leaked by a trapping element segment could still access the segment.
        return Ok(None);
    }
    let assembly = Assembly::new(original, module, &is_replaced);
    let covers: Vec<Cover> = packed_memories
        .iter()
        .map(|(memory, initial)| cover(module, &plan, *memory, *initial))
        .collect();
    let n_before = original.segments.len();
    let (limit, may_grow) = options.limit(n_before);
    let bounds = Bounds {
        objective: options.objective(),
        max_segments: limit.saturating_sub(assembly.n_others()),
        may_grow,
        bytes: assembly.replaced_bytes(),
    };
    let was_dense: Vec<bool> = packed_memories
        .iter()
        .map(|(memory, _)| was_dense(&plan, *memory))
        .collect();

    let had_image = has_image(module);
    let has_uses = !original.uses.is_empty();
    let score = |wasm: &[u8], has_image| Score::of(wasm, has_image, has_uses, options.objective());
    let mut old = None;
    let mut best: Option<(Score, Vec<u8>)> = None;
    for covers in candidates(covers, &was_dense, &bounds) {
        let n_after = assembly.n_others().saturating_add(n_segments(&covers));
        if MAX_DATA_SEGMENTS < n_after {
            continue;
        }
        let Some(wasm) = written(&plan, &assembly, &covers)? else {
            continue;
        };
        if wasm == original.wasm {
            continue;
        }
        // Computed lazily, because compression takes longer than everything else.
        let old = match &mut old {
            Some(old) => old,
            none => none.insert(Score {
                segments: n_before,
                data_bytes: original.data_bytes,
                ..score(original.wasm, had_image)?
            }),
        };
        // Never fails: the module was just written by this function.
        let parsed = Module::parse(&wasm).map_err(|err| RewriteError::Malformed {
            offset: err.offset(),
        })?;
        let new = Score {
            segments: n_after,
            data_bytes: size_of(&wasm)?.bytes,
            ..score(&wasm, has_image(&parsed))?
        };
        if had_image && !new.has_image && options.objective() != PackFor::Size {
            continue;
        }
        let is_asked_for = options.is_limit_below(n_before) && n_after < n_before;
        if (is_asked_for || new.is_better_than(old, options.objective()))
            && best
                .as_ref()
                .is_none_or(|(best, _)| new.is_better_than(best, options.objective()))
        {
            best = Some((new, wasm));
        }
    }
    Ok(best.map(|(_, wasm)| wasm))
}

/// Writes the module with these segments. `None` if a larger index does not fit in a function
/// body.
fn written(
    plan: &Plan<'_>,
    assembly: &Assembly<'_, '_>,
    covers: &[Cover],
) -> Result<Option<Vec<u8>>, RewriteError> {
    let mut segments = Vec::new();
    for cover in covers {
        let pieces = plan.memories().get(cover.target.memory);
        let pieces = pieces.map_or(&[][..], MemoryPlan::pieces);
        cover
            .target
            .write_segments(&cover.spans, pieces, &mut segments)?;
    }
    assembly.finish(covers, &segments, None)
}

/// The properties of a module that objectives compare.
struct Score {
    segments: usize,
    bytes: usize,
    data_bytes: usize,
    /// Whether wasmtime creates an image of it with the default limit.
    has_image: bool,
    /// The compressed size of what can differ; 0 if the objective does not use it.
    deflated: u64,
}

impl Score {
    /// Computes the score, except for the properties of the data section.
    fn of(
        wasm: &[u8],
        has_image: bool,
        has_uses: bool,
        objective: PackFor,
    ) -> Result<Self, RewriteError> {
        let deflated = match objective {
            PackFor::Balanced | PackFor::Compressed => comparable_len(wasm, has_uses)?,
            PackFor::Size | PackFor::Start => 0,
        };
        Ok(Self {
            segments: 0,
            bytes: wasm.len(),
            data_bytes: 0,
            has_image,
            deflated,
        })
    }

    /// Returns the cost of an instantiation, expressed in bytes copied.
    fn start_cost(&self) -> u64 {
        let [segments, bytes] =
            [self.segments, self.data_bytes].map(|it| u64::try_from(it).unwrap_or(u64::MAX));
        segments.saturating_mul(NARROW).saturating_add(bytes)
    }

    fn is_better_than(&self, other: &Self, objective: PackFor) -> bool {
        let by_size = (self.bytes, self.segments) < (other.bytes, other.segments);
        match objective {
            PackFor::Size => by_size,
            PackFor::Compressed => {
                self.deflated < other.deflated || (self.deflated == other.deflated && by_size)
            }
            PackFor::Start => {
                let cost = |it: &Self| (!it.has_image, it.start_cost());
                cost(self) < cost(other)
            }
            PackFor::Balanced => {
                // This DEFLATE differs from gzip's, so the gain must exceed the difference in
                // a module that compresses to half.
                let noise = len_u64(other.bytes) >> 14;
                self.segments <= other.segments.max(BALANCED_LIMIT)
                    && self.bytes <= other.bytes
                    && self.deflated.saturating_add(noise) <= other.deflated
                    && (self.deflated < other.deflated || by_size)
            }
        }
    }
}

/// Returns whether engines that create images for all of a module's memories or for none
/// create them for this module.
fn has_image(module: &Module<'_>) -> bool {
    let policy = Policy::single_run(HostPageSize::KIB_4, ALWAYS_ALLOWED);
    Plan::new(module, &policy).replay().is_empty()
}

/// Returns whether a memory's segments fill more than half of their span, by wasmtime's rule.
fn was_dense(plan: &Plan<'_>, memory: MemoryIndex) -> bool {
    let extent = plan.memories().get(memory).and_then(|it| it.extent());
    extent.is_some_and(|it| it.max.saturating_sub(it.min) < it.data_bytes.saturating_mul(2))
}

/// What is known about the initial contents of a packed memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initial {
    /// The memory is zero.
    Zeroed,
    /// The memory may contain anything.
    Unknown,
}

/// Returns the memories that are packed, in index order.
///
/// Two imports may be the same memory, so if their contents are unknown, segments may be
/// reordered only if a single one is written to: also a write that the plan bakes into no
/// image, because that would be too large, may be to the same memory. Shared imported memories
/// are never packed, even if they are promised to be zero: other threads may observe
/// intermediate states, and their instances write the segments again, when a gap may no longer
/// be zero. None of them is the same memory as one that is not shared.
fn packed_memories(plan: &Plan<'_>, options: &PackOptions) -> Vec<(MemoryIndex, Initial)> {
    let is_written =
        |it: &&MemoryPlan<'_>| it.is_imported() && !it.ty().shared && it.extent().is_some();
    let n_imported = plan.memories().values().filter(is_written).count();
    let baked = plan.memories().iter().filter(|(_, it)| it.n_baked() != 0);
    baked
        .filter_map(|(memory, it)| {
            if !it.is_imported() {
                return Some((memory, Initial::Zeroed));
            }
            if it.ty().shared {
                return None;
            }
            if options.promises_zeroed_imports() {
                return Some((memory, Initial::Zeroed));
            }
            (n_imported <= 1).then_some((memory, Initial::Unknown))
        })
        .collect()
}

/// Returns, for each segment, whether its address is known and its memory is packed.
fn replaced(
    module: &Module<'_>,
    plan: &Plan<'_>,
    packed_memories: &[(MemoryIndex, Initial)],
) -> Vec<bool> {
    let mut is_packed = alloc::vec![false; plan.memories().len()];
    for (memory, _) in packed_memories {
        if let Some(it) = is_packed.get_mut(position(*memory)) {
            *it = true;
        }
    }
    let mut replayed = plan.replay().iter().map(|it| it.segment).peekable();
    let segments = module.segments().iter();
    segments
        .map(|(index, segment)| match segment.mode {
            SegmentMode::Passive => false,
            SegmentMode::Active { memory_index, .. } => {
                let is_replayed = replayed.next_if_eq(&index).is_some();
                let is_packed = is_packed.get(position(memory_index)).copied();
                !is_replayed && is_packed.unwrap_or(false)
            }
        })
        .collect()
}

fn position(memory: MemoryIndex) -> usize {
    usize::try_from(memory.as_u32()).unwrap_or(usize::MAX)
}

fn cover(module: &Module<'_>, plan: &Plan<'_>, memory: MemoryIndex, initial: Initial) -> Cover {
    let index_type = module.memories().get(memory).map(|it| it.ty.index_type);
    let target = Target {
        memory,
        index_type: index_type.unwrap_or(IndexType::I32),
    };
    let pieces = plan.memories().get(memory);
    let pieces = pieces.map_or(&[][..], MemoryPlan::pieces);
    match initial {
        Initial::Zeroed => Cover::of_zeroed(target, pieces),
        Initial::Unknown => Cover::of_unknown(target, pieces),
    }
}
