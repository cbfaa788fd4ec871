//! wasmi: alone, and with our images.

use anyhow::Result;
use wasm_meminit_peers::engine::wasmi::{Running, State, link_functions};
use wasm_meminit_wasmi::{MemoryImports, Options, Prepared};
use wasmi::{Config, Engine, ExternType, Linker, Memory, Module, Store};

use super::{Compiled, Instance, Worker};

pub(super) fn alone(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    let engine = Engine::new(&Config::default());
    let module = Module::new(&engine, wasm)?;
    let mut linker = Linker::new(&engine);
    link_functions(&mut linker, &module)?;
    // Each request defines another memory.
    linker.allow_shadowing(true);
    Ok(Box::new(Alone { module, linker }))
}

struct Alone {
    module: Module,
    linker: Linker<State>,
}

impl Compiled for Alone {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new((&self.module, self.linker.clone())))
    }
}

impl Worker for (&Module, Linker<State>) {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        let (module, linker) = self;
        let mut store = Store::new(module.engine(), State::default());
        for import in module.imports() {
            if let ExternType::Memory(ty) = import.ty() {
                let memory = Memory::new(&mut store, *ty)?;
                store.data_mut().memory = Some(memory);
                linker.define(import.module(), import.name(), memory)?;
            }
        }
        let instance = linker.instantiate_and_start(&mut store, module)?;
        Ok(Box::new(Running::new(store, instance)?))
    }
}

pub(super) fn ours(wasm: &[u8]) -> Result<Box<dyn Compiled>> {
    let engine = Engine::new(&Config::default());
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let prepared = Prepared::new(&engine, wasm, &options)?;
    let mut linker = Linker::new(&engine);
    link_functions(&mut linker, prepared.module())?;
    Ok(Box::new(Ours { prepared, linker }))
}

struct Ours {
    prepared: Prepared,
    linker: Linker<State>,
}

impl Compiled for Ours {
    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &Ours {
    fn start(&mut self) -> Result<Box<dyn Instance>> {
        let engine = self.prepared.module().engine();
        let mut store = Store::new(engine, State::default());
        let instance = self.prepared.instantiate(&mut store, &self.linker)?;
        Ok(Box::new(Running::new(store, instance)?))
    }
}
