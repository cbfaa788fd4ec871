//! wasmi: the memory is imported, and created by the host.
//!
//! The interpreter exposes its memory as a slice and checks every access, so the image's runs
//! are copied.

use anyhow::{Context as _, Result, bail};
use wasm_meminit_apply::copy_into_zeroed;
use wasmi::{
    AsContext as _, AsContextMut as _, Config, Extern, ExternType, Instance, Linker, Memory,
    Module, Store, Val,
};

use super::{Engine, ImageStarts, Start};
use crate::guest::{Bytes, Guest, Slice, Value};
use crate::host::Host;
use crate::memory::wasmi::{BufferedStore, Buffers};
use crate::prepared::Prepared;

/// A memory that wasmi creates, with the image copied.
pub(super) struct Made;

impl Engine for Made {
    fn name(&self) -> &'static str {
        "wasmi, its memory"
    }

    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>> {
        Ok(Box::new(Compiled::new(wasm, None, None)?))
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        let wasm = &program.external;
        Ok(Box::new(Compiled::new(wasm, Some(program), None)?))
    }
}

/// A memory in our buffer, with the image copied.
pub(super) struct Static;

impl Engine for Static {
    fn name(&self) -> &'static str {
        "wasmi, our buffer"
    }

    fn untouched(&self, wasm: &[u8]) -> Result<Box<dyn Start>> {
        Made.untouched(wasm)
    }

    fn ours(&self, program: &Prepared) -> Result<Box<dyn Start>> {
        let buffers = Some(Buffers::new());
        let wasm = &program.external;
        Ok(Box::new(Compiled::new(wasm, Some(program), buffers)?))
    }
}

struct Compiled {
    module: Module,
    linker: Linker<State>,
    /// The program whose image an imported memory starts from; without one, it is zero.
    program: Option<Prepared>,
    /// The buffers for such memories; without them, wasmi allocates.
    buffers: Option<Buffers>,
    n_images: u64,
}

/// The state of a store.
#[derive(Debug, Default)]
pub struct State {
    host: Host,
    /// The module's memory; `None` until it is created.
    pub memory: Option<Memory>,
}

impl Compiled {
    fn new(wasm: &[u8], program: Option<&Prepared>, buffers: Option<Buffers>) -> Result<Self> {
        let engine = wasmi::Engine::new(&Config::default());
        let module = Module::new(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        // Each start redefines the memory.
        linker.allow_shadowing(true);
        link_functions(&mut linker, &module)?;
        Ok(Self {
            module,
            linker,
            program: program.cloned(),
            buffers,
            n_images: 0,
        })
    }

    /// Creates a store, with a memory if the module imports one.
    fn store(&mut self) -> Result<BufferedStore<State>> {
        let engine = self.module.engine();
        let mut store = BufferedStore::from(Store::new(engine, State::default()));
        for import in self.module.imports() {
            let ExternType::Memory(ty) = import.ty() else {
                continue;
            };
            let memory = match &self.buffers {
                None => Memory::new(&mut store, *ty)?,
                Some(buffers) => {
                    let memory;
                    (store, memory) = buffers.store_with_memory(engine, State::default(), *ty)?;
                    memory
                }
            };
            if let Some(program) = &self.program {
                // ANCHOR: copy
                // wasmi's memory is zeroed, so only the image's runs are written.
                copy_into_zeroed(program.image.as_ref(), memory.data_mut(&mut store))?;
                // ANCHOR_END: copy
                self.n_images += 1;
            }
            store.as_context_mut().data_mut().memory = Some(memory);
            self.linker.define(import.module(), import.name(), memory)?;
        }
        Ok(store)
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
            ty.clone(),
            move |mut caller, args, results| {
                let memory = caller.data().memory.ok_or_else(|| error("no memory"))?;
                let args: Vec<Value> = args.iter().filter_map(from_wasmi).collect();
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let answer = state.host.call(&from, &name, &args, &mut Slice(bytes));
                let answer = answer.map_err(|err| error(&format!("{err:#}")))?;
                if usize::from(answer.is_some()) != results.len() {
                    return Err(error("wrong number of results"));
                }
                if let (Some(answer), Some(result)) = (answer, results.first_mut()) {
                    *result = to_wasmi(answer);
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

impl Start for Compiled {
    fn start(&mut self) -> Result<Box<dyn Guest>> {
        let mut store = self.store()?;
        let instance = self
            .linker
            .instantiate_and_start(&mut store, &self.module)?;
        Ok(Box::new(Running::from_buffered(store, instance)?))
    }

    fn image_starts(&self) -> ImageStarts {
        ImageStarts {
            n_images: self.n_images,
            n_reused: 0,
        }
    }
}

/// An instance in its own store.
#[derive(Debug)]
pub struct Running {
    store: BufferedStore<State>,
    instance: Instance,
}

impl Running {
    /// Takes an instance, whose memory is [`State::memory`] or else its first exported one.
    ///
    /// # Errors
    ///
    /// It exports no memory.
    pub fn new(store: Store<State>, instance: Instance) -> Result<Self> {
        Self::from_buffered(store.into(), instance)
    }

    fn from_buffered(mut store: BufferedStore<State>, instance: Instance) -> Result<Self> {
        let mut context = store.as_context_mut();
        if context.data().memory.is_none() {
            let mut exports = instance.exports(&context);
            let memory = exports.find_map(|it| it.into_extern().into_memory());
            context.data_mut().memory = Some(memory.context("no memory is exported")?);
        }
        Ok(Self { store, instance })
    }

    fn linear_memory(&self) -> Memory {
        let memory = self.store.as_context().data().memory;
        memory.expect("set at the start")
    }
}

impl Guest for Running {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>> {
        let Some(Extern::Func(function)) = self.instance.get_export(&self.store, export) else {
            bail!("no function {export}");
        };
        let args: Vec<Val> = args.iter().copied().map(to_wasmi).collect();
        let ty = function.ty(&self.store);
        let results = ty.results().iter().copied().map(Val::default_for_ty);
        let mut results: Vec<Val> = results.collect();
        function.call(&mut self.store, &args, &mut results)?;
        Ok(results.iter().filter_map(from_wasmi).collect())
    }

    fn memory(&mut self) -> Box<dyn Bytes + '_> {
        let memory = self.linear_memory();
        Box::new(Slice(memory.data_mut(&mut self.store)))
    }

    fn host(&mut self) -> &mut Host {
        &mut self.store.data_mut().host
    }

    fn memory_bytes(&mut self) -> u64 {
        self.linear_memory().data(&self.store).len() as u64
    }
}

fn error(message: &str) -> wasmi::Error {
    wasmi::Error::new(message.to_string())
}

fn to_wasmi(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(value) => Val::F32(value.into()),
        Value::F64(value) => Val::F64(value.into()),
    }
}

/// Converts a number: no program here passes anything else.
fn from_wasmi(value: &Val) -> Option<Value> {
    Some(match *value {
        Val::I32(value) => Value::I32(value),
        Val::I64(value) => Value::I64(value),
        Val::F32(value) => Value::F32(value.into()),
        Val::F64(value) => Value::F64(value.into()),
        _ => return None,
    })
}
