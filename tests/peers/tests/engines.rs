//! Tests what `docs/engines/` says about engines, so that an outdated page fails here.

use anyhow::Result;
use wasm_meminit_peers::{ENGINES, Engine, Prepared};

/// Returns a module with one data segment at `address`, in a memory of `pages` wasm pages.
fn module(address: u32, pages: u64) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(wasm_encoder::MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = wasm_encoder::ExportSection::new();
    exports.export("memory", wasm_encoder::ExportKind::Memory, 0);
    exports.export("grow", wasm_encoder::ExportKind::Func, 0);
    let mut types = wasm_encoder::TypeSection::new();
    let i32 = wasm_encoder::ValType::I32;
    types.ty().function([i32], [i32]);
    let mut functions = wasm_encoder::FunctionSection::new();
    functions.function(0);
    let mut grow = wasm_encoder::Function::new([]);
    grow.instructions().local_get(0).memory_grow(0).end();
    let mut code = wasm_encoder::CodeSection::new();
    code.function(&grow);
    let mut data = wasm_encoder::DataSection::new();
    let offset = wasm_encoder::ConstExpr::i32_const(address.cast_signed());
    data.active(0, &offset, *b"here");
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}

fn engine(name: &str) -> &'static dyn Engine {
    let found = ENGINES.iter().find(|it| it.name().starts_with(name));
    *found.expect("an engine with that name")
}

/// Reads the data of [`module`].
fn read(engine: &dyn Engine, program: &Prepared, address: u32) -> Result<Vec<u8>> {
    let mut compiled = engine.ours(program)?;
    let mut guest = compiled.start()?;
    guest.memory().read_vec(address, 4)
}

#[test]
fn all_engines_start_small_modules_and_grow() -> Result<()> {
    let program = Prepared::new(&module(70_000, 2))?;
    for engine in ENGINES {
        assert_eq!(read(*engine, &program, 70_000)?, b"here");
        let mut compiled = engine.ours(&program)?;
        let mut guest = compiled.start()?;
        assert_eq!(guest.run("grow", &[3])?, 2, "{}", engine.name());
        let mut expected = program.initial_contents()?;
        expected.resize(5 << 16, 0);
        assert!(guest.all_bytes()? == expected, "{}", engine.name());
        guest.memory().write((5 << 16) - 1, &[1])?;
        // More pages than the address space has.
        assert_eq!(guest.run("grow", &[65_532])?, u32::MAX, "{}", engine.name());
        assert_eq!(guest.memory_bytes(), 5 << 16);
    }
    Ok(())
}

/// The type allows no more than the buffer holds: wasmi ends the process if a memory outgrows
/// its buffer.
#[test]
fn wasmi_grows_within_its_buffer_only() -> Result<()> {
    let program = Prepared::new(&module(0, 1))?;
    let grow = |engine: &dyn Engine, pages| engine.ours(&program)?.start()?.run("grow", &[pages]);
    assert_eq!(grow(engine("wasmi, our buffer"), 4095)?, 1);
    assert_eq!(grow(engine("wasmi, our buffer"), 4096)?, u32::MAX);
    assert_eq!(grow(engine("wasmi, its memory"), 4096)?, 1);
    Ok(())
}

/// In wasmer itself the segment is out of bounds, since it treats the address as negative.
#[test]
fn wasmer_reaches_the_upper_half_only_by_an_image() -> Result<()> {
    const ADDRESS: u32 = 0x8000_0000;
    let wasm = module(ADDRESS, 0x8001);
    let wasmer = engine("wasmer");
    assert!(wasmer.untouched(&wasm)?.start().is_err());
    let program = Prepared::new(&wasm)?;
    assert_eq!(read(wasmer, &program, ADDRESS)?, b"here");
    assert_eq!(read(engine("wasmtime"), &program, ADDRESS)?, b"here");
    Ok(())
}
