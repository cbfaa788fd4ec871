//! wasmer with our adapter: each memory is a slot, which maps the image copy-on-write.

use core::num::NonZeroUsize;

use anyhow::{Context as _, Result};
use wasm_meminit_wasmer as adapter;
use wasm_meminit_wasmer::{Memories, MemoriesConfig, MemoryImports, Options};
use wasmer::sys::{EngineBuilder, Singlepass};
use wasmer::{
    AsStoreMut as _, Extern, ExternType, Function, FunctionEnv, FunctionEnvMut, Imports, Instance,
    Memory, MemoryView, Module, RuntimeError, Store,
};

use super::{Engine, ImageStarts, Start};
use crate::guest::{Bytes, Guest, Value};
use crate::host::Host;
use crate::prepared::Prepared;

/// How many instances may exist at once.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(4).unwrap();

pub(super) struct Mapped;

impl Engine for Mapped {
    fn name(&self) -> &'static str {
        "wasmer, mapped"
    }

    fn maps(&self) -> bool {
        true
    }

    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>> {
        Ok(Box::new(Compiled::alone(wasm)?))
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        Ok(Box::new(Compiled::ours(&program.wasm, MAX_MEMORIES)?))
    }
}

/// A compiled module.
#[derive(Debug)]
pub struct Compiled {
    engine: wasmer::Engine,
    module: Module,
    /// The module with our memory.
    prepared: Option<adapter::Prepared>,
}

/// The state shared by the host's functions.
#[derive(Default)]
struct State {
    host: Host,
    /// The module's memory; `None` until it is created.
    memory: Option<Memory>,
}

impl Compiled {
    /// Compiles a module for the engine's own memories.
    ///
    /// # Errors
    ///
    /// The engine rejects it.
    pub fn alone(wasm: &[u8]) -> Result<Self> {
        let engine = EngineBuilder::new(Singlepass::default()).engine();
        let engine = wasmer::Engine::from(engine);
        Ok(Self {
            module: Module::new(&engine, wasm)?,
            engine,
            prepared: None,
        })
    }

    /// Compiles a module that starts from our memories.
    ///
    /// # Errors
    ///
    /// The engine rejects it.
    pub fn ours(wasm: &[u8], max_memories: NonZeroUsize) -> Result<Self> {
        let memories = Memories::new(MemoriesConfig::new(max_memories));
        let engine = memories.engine(EngineBuilder::new(Singlepass::default()).engine());
        let options = Options::new().with_memory_imports(MemoryImports::Provide);
        let prepared = adapter::Prepared::new(&engine, wasm, &options)?;
        Ok(Self {
            module: prepared.module().clone(),
            engine: engine.into(),
            prepared: Some(prepared),
        })
    }

    /// Creates an instance in a new store.
    ///
    /// # Errors
    ///
    /// Instantiation traps, or an import is missing.
    pub fn guest(&self) -> Result<Box<dyn Guest>> {
        let mut store = Store::new(self.engine.clone());
        let env = FunctionEnv::new(&mut store, State::default());
        let instance = self.instantiate(&mut store, &env)?;
        let memory = match env.as_ref(&store).memory.clone() {
            Some(memory) => memory,
            None => exported_memory(&instance)?,
        };
        env.as_mut(&mut store.as_store_mut()).memory = Some(memory.clone());
        Ok(Box::new(Running {
            store,
            env,
            instance,
            memory,
        }))
    }

    /// Starts an instance. Host functions use the memory that it imports, if it imports one.
    fn instantiate(&self, store: &mut Store, env: &FunctionEnv<State>) -> Result<Instance> {
        let mut imports = Imports::new();
        for import in self.module.imports() {
            let item: Extern = match import.ty() {
                ExternType::Memory(ty) => {
                    let memory = Memory::new(store, *ty)?;
                    env.as_mut(store).memory = Some(memory.clone());
                    memory.into()
                }
                ExternType::Function(ty) => {
                    let names = (import.module().to_string(), import.name().to_string());
                    let call = move |env: FunctionEnvMut<'_, State>, args: &[wasmer::Value]| {
                        host_call(env, &names, args)
                            .map_err(|err| RuntimeError::new(format!("{err:#}")))
                    };
                    Function::new_with_env(store, env, ty, call).into()
                }
                _ => continue,
            };
            imports.define(import.module(), import.name(), item);
        }
        Ok(match &self.prepared {
            Some(prepared) => prepared.instantiate(store, &imports)?,
            None => Instance::new(store, &self.module, &imports)?,
        })
    }
}

/// Returns the memory that an instance exports, under whatever name.
fn exported_memory(instance: &Instance) -> Result<Memory> {
    let memory = instance.exports.iter().find_map(|(_, item)| match item {
        Extern::Memory(memory) => Some(memory.clone()),
        _ => None,
    });
    memory.context("no memory is exported")
}

fn host_call(
    mut env: FunctionEnvMut<'_, State>,
    names: &(String, String),
    args: &[wasmer::Value],
) -> Result<Vec<wasmer::Value>> {
    let args: Vec<Value> = args.iter().filter_map(from_wasmer).collect();
    let (state, store) = env.data_and_store_mut();
    let memory = state.memory.clone().context("no memory")?;
    let mut view = View(memory.view(&store));
    let answer = state.host.call(&names.0, &names.1, &args, &mut view)?;
    Ok(answer.into_iter().map(to_wasmer).collect())
}

impl Start for Compiled {
    fn start(&mut self) -> Result<Box<dyn Guest>> {
        self.guest()
    }

    fn image_starts(&self) -> ImageStarts {
        let Some(prepared) = &self.prepared else {
            return ImageStarts::default();
        };
        let stats = prepared.engine().memories().stats();
        ImageStarts {
            n_images: stats.n_hits + stats.n_maps + stats.n_blank,
            n_reused: stats.n_hits,
        }
    }
}

struct Running {
    store: Store,
    env: FunctionEnv<State>,
    instance: Instance,
    memory: Memory,
}

impl Guest for Running {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>> {
        let function = self.instance.exports.get_function(export)?;
        let args: Vec<wasmer::Value> = args.iter().copied().map(to_wasmer).collect();
        let results = function.call(&mut self.store, &args)?;
        Ok(results.iter().filter_map(from_wasmer).collect())
    }

    fn memory(&mut self) -> Box<dyn Bytes + '_> {
        Box::new(View(self.memory.view(&self.store)))
    }

    fn host(&mut self) -> &mut Host {
        &mut self.env.as_mut(&mut self.store).host
    }

    fn memory_bytes(&mut self) -> u64 {
        self.memory.view(&self.store).data_size()
    }
}

/// A memory, which wasmer accesses only by copying.
struct View<'a>(MemoryView<'a>);

impl Bytes for View<'_> {
    fn read(&self, at: u32, out: &mut [u8]) -> Result<()> {
        Ok(self.0.read(at.into(), out)?)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write(at.into(), bytes)?)
    }
}

fn to_wasmer(value: Value) -> wasmer::Value {
    match value {
        Value::I32(value) => wasmer::Value::I32(value),
        Value::I64(value) => wasmer::Value::I64(value),
        Value::F32(value) => wasmer::Value::F32(value),
        Value::F64(value) => wasmer::Value::F64(value),
    }
}

/// Converts a number: no program here passes anything else.
fn from_wasmer(value: &wasmer::Value) -> Option<Value> {
    Some(match *value {
        wasmer::Value::I32(value) => Value::I32(value),
        wasmer::Value::I64(value) => Value::I64(value),
        wasmer::Value::F32(value) => Value::F32(value),
        wasmer::Value::F64(value) => Value::F64(value),
        _ => return None,
    })
}
