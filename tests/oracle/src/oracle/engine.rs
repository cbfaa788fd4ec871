//! The oracle: wasmi.

use core::cell::Cell;

use wasmi::errors::{ErrorKind, InstantiationError, MemoryError};
use wasmi::{
    CompilationMode, Config, Engine, Extern, ExternType, Func, Global, Instance, Module, Ref,
    Store, Table, Val,
};

use super::rewrite::{DefinedGlobals, rewrite};
use crate::host::Host;
use crate::memory::{Memory, Outcome, Trap, to_usize};
use crate::shape::Shape;

/// The engine's memories are dense and filled on creation, so a module whose memories have
/// more bytes than this is left to the naive replay.
const MAX_BYTES: u64 = 256 << 20;

/// An engine keeps what it compiles, so it is dropped after this many modules.
const MODULES_PER_ENGINE: u32 = 256;

/// Why the engine could not run a module: one of a few reasons, which can be counted.
pub type Refused = String;

/// Instantiates a module in the engine. No memory may have 2^64 bytes.
pub fn instantiate(wasm: &[u8], shape: &Shape<'_>, host: &Host) -> Result<Outcome, Refused> {
    let sizes: Vec<u64> = (0..shape.memories.len())
        .map(|nth| {
            host.memory_bytes(shape, nth)
                .expect("checked by the caller")
        })
        .collect();
    if MAX_BYTES < sizes.iter().copied().fold(0, u64::saturating_add) {
        return Err(format!("memories of more than {} MiB", MAX_BYTES >> 20));
    }
    let engine = engine();
    let load = |globals| {
        let wasm = rewrite(wasm, shape, host, globals)?;
        Module::new(&engine, &wasm).map_err(|err| refusal(&err.to_string()))
    };
    let module = load(DefinedGlobals::Initialised)
        .or_else(|refused| load(DefinedGlobals::Imported).map_err(|_| refused))?;
    let globals = shape.global_values(host, true);
    let mut store = Store::new(&engine, ());
    let mut externs = Vec::new();
    let mut memories = Vec::new();
    let mut n_globals = 0;
    for import in module.imports() {
        externs.push(match import.ty() {
            ExternType::Func(ty) => {
                Func::new(&mut store, ty.clone(), |_, _, _| unreachable!("not called")).into()
            }
            ExternType::Table(ty) => {
                let table = Table::new(&mut store, *ty, Ref::null(ty.element()));
                table.map_err(|err| refusal(&err.to_string()))?.into()
            }
            ExternType::Global(ty) => {
                let value = value(ty.content(), globals[n_globals].unwrap_or(0));
                n_globals += 1;
                Extern::Global(Global::new(&mut store, value, ty.mutability()))
            }
            ExternType::Memory(ty) => {
                let nth = memories.len();
                let memory = wasmi::Memory::new(&mut store, *ty);
                let memory = memory.map_err(|err| refusal(&err.to_string()))?;
                let fill = host.first_byte(shape, nth);
                if fill != 0 {
                    memory.data_mut(&mut store).fill(fill);
                }
                assert_eq!(memory.data(&store).len(), to_usize(sizes[nth]));
                memories.push(memory);
                memory.into()
            }
        });
    }
    let trap = match Instance::new(&mut store, &module, &externs) {
        Ok(_) => None,
        Err(err) => Some(trap(&err).ok_or_else(|| refusal(&err.to_string()))?),
    };
    let memories = memories
        .iter()
        .enumerate()
        .map(|(nth, it)| Memory::from_bytes(it.data(&store), host.first_byte(shape, nth)))
        .collect();
    Ok(Outcome { memories, trap })
}

fn engine() -> Engine {
    thread_local! {
        static ENGINE: Cell<Option<(Engine, u32)>> = const { Cell::new(None) };
    }
    ENGINE.with(|cell| {
        let (engine, n_modules) = match cell.take() {
            Some((engine, n_modules)) if n_modules < MODULES_PER_ENGINE => (engine, n_modules),
            _ => {
                let mut config = Config::default();
                // No function runs, and `valid.rs` validates bodies.
                config
                    .compilation_mode(CompilationMode::Lazy)
                    .wasm_custom_page_sizes(true)
                    .wasm_multi_memory(true)
                    .wasm_memory64(true)
                    .wasm_extended_const(true)
                    .wasm_wide_arithmetic(true);
                (Engine::new(&config), 0)
            }
        };
        cell.set(Some((engine.clone(), n_modules + 1)));
        engine
    })
}

fn value(ty: wasmi::ValType, integer: i64) -> Val {
    match ty {
        wasmi::ValType::I32 => Val::I32(integer as i32),
        wasmi::ValType::I64 => Val::I64(integer),
        other => Val::default_for_ty(other),
    }
}

/// Returns the trap that an error stands for, if it is one.
fn trap(err: &wasmi::Error) -> Option<Trap> {
    match err.kind() {
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            Some(Trap::Elements)
        }
        ErrorKind::Memory(MemoryError::OutOfBoundsAccess) => Some(Trap::Data(None)),
        _ => None,
    }
}

/// Removes from a message what differs between modules.
fn refusal(message: &str) -> Refused {
    let message = message.split(" (at offset").next().unwrap_or(message);
    let message: String = message
        .chars()
        .map(|it| if it.is_ascii_digit() { '#' } else { it })
        .collect();
    format!("wasmi: {message}")
}
