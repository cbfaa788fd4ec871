//! After a trap, a function that an element segment left in the host's table reads the memories
//! of an instance that was never completed.
//!
//! Each generated module is instantiated twice in wasmtime: unmodified, and stripped of what
//! its plan bakes, with its memories imported and holding our images. Whether and where it
//! traps, and every byte that the leaked functions read, must be the same. If the elements
//! trap, the host zeroes the memories, as
//! [`elements_may_trap`](wasm_meminit_analysis::Plan::elements_may_trap) requires.
//!
//! `WASM_MEMINIT_CASES` sets the number of modules (2,000).

use std::env;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, Function,
    FunctionSection, GlobalType, ImportSection, Instruction, MemorySection, MemoryType, RefType,
    TableType, TypeSection, ValType,
};
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{externalize, strip};
use wasmtime::{Engine, Extern, Global, Linker, Memory, Mutability, Ref, Store, Table, Trap, Val};

const WASM_PAGE: u64 = 1 << 16;

/// A module that leaks one reader for each of its memories, before anything can trap.
#[derive(Clone, Debug)]
struct Spec {
    /// For each defined memory: its minimum in wasm pages, and whether addresses have 64 bits.
    memories: Vec<(u64, bool)>,
    /// The offsets of further element segments, in a table of [`Spec::table_len`] elements.
    elements: Vec<u32>,
    data: Vec<Data>,
    /// The value of the imported global.
    base: i32,
}

#[derive(Clone, Debug)]
struct Data {
    memory: usize,
    offset: Offset,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Offset {
    /// From the start of the memory.
    At(u64),
    /// Ends that many bytes before the end of the memory, or after it.
    End(i64),
    /// At the imported global plus this, in 32-bit memories.
    Dynamic(i32),
}

fn spec() -> impl Strategy<Value = Spec> {
    let data =
        (0..3_usize, offset(), vec(any::<u8>(), 0..40)).prop_map(|(memory, offset, bytes)| Data {
            memory,
            offset,
            bytes,
        });
    (
        vec((0..3_u64, prop::bool::weighted(0.2)), 1..=3),
        prop_oneof![3 => Just(Vec::new()).boxed(), 1 => vec(0..8_u32, 1..3).boxed()],
        vec(data, 0..8),
        prop::sample::select(vec![0, 4096, 65_530, 70_000, -1]),
    )
        .prop_map(|(memories, elements, data, base)| Spec {
            memories,
            elements,
            data,
            base,
        })
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![
        6 => (0..3 * WASM_PAGE).prop_map(Offset::At),
        2 => (-3..20_i64).prop_map(Offset::End),
        1 => (-8..8_i32).prop_map(Offset::Dynamic),
    ]
}

impl Spec {
    /// The readers, and room for further elements.
    fn table_len(&self) -> u64 {
        self.memories.len() as u64 + 4
    }

    fn encode(&self) -> Vec<u8> {
        let n_memories = u32::try_from(self.memories.len()).expect("few");
        let mut module = wasm_encoder::Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        module.section(&types);

        let mut imports = ImportSection::new();
        imports.import("host", "table", EntityType::Table(self.table()));
        imports.import("host", "seen", memory_type(4, false));
        let base = GlobalType {
            val_type: ValType::I32,
            mutable: false,
            shared: false,
        };
        imports.import("host", "base", EntityType::Global(base));
        module.section(&imports);

        let mut functions = FunctionSection::new();
        let mut memories = MemorySection::new();
        let mut readers = Vec::new();
        for (nth, (pages, is_64)) in (0..).zip(&self.memories) {
            functions.function(0);
            memories.memory(memory_type(*pages, *is_64));
            readers.push(nth);
        }
        module.section(&functions);
        module.section(&memories);

        let mut elements = ElementSection::new();
        elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions(readers.into()),
        );
        for at in &self.elements {
            let at = i32::try_from(n_memories + at).expect("small");
            elements.active(
                None,
                &ConstExpr::i32_const(at),
                Elements::Functions(vec![0].into()),
            );
        }
        module.section(&elements);

        let mut code = CodeSection::new();
        for (nth, (_, is_64)) in (0..n_memories).zip(&self.memories) {
            code.function(&reader(nth + 1, *is_64));
        }
        module.section(&code);
        module.section(&self.data());
        module.finish()
    }

    fn data(&self) -> DataSection {
        let mut section = DataSection::new();
        for data in &self.data {
            let nth = data.memory % self.memories.len();
            let (pages, is_64) = self.memories[nth];
            let size = pages * WASM_PAGE;
            let end_before = |past: i64| {
                let at = size as i64 - data.bytes.len() as i64 - past;
                at as u64
            };
            let constant = |at: u64| {
                if is_64 {
                    ConstExpr::i64_const(at as i64)
                } else {
                    ConstExpr::i32_const(at as i32)
                }
            };
            let offset = match data.offset {
                Offset::At(at) => constant(at % size.saturating_sub(40).max(1)),
                Offset::End(past) => constant(end_before(past)),
                Offset::Dynamic(plus) if !is_64 => ConstExpr::extended([
                    Instruction::GlobalGet(0),
                    Instruction::I32Const(plus),
                    Instruction::I32Add,
                ]),
                Offset::Dynamic(_) => constant(0),
            };
            section.active(
                u32::try_from(nth + 1).expect("few"),
                &offset,
                data.bytes.iter().copied(),
            );
        }
        section
    }

    fn table(&self) -> TableType {
        TableType {
            element_type: RefType::FUNCREF,
            minimum: self.table_len(),
            maximum: None,
            table64: false,
            shared: false,
        }
    }
}

/// Returns a function that copies all of a memory to the host's, which is memory 0.
fn reader(memory: u32, is_64: bool) -> Function {
    let mut body = Function::new([]);
    let mut code = body.instructions();
    code.i32_const(0);
    if is_64 {
        code.i64_const(0).memory_size(memory).i32_wrap_i64();
    } else {
        code.i32_const(0).memory_size(memory);
    }
    code.i32_const(16).i32_shl().memory_copy(0, memory).end();
    body
}

fn memory_type(minimum: u64, memory64: bool) -> MemoryType {
    MemoryType {
        minimum,
        maximum: None,
        memory64,
        shared: false,
        page_size_log2: None,
    }
}

/// What the host observes afterwards.
#[derive(PartialEq, Eq)]
struct Seen {
    trap: Option<Trap>,
    /// Every memory as read by its reader; none if nothing was leaked.
    memories: Vec<Option<Vec<u8>>>,
}

/// A host, ready to instantiate.
struct Host {
    store: Store<()>,
    linker: Linker<()>,
    table: Table,
    seen: Memory,
}

impl Host {
    fn new(engine: &Engine, spec: &Spec) -> wasmtime::Result<Self> {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let len = u32::try_from(spec.table_len()).expect("small");
        let ty = wasmtime::TableType::new(wasmtime::RefType::FUNCREF, len, None);
        let table = Table::new(&mut store, ty, Ref::Func(None))?;
        let seen = Memory::new(&mut store, wasmtime::MemoryType::new(4, None))?;
        let ty = wasmtime::GlobalType::new(wasmtime::ValType::I32, Mutability::Const);
        let base = Global::new(&mut store, ty, Val::I32(spec.base))?;
        linker.define(&store, "host", "table", table)?;
        linker.define(&store, "host", "seen", seen)?;
        linker.define(&store, "host", "base", base)?;
        Ok(Self {
            store,
            linker,
            table,
            seen,
        })
    }

    fn instantiate(&mut self, wasm: &[u8]) -> wasmtime::Result<Option<Trap>> {
        let module = wasmtime::Module::new(self.store.engine(), wasm)?;
        match self.linker.instantiate(&mut self.store, &module) {
            Ok(_) => Ok(None),
            Err(err) => err.downcast::<Trap>().map(Some),
        }
    }

    /// Reads the memories through the leaked readers.
    fn look(mut self, spec: &Spec, trap: Option<Trap>) -> wasmtime::Result<Seen> {
        let mut memories = Vec::new();
        for (nth, (pages, _)) in (0..).zip(&spec.memories) {
            let leaked = match self.table.get(&mut self.store, nth) {
                Some(Ref::Func(Some(reader))) => {
                    self.seen.data_mut(&mut self.store).fill(0xee);
                    reader.call(&mut self.store, &[], &mut [])?;
                    let size = usize::try_from(pages * WASM_PAGE).expect("small");
                    let (bytes, rest) = self.seen.data(&self.store).split_at(size);
                    assert!(rest.iter().all(|it| *it == 0xee), "more was copied");
                    Some(bytes.to_vec())
                }
                _ => None,
            };
            memories.push(leaked);
        }
        Ok(Seen { trap, memories })
    }
}

/// Runs the unmodified module.
fn untouched(engine: &Engine, spec: &Spec, wasm: &[u8]) -> wasmtime::Result<Seen> {
    let mut host = Host::new(engine, spec)?;
    let trap = host.instantiate(wasm)?;
    host.look(spec, trap)
}

/// Runs the module on top of our images. `knows_host`: whether the analysis knows the value of
/// the global.
fn ours(
    engine: &Engine,
    spec: &Spec,
    wasm: &[u8],
    policy: &Policy,
) -> wasmtime::Result<(Seen, u64)> {
    let module = Module::parse(wasm)?;
    let plan = Plan::new(&module, policy);
    let image = ModuleImage::build(&module, &plan)?;
    let stripped = strip(&module, &plan)?;
    let name = |memory: MemoryIndex| memory.as_u32().to_string();
    let external = externalize(&Module::parse(&stripped)?, "image", &name)?;

    let mut host = Host::new(engine, spec)?;
    let mut memories = Vec::new();
    for (nth, (pages, is_64)) in (1..).zip(&spec.memories) {
        let ty = if *is_64 {
            wasmtime::MemoryType::new64(*pages, None)
        } else {
            wasmtime::MemoryType::new(u32::try_from(*pages).expect("small"), None)
        };
        let memory = Memory::new(&mut host.store, ty)?;
        if let Some(image) = image.image(MemoryIndex::from_u32(nth)) {
            wasm_meminit_apply::copy_into_zeroed(image, memory.data_mut(&mut host.store))?;
        }
        host.linker.define(
            &host.store,
            "image",
            &nth.to_string(),
            Extern::Memory(memory),
        )?;
        memories.push(memory);
    }
    let trap = host.instantiate(&external)?;
    if trap == Some(Trap::TableOutOfBounds) {
        assert!(plan.elements_may_trap(), "the plan ruled out a trap");
        for memory in memories {
            memory.data_mut(&mut host.store).fill(0);
        }
    }
    let n_baked = plan.memories().values().map(|it| it.n_baked()).sum();
    Ok((host.look(spec, trap)?, n_baked))
}

#[derive(Default)]
struct Tally {
    n_modules: u64,
    n_data_traps: u64,
    n_element_traps: u64,
    n_baked: u64,
    n_baked_in_trapped: u64,
}

#[test]
fn a_leaked_function_reads_the_same_memory() {
    let n_cases = env::var("WASM_MEMINIT_CASES").map_or(2_000, |it| it.parse().expect("a number"));
    let config = Config {
        cases: n_cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut engine_config = wasmtime::Config::new();
    engine_config
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_extended_const(true);
    let engine = Engine::new(&engine_config).expect("a configuration");
    let policies = [
        Policy::default(),
        Policy::reference(wasm_meminit_analysis::HostPageSize::KIB_4),
        Policy::smallest(wasm_meminit_analysis::HostPageSize::KIB_4),
    ];
    let tally = core::cell::RefCell::new(Tally::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&spec(), |spec| {
        let wasm = spec.encode();
        let fail = |err: wasmtime::Error| TestCaseError::fail(format!("{err:?}"));
        let expected = untouched(&engine, &spec, &wasm).map_err(fail)?;
        let mut tally = tally.borrow_mut();
        tally.n_modules += 1;
        for policy in &policies {
            let (got, n_baked) = ours(&engine, &spec, &wasm, policy).map_err(fail)?;
            prop_assert_eq!(got.trap, expected.trap);
            for (nth, (got, expected)) in got.memories.iter().zip(&expected.memories).enumerate() {
                prop_assert!(got == expected, "memory {} differs under {:?}", nth, policy);
            }
            tally.n_baked += n_baked;
            if expected.trap.is_some() {
                tally.n_baked_in_trapped += n_baked;
            }
        }
        match expected.trap {
            Some(Trap::TableOutOfBounds) => tally.n_element_traps += 1,
            Some(_) => tally.n_data_traps += 1,
            None => {}
        }
        Ok(())
    });
    outcome.unwrap_or_else(|err| panic!("{err}"));
    let tally = tally.into_inner();
    eprintln!(
        "leaked: {} modules, {} trapped in data, {} in elements; {} segments baked, {} of them \
         in modules that trapped",
        tally.n_modules,
        tally.n_data_traps,
        tally.n_element_traps,
        tally.n_baked,
        tally.n_baked_in_trapped
    );
    // If the generator no longer produced traps, this would test nothing.
    assert!(tally.n_modules < 20 * tally.n_data_traps);
    assert!(tally.n_modules < 50 * tally.n_element_traps);
    assert!(0 < tally.n_baked_in_trapped);
}
