//! Builds the images of all memories of a module from a plan.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wasm_meminit_analysis::entity::PrimaryMap;
use wasm_meminit_analysis::{
    Assumption, HostPageSize, MemoryIndex, MemoryInitialization, MemoryInitializer, MemoryType,
    Module, OffsetExpr, Plan, Policy, ResolvedOffset, StartFunction,
};

use crate::image::baked_start::BakedStart;
use crate::image::error::BuildError;
use crate::image::memory::{Image, ImageRef};
use crate::image::provenance::{SourceHash, Tool};
use crate::image::splice::splice;

/// The images of a module's memories, and the segments that must still be replayed.
///
/// Borrows the module's bytes for the segments that are replayed.
#[derive(Clone, Debug)]
pub struct ModuleImage<'a> {
    pub(crate) page_size: HostPageSize,
    pub(crate) memories: PrimaryMap<MemoryIndex, BuiltMemory>,
    pub(crate) replay: Vec<MemoryInitializer<'a>>,
    /// For segments in `replay` whose offset names a global that the module defines, by
    /// position: the offset with that global inlined, as stored in an artifact.
    pub(crate) inlined: BTreeMap<usize, Vec<u8>>,
    pub(crate) elements_may_trap: bool,
    pub(crate) policy: Policy,
    pub(crate) start_function: StartFunction,
    pub(crate) assumptions: Vec<Assumption>,
    pub(crate) source: Option<SourceHash>,
    pub(crate) stripped: Option<SourceHash>,
    pub(crate) tool: Tool<'a>,
    pub(crate) file_alignment: Option<HostPageSize>,
    pub(crate) start: Option<BakedStart>,
}

/// One memory of a [`ModuleImage`].
#[derive(Clone, Debug)]
pub(crate) struct BuiltMemory {
    pub(crate) ty: MemoryType,
    pub(crate) imported: bool,
    pub(crate) image: Image,
}

impl<'a> ModuleImage<'a> {
    /// Builds the image of every memory as planned.
    ///
    /// Each data byte is copied once, into one buffer of the exact size per memory.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if an image does not fit in the address space, if allocation fails, or
    /// if `plan` was made for another module.
    pub fn build(module: &Module<'a>, plan: &Plan<'a>) -> Result<Self, BuildError> {
        if !plan.matches(module) {
            return Err(BuildError::WrongPlan);
        }
        let page_size = plan.page_size();
        let mut memories: PrimaryMap<MemoryIndex, BuiltMemory> =
            PrimaryMap::with_capacity(plan.memories().len());
        for memory in plan.memories().values() {
            let bytes = splice(memory.runs(), memory.pieces())?;
            let image = Image {
                page_size,
                runs: memory.runs().to_vec(),
                bytes,
            };
            memories.push(BuiltMemory {
                ty: memory.ty(),
                imported: memory.is_imported(),
                image,
            });
        }
        let mut replay = plan.replay().to_vec();
        let mut inlined = BTreeMap::new();
        for (nth, it) in replay.iter_mut().enumerate() {
            let Some(memory) = memories.get(it.memory_index) else {
                return Err(BuildError::WrongPlan);
            };
            // In an invalid module, an initialiser that depends on the host may have the wrong
            // type. The offset is then left unchanged.
            let index_type = memory.ty.index_type;
            match module.resolve_offset(&it.offset) {
                Some(ResolvedOffset::Const(value)) => {
                    debug_assert!(value.address(index_type).is_some(), "checked when parsed");
                    it.offset = OffsetExpr::Const(value);
                }
                Some(ResolvedOffset::Expr(bytes))
                    if OffsetExpr::decode(&bytes)
                        .is_ok_and(|(expr, _)| expr.is_well_typed(index_type)) =>
                {
                    inlined.insert(nth, bytes);
                }
                _ => {}
            }
        }
        Ok(Self {
            page_size,
            memories,
            replay,
            inlined,
            elements_may_trap: plan.elements_may_trap(),
            policy: *plan.policy(),
            start_function: plan.start_function(),
            assumptions: plan.assumptions().to_vec(),
            source: None,
            stripped: None,
            tool: Tool::default(),
            file_alignment: None,
            start: BakedStart::of(plan),
        })
    }

    /// Sets the hash of the module's bytes, to be stored in the artifact.
    #[must_use]
    pub const fn with_source(mut self, source: SourceHash) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the hash, with the same function, of the module without the segments that are in
    /// the image, so that a stripped module can be matched with its artifact.
    #[must_use]
    pub const fn with_stripped(mut self, stripped: SourceHash) -> Self {
        self.stripped = Some(stripped);
        self
    }

    /// Sets the name and version of the program that builds the artifact. Default: this
    /// crate. The same name and version must always produce the same bytes.
    #[must_use]
    pub const fn with_tool(mut self, tool: Tool<'a>) -> Self {
        self.tool = tool;
        self
    }

    /// Sets the file alignment: the file can be mapped with pages up to this size. At least
    /// the page size is used.
    ///
    /// Default: 64 KiB if that lengthens the file by at most a quarter, which holds for all
    /// but small or sparse images; otherwise the page size.
    #[must_use]
    pub const fn with_file_alignment(mut self, alignment: HostPageSize) -> Self {
        self.file_alignment = Some(alignment);
        self
    }

    /// Returns the page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// Returns the image of one memory; empty if the memory is zero or only replayed. `None`
    /// if the memory does not exist.
    pub fn image(&self, memory: MemoryIndex) -> Option<ImageRef<'_>> {
        self.memories.get(memory).map(|it| it.image.as_ref())
    }

    /// Returns the images of all memories, in index order.
    pub fn into_images(self) -> impl Iterator<Item = Image> {
        self.memories.into_iter().map(|(_, it)| it.image)
    }

    /// Returns the segments to replay after the images are in place, in order.
    pub fn replay(&self) -> &[MemoryInitializer<'a>] {
        &self.replay
    }

    /// Describes the baked writes of the start function, if there are any.
    pub const fn start(&self) -> Option<BakedStart> {
        self.start
    }

    /// Returns the initialisation of the memories, to be carried out by an engine.
    pub fn initialization(&self) -> MemoryInitialization<'_> {
        initialization(
            self.memories.values().map(|it| it.image.as_ref()),
            self.replay.clone(),
        )
    }
}

/// Chooses the form: `Segmented` without runs, `Static` if there is at most one run per
/// memory and nothing to replay, `Hybrid` otherwise.
pub(crate) fn initialization<'a>(
    images: impl Iterator<Item = ImageRef<'a>> + Clone,
    replay: Vec<MemoryInitializer<'a>>,
) -> MemoryInitialization<'a> {
    let max_runs = images
        .clone()
        .map(|it| it.layout().len())
        .max()
        .unwrap_or(0);
    match (max_runs, replay.is_empty()) {
        (0, false) => MemoryInitialization::Segmented(replay),
        (0 | 1, true) => MemoryInitialization::Static {
            map: images.map(|it| it.runs().next()).collect(),
        },
        _ => MemoryInitialization::Hybrid {
            runs: images.map(|it| it.runs().collect()).collect(),
            replay,
        },
    }
}

/// Builds one dense image per memory if wasmtime would: if the addresses of all segments of
/// the module are known, and its memories are dense or small.
///
/// `page_size` is the host's page size; `max_image_size_always_allowed` is the span in bytes
/// below which density does not matter. If wasmtime's rule does not hold, nothing is baked,
/// and [`ModuleImage::initialization`] is `Segmented`.
///
/// # Errors
///
/// The same as [`ModuleImage::build`].
///
/// ```
/// use wasm_meminit_analysis::{HostPageSize, Module};
/// use wasm_meminit_image_builder::try_static_init;
///
/// let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "x"))"#)?;
/// let module = Module::parse(&wasm)?;
/// let image = try_static_init(&module, HostPageSize::KIB_4, 1 << 20)?;
/// assert!(!image.initialization().is_segmented());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn try_static_init<'a>(
    module: &Module<'a>,
    page_size: HostPageSize,
    max_image_size_always_allowed: u64,
) -> Result<ModuleImage<'a>, BuildError> {
    let policy = Policy::single_run(page_size, max_image_size_always_allowed);
    ModuleImage::build(module, &Plan::new(module, &policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Such a module is invalid. Its offset is not replaced by one of another type.
    #[test]
    fn an_offset_of_the_wrong_type_stays_as_it_is() {
        let modules = [
            r#"(module (import "m" "g" (global i64)) (memory 1)
                (global i32 (i64.add (global.get 0) (i64.const 1)))
                (data (global.get 1) "x"))"#,
            r#"(module (import "m" "g" (global i32)) (memory i64 1)
                (global i64 (i32.add (global.get 0) (i32.const 1)))
                (data (global.get 1) "x"))"#,
        ];
        for text in modules {
            let wasm = wat::parse_str(text).unwrap();
            let module = Module::parse(&wasm).unwrap();
            let plan = Plan::new(&module, &Policy::balanced(HostPageSize::KIB_4));
            let image = ModuleImage::build(&module, &plan).unwrap();
            assert_eq!(image.replay(), plan.replay(), "{text}");
            assert!(image.inlined.is_empty(), "{text}");
            let artifact = image.encode().unwrap();
            crate::Artifact::decode(&artifact).unwrap();
        }
    }
}
