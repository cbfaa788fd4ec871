//! The engines' settings that are compared.

mod component;
mod wasmer;
mod wasmi;
mod wasmtime;

use anyhow::Result;
use wasm_meminit_peers::Guest;

use crate::rows::Row;

/// An engine with settings.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) engine: EngineName,
    pub(crate) role: Role,
    /// What is set, in the words of the engine's interface.
    pub(crate) settings: &'static str,
    pub(crate) compile: fn(&[u8]) -> Result<Box<dyn Compiled>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineName {
    Wasmtime,
    Wasmer,
    Wasmi,
}

/// What a setting is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The engine's defaults.
    AsItComes,
    /// Settings that an expert chooses: the best of them counts.
    Tuned,
    Ours,
}

impl Setting {
    /// Whether the setting is measured in that row.
    pub(crate) fn runs(&self, row: &Row) -> bool {
        match self.engine {
            EngineName::Wasmtime => true,
            EngineName::Wasmer => !row.is_component(),
            EngineName::Wasmi => row.suits_wasmi(),
        }
    }

    /// Whether several threads are measured.
    pub(crate) fn has_threads(&self) -> bool {
        self.engine != EngineName::Wasmi
    }
}

/// A compiled module, which any number of threads instantiate.
pub(crate) trait Compiled: Send + Sync {
    /// Returns what one thread needs.
    fn worker(&self) -> Result<Box<dyn Worker + '_>>;
}

/// One thread's way to instances.
pub(crate) trait Worker {
    /// Creates an instance in a new store.
    fn start(&mut self) -> Result<Box<dyn Instance>>;
}

/// An instance in a store of its own.
pub(crate) trait Instance {
    /// Makes the calls of a request, and returns the output.
    fn serve(&mut self, row: &Row) -> Result<Vec<u8>>;
}

impl<G: Guest> Instance for G {
    fn serve(&mut self, row: &Row) -> Result<Vec<u8>> {
        row.run(self)
    }
}

/// All settings. Each engine's own come before ours.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "wasmtime, on demand",
        engine: EngineName::Wasmtime,
        role: Role::AsItComes,
        settings: "`Config::new()`",
        compile: wasmtime::on_demand,
    },
    Setting {
        name: "wasmtime, pool",
        engine: EngineName::Wasmtime,
        role: Role::Tuned,
        settings: "`InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new())`",
        compile: wasmtime::pool,
    },
    Setting {
        name: "wasmtime, tuned pool",
        engine: EngineName::Wasmtime,
        role: Role::Tuned,
        settings: "the same with `pagemap_scan(Enabled::Yes)`, \
                   `linear_memory_keep_resident(4 MiB)`, `table_keep_resident(1 MiB)`",
        compile: wasmtime::tuned,
    },
    Setting {
        name: "wasmtime, ours",
        engine: EngineName::Wasmtime,
        role: Role::Ours,
        settings: "`MemoriesConfig::new(1000)`: 4 MiB stay resident",
        compile: wasmtime::ours,
    },
    Setting {
        name: "wasmer",
        engine: EngineName::Wasmer,
        role: Role::AsItComes,
        settings: "`EngineBuilder::new(Singlepass::default())`; functions belong to a store, so \
                   each request defines them",
        compile: wasmer::alone,
    },
    Setting {
        name: "wasmer, ours",
        engine: EngineName::Wasmer,
        role: Role::Ours,
        settings: "the same with `MemoriesConfig::new(1000)`: 4 MiB stay resident",
        compile: wasmer::ours,
    },
    Setting {
        name: "wasmi",
        engine: EngineName::Wasmi,
        role: Role::AsItComes,
        settings: "`Config::default()`",
        compile: wasmi::alone,
    },
    Setting {
        name: "wasmi, ours",
        engine: EngineName::Wasmi,
        role: Role::Ours,
        settings: "`Options::new()`",
        compile: wasmi::ours,
    },
];
