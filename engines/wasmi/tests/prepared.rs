//! Instances of prepared modules have the memories that the specification requires.

use wasm_meminit_wasmi::{MemoryImports, Options, PrepareError, Prepared};

use wasmi::{
    Caller, Config, Engine, Extern, Global, Instance, Linker, Memory, MemoryType, Module,
    Mutability, Store, Table, TrapCode, Val,
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
fn every_instance_starts_with_fewer_segments() {
    let engine = engine();
    let prepared = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (data (i32.const 65530) "abd")
             (data (i32.const 65532) "c") (data (i32.const 7) "x"))"#,
    );
    let (before, after) = (prepared.data_before(), prepared.data_after());
    assert_eq!((before.segments, after.segments), (3, 2));
    let linker = Linker::new(&engine);
    for _ in 0..3 {
        let mut store = Store::new(&engine, ());
        let instance = prepared.instantiate(&mut store, &linker);
        let instance = instance.expect("an instance");
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
fn segments_that_are_not_known_are_written_in_their_order() {
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

/// Host functions find the memory, with the module's data, while the start function runs.
#[test]
fn a_provided_memory_is_an_export() {
    let engine = engine();
    let wat = r#"(module
        (import "host" "look" (func $look)) (import "host" "m" (memory 1))
        (data (i32.const 5) "se") (data (i32.const 7) "en")
        (func $start (call $look)) (start $start))"#;
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("prepared");
    assert_eq!(prepared.data_after().segments, 1);
    let mut linker: Linker<Vec<u8>> = Linker::new(&engine);
    let look = |mut caller: Caller<'_, Vec<u8>>| {
        let memory = caller.get_export("m").and_then(Extern::into_memory);
        let seen = memory.expect("exported").data(&caller)[5..9].to_vec();
        *caller.data_mut() = seen;
    };
    linker.func_wrap("host", "look", look).expect("defined");
    for _ in 0..2 {
        let mut store = Store::new(&engine, Vec::new());
        prepared.instantiate(&mut store, &linker).expect("ours");
        assert_eq!(store.data(), b"seen");
    }
}

#[test]
fn a_memory_imported_twice_is_not_provided() {
    let twice = r#"(module (import "a" "m" (memory 1)) (import "a" "m" (memory 1)))"#;
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let err = Prepared::new(&engine(), &wasm(twice), &options).expect_err("the same");
    assert!(matches!(err, PrepareError::Rewrite(_)), "{err}");
    assert_eq!(
        err.to_string(),
        "memory 1 is imported under the name of another one"
    );
}

/// The memory can still be observed through the imported table, and must have no data.
#[test]
fn an_element_segment_that_traps_leaves_no_data() {
    let engine = engine();
    let wat = r#"(module
        (import "host" "table" (table 2 funcref)) (import "host" "m" (memory 1))
        (data (i32.const 5) "x") (data (i32.const 6) "y") (func $f)
        (elem (i32.const 0) func $f) (elem (i32.const 2) func $f))"#;
    let prepared = prepare(&engine, wat);
    assert_eq!(prepared.data_after().segments, 1);
    let mut store = Store::new(&engine, ());
    let null = wasmi::Ref::null(wasmi::RefType::Func);
    let ty = wasmi::TableType::new(wasmi::RefType::Func, 2, None);
    let table = Table::new(&mut store, ty, null).expect("a table");
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("a memory");
    let mut linker = Linker::new(&engine);
    linker.define("host", "table", table).expect("defined");
    linker.define("host", "m", memory).expect("defined");
    let err = prepared
        .instantiate(&mut store, &linker)
        .expect_err("out of bounds");
    assert!(
        err.to_string().contains("out of bounds table access"),
        "{err}"
    );
    assert!(memory.data(&store).iter().all(|byte| *byte == 0));
}

/// The second segment traps after the first one was written, and the third one is not.
#[test]
fn a_data_segment_that_traps_leaves_those_before_it() {
    let engine = engine();
    let wat = r#"(module (import "host" "m" (memory 1)) (data (i32.const 2) "a")
        (data (i32.const 65535) "xy") (data (i32.const 1) "b"))"#;
    let mut store = Store::new(&engine, ());
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("a memory");
    let mut linker = Linker::new(&engine);
    linker.define("host", "m", memory).expect("defined");
    let err = prepare(&engine, wat).instantiate(&mut store, &linker);
    err.expect_err("out of bounds");
    let bytes = memory.data(&store);
    assert_eq!((&bytes[..3], bytes[65535]), (&b"\0\0a"[..], 0));
}

#[test]
fn a_data_segment_that_traps_is_wasmis_error() {
    let engine = engine();
    let wat = r#"(module (memory 1) (data (i32.const 65535) "xy"))"#;
    let mut store = Store::new(&engine, ());
    let err = prepare(&engine, wat).instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("out of bounds");
    assert_eq!(
        err.as_trap_code(),
        Some(TrapCode::MemoryOutOfBounds),
        "{err}"
    );
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
