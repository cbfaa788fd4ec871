//! wasmtime with our adapter: each memory is a slot, which maps the image copy-on-write.

use core::num::NonZeroUsize;

use anyhow::{Context as _, Result, bail};
use wasm_meminit_wasmtime as adapter;
use wasm_meminit_wasmtime::{Memories, MemoriesConfig, MemoryImports, Options};
use wasmtime::{Caller, Config, Extern, ExternType, Instance, Linker, Memory, Module, Store, Val};

use super::{Engine, ImageStarts, Start};
use crate::guest::{Bytes, Guest, Slice, Value};
use crate::host::Host;
use crate::prepared::Prepared;

/// How many instances may exist at once.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(4).unwrap();

pub(super) struct Mapped;

impl Engine for Mapped {
    fn name(&self) -> &'static str {
        "wasmtime, mapped"
    }

    fn maps(&self) -> bool {
        true
    }

    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>> {
        let engine = wasmtime::Engine::new(&Config::new())?;
        Ok(Box::new(Compiled::new(Module::new(&engine, wasm)?, None)?))
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        let memories = Memories::new(MemoriesConfig::new(MAX_MEMORIES));
        let engine = memories.engine(&mut Config::new())?;
        let options = Options::new().with_memory_imports(MemoryImports::Provide);
        let prepared = adapter::Prepared::new(&engine, &program.wasm, &options)?;
        let module = prepared.module().clone();
        Ok(Box::new(Compiled::new(module, Some(prepared))?))
    }
}

struct Compiled {
    module: Module,
    linker: Linker<State>,
    /// The module with our memory.
    prepared: Option<adapter::Prepared>,
}

/// The state of a store.
#[derive(Debug, Default)]
pub struct State {
    host: Host,
    /// The module's memory; `None` until it is created.
    pub memory: Option<Memory>,
}

impl Compiled {
    fn new(module: Module, prepared: Option<adapter::Prepared>) -> Result<Self> {
        let mut linker = Linker::new(module.engine());
        // Each start redefines the memory.
        linker.allow_shadowing(true);
        link_functions(&mut linker, &module)?;
        Ok(Self {
            module,
            linker,
            prepared,
        })
    }

    /// Starts an instance. Host functions use the memory that it imports, if it imports one.
    fn instantiate(&mut self, store: &mut Store<State>) -> Result<Instance> {
        if let Some(prepared) = &self.prepared {
            return Ok(prepared.instantiate(store, &self.linker)?);
        }
        let mut imports = self.module.imports();
        let import = imports.find_map(|import| match import.ty() {
            ExternType::Memory(ty) => Some((import, ty)),
            _ => None,
        });
        if let Some((import, ty)) = import {
            let memory = Memory::new(&mut *store, ty)?;
            store.data_mut().memory = Some(memory);
            self.linker
                .define(&*store, import.module(), import.name(), memory)?;
        }
        Ok(self.linker.instantiate(store, &self.module)?)
    }
}

/// Defines all functions that a module imports.
///
/// # Errors
///
/// Two imports of one name have different types.
pub fn link_functions(linker: &mut Linker<State>, module: &Module) -> Result<()> {
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else {
            continue;
        };
        let (from, name) = (import.module().to_string(), import.name().to_string());
        linker.func_new(
            import.module(),
            import.name(),
            ty,
            move |mut caller: Caller<'_, State>, args, results| {
                let no_memory = || wasmtime::Error::msg("no memory");
                let memory = caller.data().memory.ok_or_else(no_memory)?;
                let args: Vec<Value> = args.iter().filter_map(from_wasmtime).collect();
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let answer = state.host.call(&from, &name, &args, &mut Slice(bytes));
                let answer = answer.map_err(wasmtime::Error::from_anyhow)?;
                if usize::from(answer.is_some()) != results.len() {
                    return Err(wasmtime::Error::msg("wrong number of results"));
                }
                if let (Some(answer), Some(result)) = (answer, results.first_mut()) {
                    *result = to_wasmtime(answer);
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

impl Start for Compiled {
    fn start(&mut self) -> Result<Box<dyn Guest>> {
        let mut store = Store::new(self.module.engine(), State::default());
        let instance = self.instantiate(&mut store)?;
        Ok(Box::new(Running::new(store, instance, "memory")?))
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

/// An instance in its own store.
#[derive(Debug)]
pub struct Running {
    store: Store<State>,
    instance: Instance,
}

impl Running {
    /// Takes an instance, whose memory is [`State::memory`], or else exported with that name.
    ///
    /// # Errors
    ///
    /// It exports no such memory.
    pub fn new(mut store: Store<State>, instance: Instance, memory: &str) -> Result<Self> {
        if store.data().memory.is_none() {
            let memory = instance.get_memory(&mut store, memory);
            store.data_mut().memory = Some(memory.context("no memory is exported")?);
        }
        Ok(Self { store, instance })
    }
}

impl Guest for Running {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>> {
        let Some(Extern::Func(function)) = self.instance.get_export(&mut self.store, export) else {
            bail!("no function {export}");
        };
        let args: Vec<Val> = args.iter().copied().map(to_wasmtime).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &args, &mut results)?;
        Ok(results.iter().filter_map(from_wasmtime).collect())
    }

    fn memory(&mut self) -> Box<dyn Bytes + '_> {
        let memory = self.store.data().memory.expect("set at the start");
        Box::new(Slice(memory.data_mut(&mut self.store)))
    }

    fn host(&mut self) -> &mut Host {
        &mut self.store.data_mut().host
    }

    fn memory_bytes(&mut self) -> u64 {
        let memory = self.store.data().memory.expect("set at the start");
        memory.data_size(&self.store) as u64
    }
}

fn to_wasmtime(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(value) => Val::F32(value.to_bits()),
        Value::F64(value) => Val::F64(value.to_bits()),
    }
}

/// Converts a number: no program here passes anything else.
fn from_wasmtime(value: &Val) -> Option<Value> {
    Some(match *value {
        Val::I32(value) => Value::I32(value),
        Val::I64(value) => Value::I64(value),
        Val::F32(bits) => Value::F32(f32::from_bits(bits)),
        Val::F64(bits) => Value::F64(f64::from_bits(bits)),
        _ => return None,
    })
}
