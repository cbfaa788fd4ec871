//! Instances of prepared modules have the memories that the specification requires.

use wasm_meminit_wasmi::analysis::MemoryIndex;
use wasm_meminit_wasmi::{InstantiateError, MemoryImports, Options, PrepareError, Prepared};

use wasmi::{
    AsContextMut, Caller, Config, Engine, Error, Extern, Global, Instance, Linker, Memory,
    MemoryType, Module, Mutability, Store, StoreLimits, StoreLimitsBuilder, Table, TrapCode, Val,
};

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("a module")
}

fn engine() -> Engine {
    Engine::new(Config::default().wasm_custom_page_sizes(true))
}

fn prepare(engine: &Engine, wat: &str) -> Prepared {
    Prepared::new(engine, &wasm(wat), &Options::new()).expect("prepared")
}

/// Returns the bytes of exported memories, after asserting that wasmi by itself has the same.
fn memories(engine: &Engine, wat: &str, names: &[&str]) -> Vec<Vec<u8>> {
    let (prepared, mut linker) = (prepare(engine, wat), Linker::new(engine));
    linker.allow_shadowing(true);
    let module = Module::new(engine, wasm(wat)).expect("a module");
    let [ours, theirs] = [true, false].map(|is_ours| {
        let mut store = Store::new(engine, ());
        let two = Global::new(&mut store, Val::I32(2), Mutability::Const);
        linker.define("host", "two", two).expect("defined");
        let instance = match is_ours {
            true => prepared.instantiate(&mut store, &linker).expect("ours"),
            false => linker
                .instantiate_and_start(&mut store, &module)
                .expect("wasmi's"),
        };
        let bytes = |name: &&str| {
            let memory = instance.get_memory(&store, name).expect("exported");
            memory.data(&store).to_vec()
        };
        names.iter().map(bytes).collect::<Vec<_>>()
    });
    assert!(ours == theirs, "{wat}");
    ours
}

#[test]
fn every_instance_starts_from_the_image() {
    let engine = engine();
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 65530) "abc") (data (i32.const 7) "x"))"#,
    );
    assert!(0 < prepared.image_bytes());
    let mut ready = prepared
        .instantiate_pre(&Linker::new(&engine))
        .expect("linked");
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = ready.instantiate(&mut store).expect("an instance");
        let memory = instance.get_memory(&store, "m").expect("exported");
        let bytes = memory.data_mut(&mut store);
        assert_eq!((&bytes[65530..65533], bytes[7]), (&b"abc"[..], b'x'));
        bytes.fill(0xff);
    }
}

#[test]
fn several_memories_of_all_types() {
    let engine = engine();
    let all = memories(
        &engine,
        r#"(module
             (memory (export "a") 2 5) (memory (export "b") i64 1)
             (memory (export "c") 9 (pagesize 1)) (memory (export "d") 0)
             (data (memory 0) (i32.const 65536) "zero") (data (memory 1) (i64.const 3) "one")
             (data (memory 2) (i32.const 6) "two"))"#,
        &["a", "b", "c", "d"],
    );
    assert_eq!(
        all.iter().map(Vec::len).collect::<Vec<_>>(),
        [131_072, 65536, 9, 0]
    );
}

#[test]
fn segments_that_are_not_known_are_written_over_the_image() {
    let engine = engine();
    let all = memories(
        &engine,
        r#"(module
             (import "host" "two" (global $g i32)) (memory (export "m") 1)
             (data (i32.const 0) "abcdef") (data (global.get $g) "XY") (data "passive")
             (func $start (memory.init 2 (i32.const 20) (i32.const 0) (i32.const 7)))
             (start $start))"#,
        &["m"],
    );
    assert_eq!(&all[0][..6], b"abXYef");
    assert_eq!(&all[0][20..27], b"passive");
}

#[test]
fn a_memory_grows_up_to_its_own_maximum() {
    let engine = engine();
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1 3) (data (i32.const 5) "x")
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let instance = prepared.instantiate(&mut store, &linker).expect("ours");
    let grow = instance
        .get_typed_func::<i32, i32>(&store, "grow")
        .expect("exported");
    let grown = [1, 2, 1].map(|n| grow.call(&mut store, n).expect("no trap"));
    assert_eq!(grown, [1, -1, 2]);
}

/// The module imports functions of the name that its memory would get.
#[test]
fn a_name_that_is_taken_is_avoided() {
    let engine = engine();
    let wat = r#"(module (import "meminit" "0" (func $f (result i32)))
                   (memory (export "m") 1) (data (i32.const 5) "x")
                   (func (export "run") (result i32) (call $f)))"#;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("meminit", "0", || 17).expect("defined");
    let mut store = Store::new(&engine, ());
    let instance = prepare(&engine, wat).instantiate(&mut store, &linker);
    let run = instance
        .expect("ours")
        .get_typed_func::<(), i32>(&store, "run");
    assert_eq!(
        run.expect("exported")
            .call(&mut store, ())
            .expect("no trap"),
        17
    );
}

const IMPORTING: &str = r#"(module
    (import "host" "memory" (memory 1)) (memory (export "own") 1)
    (export "imported" (memory 0))
    (data (memory 0) (i32.const 4) "shared") (data (memory 1) (i32.const 4) "own"))"#;

fn bytes<'a>(store: &'a Store<()>, instance: &Instance, name: &str) -> &'a [u8] {
    let memory = instance.get_memory(store, name).expect("exported");
    &memory.data(store)[..12]
}

#[test]
fn an_imported_memory_comes_from_the_linker() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("a memory");
    memory.data_mut(&mut store)[..12].fill(b'.');
    let mut linker = Linker::new(&engine);
    linker.define("host", "memory", memory).expect("defined");
    let instance = prepare(&engine, IMPORTING).instantiate(&mut store, &linker);
    let instance = instance.expect("ours");
    assert_eq!(bytes(&store, &instance, "imported"), b"....shared..");
    assert_eq!(bytes(&store, &instance, "own"), b"\0\0\0\0own\0\0\0\0\0");
    assert_eq!(&memory.data(&store)[4..10], b"shared");

    let err = prepare(&engine, IMPORTING).instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("nothing is defined");
    assert!(err.to_string().contains("host"), "{err}");
}

#[test]
fn an_imported_memory_is_provided() {
    let engine = engine();
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let prepared = Prepared::new(&engine, &wasm(IMPORTING), &options).expect("prepared");
    let linker = Linker::new(&engine);
    for _ in 0..2 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker).expect("ours");
        assert_eq!(bytes(&store, &instance, "imported"), b"\0\0\0\0shared\0\0");
        let memory = instance.get_memory(&store, "imported").expect("exported");
        memory.data_mut(&mut store)[..12].fill(b'.');
    }
}

/// The start function calls the host, which reads a memory that is not exported.
#[test]
fn host_functions_know_the_memories() {
    let engine = engine();
    let wat = r#"(module
        (import "host" "look" (func $look)) (memory 1) (data (i32.const 5) "seen")
        (start $look))"#;
    let prepared = prepare(&engine, wat);
    let mut linker: Linker<(Option<Memory>, Vec<u8>)> = Linker::new(&engine);
    linker
        .func_wrap(
            "host",
            "look",
            |mut caller: Caller<'_, (Option<Memory>, Vec<u8>)>| {
                let memory = caller.data().0.expect("provided");
                let seen = memory.data(&caller)[5..9].to_vec();
                caller.data_mut().1 = seen;
            },
        )
        .expect("defined");
    let mut ready = prepared.instantiate_pre(&linker).expect("linked").clone();
    for _ in 0..2 {
        let mut store = Store::new(&engine, (None, Vec::new()));
        let memories = prepared.provide_memories(&mut store).expect("created");
        store.data_mut().0 = memories.get(MemoryIndex::from_u32(0));
        assert!(memories.get(MemoryIndex::from_u32(1)).is_none());
        ready.instantiate_with(&mut store, &memories).expect("ours");
        assert_eq!(store.data().1, b"seen");
    }
}

#[test]
fn a_memory_imported_twice_is_not_provided() {
    let twice = r#"(module (import "a" "m" (memory 1)) (import "a" "m" (memory 1)))"#;
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let err = Prepared::new(&engine(), &wasm(twice), &options).expect_err("the same");
    assert!(matches!(err, PrepareError::DuplicateImport { .. }), "{err}");
    assert_eq!(err.to_string(), "memory `a` `m` is imported twice");
}

/// Functions of the failed instance are in the table; wasmi 2.0.0 panics if they are called, so
/// this observes what was prepared.
#[test]
fn a_module_whose_element_segments_may_trap_has_no_images() {
    let engine = engine();
    let wat = r#"(module
        (import "host" "table" (table 2 funcref)) (memory 1) (data (i32.const 5) "x")
        (func $peek (result i32) (i32.load8_u (i32.const 5)))
        (elem (i32.const 0) func $peek) (elem (i32.const 2) func $peek))"#;
    let prepared = prepare(&engine, wat);
    assert_eq!(prepared.image_bytes(), 0);
    let mut store = Store::new(&engine, ());
    let null = wasmi::Ref::null(wasmi::RefType::Func);
    let ty = wasmi::TableType::new(wasmi::RefType::Func, 2, None);
    let table = Table::new(&mut store, ty, null).expect("a table");
    let mut linker = Linker::new(&engine);
    linker.define("host", "table", table).expect("defined");
    let err = prepared
        .instantiate(&mut store, &linker)
        .expect_err("out of bounds");
    assert!(
        err.to_string().contains("out of bounds table access"),
        "{err}"
    );
}

#[test]
fn a_data_segment_that_traps_is_wasmis_error() {
    let engine = engine();
    let wat = r#"(module (memory 1) (data (i32.const 65535) "xy"))"#;
    let mut store = Store::new(&engine, ());
    let err = prepare(&engine, wat).instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("out of bounds");
    let code = err.as_wasmi().and_then(Error::as_trap_code);
    assert_eq!(code, Some(TrapCode::MemoryOutOfBounds), "{err}");
}

#[test]
fn a_limit_of_the_store_is_an_error_that_names_the_memory() {
    let engine = engine();
    let wat = r#"(module (memory 1) (memory 3) (data (memory 1) (i32.const 5) "x"))"#;
    let limits = StoreLimitsBuilder::new().memory_size(2 << 16).build();
    let mut store: Store<StoreLimits> = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let err = prepare(&engine, wat).instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("too large");
    assert!(
        err.to_string().starts_with("cannot create memory 1: "),
        "{err}"
    );
}

#[test]
fn engines_are_not_mixed() {
    let (engine, other) = (engine(), engine());
    let prepared = prepare(&engine, "(module (memory 1))");
    let err = prepared
        .instantiate_pre(&Linker::<()>::new(&other))
        .expect_err("the linker's");
    assert!(matches!(err, InstantiateError::OtherEngine), "{err}");
    let mut ready = prepared
        .instantiate_pre(&Linker::new(&engine))
        .expect("the same");
    let mut store = Store::new(&other, ());
    let err = ready
        .instantiate(store.as_context_mut())
        .expect_err("the store's");
    assert!(matches!(err, InstantiateError::OtherEngine), "{err}");
}

#[test]
fn a_module_without_memories_and_a_malformed_one() {
    let engine = engine();
    let prepared = prepare(&engine, r#"(module (func (export "f")))"#);
    let mut store = Store::new(&engine, ());
    let instance = prepared
        .instantiate(&mut store, &Linker::new(&engine))
        .expect("ours");
    assert!(matches!(
        instance.get_export(&store, "f"),
        Some(Extern::Func(_))
    ));
    let err = Prepared::new(&engine, b"\0asm\x01\0\0\0\x05", &Options::new());
    assert!(matches!(err, Err(PrepareError::Parse(_))), "{err:?}");
}
