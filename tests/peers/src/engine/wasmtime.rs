//! wasmtime: the module's own memory is a slot, which maps the image copy-on-write.

use anyhow::{Context as _, Result, bail};
use wasmtime::{Caller, Config, Extern, ExternType, Instance, Linker, Memory, Module, Store, Val};

use super::{Engine, ImageStarts, Start};
use crate::guest::{Bytes, Guest, Slice, Value};
use crate::host::Host;
use crate::memory::Memories;
use crate::memory::wasmtime::{GUARD, RESERVATION, config};
use crate::prepared::Prepared;

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
        Ok(Box::new(Compiled::new(&engine, wasm, None)?))
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        let memories = Memories::new(program, RESERVATION, GUARD);
        let engine = wasmtime::Engine::new(&config(memories.clone()))?;
        let provided = Provided {
            memories,
            owner: Module::new(&engine, program.memory_module())?,
        };
        let wasm = &program.stripped;
        Ok(Box::new(Compiled::new(&engine, wasm, Some(provided))?))
    }
}

/// Our memories for an imported memory.
struct Provided {
    memories: Memories,
    /// Defines only a memory of the program's type. `Memory::new` does not call the memory
    /// creator, so this is how a memory is created for a module that imports it.
    owner: Module,
}

struct Compiled {
    module: Module,
    linker: Linker<State>,
    provided: Option<Provided>,
}

/// The state of a store.
#[derive(Default)]
struct State {
    host: Host,
    /// The module's memory; `None` until it is created.
    memory: Option<Memory>,
}

impl Compiled {
    fn new(engine: &wasmtime::Engine, wasm: &[u8], provided: Option<Provided>) -> Result<Self> {
        let module = Module::new(engine, wasm)?;
        let mut linker = Linker::new(engine);
        // Each start redefines the memory.
        linker.allow_shadowing(true);
        link_functions(&mut linker, &module)?;
        Ok(Self {
            module,
            linker,
            provided,
        })
    }

    /// Defines the memory that the module imports, if it imports one.
    fn import_memory(&mut self, store: &mut Store<State>) -> Result<()> {
        for import in self.module.imports() {
            let ExternType::Memory(ty) = import.ty() else {
                continue;
            };
            let memory = match &self.provided {
                None => Memory::new(&mut *store, ty)?,
                Some(provided) => {
                    let owner = Instance::new(&mut *store, &provided.owner, &[])?;
                    let memory = owner.get_memory(&mut *store, "memory");
                    memory.context("it has one")?
                }
            };
            store.data_mut().memory = Some(memory);
            self.linker
                .define(&*store, import.module(), import.name(), memory)?;
        }
        Ok(())
    }
}

fn link_functions(linker: &mut Linker<State>, module: &Module) -> Result<()> {
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
        self.import_memory(&mut store)?;
        let instance = self.linker.instantiate(&mut store, &self.module)?;
        if store.data().memory.is_none() {
            let memory = instance.get_memory(&mut store, "memory");
            store.data_mut().memory = Some(memory.context("no memory is exported")?);
        }
        Ok(Box::new(Running { store, instance }))
    }

    fn image_starts(&self) -> ImageStarts {
        let provided = self.provided.as_ref();
        provided.map_or_else(ImageStarts::default, |it| it.memories.image_starts())
    }
}

struct Running {
    store: Store<State>,
    instance: Instance,
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

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::MemoryType;

    /// A module with two pages and one byte of data.
    const WASM: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\x02\x07\x0a\x01\x06memory\x02\0\
        \x0b\x07\x01\0\x41\x05\x0b\x01\x2a";

    fn memories() -> (Prepared, Memories) {
        let program = Prepared::new(WASM).expect("a module with data");
        let memories = Memories::new(&program, RESERVATION, GUARD);
        (program, memories)
    }

    #[test]
    fn memory_new_does_not_call_the_creator() {
        let (_, memories) = memories();
        let engine = wasmtime::Engine::new(&config(memories.clone())).expect("an engine");
        let mut store = Store::new(&engine, ());
        let memory = Memory::new(&mut store, MemoryType::new(2, None)).expect("a memory");
        assert_eq!(memory.data(&store)[5], 0);
        assert_eq!(memories.image_starts(), ImageStarts::default());
    }

    #[test]
    fn without_its_own_images_wasmtime_writes_over_ours() {
        let (_, memories) = memories();
        let mut config = config(memories.clone());
        config.memory_init_cow(false);
        let engine = wasmtime::Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, WASM).expect("a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let memory = instance.get_memory(&mut store, "memory").expect("a memory");
        assert_eq!(memory.data(&store)[5], 42);
        assert_eq!(memories.image_starts().n_images, 1);
    }

    #[test]
    fn a_memory_of_another_size_is_refused() {
        let (program, memories) = memories();
        let engine = wasmtime::Engine::new(&config(memories)).expect("an engine");
        let mut other = program;
        other.memory.min += 1;
        let module = Module::new(&engine, other.memory_module()).expect("a module");
        let mut store = Store::new(&engine, ());
        let err = Instance::new(&mut store, &module, &[]).expect_err("a different size");
        assert!(
            err.to_string().contains("not the module's memory"),
            "{err:#}"
        );
    }
}
