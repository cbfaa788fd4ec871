//! Components that contain a language's whole runtime, as a host runs them: each request in a
//! new instance.
//!
//! `tests/guests/build.sh DIRECTORY` builds some from JavaScript and Python, and
//! `WASM_MEMINIT_COMPONENTS` names the directory.
#![allow(dead_code, reason = "each user takes a part")]

use core::num::NonZeroUsize;
use std::env;
use std::fs;
use std::path::PathBuf;

use wasm_meminit_wasmtime::analysis::{Module, Plan, Policy};
use wasm_meminit_wasmtime::image_builder::rewrite::{RewriteError, map_modules, strip_renumbered};
use wasm_meminit_wasmtime::{
    ComponentInstancePre, Engine, Memories, MemoriesConfig, Options, PreparedComponent,
};
use wasmtime::component::{Component, InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Store, StoreContextMut};

/// The variable that names the directory of components.
pub(crate) const DIRECTORY: &str = "WASM_MEMINIT_COMPONENTS";

/// Requests that every component answers.
pub(crate) const REQUESTS: [&str; 3] = [
    r#"{"path":"/item/7","body":"the quick brown fox and the lazy dog"}"#,
    r#"{"path":"/item/7","body":""}"#,
    r#"{"path":"/new","body":"A request that adds an item, and again an item"}"#,
];

/// A request that makes every component trap.
pub(crate) const MALFORMED: &str = "{";

/// A component of the directory.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The file's name, without its extension.
    pub(crate) name: String,
    /// The binary component.
    pub(crate) wasm: Vec<u8>,
}

/// Returns the components of the directory, sorted by name, or `None` if there is no directory.
pub(crate) fn programs() -> Option<Vec<Program>> {
    let directory = env::var_os(DIRECTORY)?;
    let entries = fs::read_dir(&directory).unwrap_or_else(|err| panic!("{directory:?}: {err}"));
    let paths = entries.map(|entry| entry.expect("readable").path());
    let is_wasm = |path: &PathBuf| path.extension().is_some_and(|it| it == "wasm");
    let mut paths: Vec<_> = paths.filter(is_wasm).collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "{directory:?} contains no components");
    let programs = paths.iter().map(|path| Program {
        name: path
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into()),
        wasm: fs::read(path).unwrap_or_else(|err| panic!("{}: {err}", path.display())),
    });
    Some(programs.collect())
}

/// How much data a component's core modules have, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataBytes {
    /// In all data segments.
    pub(crate) total: u64,
    /// Of these, how much is in images.
    pub(crate) in_images: u64,
}

/// Counts the data of a component.
pub(crate) fn data_bytes(wasm: &[u8]) -> Result<DataBytes, RewriteError> {
    let mut counted = DataBytes::default();
    let sum = |module: &Module<'_>| -> u64 {
        let segments = module.segments().values();
        segments.map(|segment| segment.data.len() as u64).sum()
    };
    map_modules::<RewriteError>(wasm, &mut |module| {
        let stripped = strip_renumbered(module, &Plan::new(module, &Policy::default()))?;
        let rest = Module::parse(&stripped).map_or(0, |module| sum(&module));
        counted.total += sum(module);
        counted.in_images += sum(module) - rest;
        Ok(stripped)
    })?;
    Ok(counted)
}

/// wasmtime with a component as it is, and with its memories from our pool.
#[derive(Debug)]
pub(crate) struct Engines {
    /// wasmtime with its defaults: it allocates on demand.
    pub(crate) on_demand: wasmtime::Engine,
    /// An engine whose memories come from our pool.
    pub(crate) ours: Engine,
}

impl Engines {
    /// Creates both engines; the second with a pool of `max_memories`.
    pub(crate) fn new(max_memories: usize) -> wasmtime::Result<Self> {
        let max_memories = NonZeroUsize::new(max_memories).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            on_demand: wasmtime::Engine::new(&Config::new())?,
            ours: Memories::new(MemoriesConfig::new(max_memories)).engine(&mut Config::new())?,
        })
    }

    /// Prepares a component.
    pub(crate) fn prepare(&self, wasm: &[u8]) -> wasmtime::Result<PreparedComponent> {
        Ok(PreparedComponent::new(&self.ours, wasm, &Options::new())?)
    }
}

/// Returns a linker for a component.
///
/// Of the functions of WASI that it imports, requests need the clock and the environment. Others
/// trap.
pub(crate) fn linker(component: &Component) -> wasmtime::Result<Linker<()>> {
    let mut linker = Linker::new(component.engine());
    linker.define_unknown_imports_as_traps(component)?;
    linker.allow_shadowing(true);
    let ty = component.component_type();
    for (name, _) in ty.imports(component.engine()) {
        if name.starts_with("wasi:clocks/monotonic-clock@") {
            let mut clock = linker.instance(name)?;
            clock.func_wrap("now", |_, (): ()| Ok((0_u64,)))?;
        }
        if name.starts_with("wasi:cli/environment@") {
            let mut environment = linker.instance(name)?;
            let variables = |_: StoreContextMut<'_, ()>, (): ()| Ok((Vec::new(),));
            environment
                .func_wrap::<_, _, (Vec<(String, String)>,)>("get-environment", variables)?;
        }
    }
    Ok(linker)
}

/// A compiled component with its imports.
#[derive(Clone)]
pub(crate) enum Pre {
    /// wasmtime writes its data.
    AsItIs(InstancePre<()>),
    /// Its memories start from images.
    Prepared(ComponentInstancePre<()>),
}

/// An instance in a store of its own.
pub(crate) struct Instance {
    store: Store<()>,
    respond: TypedFunc<(&'static str,), (String,)>,
}

impl Pre {
    fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::AsItIs(pre) => pre.engine(),
            Self::Prepared(pre) => pre.prepared().engine(),
        }
    }

    /// Instantiates the component.
    pub(crate) fn start(&self) -> wasmtime::Result<Instance> {
        let mut store = Store::new(self.engine(), ());
        let instance = match self {
            Self::AsItIs(pre) => pre.instantiate(&mut store),
            Self::Prepared(pre) => pre.instantiate(&mut store),
        }?;
        let respond = instance.get_typed_func(&mut store, "respond")?;
        Ok(Instance { store, respond })
    }

    /// Does the same on a stack of its own.
    pub(crate) async fn start_async(&self) -> wasmtime::Result<Instance> {
        let mut store = Store::new(self.engine(), ());
        let instance = match self {
            Self::AsItIs(pre) => pre.instantiate_async(&mut store).await,
            Self::Prepared(pre) => pre.instantiate_async(&mut store).await,
        }?;
        let respond = instance.get_typed_func(&mut store, "respond")?;
        Ok(Instance { store, respond })
    }
}

impl Instance {
    /// Answers a request.
    pub(crate) fn respond(&mut self, request: &'static str) -> wasmtime::Result<String> {
        let (response,) = self.respond.call(&mut self.store, (request,))?;
        Ok(response)
    }

    /// Does the same for an instance from [`start_async`](Pre::start_async).
    pub(crate) async fn respond_async(
        &mut self,
        request: &'static str,
    ) -> wasmtime::Result<String> {
        let (response,) = self.respond.call_async(&mut self.store, (request,)).await?;
        Ok(response)
    }
}

impl Pre {
    /// Compiles a component as it is.
    pub(crate) fn as_it_is(engine: &wasmtime::Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        Self::compiled(&Component::new(engine, wasm)?)
    }

    /// Links a compiled component as it is.
    pub(crate) fn compiled(component: &Component) -> wasmtime::Result<Self> {
        let linker = linker(component)?;
        Ok(Self::AsItIs(linker.instantiate_pre(component)?))
    }

    /// Links a prepared component.
    pub(crate) fn prepared(prepared: &PreparedComponent) -> wasmtime::Result<Self> {
        let linker = linker(prepared.component())?;
        Ok(Self::Prepared(prepared.instantiate_pre(&linker)?))
    }
}
