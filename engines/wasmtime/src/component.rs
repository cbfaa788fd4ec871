//! Components: their core modules start from images.

use alloc::sync::Arc;

use wasm_meminit_apply::{Artifact, PreparedMemory, PreparedModule};
use wasmtime::AsContextMut;
use wasmtime::component::{Component, Instance, Linker};

use crate::component_file::ComponentFile;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::frame;
use crate::list::{AfterLast, MemoryList, check_sizes};

/// A compiled component whose memories start from images.
///
/// A handle: clones are the same component. Each core module that the component contains is
/// prepared as [`Prepared`](crate::Prepared) does it; memories that one core module imports from
/// another get their data from wasmtime. So do those that are created after a start function has
/// run, since it may call host functions that instantiate other modules.
///
/// ```
/// use core::num::NonZeroUsize;
/// use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, PreparedComponent};
/// use wasmtime::component::Linker;
/// use wasmtime::{Config, Store};
///
/// # fn main() -> wasmtime::Result<()> {
/// let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::new(100).expect("not 0")));
/// let engine = memories.engine(&mut Config::new())?;
/// let wasm = wat::parse_str(
///     r#"(component
///          (core module $m
///            (memory 1)
///            (data (i32.const 8) "\2a")
///            (func (export "run") (result i32) (i32.load (i32.const 8))))
///          (core instance $i (instantiate $m))
///          (func (export "run") (result u32) (canon lift (core func $i "run"))))"#,
/// )?;
/// let prepared = PreparedComponent::new(&engine, &wasm, &Options::new())?;
/// let linker = Linker::new(&engine);
/// let mut store = Store::new(&engine, ());
/// let instance = prepared.instantiate(&mut store, &linker)?;
/// let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
/// assert_eq!(run.call(&mut store, ())?, (42,));
/// # Ok(())
/// # }
/// ```
///
/// Bindings that `wasmtime::component::bindgen!` generated are made from the instance, by their
/// method `new`.
#[derive(Clone)]
pub struct PreparedComponent {
    inner: Arc<Inner>,
}

/// What a handle refers to.
struct Inner {
    engine: Engine,
    component: Component,
    /// The memories of all core instances, in the order in which they are instantiated.
    memories: Box<[PreparedMemory]>,
    /// The first of them: those that are created before any code runs.
    list: Arc<MemoryList>,
}

impl PreparedComponent {
    /// Connects compiled code and images. The code of `file` is ignored.
    pub(crate) fn from_parts(
        engine: &Engine,
        component: Component,
        file: &ComponentFile<'_>,
    ) -> Result<Self, LoadError> {
        let modules = file.artifacts.iter().map(|it| memories(it, engine));
        let modules: Vec<_> = modules.collect::<Result<_, _>>()?;
        let (mut all, mut n_listed) = (Vec::new(), 0);
        for (nth, module) in file.instantiated.iter().enumerate() {
            all.extend_from_slice(modules.get(*module).ok_or(LoadError::Inconsistent)?);
            if nth < file.n_before_code {
                n_listed = all.len();
            }
        }
        let pool = Arc::clone(&engine.memories().pool);
        // Start functions of core modules may call host functions.
        let list = MemoryList::new(pool, all[..n_listed].to_vec(), AfterLast::Zeroed);
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                component,
                memories: all.into(),
                list: Arc::new(list),
            }),
        })
    }

    /// Returns the compiled component, whose data is in the images.
    ///
    /// For its imports and exports. Instantiated on its own, it has zeroed memories.
    pub fn component(&self) -> &Component {
        &self.inner.component
    }

    /// Returns the engine that the component was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Returns the memories of an instance, in the order in which they are created.
    ///
    /// Core instances of the same core module share an image.
    pub fn memories(&self) -> &[PreparedMemory] {
        &self.inner.memories
    }

    /// Returns how many memories an instance has: each takes a slot of the pool.
    pub fn n_memories(&self) -> usize {
        self.memories().len()
    }

    /// Returns how many of an instance's memories start from an image.
    pub fn n_images(&self) -> usize {
        let memories = self.memories().iter();
        memories.filter(|it| it.image().is_some()).count()
    }

    /// Instantiates the component, as [`Linker::instantiate`] does.
    ///
    /// # Errors
    ///
    /// wasmtime's, or a [`MemoryError`](crate::MemoryError).
    pub fn instantiate<T: 'static>(
        &self,
        store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
    ) -> wasmtime::Result<Instance> {
        frame::run(&self.inner.list, || {
            linker.instantiate(store, &self.inner.component)
        })
    }

    /// Does the same as [`instantiate`](Self::instantiate) for stores that need it: see
    /// [`Linker::instantiate_async`].
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Self::instantiate).
    #[cfg(feature = "async")]
    pub async fn instantiate_async<T: Send + 'static>(
        &self,
        store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
    ) -> wasmtime::Result<Instance> {
        let future = linker.instantiate_async(store, &self.inner.component);
        frame::run_async(&self.inner.list, future).await
    }

    /// Resolves all imports ahead of time, as [`Linker::instantiate_pre`] does.
    ///
    /// # Errors
    ///
    /// wasmtime's, for instance if an import is missing.
    pub fn instantiate_pre<T: 'static>(
        &self,
        linker: &Linker<T>,
    ) -> wasmtime::Result<ComponentInstancePre<T>> {
        Ok(ComponentInstancePre {
            pre: linker.instantiate_pre(&self.inner.component)?,
            prepared: self.clone(),
        })
    }
}

impl core::fmt::Debug for PreparedComponent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PreparedComponent")
            .field("memories", &self.inner.memories)
            .finish_non_exhaustive()
    }
}

/// A prepared component with all of its imports, ready to be instantiated.
pub struct ComponentInstancePre<T: 'static> {
    pre: wasmtime::component::InstancePre<T>,
    prepared: PreparedComponent,
}

impl<T: 'static> ComponentInstancePre<T> {
    /// Instantiates the component.
    ///
    /// # Errors
    ///
    /// As for [`PreparedComponent::instantiate`].
    pub fn instantiate(&self, store: impl AsContextMut<Data = T>) -> wasmtime::Result<Instance> {
        frame::run(&self.prepared.inner.list, || self.pre.instantiate(store))
    }

    /// Does the same as [`instantiate`](Self::instantiate) for stores that need it.
    ///
    /// # Errors
    ///
    /// As for [`PreparedComponent::instantiate`].
    #[cfg(feature = "async")]
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
    ) -> wasmtime::Result<Instance>
    where
        T: Send,
    {
        let future = self.pre.instantiate_async(store);
        frame::run_async(&self.prepared.inner.list, future).await
    }

    /// Returns the component.
    pub const fn prepared(&self) -> &PreparedComponent {
        &self.prepared
    }
}

impl<T: 'static> Clone for ComponentInstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            pre: self.pre.clone(),
            prepared: self.prepared.clone(),
        }
    }
}

impl<T: 'static> core::fmt::Debug for ComponentInstancePre<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ComponentInstancePre")
            .field("prepared", &self.prepared)
            .finish_non_exhaustive()
    }
}

/// Returns the memories that a core module defines.
fn memories(artifact: &[u8], engine: &Engine) -> Result<Vec<PreparedMemory>, LoadError> {
    let artifact = Artifact::decode(artifact).map_err(LoadError::Artifact)?;
    let prepared = PreparedModule::new(&artifact).map_err(LoadError::Images)?;
    check_sizes(prepared.memories(), &engine.memories().pool)?;
    let memories = prepared.memories().iter();
    Ok(memories.filter(|it| !it.is_imported()).cloned().collect())
}
