//! Threaded modules on an engine with threads: two threads that start at once from the image
//! leave the same memory as two that start from zeros.
//!
//! Uses our own modules and the threaded ones of the corpus, except wllama, which uses the
//! legacy exceptions proposal, which this engine does not support.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use wasm_meminit_analysis::{
    Global as Known, GlobalIndex, HostPageSize, IndexType, MemoryIndex, Module, Plan, Policy,
    StartFunction, StartReason, Value, ValueType,
};
use wasm_meminit_apply::copy_into_zeroed;
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{DEFAULT_IMPORT_MODULE, externalize, strip};
use wasm_meminit_peers::corpus;
use wasmtime::{Config, Engine, ExternType, Global, Linker, SharedMemory, Store, Val};

/// The value of imported globals, including the base of a position-independent module.
const BASE: i32 = 1024;
const N_THREADS: usize = 2;

fn engine() -> Engine {
    let mut config = Config::new();
    config
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_threads(true)
        .shared_memory(true);
    Engine::new(&config).expect("an engine")
}

/// The module, and its one memory's type and import.
struct Threaded<'a> {
    engine: &'a Engine,
    module: Module<'a>,
    memory: MemoryIndex,
}

impl<'a> Threaded<'a> {
    /// Returns `None` for a module whose start function writes no memory.
    fn new(engine: &'a Engine, wasm: &'a [u8]) -> Option<Self> {
        let mut module = Module::parse(wasm).expect("valid");
        module.start()?;
        module.passive_segments().next()?;
        for nth in 0..u32::try_from(module.global_imports().len()).expect("few") {
            let global = GlobalIndex::from_u32(nth);
            let value = match &module.globals()[global] {
                Known::Unknown(ValueType::I32) => Value::I32(BASE),
                Known::Unknown(ValueType::I64) => Value::I64(BASE.into()),
                _ => continue,
            };
            module = module.with_global(global, value).expect("the right type");
        }
        let memory = module.start_init().expect("as wasm-ld links it").memory();
        Some(Self {
            engine,
            module,
            memory,
        })
    }

    fn size(&self) -> usize {
        let bytes = self.module.memories()[self.memory].ty.min_bytes();
        usize::try_from(bytes.expect("not 2^64")).expect("addresses")
    }

    /// Creates a shared memory with these bytes, which a helper module writes.
    fn shared(&self, bytes: &[u8]) -> SharedMemory {
        let ty = self.module.memories()[self.memory].ty;
        let mut builder = wasmtime::MemoryTypeBuilder::new();
        let ty = builder
            .memory64(ty.index_type == IndexType::I64)
            .min(ty.min)
            .max(ty.max)
            .shared(true)
            .build()
            .expect("valid");
        let memory = SharedMemory::new(self.engine, ty).expect("room");
        self.helper(&memory, bytes, "put");
        memory
    }

    /// Returns the contents of a shared memory.
    fn bytes(&self, memory: &SharedMemory) -> Vec<u8> {
        self.helper(memory, &vec![0; self.size()], "take")
    }

    /// Copies between a shared memory and one with `bytes`, with a module's instructions, since
    /// the host has no safe access to the first. Returns the contents of the second.
    fn helper(&self, shared: &SharedMemory, bytes: &[u8], export: &str) -> Vec<u8> {
        let ty = self.module.memories()[self.memory].ty;
        let index = match ty.index_type {
            IndexType::I32 => "i32",
            IndexType::I64 => "i64",
        };
        let (min, max) = (ty.min, ty.max.expect("a shared memory has one"));
        // Copy all of it; 2^32 is not a 32-bit number.
        assert!(bytes.len() < 1 << 32);
        let n = bytes.len();
        let copy = |to, from| {
            format!(
                "(memory.copy {to} {from}
                   ({index}.const 0) ({index}.const 0) ({index}.const {n}))"
            )
        };
        let wasm = format!(
            r#"(module
                 (import "" "" (memory {index} {min} {max} shared))
                 (memory (export "memory") {index} {min})
                 (func (export "put") {})
                 (func (export "take") {}))"#,
            copy(0, 1),
            copy(1, 0),
        );
        let wasm = wat::parse_str(wasm).expect("valid");
        let module = wasmtime::Module::new(self.engine, wasm).expect("valid");
        let mut store = Store::new(self.engine, ());
        let mut linker = Linker::new(self.engine);
        linker.define(&store, "", "", shared.clone()).expect("new");
        let instance = linker.instantiate(&mut store, &module).expect("room");
        let own = instance.get_memory(&mut store, "memory").expect("exported");
        own.data_mut(&mut store)[..n].copy_from_slice(bytes);
        let run = instance.get_typed_func::<(), ()>(&mut store, export);
        run.expect("exported").call(&mut store, ()).expect("fits");
        own.data(&store)[..n].to_vec()
    }

    /// Starts threads at once on a memory with these bytes, and returns its final contents.
    fn start(&self, wasm: &[u8], bytes: &[u8]) -> Vec<u8> {
        let memory = self.shared(bytes);
        // A defined memory would differ between instances.
        let wasm = Module::parse(wasm).expect("valid");
        let wasm = externalize(&wasm, DEFAULT_IMPORT_MODULE, &|_| "memory".into());
        let module = wasmtime::Module::new(self.engine, wasm.expect("valid")).expect("valid");
        let barrier = Barrier::new(N_THREADS);
        thread::scope(|scope| {
            for _ in 0..N_THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    self.instantiate(&module, &memory);
                });
            }
        });
        self.bytes(&memory)
    }

    fn instantiate(&self, module: &wasmtime::Module, memory: &SharedMemory) {
        let mut store = Store::new(self.engine, ());
        let mut linker = Linker::new(self.engine);
        linker.allow_shadowing(true);
        for import in module.imports() {
            let item: wasmtime::Extern = match import.ty() {
                ExternType::Memory(_) => memory.clone().into(),
                ExternType::Global(ty) => {
                    let value = match ty.content() {
                        wasmtime::ValType::I64 => Val::I64(BASE.into()),
                        _ => Val::I32(BASE),
                    };
                    let global = Global::new(&mut store, ty, value);
                    global.expect("the right type").into()
                }
                _ => continue,
            };
            linker
                .define(&store, import.module(), import.name(), item)
                .expect("shadowing is allowed");
        }
        linker
            .define_unknown_imports_as_default_values(&mut store, module)
            .expect("functions and tables");
        let instance = linker.instantiate(&mut store, module);
        instance.expect("neither traps nor waits forever");
    }
}

/// Compares all ways that the module allows, and returns how many there were.
fn check(threaded: &Threaded<'_>, wasm: &[u8]) -> usize {
    let zeros = vec![0; threaded.size()];
    let expected = threaded.start(wasm, &zeros);
    assert!(
        expected.iter().any(|&byte| byte != 0),
        "nothing was written"
    );
    let mut n_compared = 0;
    for how in [
        StartFunction::AlreadyInitialized,
        StartFunction::AlreadyInitializedTls,
        StartFunction::WritesStripped,
    ] {
        let policy = Policy::balanced(HostPageSize::KIB_4)
            .with_zeroed_imports(true)
            .with_start_function(how);
        let plan = Plan::new(&threaded.module, &policy);
        match plan.start() {
            Ok(_) => {}
            Err(StartReason::ThreadLocal { .. }) if how == StartFunction::AlreadyInitialized => {
                continue;
            }
            Err(reason) => panic!("{how:?}: {reason}"),
        }
        let image = ModuleImage::build(&threaded.module, &plan).expect("room");
        let image = image.image(threaded.memory).expect("it writes something");
        let mut memory = zeros.clone();
        copy_into_zeroed(image, &mut memory).expect("the right size");
        assert!(memory != zeros);
        assert!(threaded.start(wasm, &memory) == expected, "{how:?}");
        n_compared += 1;
        if how == StartFunction::WritesStripped {
            let stripped = strip(&threaded.module, &plan).expect("valid");
            assert!(stripped.len() < wasm.len());
            assert!(threaded.start(&stripped, &memory) == expected, "stripped");
            // Without the image, the result must differ.
            assert!(threaded.start(&stripped, &zeros) != expected);
            n_compared += 1;
        }
    }
    n_compared
}

#[test]
fn two_threads_start_from_the_image() {
    let engine = engine();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
    let mut modules: Vec<(String, Vec<u8>)> = ["threads", "threads64", "threads-pic"]
        .map(|name| format!("{name}.wasm"))
        .map(|name| (name.clone(), fs::read(own.join(name)).expect("ours")))
        .into();
    for name in ["tfjs-threaded.wasm", "oxc-parser.wasm"] {
        match corpus().module(name).expect("readable") {
            Some(wasm) => modules.push((name.into(), wasm)),
            None => println!("{name}: not in the corpus"),
        }
    }
    for (name, wasm) in &modules {
        let threaded = Threaded::new(&engine, wasm);
        let threaded = threaded.unwrap_or_else(|| panic!("{name} is not threaded"));
        let n_compared = check(&threaded, wasm);
        assert!(n_compared != 0, "{name}");
        println!("{name}: {n_compared} ways, {} bytes each", threaded.size());
    }
}
