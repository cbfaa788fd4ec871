//! wasmer: every memory of the engine is a slot, which maps the image copy-on-write.

use anyhow::{Context as _, Result};
use wasmer::sys::{BaseTunables, EngineBuilder, NativeEngineExt as _, Singlepass};
use wasmer::{
    AsStoreMut as _, Extern, ExternType, Function, FunctionEnv, FunctionEnvMut, Imports, Instance,
    Memory, MemoryView, Module, RuntimeError, Store,
};

use super::{Engine, ImageStarts, Start};
use crate::guest::{Bytes, Guest, Value};
use crate::host::Host;
use crate::memory::Memories;
use crate::memory::wasmer::{GUARD, RESERVATION, SlotTunables};
use crate::prepared::Prepared;

pub(super) struct Mapped;

impl Engine for Mapped {
    fn name(&self) -> &'static str {
        "wasmer, mapped"
    }

    fn maps(&self) -> bool {
        true
    }

    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>> {
        let engine = EngineBuilder::new(Singlepass::default()).engine();
        Ok(Box::new(Compiled::new(engine.into(), wasm, None)?))
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        let memories = Memories::new(program, RESERVATION, GUARD);
        // ANCHOR: engine
        let engine = EngineBuilder::new(Singlepass::default()).engine();
        let mut engine = wasmer::Engine::from(engine);
        engine.set_tunables(SlotTunables {
            base: BaseTunables::new(),
            memories: memories.clone(),
        });
        // ANCHOR_END: engine
        let wasm = &program.stripped;
        Ok(Box::new(Compiled::new(engine, wasm, Some(memories))?))
    }
}

struct Compiled {
    engine: wasmer::Engine,
    module: Module,
    memories: Option<Memories>,
}

/// The state shared by the host's functions.
#[derive(Default)]
struct State {
    host: Host,
    /// The module's memory; `None` until it is created.
    memory: Option<Memory>,
}

impl Compiled {
    fn new(engine: wasmer::Engine, wasm: &[u8], memories: Option<Memories>) -> Result<Self> {
        let module = Module::new(&engine, wasm)?;
        Ok(Self {
            engine,
            module,
            memories,
        })
    }

    /// Returns the module's imports.
    fn imports(&self, store: &mut Store, env: &FunctionEnv<State>) -> Result<Imports> {
        let mut imports = Imports::new();
        for import in self.module.imports() {
            let item: Extern = match import.ty() {
                ExternType::Memory(ty) => {
                    // The tunables create this memory too.
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
        Ok(imports)
    }
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
        let mut store = Store::new(self.engine.clone());
        let env = FunctionEnv::new(&mut store, State::default());
        let imports = self.imports(&mut store, &env)?;
        let instance = Instance::new(&mut store, &self.module, &imports)?;
        let memory = match env.as_ref(&store).memory.clone() {
            Some(memory) => memory,
            None => instance.exports.get_memory("memory")?.clone(),
        };
        env.as_mut(&mut store.as_store_mut()).memory = Some(memory.clone());
        Ok(Box::new(Running {
            store,
            env,
            instance,
            memory,
        }))
    }

    fn image_starts(&self) -> ImageStarts {
        let memories = self.memories.as_ref();
        memories.map_or_else(ImageStarts::default, Memories::image_starts)
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
