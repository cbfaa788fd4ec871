//! wasmtime: on demand, with its pool, and with our memories.

use core::num::NonZeroUsize;

use anyhow::{Context as _, Result};
use wasm_meminit_peers::engine::wasmtime::{Running, State, link_functions};
use wasm_meminit_wasmtime as adapter;
use wasm_meminit_wasmtime::{Memories, MemoriesConfig, MemoryImports, Options, Prepared};
use wasmtime::{
    Config, Enabled, Engine, ExternType, InstanceAllocationStrategy, InstancePre, Linker, Memory,
    Module, PoolingAllocationConfig, Store,
};

use super::component::{self, is_component};
use super::{Compiled, Instance, Worker};

/// The pool's default number of memories, for ours too.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// What the tuned pool keeps resident of each memory: as much as ours by default.
const KEEP_RESIDENT: usize = 4 << 20;
const KEEP_TABLE_RESIDENT: usize = 1 << 20;

pub(super) fn on_demand(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    theirs(wasm, &Config::new(), false)
}

pub(super) fn pool(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    pooled(wasm, PoolingAllocationConfig::new())
}

pub(super) fn tuned(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    let mut pool = PoolingAllocationConfig::new();
    pool.pagemap_scan(Enabled::Yes)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_TABLE_RESIDENT);
    pooled(wasm, pool)
}

fn pooled(wasm: &[u8], pool: PoolingAllocationConfig) -> Result<Box<dyn Compiled>> {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    theirs(wasm, &config, true)
}

fn theirs(wasm: &[u8], config: &Config, is_pooled: bool) -> Result<Box<dyn Compiled>> {
    let engine = Engine::new(config)?;
    if is_component(wasm) {
        return component::theirs(wasm, &engine);
    }
    let module = Module::new(&engine, wasm)?;
    let mut linker = Linker::new(&engine);
    link_functions(&mut linker, &module)?;
    let memory = module.imports().find_map(|import| match import.ty() {
        ExternType::Memory(ty) => Some((import.module().to_owned(), import.name().to_owned(), ty)),
        _ => None,
    });
    let Some((from, name, ty)) = memory else {
        return Ok(Box::new(Ready {
            pre: linker.instantiate_pre(&module)?,
            memory: memory_name(&module)?,
        }));
    };
    linker.allow_shadowing(true);
    // A memory of the host's is always created on demand, so it is taken from an instance.
    let owner = match is_pooled {
        true => Some(owner(&engine, &ty)?),
        false => None,
    };
    Ok(Box::new(Importing {
        module,
        linker,
        from,
        name,
        ty,
        owner,
    }))
}

/// Returns a module that exports a memory of that type.
fn owner(engine: &Engine, ty: &wasmtime::MemoryType) -> Result<InstancePre<State>> {
    let max = ty.maximum().map_or(String::new(), |it| it.to_string());
    let text = format!("(module (memory (export \"\") {} {max}))", ty.minimum());
    let module = Module::new(engine, wat::parse_str(text)?)?;
    Ok(Linker::new(engine).instantiate_pre(&module)?)
}

pub(super) fn ours(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    let memories = Memories::new(MemoriesConfig::new(MAX_MEMORIES));
    let engine = memories.engine(&mut Config::new())?;
    if is_component(wasm) {
        return component::ours(wasm, &engine);
    }
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let prepared = Prepared::new(&engine, wasm, &options)?;
    let mut linker = Linker::new(&engine);
    link_functions(&mut linker, prepared.module())?;
    Ok(Box::new(Ready {
        memory: memory_name(prepared.module())?,
        pre: prepared.instantiate_pre(&linker)?,
    }))
}

/// A module with all of its imports, and the name of its memory.
struct Ready<P> {
    pre: P,
    memory: String,
}

/// Returns the name under which a module exports its memory.
fn memory_name(module: &Module) -> Result<String> {
    let mut exports = module.exports();
    let memory = exports.find(|it| matches!(it.ty(), ExternType::Memory(_)));
    Ok(memory.context("no memory is exported")?.name().to_owned())
}

/// Starts an instance in a new store.
fn running(
    engine: &Engine,
    memory: &str,
    start: impl FnOnce(&mut Store<State>) -> Result<wasmtime::Instance>,
) -> Result<Box<dyn Instance>> {
    let mut store = Store::new(engine, State::default());
    let instance = start(&mut store)?;
    Ok(Box::new(Running::new(store, instance, memory)?))
}

impl Compiled for Ready<InstancePre<State>> {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &Ready<InstancePre<State>> {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        running(self.pre.module().engine(), &self.memory, |store| {
            Ok(self.pre.instantiate(store)?)
        })
    }
}

impl Compiled for Ready<adapter::InstancePre<State>> {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &Ready<adapter::InstancePre<State>> {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        let engine = self.pre.prepared().engine();
        running(engine, &self.memory, |store| {
            Ok(self.pre.instantiate(store)?)
        })
    }
}

/// A module that imports its memory, without our memories.
struct Importing {
    module: Module,
    linker: Linker<State>,
    from: String,
    name: String,
    ty: wasmtime::MemoryType,
    /// What provides the memory; without it, the host does.
    owner: Option<InstancePre<State>>,
}

impl Compiled for Importing {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        // Each request defines another memory.
        Ok(Box::new((self, self.linker.clone())))
    }
}

impl Worker for (&Importing, Linker<State>) {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        let (this, linker) = self;
        running(this.module.engine(), "", |store| {
            let memory = match &this.owner {
                None => Memory::new(&mut *store, this.ty.clone())?,
                Some(owner) => {
                    let owner = owner.instantiate(&mut *store)?;
                    let memory = owner.get_memory(&mut *store, "");
                    memory.context("it is exported")?
                }
            };
            store.data_mut().memory = Some(memory);
            linker.define(&*store, &this.from, &this.name, memory)?;
            Ok(linker.instantiate(store, &this.module)?)
        })
    }
}
