//! The best list of active segments for the same initial memory.

use alloc::vec::Vec;

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::{
    HostPageSize, IndexType, MemoryIndex, Module, Plan, Policy, SegmentMode,
};

use super::assemble::Assembly;
use super::choose::{Bounds, candidates};
use super::cover::{Cover, n_segments};
use super::data::Target;
use super::deflate::deflated_len;
use super::error::RewriteError;
use super::join::{ALWAYS_ALLOWED, NARROW};
use super::options::{BALANCED_LIMIT, PackFor, PackOptions};
use super::original::Original;

/// A packed module, and what that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its data before.
    pub before: DataSize,
    /// Its data now; the same as before where nothing was to be gained.
    pub after: DataSize,
    /// Whether anything was gained; if not, the module is the one that came in.
    pub is_changed: bool,
}

/// The size of a module's data section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSize {
    /// Segments, active and passive.
    pub segments: usize,
    /// Bytes of the section, without its id and size.
    pub bytes: usize,
}

/// The same module with the best list of active segments for the same initial memory.
///
/// [`PackOptions::with_objective`] says what is best. Overlaps are resolved and empty
/// segments dropped; zeros are left out, and neighbours joined, where the objective
/// gains by it. Where it gains nothing the module is returned as it is, byte for byte.
///
/// Only certain bytes move: segments that may trap, and those after them, stay as
/// they are and in their order, so the program sees the same memory, the same trap and
/// the same partial writes. An imported memory may hold anything, so its segments are
/// joined where they touch and keep their zeros, unless
/// [`PackOptions::assume_zeroed_imports`] says otherwise. A value supplied with
/// [`Module::with_global`] is certain, and part of the result; so is a memory's size.
///
/// Passive segments stay whole, so a start function that writes them does the same as
/// before. Where their indices change, so do those in function bodies, in place: the
/// code section keeps its bytes, a padded size included, and its place after the data
/// count section, which keeps its length unless the number of segments needs more bytes
/// than before. Then source maps and debug information stay right.
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

/// The packed module, where it is better by the objective.
fn better(
    module: &Module<'_>,
    original: &Original<'_>,
    options: &PackOptions,
) -> Result<Option<Vec<u8>>, RewriteError> {
    // Layout does not matter here, only what is certain, and what of it is visible.
    let policy = Policy::smallest(HostPageSize::KIB_4).assume_zeroed_imports(true);
    let plan = Plan::new(module, &policy);
    let ways = ways(&plan, options);
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
    let n_before = original.segments.len();
    let (limit, may_grow) = options.limit(n_before);
    let bounds = Bounds {
        objective: options.objective(),
        max_segments: limit.saturating_sub(assembly.n_others()),
        may_grow,
        bytes: assembly.replaced_bytes(),
    };
    let was_dense: Vec<bool> = ways
        .iter()
        .map(|(memory, _)| was_dense(&plan, *memory))
        .collect();

    let had_image = has_image(module);
    let mut old = None;
    let mut best: Option<(Judged, Vec<u8>)> = None;
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
        // Only now: to compress a module takes longer than all the rest.
        let old = old.get_or_insert_with(|| Judged {
            segments: n_before,
            data_bytes: original.data_bytes,
            ..Judged::of(original.wasm, had_image, options.objective())
        });
        // Never an error: we have written it.
        let parsed = Module::parse(&wasm).map_err(|err| RewriteError::Malformed {
            offset: err.offset(),
        })?;
        let new = Judged {
            segments: n_after,
            data_bytes: size_of(&wasm)?.bytes,
            ..Judged::of(&wasm, has_image(&parsed), options.objective())
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

/// The module with these segments; `None` where a function body has no room for an index
/// that has risen.
fn written(
    plan: &Plan<'_>,
    assembly: &Assembly<'_, '_>,
    covers: &[Cover],
) -> Result<Option<Vec<u8>>, RewriteError> {
    let mut segments = Vec::new();
    for cover in covers {
        let pieces = plan.memories().get(cover.target.memory);
        let pieces = pieces.map(|it| it.pieces()).unwrap_or_default();
        cover
            .target
            .write_segments(&cover.stretches, &pieces, &mut segments)?;
    }
    assembly.finish(covers, &segments, None)
}

/// A module as an objective sees it.
struct Judged {
    segments: usize,
    bytes: usize,
    data_bytes: usize,
    /// Whether wasmtime, with the limit that it comes with, makes an image of it.
    has_image: bool,
    /// After compression; 0 where the objective does not ask for it.
    deflated: u64,
}

impl Judged {
    /// Without the data section's numbers.
    fn of(wasm: &[u8], has_image: bool, objective: PackFor) -> Self {
        let deflated = match objective {
            PackFor::Balanced | PackFor::Compressed => deflated_len(wasm),
            PackFor::Size | PackFor::Start => 0,
        };
        Self {
            segments: 0,
            bytes: wasm.len(),
            data_bytes: 0,
            has_image,
            deflated,
        }
    }

    /// What a start costs, in bytes copied.
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
                // Our DEFLATE is not gzip's: what it gains must not be noise.
                let noise = other.deflated >> 13;
                self.segments <= other.segments.max(BALANCED_LIMIT)
                    && self.bytes <= other.bytes
                    && self.deflated.saturating_add(noise) <= other.deflated
                    && (self.deflated < other.deflated || by_size)
            }
        }
    }
}

/// Whether engines that make an image of all of a module's memories, or of none, make one
/// of these.
fn has_image(module: &Module<'_>) -> bool {
    let policy = Policy::single_run(HostPageSize::KIB_4, ALWAYS_ALLOWED);
    Plan::new(module, &policy).replay().is_empty()
}

/// Whether a memory's segments fill more than half of what they span, as wasmtime counts.
fn was_dense(plan: &Plan<'_>, memory: MemoryIndex) -> bool {
    let extent = plan.memories().get(memory).and_then(|it| it.extent());
    extent.is_some_and(|it| it.max.saturating_sub(it.min) < it.data_bytes.saturating_mul(2))
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
/// single one may have its segments reordered. A shared one is left alone, whatever is
/// promised of it: other threads may look at it in between, and their own instances
/// write its segments again, when a zero between two of them may be zero no more.
fn ways(plan: &Plan<'_>, options: &PackOptions) -> Vec<(MemoryIndex, Way)> {
    let baked = || plan.memories().iter().filter(|(_, it)| it.n_baked() != 0);
    let n_imported = baked().filter(|(_, it)| it.is_imported()).count();
    baked()
        .filter_map(|(memory, it)| {
            if !it.is_imported() {
                return Some((memory, Way::Zeroed));
            }
            if it.ty().shared {
                return None;
            }
            if options.promises_zeroed_imports() {
                return Some((memory, Way::Zeroed));
            }
            (n_imported == 1).then_some((memory, Way::Unknown))
        })
        .collect()
}

/// For each segment, whether its bytes are certain and in a memory that is packed.
fn replaced(module: &Module<'_>, plan: &Plan<'_>, ways: &[(MemoryIndex, Way)]) -> Vec<bool> {
    let mut is_packed = alloc::vec![false; plan.memories().len()];
    for (memory, _) in ways {
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
        index_type: index_type.unwrap_or(IndexType::I32),
    };
    let pieces = plan.memories().get(memory);
    let pieces = pieces.map(|it| it.pieces()).unwrap_or_default();
    match way {
        Way::Zeroed => Cover::of_zeroed(target, &pieces),
        Way::Unknown => Cover::of_unknown(target, &pieces),
    }
}
