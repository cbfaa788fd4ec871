//! One use of a memory, by our slots and pools and by wasmtime's pooling allocator: the memory
//! is initialised, some of its pages are written, and it is reset at the end.

#[path = "../../../../benches/reset/workload.rs"]
pub(crate) mod workload;

use alloc::sync::Arc;
use core::num::NonZeroUsize;

use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, Module,
};
use wasm_meminit_apply::{MemoryImage, MemorySlot, PoolConfig, SlotConfig, SlotPool};

use self::workload::{IMAGE, MEMORY, image, image_bytes};

const WASM_PAGE: usize = 1 << 16;

/// Checks that a memory has its initial contents: a fast wrong answer is worthless.
pub(crate) fn assert_initial_contents(memory: &[u8]) {
    assert_eq!(memory.len(), MEMORY);
    assert_eq!(memory[..IMAGE], image_bytes());
    assert!(memory[IMAGE..].iter().all(|&byte| byte == 0));
}

/// Returns a module whose one data segment writes the image.
fn module() -> Vec<u8> {
    let pages = (MEMORY / WASM_PAGE) as u64;
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), image_bytes());
    let mut module = Module::new();
    module.section(&memories).section(&exports).section(&data);
    module.finish()
}

/// A source of memories that can be used repeatedly.
pub(crate) trait Cycle: Send + Sync {
    /// Runs one use: initialises a memory, passes its bytes to `job`, and resets it.
    fn cycle(&self, job: &mut dyn FnMut(&mut [u8]));
}

/// One slot that a single thread uses again and again.
pub(crate) struct Slot {
    slot: MemorySlot,
    image: Arc<MemoryImage>,
}

impl Slot {
    pub(crate) fn new() -> Self {
        let config = SlotConfig::new(MEMORY as u64).with_keep_resident(MEMORY as u64);
        Self {
            slot: MemorySlot::new(&config).expect("addresses"),
            image: image(),
        }
    }

    pub(crate) fn cycle(&mut self, job: &mut dyn FnMut(&mut [u8])) {
        let slot = &mut self.slot;
        slot.instantiate(Some(&self.image), MEMORY as u64)
            .expect("fits");
        job(slot.as_mut_slice());
        slot.reset().expect("resets");
    }
}

pub(crate) struct Pool {
    pool: SlotPool,
    image: Arc<MemoryImage>,
}

impl Pool {
    /// Creates a pool of `n_slots` slots; `None` leaves the number of shards to the pool.
    pub(crate) fn new(n_slots: usize, n_shards: Option<NonZeroUsize>) -> Self {
        let slot = SlotConfig::new(MEMORY as u64).with_keep_resident(MEMORY as u64);
        let n_slots = NonZeroUsize::new(n_slots).expect("some");
        let mut config = PoolConfig::new(slot, n_slots);
        if let Some(n_shards) = n_shards {
            config = config.with_shards(n_shards);
        }
        Self {
            pool: SlotPool::new(config),
            image: image(),
        }
    }
}

impl Cycle for Pool {
    fn cycle(&self, job: &mut dyn FnMut(&mut [u8])) {
        let slot = self.pool.acquire(Some(&self.image), MEMORY as u64);
        job(slot.expect("room").as_mut_slice());
    }
}

/// A setting of wasmtime's pooling allocator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Whether to scan for dirty pages and keep all of them resident.
    pub(crate) scan: bool,
    pub(crate) batch: usize,
    /// Whether the module has a memory; without one, this measures the rest of an instance.
    pub(crate) memory: bool,
}

impl Setting {
    pub(crate) const SCAN: Self = Self {
        scan: true,
        batch: 1,
        memory: true,
    };
    pub(crate) const SCAN_AND_BATCH: Self = Self {
        batch: 16,
        ..Self::SCAN
    };
    /// The default settings: all pages are decommitted.
    pub(crate) const DECOMMIT: Self = Self {
        scan: false,
        ..Self::SCAN
    };
    pub(crate) const NO_MEMORY: Self = Self {
        memory: false,
        ..Self::SCAN
    };
}

/// A macro, because the two versions have the same names but different types.
macro_rules! wasmtime_pool {
    ($name:ident, $wasmtime:ident) => {
        pub(crate) struct $name {
            engine: $wasmtime::Engine,
            instance: $wasmtime::InstancePre<()>,
            memory: Option<$wasmtime::ModuleExport>,
        }

        impl $name {
            pub(crate) fn new(setting: Setting) -> Self {
                let mut pool = $wasmtime::PoolingAllocationConfig::new();
                pool.max_memory_size(MEMORY);
                if setting.scan {
                    pool.pagemap_scan($wasmtime::Enabled::Yes)
                        .linear_memory_keep_resident(MEMORY);
                }
                pool.decommit_batch_size(setting.batch);
                let mut config = $wasmtime::Config::new();
                config.allocation_strategy($wasmtime::InstanceAllocationStrategy::Pooling(pool));
                let engine = $wasmtime::Engine::new(&config).expect("the setting is valid");
                let wasm = if setting.memory {
                    module()
                } else {
                    Module::new().finish()
                };
                let module = $wasmtime::Module::new(&engine, wasm).expect("valid");
                let instance = $wasmtime::Linker::new(&engine)
                    .instantiate_pre(&module)
                    .expect("it imports nothing");
                Self {
                    engine,
                    instance,
                    memory: module.get_export_index("memory"),
                }
            }
        }

        impl Cycle for $name {
            fn cycle(&self, job: &mut dyn FnMut(&mut [u8])) {
                let mut store = $wasmtime::Store::new(&self.engine, ());
                let instance = self.instance.instantiate(&mut store).expect("room");
                let Some(memory) = &self.memory else {
                    return;
                };
                let memory = instance
                    .get_module_export(&mut store, memory)
                    .and_then($wasmtime::Extern::into_memory);
                job(memory.expect("exported").data_mut(&mut store));
            }
        }
    };
}

wasmtime_pool!(Wasmtime, wasmtime);
#[cfg(feature = "next")]
wasmtime_pool!(WasmtimeNext, wasmtime_next);
