//! Loads components that were compiled before.
#![allow(unsafe_code, reason = "compiled code is loaded as it is")]

use wasm_meminit_wasmtime::{Engine, Options, PreparedComponent};
use wasmtime::component::Component;

/// A component that was compiled ahead of time, as it is.
#[derive(Clone, Debug)]
pub(crate) struct CompiledAsItIs(Vec<u8>);

impl CompiledAsItIs {
    /// Compiles a component.
    pub(crate) fn new(engine: &wasmtime::Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        engine.precompile_component(wasm).map(Self)
    }

    /// Loads it.
    pub(crate) fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: the engine wrote these bytes, and nothing has changed them.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

/// A component that was prepared and compiled ahead of time.
#[derive(Clone, Debug)]
pub(crate) struct CompiledPrepared(Vec<u8>);

impl CompiledPrepared {
    /// Prepares and compiles a component.
    pub(crate) fn new(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        let file = PreparedComponent::precompile(engine, wasm, &Options::new())?;
        Ok(Self(file))
    }

    /// Loads it.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<PreparedComponent> {
        // SAFETY: `precompile` wrote these bytes, and nothing has changed them.
        let loaded = unsafe { PreparedComponent::deserialize(engine, &self.0) };
        Ok(loaded?)
    }
}
