//! Tests what the reference engine actually does: the limits of its rule, and which modules it
//! makes an image of, as observed with a default `wasmtime::Config` and the memory files that
//! it opens. If `Policy::reference` or `docs/static-share.md` is out of date, this fails.
#![cfg(target_os = "linux")]

extern crate alloc;

use alloc::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{ConstExpr, DataSection, MemorySection, MemoryType};
use wasm_meminit_analysis::{
    GlobalIndex, HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction, Value,
};
use wasm_meminit_apply::MemoryImage;
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_peers::{core_module, corpus};
use wasmtime::Engine;

const PAGE: HostPageSize = HostPageSize::KIB_4;
const MIB: u64 = 1 << 20;

/// The base address of side modules: a dynamic linker puts them after a main program this large.
const BASE: i32 = 5 << 20;

/// Serialises tests that count the memory files of the process.
static FILES: Mutex<()> = Mutex::new(());

/// The size of an image that the engine made, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    /// The length of its file.
    len: u64,
    /// How much of the machine's memory the file uses.
    resident: u64,
}

/// Returns the descriptors of images that the engine has open.
fn images() -> Result<BTreeSet<String>> {
    let mut open = BTreeSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        // The directory's own descriptor is already closed.
        let target = fs::read_link(&path).unwrap_or_default();
        if target.to_string_lossy().contains("wasm-memory-image") {
            open.insert(path.display().to_string());
        }
    }
    Ok(open)
}

/// Returns the images that the engine makes of a module with default settings.
fn of_engine(engine: &Engine, wasm: &[u8]) -> Result<Vec<Image>> {
    let before = images()?;
    let module = wasmtime::Module::new(engine, wasm)?;
    module.initialize_copy_on_write_image()?;
    let mut made = Vec::new();
    for path in images()?.difference(&before) {
        let file = fs::metadata(path)?;
        let (len, resident) = (file.len(), 512 * file.blocks());
        made.push(Image { len, resident });
    }
    Ok(made)
}

/// Returns a module with data at these addresses: address, length.
fn module(segments: &[(u64, usize)]) -> Vec<u8> {
    let end = segments.iter().map(|(at, len)| at + *len as u64).max();
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: end.unwrap_or(0).div_ceil(1 << 16),
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    for &(at, len) in segments {
        let at = u32::try_from(at).expect("a memory of 32 bits");
        let offset = ConstExpr::i32_const(at.cast_signed());
        data.active(0, &offset, vec![1; len]);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&memories).section(&data);
    module.finish()
}

/// Whether our version of the reference's rule makes an image of all data.
fn by_rule(wasm: &[u8]) -> Result<bool> {
    let module = Module::parse(wasm)?;
    let plan = Plan::new(&module, &Policy::reference(PAGE));
    Ok(plan.replay().is_empty() && plan.memories().values().any(|it| it.extent().is_some()))
}

#[test]
fn its_limits_match_the_library() -> Result<()> {
    let engine = Engine::new(&wasmtime::Config::new())?;
    assert!(engine.get_memory_init_cow());
    let limit = engine.get_memory_guaranteed_dense_image_size();
    assert_eq!(
        Policy::reference(PAGE),
        Policy::single_run(PAGE, limit),
        "wasmtime's limit is {limit} bytes"
    );
    Ok(())
}

#[test]
fn it_maps_according_to_the_rule() -> Result<()> {
    let _files = FILES.lock().expect("no panic");
    let engine = Engine::new(&wasmtime::Config::new())?;
    let limit = engine.get_memory_guaranteed_dense_image_size();
    let half = usize::try_from(limit / 2)?;
    let mut seen = [0; 2];
    for segments in [
        &[(0, 1), (limit - 2, 1)][..],
        &[(0, 1), (limit - 1, 1)],
        &[(0, 1), (limit, 1)],
        // Only the span counts, not where it begins.
        &[(3 * MIB, 1), (3 * MIB + limit - 2, 1)],
        &[(3 * MIB, 1), (3 * MIB + limit, 1)],
        // Above the limit, half of the span must be data.
        &[(0, half + 1), (limit, 1)],
        &[(0, half - 1), (limit, 1)],
        &[(0, half / 2), (2 * limit, half)],
        &[(0, half), (2 * limit - 1, half)],
        &[],
    ] {
        let wasm = module(segments);
        let made = of_engine(&engine, &wasm)?;
        assert_eq!(!made.is_empty(), by_rule(&wasm)?, "{segments:?}: {made:?}");
        seen[usize::from(made.is_empty())] += 1;
    }
    assert!(3 <= seen[0] && 3 <= seen[1], "{seen:?}");
    Ok(())
}

/// Builds an image with all data of a real module, with what a dynamic linker and an embedder know.
fn built_with_options(wasm: &[u8]) -> Result<ModuleImage<'_>> {
    let mut module = Module::parse(wasm)?;
    for nth in 0..u32::try_from(module.global_imports().len())? {
        let with_value = module
            .clone()
            .with_global(GlobalIndex::from_u32(nth), Value::I32(BASE));
        module = with_value.unwrap_or(module);
    }
    let memories = module.memories().clone();
    for (index, memory) in memories.iter().filter(|(_, it)| it.import.is_some()) {
        let least = memory.ty.min_bytes().context("2^64 bytes")?;
        module = module.with_memory_size(index, least.max(64 * MIB))?;
    }
    let policy = Policy::balanced(PAGE)
        .with_zeroed_imports(true)
        .with_start_function(StartFunction::WritesStripped);
    let plan = Plan::new(&module, &policy);
    ensure!(plan.replay().is_empty(), "{:?}", plan.reasons());
    Ok(ModuleImage::build(&module, &plan)?)
}

/// Returns the same module with empty functions: the images are the same, and compiling it does
/// not take minutes.
fn without_code(wasm: &[u8]) -> Result<Vec<u8>> {
    struct Empty;
    impl Reencode for Empty {
        type Error = core::convert::Infallible;

        fn parse_function_body(
            &mut self,
            code: &mut wasm_encoder::CodeSection,
            _body: wasmparser::FunctionBody<'_>,
        ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
            let mut function = wasm_encoder::Function::new([]);
            function.instructions().unreachable().end();
            code.function(&function);
            Ok(())
        }
    }
    let mut module = wasm_encoder::Module::new();
    Empty.parse_core_module(&mut module, wasmparser::Parser::new(0), wasm)?;
    Ok(module.finish())
}

/// The modules of `docs/static-share.md`, and whether the reference has an image of them.
const MODULES: [(&str, bool); 12] = [
    ("astro.wasm", true),
    ("js-hello.wasm", true),
    ("oniguruma.wasm", true),
    ("oxc-parser.wasm", false),
    ("pydantic-core.wasm", false),
    ("sh-syntax.wasm", true),
    ("sqlite-official.wasm", false),
    ("sqljs.wasm", true),
    ("tfjs-threaded.wasm", false),
    ("web-tree-sitter.wasm", false),
    ("wllama.wasm", false),
    ("zig_fmt.wasm", true),
];

/// Prints the second table of `docs/static-share.md`: the sizes of images.
#[test]
fn images_of_real_modules() -> Result<()> {
    let _files = FILES.lock().expect("no panic");
    let mut config = wasmtime::Config::new();
    config.wasm_threads(true);
    let engine = Engine::new(&config)?;
    let corpus = corpus();
    let mut n_found = 0;
    println!("| module | wasmtime: image, resident bytes | ours: image, resident bytes |");
    println!("|---|--:|--:|");
    for (file, is_static) in MODULES {
        let Some(wasm) = corpus.module(file)? else {
            eprintln!("skipped: {file} has not been fetched");
            continue;
        };
        n_found += 1;
        let module = core_module(&wasm).context(file)?;
        let wasm = module.binary().context("parsed from bytes")?;
        let made = of_engine(&engine, &without_code(wasm)?).context(file)?;
        ensure!(made.len() <= 1, "{file}: {made:?}");
        assert_eq!(made.len() == 1, is_static, "{file}: {made:?}");
        assert_eq!(by_rule(wasm)?, is_static, "{file}");

        let built = built_with_options(wasm).context(file)?;
        let image = built.image(MemoryIndex::from_u32(0)).context("no image")?;
        let mapped = MemoryImage::new(image)?;
        let ours = Image {
            len: u64::try_from(image.bytes().len())?,
            resident: mapped.own_bytes(),
        };
        let theirs = made.first().map_or_else(
            || "none".to_owned(),
            |it| format!("{}, {}", it.len, it.resident),
        );
        println!("| {file} | {theirs} | {}, {} |", ours.len, ours.resident);
        if let Some(theirs) = made.first() {
            assert!(ours.len <= theirs.len, "{file}: {ours:?}, {theirs:?}");
            assert!(
                ours.resident <= theirs.resident,
                "{file}: {ours:?}, {theirs:?}"
            );
        }
    }
    assert!(
        n_found == 0 || n_found == MODULES.len(),
        "{n_found} of 12 found"
    );

    println!(
        "| two bytes 64 MiB apart | {} |",
        both(&engine, &[(0, 1), (64 * MIB, 1)])?
    );
    println!(
        "| two bytes 3 GiB apart | {} |",
        both(&engine, &[(0, 1), (3072 * MIB, 1)])?
    );
    Ok(())
}

/// Returns the table cells for a generated module of which the engine makes no image.
fn both(engine: &Engine, segments: &[(u64, usize)]) -> Result<String> {
    let wasm = module(segments);
    assert_eq!(of_engine(engine, &wasm)?, []);
    let built = built_with_options(&wasm)?;
    let image = built.image(MemoryIndex::from_u32(0)).context("no image")?;
    let mapped = MemoryImage::new(image)?;
    Ok(format!(
        "none | {}, {}",
        image.bytes().len(),
        mapped.own_bytes()
    ))
}
