//! Modules and options for building artifacts that together use every field.

use std::path::Path;

use wasm_meminit_analysis::{
    GlobalIndex, HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction, Value,
};
use wasm_meminit_image_builder::{ModuleImage, SourceHash, Tool};

/// Uses every field of a header except those of a start function.
pub(crate) const EVERYTHING: &str = r#"(module
    (import "env" "base" (global $base i32))
    (import "env" "wide" (global $wide i64))
    (import "env" "late" (global $late i32))
    (import "env" "memory" (memory $imported 1 4))
    (import "env" "other" (memory $other i64 1))
    (memory $small 1)
    (memory $bytes 77 (pagesize 1))
    (memory $far i64 16)
    (memory $empty 0 0)
    (table 3 funcref)
    (global $sum i32 (i32.add (global.get $base) (i32.const 8)))
    (global $own i32 (i32.const 40))
    (global $both i32 (i32.mul (global.get $late) (global.get $own)))
    (elem (global.get $late) func $f)
    (func $f)
    (data (memory $small) (i32.const 10) "first")
    (data (memory $small) (i32.const 60000) "far away")
    (data (memory $bytes) (i32.const 70) "the end")
    (data (memory $far) (i64.const 1000000) "\ff")
    (data (memory $imported) (global.get $base) "side module")
    (data (memory $other) (i64.sub (global.get $wide) (i64.const 1)) "64")
    (data "passive")
    (data (memory $imported) (global.get $sum) "after")
    (data (memory $small) (global.get $late) "dynamic")
    (data (memory $small) (global.get $own) "own")
    (data (memory $small) (i32.add (global.get $own) (i32.const 2)) "own too")
    (data (memory $small) (global.get $both) "both")
    (data (memory $far) (i64.const 5) "five"))"#;

/// Options for building an artifact.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) policy: Policy,
    pub(crate) globals: Vec<(u32, Value)>,
    pub(crate) sizes: Vec<(u32, u64)>,
    pub(crate) alignment: Option<HostPageSize>,
}

impl Recipe {
    pub(crate) const fn new(policy: Policy) -> Self {
        Self {
            policy,
            globals: Vec::new(),
            sizes: Vec::new(),
            alignment: None,
        }
    }

    pub(crate) fn module<'a>(&self, wasm: &'a [u8]) -> Module<'a> {
        let mut module = Module::parse(wasm).expect("a module");
        for (global, value) in &self.globals {
            module = module
                .with_global(GlobalIndex::from_u32(*global), *value)
                .expect("imported");
        }
        for (memory, bytes) in &self.sizes {
            let memory = MemoryIndex::from_u32(*memory);
            module = module.with_memory_size(memory, *bytes).expect("imported");
        }
        module
    }

    /// Returns `None` if the image would be too large for a test.
    pub(crate) fn build(&self, wasm: &[u8]) -> Option<Vec<u8>> {
        let module = self.module(wasm);
        let plan = Plan::new(&module, &self.policy);
        let bytes: u64 = plan.memories().values().map(|it| it.image_bytes()).sum();
        if 64 << 20 < bytes {
            return None;
        }
        let mut image = ModuleImage::build(&module, &plan)
            .expect("small")
            .with_source(hash(1))
            .with_tool(Tool {
                name: "test",
                version: "1",
            });
        if let Some(alignment) = self.alignment {
            image = image.with_file_alignment(alignment);
        }
        Some(image.encode().expect("every valid module can be encoded"))
    }
}

pub(crate) const fn hash(byte: u8) -> SourceHash {
    SourceHash([byte; 32])
}

pub(crate) fn page(bytes: u64) -> HostPageSize {
    HostPageSize::new(bytes).expect("a power of two")
}

pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("text format")
}

/// A module of which an artifact assumes one thing of each kind about its imports, and how to
/// build that.
pub(crate) fn hello_with_globals() -> (Vec<u8>, Recipe) {
    let wasm = wat(r#"(module (import "env" "base" (global $base i32))
            (import "env" "memory" (memory 1)) (data (global.get $base) "hello"))"#);
    let mut recipe = Recipe::new(Policy::smallest(page(16)).with_zeroed_imports(true));
    recipe.globals = vec![(0, Value::I32(70_000))];
    recipe.sizes = vec![(0, 131_072)];
    (wasm, recipe)
}

/// Recipes for [`EVERYTHING`] and the `threads` modules, with small pages.
pub(crate) fn recipes() -> Vec<(&'static str, Vec<u8>, Recipe)> {
    let everything = wat(EVERYTHING);
    let small = Policy::smallest(page(16));
    let with_values = |mut recipe: Recipe| {
        recipe.globals = vec![(0, Value::I32(70_000)), (1, Value::I64(9))];
        recipe.sizes = vec![(0, 131_072)];
        recipe
    };
    let fresh = Policy::balanced(page(16))
        .with_max_gap(32)
        .with_zeroed_imports(true);
    let threads = wat(include_str!("../../../tests/modules/threads.wat"));
    let threads64 = wat(include_str!("../../../tests/modules/threads64.wat"));
    let threads_pic = wat(include_str!("../../../tests/modules/threads-pic.wat"));
    let start = |start| Recipe::new(small.with_start_function(start).with_zeroed_imports(true));
    let hello = wat(r#"(module (memory 1 2) (data (i32.const 3) "hello"))"#);
    vec![
        ("hello", hello.clone(), Recipe::new(small)),
        (
            "reference",
            hello,
            Recipe::new(Policy::single_run(page(64), 1 << 20)),
        ),
        ("without-values", everything.clone(), Recipe::new(small)),
        (
            "with-values",
            everything.clone(),
            with_values(Recipe::new(fresh)),
        ),
        (
            "blocks",
            everything,
            Recipe {
                alignment: Some(page(128)),
                ..with_values(Recipe::new(fresh))
            },
        ),
        (
            "already-initialized",
            threads64,
            start(StartFunction::AlreadyInitialized),
        ),
        (
            "already-initialized-tls",
            threads_pic.clone(),
            Recipe {
                globals: vec![(0, Value::I32(1024))],
                ..start(StartFunction::AlreadyInitializedTls)
            },
        ),
        (
            "writes-stripped",
            threads,
            start(StartFunction::WritesStripped),
        ),
    ]
}

/// The modules in the workspace's `tests/modules`.
pub(crate) fn modules() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/modules");
    let mut modules = vec![("everything".to_owned(), wat(EVERYTHING))];
    for entry in std::fs::read_dir(directory).expect("the modules of the workspace") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "wat") {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let wasm = wat(&std::fs::read_to_string(&path).expect("text"));
            if Module::parse(&wasm).is_ok() {
                modules.push((name, wasm));
            }
        }
    }
    assert!(modules.len() > 15, "modules are missing from the workspace");
    modules
}
