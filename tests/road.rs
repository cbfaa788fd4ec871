//! The three roads from a wasm file to a running memory and back: the code of the library's
//! front page and of the README, and the same roads for modules of several kinds.

use core::error::Error;
use std::fs;
use std::path::Path;

use wasm_meminit::analysis::{StartFunction, wasmparser::Parser};
use wasm_meminit::{
    Host, MemorySlot, Module, ModuleBuilder, Policy, PreparedModule, SlotConfig, Value,
};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// `tests/pages.rs` compares these with the pages.
#[test]
fn the_code_of_the_pages_runs() {
    page::one_process().expect("one process");
    page::from_a_file().expect("from a file");
    page::own_parser().expect("own parser");
    page::reset().expect("reset");
}

/// What users copy: complete, with its imports.
#[allow(
    unused_qualifications,
    reason = "users need not depend on wasmparser themselves"
)]
mod page {
    pub(super) fn one_process() -> Result<(), Box<dyn core::error::Error>> {
        // ANCHOR: one_process
        use wasm_meminit::{MemorySlot, Module, Policy, SlotConfig, Value};

        let wasm = std::fs::read("tests/modules/tour.wasm")?;
        let module = wasm_meminit::prepare(&Module::parse(&wasm)?, &Policy::default())?;
        let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
        for base in [0x3000, 0x4000] {
            module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(base)))?;
            slot.as_mut_slice().fill(1); // what the program does
            slot.reset()?;
        }
        // ANCHOR_END: one_process
        Ok(())
    }

    pub(super) fn from_a_file() -> Result<(), Box<dyn core::error::Error>> {
        // ANCHOR: from_a_file
        use wasm_meminit::{Host, MemorySlot, Module, Policy, SlotConfig, Value};

        // Ahead of time:
        let wasm = std::fs::read("tests/modules/tour.wasm")?;
        let artifact = wasm_meminit::build(&Module::parse(&wasm)?, &Policy::default())?;
        let file = std::env::temp_dir().join(format!("{}.meminit", std::process::id()));
        std::fs::write(&file, artifact)?;

        // Later, in a program that needs no wasm parser:
        let module = wasm_meminit::load(&std::fs::read(&file)?, &Host::new())?;
        let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
        module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(0x3000)))?;
        slot.as_mut_slice().fill(1); // what the program does
        slot.reset()?;
        // ANCHOR_END: from_a_file
        std::fs::remove_file(&file)?;
        Ok(())
    }

    pub(super) fn own_parser() -> Result<(), Box<dyn core::error::Error>> {
        // ANCHOR: own_parser
        use wasm_meminit::{MemorySlot, ModuleBuilder, Policy, SlotConfig, Value};

        let wasm = std::fs::read("tests/modules/tour.wasm")?;
        let mut builder = ModuleBuilder::new();
        for payload in wasm_meminit::analysis::wasmparser::Parser::new(0).parse_all(&wasm) {
            builder.payload(&payload?)?; // in the engine's own loop
        }
        let module = wasm_meminit::prepare(&builder.finish()?, &Policy::default())?;
        let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
        module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(0x3000)))?;
        // The program runs in the slot's memory.
        slot.reset()?;
        // ANCHOR_END: own_parser
        Ok(())
    }

    pub(super) fn reset() -> Result<(), Box<dyn core::error::Error>> {
        use wasm_meminit::{Module, Policy};

        let wasm = std::fs::read("tests/modules/hello.wasm")?;
        let module = wasm_meminit::prepare(&Module::parse(&wasm)?, &Policy::default())?;
        // ANCHOR: reset
        use core::num::NonZeroUsize;
        use wasm_meminit::SlotConfig;
        use wasm_meminit::apply::{PoolConfig, SlotPool};

        const MAX_SLOTS: NonZeroUsize = NonZeroUsize::new(100).unwrap();
        let slot = SlotConfig::new(64 << 20).with_keep_resident(1 << 20);
        let config = PoolConfig::new(slot, MAX_SLOTS).with_max_resident(64 << 20);
        let pool = SlotPool::new(config);
        let memory = &module.memories()[0];
        for _ in 0..3 {
            let mut slot = pool.acquire(memory.image(), memory.min_bytes())?;
            slot.as_mut_slice()[..4096].fill(1); // what the program does
        } // the slot is reset when it is dropped
        let stats = pool.stats();
        println!(
            "{} slots, {} bytes resident",
            stats.n_slots, stats.resident_bytes
        );
        // ANCHOR_END: reset
        assert_eq!(stats.n_slots, 1);
        Ok(())
    }
}

fn read(name: &str) -> Vec<u8> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules");
    fs::read(modules.join(name)).expect("a module")
}

/// Prepares a module on each road. `host` confirms what the policy states, if anything.
fn prepared(wasm: &[u8], policy: &Policy, host: Option<&Host>) -> Result<[PreparedModule; 3]> {
    let prepare = |module: &Module<'_>| match host {
        None => wasm_meminit::prepare(module, policy),
        Some(host) => wasm_meminit::load(&wasm_meminit::build(module, policy)?, host),
    };
    let one_process = prepare(&Module::parse(wasm)?)?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("artifact");
    fs::write(&file, wasm_meminit::build(&Module::parse(wasm)?, policy)?)?;
    let nothing_stated = Host::new();
    let from_a_file = wasm_meminit::load(&fs::read(&file)?, host.unwrap_or(&nothing_stated))?;

    let mut builder = ModuleBuilder::new();
    for payload in Parser::new(0).parse_all(wasm) {
        builder.payload(&payload?)?;
    }
    let own_parser = prepare(&builder.finish()?)?;
    Ok([one_process, from_a_file, own_parser])
}

/// Returns the memories after replaying all active segments.
fn replayed(wasm: &[u8], base: i32) -> Vec<Vec<u8>> {
    let module = Module::parse(wasm).expect("valid");
    let sizes = module.memories().values().map(|it| it.ty.min_bytes());
    let sizes = sizes.map(|it| usize::try_from(it.expect("small")).expect("small"));
    let mut memories: Vec<Vec<u8>> = sizes.map(|len| vec![0; len]).collect();
    for segment in module.active_segments() {
        let index_type = module.memories()[segment.memory_index].ty.index_type;
        let at = segment.offset.eval(index_type, &|_| Some(Value::I32(base)));
        let at = usize::try_from(at.expect("known")).expect("small");
        memories[segment.memory_index.as_u32() as usize][at..at + segment.data.len()]
            .copy_from_slice(&segment.data);
    }
    memories
}

/// Starts several instances in the same slots and compares each memory with `expected`.
#[track_caller]
fn check(module: &PreparedModule, expected: impl Fn(i32) -> Vec<Vec<u8>>) {
    let new = |_: &_| MemorySlot::new(&SlotConfig::new(64 << 20)).expect("room");
    let mut slots: Vec<MemorySlot> = module.memories().iter().map(new).collect();
    for base in [0x3000, 0x20_0003, 0x3000] {
        let mut memories: Vec<_> = slots.iter_mut().map(Into::into).collect();
        let started = module.instantiate(&mut memories, &|_| Some(Value::I32(base)));
        started.expect("started");
        for (nth, (slot, expected)) in slots.iter().zip(expected(base)).enumerate() {
            let found = slot.as_slice();
            assert_eq!(found.len(), expected.len(), "memory {nth}");
            if found != expected {
                let wrong = (0..found.len()).find(|&at| found[at] != expected[at]);
                panic!("first wrong address of memory {nth}: {wrong:?}");
            }
        }
        for slot in &mut slots {
            slot.as_mut_slice().fill(0xa5);
            slot.reset().expect("reset");
        }
    }
}

#[test]
fn a_hybrid_module() {
    let wasm = read("tour.wasm");
    for module in prepared(&wasm, &Policy::default(), None).expect("prepared") {
        assert_eq!(module.n_replayed(), 1);
        assert!(module.memories()[0].image().is_some());
        check(&module, |base| replayed(&wasm, base));
    }
}

#[test]
fn two_memories() {
    let wasm = wat::parse_str(
        r#"(module
            (import "env" "base" (global $base i32))
            (memory $a 33) (memory $b 33)
            (data (memory $b) (i32.const 0x1ffe) "baked in b")
            (data (memory $a) (i32.const 0x10000) "baked in a")
            (data (memory $b) (global.get $base) "replayed in b")
            (data (memory $a) (i32.const 0x10003) "after it"))"#,
    )
    .expect("valid");
    for module in prepared(&wasm, &Policy::default(), None).expect("prepared") {
        assert_eq!(module.n_replayed(), 2);
        assert!(module.memories().iter().all(|it| it.image().is_some()));
        check(&module, |base| replayed(&wasm, base));
    }
}

/// The memory is imported, and the image holds what the start function would copy: the host
/// must confirm both.
#[test]
fn a_threaded_module() {
    let wasm = read("threads.wasm");
    let treatment = StartFunction::AlreadyInitializedTls;
    let policy = Policy::default().with_zeroed_imports(true);
    let policy = policy.with_start_function(treatment);
    let host = Host::new()
        .with_fresh_memory("env", "memory", 2 << 16)
        .with_start_function(treatment);
    assert!(prepared(&wasm, &policy, None).is_err());

    let mut expected = vec![0; 2 << 16];
    let mut write = |at: usize, data: &[u8]| expected[at..at + data.len()].copy_from_slice(data);
    write(0x200, b"read-only data of all threads");
    write(0x300, b"thread\0\0");
    write(0x30c, &[2]);
    write(0x10000, &[1, 0, 0, 0, 0, 0, 0, 0, 2]);
    for module in prepared(&wasm, &policy, Some(&host)).expect("prepared") {
        assert_eq!(module.n_replayed(), 0);
        assert!(module.start().is_some_and(|it| it.is_done));
        check(&module, |_| vec![expected.clone()]);
    }
}

#[test]
fn errors_name_the_step() {
    use wasm_meminit::Error as Step;
    let wasm = read("threads.wasm");
    let module = Module::parse(&wasm).expect("valid");
    let policy = Policy::default()
        .with_zeroed_imports(true)
        .with_start_function(StartFunction::AlreadyInitializedTls);
    let refused = wasm_meminit::prepare(&module, &policy);
    assert!(matches!(refused, Err(Step::Prepare(_))));
    let damaged = wasm_meminit::load(b"\0asm", &Host::new());
    assert!(matches!(damaged, Err(Step::Decode(_))));
}
