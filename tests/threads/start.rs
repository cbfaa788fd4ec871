//! Runs the start function of a threaded module on a memory that the test fills.

use alloc::collections::BTreeMap;

use wasmi::{Config, Engine, Extern, ExternType, Func, Global, Instance, Memory, Module};
use wasmi::{Ref, Store, Table, Val};

use super::emulate::emulate;

/// The final state of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) memory: Vec<u8>,
    /// The mutable globals, by index.
    pub(crate) globals: BTreeMap<u32, i64>,
}

/// Starts an instance on a memory with these bytes. `base` is the value of every imported
/// integer global. Returns `None` if it traps, or would wait forever.
pub(crate) fn start(wasm: &[u8], base: i64, bytes: &[u8]) -> Result<Option<Left>, String> {
    let wasm = emulate(wasm)?;
    let engine = Engine::new(
        Config::default()
            .wasm_multi_memory(true)
            .wasm_memory64(true),
    );
    let module = Module::new(&engine, &wasm).map_err(|err| err.to_string())?;
    let mut store = Store::new(&engine, ());
    let mut memory = None;
    let mut externs = Vec::new();
    for import in module.imports() {
        externs.push(match import.ty() {
            ExternType::Func(ty) => {
                let called = |_: wasmi::Caller<'_, ()>, _: &[Val], _: &mut [Val]| {
                    Err(wasmi::Error::new("an imported function"))
                };
                Func::new(&mut store, ty.clone(), called).into()
            }
            ExternType::Table(ty) => Table::new(&mut store, *ty, Ref::null(ty.element()))
                .map_err(|err| err.to_string())?
                .into(),
            ExternType::Global(ty) => {
                let value = match ty.content() {
                    wasmi::ValType::I32 => Val::I32(base as i32),
                    wasmi::ValType::I64 => Val::I64(base),
                    other => Val::default_for_ty(other),
                };
                Extern::Global(Global::new(&mut store, value, ty.mutability()))
            }
            ExternType::Memory(ty) => {
                let new = Memory::new(&mut store, *ty).map_err(|err| err.to_string())?;
                new.data_mut(&mut store)[..bytes.len()].copy_from_slice(bytes);
                memory.get_or_insert(new);
                new.into()
            }
        });
    }
    let memory = memory.ok_or("no memory")?;
    let Ok(instance) = Instance::new(&mut store, &module, &externs) else {
        return Ok(None);
    };
    let names: Vec<String> = instance
        .exports(&store)
        .map(|it| it.name().into())
        .collect();
    let mut globals = BTreeMap::new();
    for name in names {
        let global = instance.get_global(&store, &name).ok_or("no global")?;
        let value = match global.get(&store) {
            Val::I32(value) => value.into(),
            Val::I64(value) => value,
            _ => continue,
        };
        globals.insert(name.parse().map_err(|_| "not an index")?, value);
    }
    Ok(Some(Left {
        memory: memory.data(&store).to_vec(),
        globals,
    }))
}
