//! Initialises all memories of a module in one call per instance.

mod error;
mod host;
mod instance_memory;
mod memory;
mod replay;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_image_builder::analysis::{
    Assumption, GlobalIndex, IndexType, InitError, InitMemory, MemoryIndex, Value,
};
use wasm_meminit_image_builder::{Artifact, BakedStart, ImageRef};

pub use self::error::{HostHas, InstantiateError, PrepareError};
pub use self::host::Host;
pub use self::instance_memory::InstanceMemory;
pub use self::memory::PreparedMemory;

use self::instance_memory::Memories;
use self::replay::ReplayList;
use crate::error::ImageError;
use crate::image::MemoryImage;

/// A module's memories, prepared for any number of instances.
///
/// Contains an image for each memory, and the data segments that must be replayed
/// afterwards.
///
/// Made once for each module from its [`Artifact`], whose bytes are not needed any
/// longer. Shared between threads by reference or [`Arc`].
///
/// ```
/// use wasm_meminit_analysis::{Module, Plan, Policy};
/// use wasm_meminit_apply::{Artifact, MemorySlot, PreparedModule, SlotConfig, Value};
/// use wasm_meminit_image_builder::ModuleImage;
///
/// // Ahead of time. Only the host knows the address of the second segment.
/// let wasm = wat::parse_str(
///     r#"(module
///          (import "env" "base" (global $base i32))
///          (memory 1)
///          (data (i32.const 8) "baked")
///          (data (global.get $base) "replayed"))"#,
/// )?;
/// let module = Module::parse(&wasm)?;
/// let plan = Plan::new(&module, &Policy::default());
/// let artifact = ModuleImage::build(&module, &plan)?.encode()?;
///
/// // Once for each module.
/// let module = PreparedModule::new(&Artifact::decode(&artifact)?)?;
/// let mut slot = MemorySlot::new(&SlotConfig::new(1 << 20))?;
///
/// // Once for each instance.
/// for base in [100, 200] {
///     module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(base)))?;
///     let memory = slot.as_mut_slice();
///     let at = usize::try_from(base)?;
///     assert_eq!(memory[8..13], *b"baked");
///     assert_eq!(memory[at..at + 8], *b"replayed");
///     slot.reset()?;
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # What an artifact was built for
///
/// An artifact may depend on what its builder knew about the host: the values of imported
/// globals, that imported memories are zero, how large they are, and how a start function
/// is treated. It lists all of these ([`Artifact::assumptions`]), and is refused by a
/// host that provides something else, because its memories would be wrong.
/// [`for_host`](Self::for_host) compares by name, once;
/// [`instantiate`](Self::instantiate) compares the values of globals that it gets for the
/// instance.
///
/// # Traps
///
/// A segment that does not fit its memory traps: [`InstantiateError::is_trap`]. As the
/// specification requires, what was written before it stays written, and the segments
/// after it are not written. The memories are in use and can be inspected; the host
/// resets its slots as after any other use.
///
/// # Element segments
///
/// The specification applies active element segments before data segments. If one of them
/// traps, no data is written at all, which a program can observe: through an imported
/// memory, or through functions that the module has put in an imported table. In most
/// modules they cannot trap; [`elements_may_trap`](Self::elements_may_trap) says whether
/// they can in this one. If so, the host does one of the following:
///
/// * applies the element segments first, and calls [`instantiate`](Self::instantiate) if
///   they succeed;
/// * if the engine applies them later and the module imports no memory, calls
///   [`MemorySlot::zero`](crate::MemorySlot::zero) on each slot when they trap,
///   which makes its memory zero;
/// * leaves the module to the engine: an imported memory cannot be restored.
pub struct PreparedModule {
    memories: Vec<PreparedMemory>,
    replay: ReplayList,
    /// The values that the images were built for.
    assumed_globals: Vec<(GlobalIndex, Value)>,
    elements_may_trap: bool,
    start: Option<BakedStart>,
}

impl PreparedModule {
    /// Copies everything that a start needs out of an artifact.
    ///
    /// Images go to the best place that the system supports (see [`MemoryImage::new`]),
    /// segments to replay to the heap.
    ///
    /// For artifacts with no assumptions that the host must confirm, as most are;
    /// otherwise see [`for_host`](Self::for_host).
    ///
    /// # Errors
    ///
    /// [`PrepareError`], with the assumption, the memory or the segment.
    pub fn new(artifact: &Artifact<'_>) -> Result<Self, PrepareError> {
        Self::for_host(artifact, &Host::new())
    }

    /// Does the same as [`new`](Self::new) for a host that declares what it supplies.
    ///
    /// For artifacts that were built with the values of globals or other knowledge of the
    /// host.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Assumption`] if the host provides something else than the artifact
    /// was built for; and the errors of [`new`](Self::new).
    pub fn for_host(artifact: &Artifact<'_>, host: &Host) -> Result<Self, PrepareError> {
        Self::with_images(artifact, host, |_, image| MemoryImage::new(image))
    }

    /// Does the same as [`for_host`](Self::for_host) with images that the caller makes.
    ///
    /// For instance by [`MemoryImage::in_heap`] if slots are not used, or by
    /// [`MemoryImage::map_sealed`](crate::MemoryImage#method.map_sealed) from the
    /// artifact's own file.
    ///
    /// `make` is called for each memory with a non-empty image, in index order. The image
    /// that it returns must hold the bytes of the image that it got.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Image`] with the error of `make`, and the errors of
    /// [`for_host`](Self::for_host).
    pub fn with_images(
        artifact: &Artifact<'_>,
        host: &Host,
        mut make: impl FnMut(MemoryIndex, ImageRef<'_>) -> Result<MemoryImage, ImageError>,
    ) -> Result<Self, PrepareError> {
        host.check(artifact.head())?;
        let mut memories = Vec::new();
        memories
            .try_reserve_exact(artifact.memories().len())
            .map_err(|_| PrepareError::OutOfMemory)?;
        for (index, memory) in (0..).map(MemoryIndex::from_u32).zip(artifact.memories()) {
            let baked = artifact.image(index).filter(|image| !image.is_empty());
            let image = baked.map(|image| make(index, image)).transpose();
            let image = image.map_err(|error| PrepareError::Image {
                memory: index,
                error,
            })?;
            let prepared = PreparedMemory {
                ty: memory.ty(),
                imported: memory.is_imported(),
                image: image.map(Arc::new),
            };
            if let Some(image) = &prepared.image {
                let fits = image.check(prepared.min_bytes());
                fits.map_err(|error| PrepareError::DoesNotFit {
                    memory: index,
                    error,
                })?;
            }
            memories.push(prepared);
        }
        let assumed_globals = artifact.assumptions().filter_map(|it| match it {
            Assumption::GlobalValue { global, value, .. } => Some((global, value)),
            _ => None,
        });
        Ok(Self {
            replay: ReplayList::new(artifact)?,
            memories,
            assumed_globals: assumed_globals.collect(),
            elements_may_trap: artifact.elements_may_trap(),
            start: artifact.start(),
        })
    }

    /// Returns all memories of the module in index order, imported ones first.
    pub fn memories(&self) -> &[PreparedMemory] {
        &self.memories
    }

    /// Returns one memory, or `None` if the module has no such memory.
    pub fn memory(&self, memory: MemoryIndex) -> Option<&PreparedMemory> {
        self.memories.get(usize::try_from(memory.as_u32()).ok()?)
    }

    /// Returns the globals whose values [`instantiate`](Self::instantiate) requests, each
    /// once, with the type of the value. Most modules have none.
    ///
    /// All of them are imported: for globals that the module defines, an artifact
    /// contains their initialisers. (Such a global is listed only if its initialiser
    /// would take 128 bytes or more.)
    pub fn globals(&self) -> impl ExactSizeIterator<Item = (GlobalIndex, IndexType)> + '_ {
        self.replay.globals().iter().copied()
    }

    /// Returns how many data segments each start replays; 0 if images are all there is.
    pub fn n_replayed(&self) -> usize {
        self.replay.len()
    }

    /// Returns whether an active element segment may trap.
    ///
    /// If so, the host must act: see [above](Self#element-segments).
    pub const fn elements_may_trap(&self) -> bool {
        self.elements_may_trap
    }

    /// Returns what the image of a shared memory holds in place of the start function, if
    /// it does. The host then creates that memory once, from the image, for all threads:
    /// instances that join later share it and are not initialised again.
    pub const fn start(&self) -> Option<BakedStart> {
        self.start
    }

    /// Initialises all memories for one instance.
    ///
    /// Starts slots from their images, copies images into slices, then replays the
    /// remaining segments in order, each checked against its memory's size.
    ///
    /// `memories` are all memories of the module in index order, imported ones first: see
    /// [`InstanceMemory`] for the requirements on each. `globals` returns the values of
    /// the globals that [`globals`](Self::globals) lists. It is also called for those
    /// that the images were built for, and a value that differs is refused.
    ///
    /// A slot that still holds the module's image from its last use maps nothing. Nothing
    /// is allocated, except by a pool, or by a slot that has to.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]. If it [is a trap](InstantiateError::is_trap), memories are
    /// as the specification says: see [above](Self#traps). Otherwise no memory of the
    /// host was written, and slots are ready as before, unless resetting one failed too,
    /// which poisons it.
    ///
    /// One exception: a `globals` function that first returns a value and then `None`
    /// stops the start in the middle, as a trap would.
    pub fn instantiate(
        &self,
        memories: &mut [InstanceMemory<'_>],
        globals: &dyn Fn(GlobalIndex) -> Option<Value>,
    ) -> Result<(), InstantiateError> {
        for (global, expected) in self.globals() {
            let found = globals(global);
            if found.is_none_or(|value| value.address(expected).is_none()) {
                return Err(InstantiateError::Global {
                    global,
                    expected,
                    found,
                });
            }
        }
        for &(global, assumed) in &self.assumed_globals {
            if let Some(found) = globals(global).filter(|found| *found != assumed) {
                return Err(InstantiateError::AssumedGlobal {
                    global,
                    assumed,
                    found,
                });
            }
        }
        self.place_images(memories)?;
        if self.replay.len() == 0 {
            return Ok(());
        }
        let mut state = Memories::new(&self.memories, memories, globals);
        Ok(self.replay(&mut state)?)
    }

    /// Runs the first half of [`instantiate`](Self::instantiate), and replays nothing.
    ///
    /// Starts slots from their images and copies images into slices.
    ///
    /// For an engine that runs the module without its baked segments, and so writes the
    /// others itself; and for one that calls [`replay`](Self::replay) later.
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Self::instantiate); never a trap.
    pub fn place_images(
        &self,
        memories: &mut [InstanceMemory<'_>],
    ) -> Result<(), InstantiateError> {
        if memories.len() != self.memories.len() {
            return Err(InstantiateError::MemoryCount {
                expected: self.memories.len(),
                given: memories.len(),
            });
        }
        for (index, prepared, memory) in self.each(memories) {
            memory.check(index, prepared)?;
        }
        let started = self
            .each(memories)
            .try_for_each(|(index, prepared, memory)| {
                memory
                    .start(index, prepared)
                    .map_err(|error| (index, error))
            });
        if let Err((failed, error)) = started {
            for (index, _, memory) in self.each(memories) {
                if index < failed {
                    memory.undo();
                }
            }
            return Err(error);
        }
        // Last: copies into the host's memories cannot be undone.
        for (_, prepared, memory) in self.each(memories) {
            memory.copy_image(prepared);
        }
        Ok(())
    }

    /// Runs the second half of [`instantiate`](Self::instantiate): the replay.
    ///
    /// Replays the remaining segments in order, into memories that need not be slots or
    /// slices.
    ///
    /// # Errors
    ///
    /// The first [`InitError`], with its segment. What was written before it stays
    /// written.
    pub fn replay(&self, state: &mut dyn InitMemory) -> Result<(), InitError> {
        self.replay.iter().try_for_each(|it| it.replay(state))
    }

    fn each<'a, 'm>(
        &'a self,
        memories: &'a mut [InstanceMemory<'m>],
    ) -> impl Iterator<Item = (MemoryIndex, &'a PreparedMemory, &'a mut InstanceMemory<'m>)> {
        let indices = (0..).map(MemoryIndex::from_u32);
        let all = indices.zip(&self.memories).zip(memories);
        all.map(|((index, prepared), memory)| (index, prepared, memory))
    }
}

/// Omits the bytes to replay.
impl fmt::Debug for PreparedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedModule")
            .field("memories", &self.memories)
            .field("n_replayed", &self.n_replayed())
            .field("elements_may_trap", &self.elements_may_trap)
            .field("start", &self.start)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use wasm_meminit_analysis::{Module, Plan, Policy};
    use wasm_meminit_image_builder::ModuleImage;

    use super::*;
    use crate::{MemorySlot, SlotConfig};

    #[test]
    fn portable_slots_and_slices_get_images_and_replayed_segments() {
        let wat = r#"(module
            (import "" "memory" (memory 1))
            (import "" "base" (global $base i32))
            (memory $own 1)
            (data (memory 0) (i32.const 1) "in")
            (data (memory $own) (i32.const 2) "baked")
            (data (memory $own) (global.get $base) "RE")
            (data (memory 0) (i32.const 2) "out"))"#;
        let wasm = wat::parse_str(wat).expect("valid");
        let module = Module::parse(&wasm).expect("valid");
        let plan = Plan::new(&module, &Policy::default());
        let image = ModuleImage::build(&module, &plan).expect("small");
        let artifact = image.encode().expect("small");
        let artifact = Artifact::decode(&artifact).expect("just encoded");
        let module = PreparedModule::new(&artifact).expect("small");

        let mut imported = vec![b'.'; 1 << 16];
        let mut slot = MemorySlot::new(&SlotConfig::new(1 << 16)).expect("room");
        for _ in 0..2 {
            imported[..8].fill(b'.');
            let memories = &mut [imported.as_mut_slice().into(), (&mut slot).into()];
            let done = module.instantiate(memories, &|_| Some(Value::I32(4)));
            assert_eq!(done, Ok(()));
            assert_eq!(imported[..8], *b".iout...");
            assert_eq!(slot.as_slice()[..8], *b"\0\0baREd\0");
            slot.as_mut_slice()[..4].fill(b'x');
            slot.reset().expect("works");
        }
    }
}
