//! Plans and initialisations of real modules are serialised and deserialised, with postcard and
//! as JSON, and give the same memory.
//!
//! Generated modules and the specification's test suite go through both formats in
//! `tests/differential`. `WASM_MEMINIT_CORPUS` sets the directory of the corpus.

extern crate alloc;

mod edited;
mod values;

use alloc::collections::BTreeMap;
use std::io::Write;

use wasm_meminit_analysis::{
    GlobalIndex, InitMemory, MemoryIndex, MemoryInitialization, Module, OffsetExpr, Plan, Policy,
    SizeOverflow, StaticMemoryInitializer, Value,
};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_test_oracle::inputs;

/// Memories of any size, page by page.
struct Memories<'m> {
    module: &'m Module<'m>,
    pages: Pages,
}

/// By memory and page number.
type Pages = BTreeMap<(u32, u64), Vec<u8>>;

const PAGE: u64 = 4096;

impl InitMemory for Memories<'_> {
    fn memory_size_in_bytes(&mut self, index: MemoryIndex) -> Result<u64, SizeOverflow> {
        self.module.memory_size(index).ok_or(SizeOverflow)
    }

    fn eval_offset(&mut self, index: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        let index_type = self.module.memories()[index].ty.index_type;
        let value = |it: GlobalIndex| {
            let known = self.module.global_value(it);
            // Any address will do for what only the host knows.
            known.or(Some(match index_type {
                wasm_meminit_analysis::IndexType::I32 => Value::I32(1024),
                wasm_meminit_analysis::IndexType::I64 => Value::I64(1024),
            }))
        };
        offset.eval(index_type, &value).ok()
    }

    fn write(&mut self, index: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        let mut at = init.addr;
        let mut rest: &[u8] = &init.data;
        while !rest.is_empty() {
            let n_bytes = rest.len().min((PAGE - at % PAGE) as usize);
            let page = self.pages.entry((index.as_u32(), at / PAGE));
            let page = page.or_insert_with(|| vec![0; PAGE as usize]);
            let from = (at % PAGE) as usize;
            page[from..from + n_bytes].copy_from_slice(&rest[..n_bytes]);
            rest = &rest[n_bytes..];
            at += n_bytes as u64;
        }
        true
    }
}

/// Returns the written pages, without pages of zeros, and the error that stopped it, if any.
fn run(module: &Module<'_>, init: &MemoryInitialization<'_>) -> (Pages, Option<String>) {
    let mut memories = Memories {
        module,
        pages: BTreeMap::new(),
    };
    let stopped = init.init_memory(&mut memories).err();
    let mut pages = memories.pages;
    pages.retain(|_, page| page.iter().any(|byte| *byte != 0));
    (pages, stopped.map(|err| err.to_string()))
}

#[test]
fn real_modules() {
    let corpus = inputs::corpus();
    let has_corpus = corpus.is_some();
    let (mut n_modules, mut n_bytes, mut n_pages) = (0, 0, 0);
    let inputs = inputs::own_modules().into_iter();
    for input in inputs.chain(corpus.into_iter().flatten()) {
        let module = Module::parse(&input.wasm).expect("valid");
        let expected = run(&module, &module.memory_initialization());
        for promise in [false, true] {
            let policy = Policy::default().with_zeroed_imports(promise);
            let plan = Plan::new(&module, &policy);
            let built = ModuleImage::build(&module, &plan).expect("fits");
            let init = built.initialization();

            let postcard = postcard::to_allocvec(&plan).expect("serialises");
            let json = serde_json::to_string(&plan).expect("serialises");
            let plans: [Plan<'_>; 2] = [
                postcard::from_bytes(&postcard).expect("just serialised"),
                serde_json::from_str(&json).expect("just serialised"),
            ];
            for plan in plans {
                assert!(plan.matches(&module), "{}", input.name);
                let again = postcard::to_allocvec(&plan).expect("serialises");
                assert!(again == postcard, "{}", input.name);
            }

            let postcard = postcard::to_allocvec(&init).expect("serialises");
            let json = serde_json::to_string(&init).expect("serialises");
            let inits: [MemoryInitialization<'_>; 2] = [
                postcard::from_bytes(&postcard).expect("just serialised"),
                serde_json::from_str(&json).expect("just serialised"),
            ];
            for init in inits {
                assert!(run(&module, &init) == expected, "{}", input.name);
            }
            n_bytes += postcard.len() + json.len();
        }
        n_modules += 1;
        n_pages += expected.0.len();
    }
    assert!(8 < n_modules && n_pages != 0);
    let _ = writeln!(
        std::io::stderr(),
        "\nserialized: {n_modules} modules, {n_pages} pages, {n_bytes} bytes, corpus: {has_corpus}"
    );
}

/// Using another module's plan is detected, even if the counts agree.
#[test]
fn a_plan_of_another_module_is_refused() {
    use wasm_meminit_image_builder::BuildError;
    use wasm_meminit_image_builder::rewrite::{RewriteError, strip, strip_renumbered};

    let wasm = |address: u32, bytes: &str| {
        let text = format!(r#"(module (memory 1) (data (i32.const {address}) "{bytes}"))"#);
        wat::parse_str(text).expect("well formed")
    };
    // The first always traps; with the plan of another module, the trap would disappear.
    let ours = wasm(65_535, "ours");
    let ours = Module::parse(&ours).expect("valid");
    for theirs in [wasm(8, "ours"), wasm(65_535, "or's")] {
        let theirs = Module::parse(&theirs).expect("valid");
        let plan = Plan::new(&theirs, &Policy::default());
        let built = ModuleImage::build(&ours, &plan).map(drop);
        assert!(matches!(built, Err(BuildError::WrongPlan)), "{built:?}");
        for strip in [strip, strip_renumbered] {
            let stripped = strip(&ours, &plan);
            assert!(matches!(stripped, Err(RewriteError::WrongPlan)));
        }
    }
    let plan = Plan::new(&ours, &Policy::default());
    assert!(ModuleImage::build(&ours, &plan).is_ok() && strip(&ours, &plan).is_ok());
}
