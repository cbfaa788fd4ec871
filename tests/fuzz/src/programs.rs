//! Generated programs behave the same after each rewrite: in wasmi, with the same results, traps
//! and memories.

use alloc::collections::BTreeMap;

use arbitrary::Unstructured;
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, RewriteError, externalize, internalize,
    map_modules, pack, strip, strip_renumbered,
};
use wasm_meminit_test_oracle::valid::is_valid;
use wasm_smith::{Config, Module as Smith};
use wasmi::errors::ErrorKind;
use wasmi::{
    CompilationMode, Engine, Extern, ExternType, Instance, Memory, Store, StoreLimits,
    StoreLimitsBuilder, TrapCode, Val,
};

use crate::component::{MODULE, component};

/// How many instructions a program runs, about.
const FUEL: u64 = 20_000;

/// How many of its functions are called.
const MAX_CALLS: usize = 6;

/// The largest memory in bytes, also after growth.
const MAX_BYTES: usize = 1 << 20;

/// Returns whether a call returned, and how the program ended is compared.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    // Most programs without this restriction trap at once.
    let disallow_traps = u.ratio(3, 4).unwrap_or_default();
    let config = Config {
        disallow_traps,
        ..config()
    };
    let Ok(wasm) = Smith::new(config, &mut u).map(|it| it.to_bytes()) else {
        return false;
    };
    assert!(is_valid(&wasm));
    let module = Module::parse(&wasm).expect("valid");
    let Some(expected) = observe(&wasm, &[]) else {
        return false;
    };
    let compare = |what: &str, wasm: &[u8], images: &[Vec<u8>]| {
        assert!(is_valid(wasm), "{what}: not valid");
        let found = observe(wasm, images);
        let found = found.unwrap_or_else(|| panic!("{what}: wasmi does not run it"));
        found.assert_same(&expected, what);
    };
    for objective in PackFor::ALL {
        let options = PackOptions::default().with_objective(*objective);
        let packed = pack(&module, &options).expect("packed");
        let in_a_component =
            map_modules::<RewriteError>(&component(&[(MODULE, &wasm)]), &mut |it| {
                Ok(pack(it, &options)?.wasm)
            });
        let expected = component(&[(MODULE, &packed.wasm)]);
        assert!(in_a_component.as_ref() == Ok(&expected), "in a component");
        if packed.is_changed {
            compare(&format!("packed for {objective:?}"), &packed.wasm, &[]);
        }
    }
    let name = |it: MemoryIndex| it.as_u32().to_string();
    let externalized = externalize(&module, DEFAULT_IMPORT_MODULE, &name).expect("no such import");
    compare("externalized", &externalized, &[]);
    let again = internalize(&Module::parse(&externalized).expect("valid")).expect("no imports");
    compare("internalized", &again, &[]);
    // What is stripped comes from the image, before anything else is written.
    let plan = Plan::new(&module, &Policy::default().with_max_image_size(1 << 20));
    let is_reached = !expected.is_cut_off && expected.n_returned != 0;
    let Some(images) = images(&module, &plan) else {
        return is_reached;
    };
    for (what, strip) in [
        ("stripped", strip as fn(&_, &_) -> _),
        ("renumbered", strip_renumbered),
    ] {
        let stripped = strip(&module, &plan).expect("its plan");
        let stripped = Module::parse(&stripped).expect("valid");
        let wasm = externalize(&stripped, DEFAULT_IMPORT_MODULE, &name).expect("no such import");
        compare(what, &wasm, &images);
    }
    is_reached
}

fn config() -> Config {
    Config {
        max_imports: 0,
        export_everything: true,
        min_memories: 1,
        max_memories: 2,
        min_data_segments: 1,
        max_data_segments: 8,
        min_funcs: 1,
        max_funcs: 5,
        max_instructions: 60,
        max_memory32_bytes: MAX_BYTES as u64,
        max_memory64_bytes: MAX_BYTES as u128,
        max_table_elements: 100,
        max_element_segments: 3,
        max_elements: 4,
        max_globals: 5,
        canonicalize_nans: true,
        custom_page_sizes_enabled: true,
        exceptions_enabled: false,
        gc_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

/// Returns what the host maps into each memory.
fn images(module: &Module<'_>, plan: &Plan<'_>) -> Option<Vec<Vec<u8>>> {
    let image = ModuleImage::build(module, plan).expect("within the policy's limit");
    let memories = module.memories().iter().map(|(index, memory)| {
        let size = usize::try_from(memory.ty.min_bytes()?).ok()?;
        let mut bytes = vec![0; size];
        for run in image.image(index)?.runs() {
            let start = usize::try_from(run.addr).ok()?;
            let end = size.min(start + run.data.len());
            bytes[start..end].copy_from_slice(&run.data[..end - start]);
        }
        Some(bytes)
    });
    memories.collect()
}

/// What a host sees of a program.
#[derive(Debug, Default)]
struct Observed {
    /// The results of the start and of each call, or how it ended.
    calls: Vec<String>,
    globals: BTreeMap<String, String>,
    memories: BTreeMap<String, Vec<u8>>,
    /// How many calls returned.
    n_returned: u32,
    /// Whether it ran out of fuel: what it wrote before depends on the engine.
    is_cut_off: bool,
}

impl Observed {
    fn assert_same(&self, expected: &Self, what: &str) {
        assert_eq!(self.is_cut_off, expected.is_cut_off, "{what}");
        if self.is_cut_off {
            return;
        }
        assert_eq!(self.calls, expected.calls, "{what}");
        assert_eq!(self.globals, expected.globals, "{what}");
        // An internalized module exports its memories under further names.
        for (name, expected) in &expected.memories {
            let found = self
                .memories
                .get(name)
                .unwrap_or_else(|| panic!("{what}: {name}"));
            assert_eq!(found.len(), expected.len(), "{what}: size of {name}");
            let mut pairs = found.iter().zip(expected);
            let at = pairs.position(|(a, b)| a != b);
            assert_eq!(at, None, "{what}: memory {name} differs");
        }
    }

    fn record(&mut self, result: Result<Vec<Val>, wasmi::Error>) {
        self.calls.push(match result {
            Ok(values) => {
                self.n_returned += 1;
                format!("{:?}", values.iter().map(bits).collect::<Vec<_>>())
            }
            Err(err) if matches!(err.as_trap_code(), Some(TrapCode::OutOfFuel)) => {
                self.is_cut_off = true;
                String::new()
            }
            Err(err) => match err.kind() {
                ErrorKind::TrapCode(code) => format!("{code:?}"),
                ErrorKind::Memory(_) | ErrorKind::Instantiation(_) => "start".to_owned(),
                _ => err.to_string(),
            },
        });
    }
}

/// Runs a program. Its imported memories begin with these bytes. `None`: wasmi does not support
/// it.
fn observe(wasm: &[u8], images: &[Vec<u8>]) -> Option<Observed> {
    let engine = engine();
    let module = wasmi::Module::new(&engine, wasm).ok()?;
    let limits = StoreLimitsBuilder::new()
        .memory_size(MAX_BYTES)
        .table_elements(1000)
        .build();
    let mut store: Store<StoreLimits> = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    store.set_fuel(FUEL).ok()?;
    let mut images = images.iter();
    let mut externs: Vec<Extern> = Vec::new();
    let mut imported = Vec::new();
    for import in module.imports() {
        let ExternType::Memory(ty) = import.ty() else {
            return None;
        };
        let memory = Memory::new(&mut store, *ty).ok()?;
        if let Some(image) = images.next() {
            memory.data_mut(&mut store).copy_from_slice(image);
        }
        imported.push(memory);
        externs.push(memory.into());
    }
    let mut observed = Observed::default();
    let instance = match Instance::new(&mut store, &module, &externs) {
        Ok(instance) => instance,
        Err(err) => {
            observed.record(Err(err));
            return Some(observed);
        }
    };
    let exports: Vec<(String, Extern)> = instance
        .exports(&store)
        .map(|it| (it.name().to_owned(), it.into_extern()))
        .collect();
    let functions = exports.iter().filter_map(|(_, it)| it.into_func());
    for function in functions.take(MAX_CALLS) {
        let ty = function.ty(&store);
        let arguments: Vec<Val> = ty
            .params()
            .iter()
            .map(|it| Val::default_for_ty(*it))
            .collect();
        let mut results: Vec<Val> = ty
            .results()
            .iter()
            .map(|it| Val::default_for_ty(*it))
            .collect();
        let done = function.call(&mut store, &arguments, &mut results);
        observed.record(done.map(|()| results));
        if observed.is_cut_off {
            return Some(observed);
        }
    }
    for (name, it) in exports {
        match it {
            Extern::Global(global) => {
                observed.globals.insert(name, bits(&global.get(&store)));
            }
            Extern::Memory(memory) => {
                observed.memories.insert(name, memory.data(&store).to_vec());
            }
            _ => {}
        }
    }
    Some(observed)
}

/// Only whether a reference is null can be compared.
fn bits(value: &Val) -> String {
    match value {
        Val::I32(it) => it.to_string(),
        Val::I64(it) => it.to_string(),
        Val::F32(it) => it.to_bits().to_string(),
        Val::F64(it) => it.to_bits().to_string(),
        other => format!("{:?}", other.ty()),
    }
}

fn engine() -> Engine {
    let mut config = wasmi::Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Lazy)
        .wasm_custom_page_sizes(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_extended_const(true)
        .wasm_wide_arithmetic(true);
    Engine::new(&config)
}
