//! Which module a memory is for: instantiations within others, on one thread.

mod support;

use core::num::NonZeroUsize;
use core::panic::AssertUnwindSafe;

use wasm_meminit_wasmtime::{Engine, Memories, MemoriesConfig, MemoryError, Prepared};
use wasmtime::{
    Caller, Global, GlobalType, Instance, Linker, Module, Mutability, ResourceLimiter, Store, Trap,
    UpdateDeadline, ValType,
};

use support::{PAGE, config, contents, engine, memory, prepare, soil, wasm};

/// All have the same type, and differ in their data.
fn module(name: &str) -> String {
    format!(r#"(module (memory (export "m") 1) (data (i32.const 3) "{name}"))"#)
}

fn starting(name: &str) -> String {
    format!(
        r#"(module
             (import "" "start" (func $start))
             (memory (export "m") 1) (data (i32.const 3) "{name}") (start $start))"#
    )
}

fn check<T>(store: &mut Store<T>, instance: Instance, name: &str) {
    let memory = memory(store, instance, "m");
    assert!(
        memory.data(&*store) == contents(PAGE, &[(3, name.as_bytes())]),
        "{name}"
    );
    soil(memory.data_mut(store));
}

#[test]
fn host_functions_instantiate() {
    let engine = engine(8);
    let outer = prepare(&engine, &starting("outer"));
    let middle = prepare(&engine, &starting("middle"));
    let inner = prepare(&engine, &module("inner"));
    let plain = Module::new(&engine, wasm(&module("plain"))).expect("valid");
    let none = prepare(
        &engine,
        r#"(module (import "" "start" (func $s)) (start $s))"#,
    );

    for outer in [&outer, &none] {
        // What the start functions have instantiated.
        let mut store = Store::new(&engine, Vec::<(Instance, &str)>::new());
        let mut innermost = Linker::new(&engine);
        let modules = (inner.clone(), plain.clone());
        innermost
            .func_wrap("", "start", move |mut caller: Caller<'_, Vec<_>>| {
                let linker = Linker::new(caller.engine());
                for _ in 0..2 {
                    let instance = modules.0.instantiate(&mut caller, &linker)?;
                    caller.data_mut().push((instance, "inner"));
                    let instance = Instance::new(&mut caller, &modules.1, &[])?;
                    caller.data_mut().push((instance, "plain"));
                }
                Ok(())
            })
            .expect("new");
        let mut linker = Linker::new(&engine);
        let middle = middle.clone();
        linker
            .func_wrap("", "start", move |mut caller: Caller<'_, Vec<_>>| {
                let instance = middle.instantiate(&mut caller, &innermost)?;
                caller.data_mut().push((instance, "middle"));
                Ok(())
            })
            .expect("new");
        let instance = outer.instantiate(&mut store, &linker).expect("works");
        let made = store.data().clone();
        assert_eq!(made.len(), 5);
        for (instance, name) in made {
            check(&mut store, instance, name);
        }
        if outer.memories().len() == 1 {
            check(&mut store, instance, "outer");
        }
    }
}

/// A host function that a start function calls finds no memory for another module, and continues.
#[test]
fn a_failure_that_was_handled_is_not_the_modules() {
    let engine = engine(1);
    let outer = prepare(
        &engine,
        r#"(module
             (import "" "start" (func $start)) (memory (export "m") 1) (data (i32.const 3) "x")
             (func $run (call $start) unreachable) (start $run))"#,
    );
    let plain = Module::new(&engine, wasm(&module("plain"))).expect("valid");
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("", "start", move |mut caller: Caller<'_, ()>| {
            let err = Instance::new(&mut caller, &plain, &[]).expect_err("no room");
            assert!(format!("{err:?}").contains("in use"), "{err:?}");
        })
        .expect("new");
    let err = outer.instantiate(Store::new(&engine, ()), &linker);
    let err = err.expect_err("unreachable");
    let trap = err.downcast_ref::<Trap>();
    assert_eq!(trap, Some(&Trap::UnreachableCodeReached), "{err:?}");
}

/// A limiter that instantiates a module in a store of its own, before each memory.
struct Instantiates {
    engine: Engine,
    module: What,
    n_calls: u32,
}

enum What {
    Prepared(Prepared),
    Plain(Module),
    PlainZeroed(Module),
}

impl ResourceLimiter for Instantiates {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.n_calls += 1;
        let mut store = Store::new(&self.engine, ());
        let instance = match &self.module {
            What::Prepared(module) => module.instantiate(&mut store, &Linker::new(&self.engine))?,
            What::Plain(module) => Instance::new(&mut store, module, &[])?,
            What::PlainZeroed(module) => self
                .engine
                .memories()
                .zeroed(|| Instance::new(&mut store, module, &[]))?,
        };
        check(&mut store, instance, "limiter");
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

#[test]
fn limiters_instantiate() {
    let engine = engine(4);
    let ours = prepare(
        &engine,
        r#"(module (memory (export "m") 1) (memory 1)
             (data (i32.const 3) "ours") (data (memory 1) (i32.const 0) "second"))"#,
    );
    let text = module("limiter");
    let plain = || Module::new(&engine, wasm(&text)).expect("valid");
    let try_with = |module| -> wasmtime::Result<()> {
        let limiter = Instantiates {
            engine: engine.clone(),
            module,
            n_calls: 0,
        };
        let mut store = Store::new(&engine, limiter);
        store.limiter(|it| it);
        let instance = ours.instantiate(&mut store, &Linker::new(&engine))?;
        assert_eq!(store.data().n_calls, 2);
        check(&mut store, instance, "ours");
        Ok(())
    };
    for _ in 0..2 {
        try_with(What::Prepared(prepare(&engine, &text))).expect("told apart");
        try_with(What::PlainZeroed(plain())).expect("told apart");
    }
    // Without either, memories of another type are refused.
    let other = wasm(r#"(module (memory 2))"#);
    let other = Module::new(&engine, other).expect("valid");
    let err = try_with(What::Plain(other)).expect_err("another type");
    assert!(
        matches!(
            err.downcast_ref(),
            Some(MemoryError::OtherType { index: 0, .. })
        ),
        "{err:?}"
    );
}

/// It takes the module's memory, and the module, which runs no code, notices.
#[test]
fn a_limiter_takes_a_memory_of_the_same_type() {
    let engine = engine(4);
    let ours = prepare(&engine, &module("limiter"));
    let plain = Module::new(&engine, wasm(&module("limiter"))).expect("valid");
    let limiter = Instantiates {
        engine: engine.clone(),
        module: What::Plain(plain),
        n_calls: 0,
    };
    let mut store = Store::new(&engine, limiter);
    store.limiter(|it| it);
    let err = ours.instantiate(&mut store, &Linker::new(&engine));
    let err = err.expect_err("noticed");
    assert!(
        matches!(err.downcast_ref(), Some(MemoryError::Unexpected { .. })),
        "{err:?}"
    );
}

/// wasmtime runs code of its own to write data, also of a module without a start function, and so
/// the store's callback.
#[test]
fn an_epoch_callback_instantiates() {
    let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::new(2).expect("not 0")));
    let engine = memories.engine(config().epoch_interruption(true));
    let engine = engine.expect("a valid configuration");
    let ours = prepare(
        &engine,
        r#"(module
             (import "" "at" (global $at i32))
             (memory (export "m") 1) (data (i32.const 3) "ours") (data (global.get $at) "s"))"#,
    );
    let plain = wasm(r#"(module (memory (export "m") 1))"#);
    let plain = Module::new(&engine, plain).expect("valid");
    for is_zeroed in [false, true] {
        let mut store = Store::new(&engine, None);
        let (plain, of_callback) = (plain.clone(), engine.clone());
        store.epoch_deadline_callback(move |mut caller| {
            let mut store = Store::new(&of_callback, ());
            let mut instantiate = || Instance::new(&mut store, &plain, &[]);
            let result = match is_zeroed {
                false => instantiate(),
                true => of_callback.memories().zeroed(instantiate),
            };
            *caller.data_mut() = Some(result.map(drop).map_err(|err| err.to_string()));
            Ok(UpdateDeadline::Continue(1))
        });
        let mut linker = Linker::new(&engine);
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let at = Global::new(&mut store, ty, 7.into()).expect("an i32");
        linker.define(&store, "", "at", at).expect("new");
        let instance = ours.instantiate(&mut store, &linker).expect("works");
        match store.data().as_ref().expect("called") {
            Ok(()) => assert!(is_zeroed),
            Err(err) => assert!(!is_zeroed && err.contains("callback"), "{err}"),
        }
        check(&mut store, instance, "ourss");
    }
}

#[test]
fn two_pools_on_one_thread() {
    let [ours, other] = [engine(1), engine(2)];
    let inner = prepare(&other, &module("inner"));
    let plain = Module::new(&other, wasm(&module("plain"))).expect("valid");
    let outer = prepare(&ours, &starting("outer"));
    let mut linker = Linker::new(&ours);
    linker
        .func_wrap("", "start", move || {
            let mut store = Store::new(&other, ());
            let instance = inner.instantiate(&mut store, &Linker::new(&other))?;
            check(&mut store, instance, "inner");
            let instance = Instance::new(&mut store, &plain, &[])?;
            check(&mut store, instance, "plain");
            Ok(())
        })
        .expect("new");
    for _ in 0..2 {
        let mut store = Store::new(&ours, ());
        let instance = outer.instantiate(&mut store, &linker).expect("works");
        check(&mut store, instance, "outer");
    }
}

/// The frame is on the stack, and its next memory has the requested type.
#[test]
fn a_limiter_uses_another_pool() {
    let [ours, other] = [engine(1), engine(1)];
    let outer = prepare(&ours, &module("outer"));
    let plain = Module::new(&other, wasm(&module("limiter"))).expect("valid");
    for _ in 0..2 {
        let limiter = Instantiates {
            engine: other.clone(),
            module: What::Plain(plain.clone()),
            n_calls: 0,
        };
        let mut store = Store::new(&ours, limiter);
        store.limiter(|it| it);
        let instance = outer.instantiate(&mut store, &Linker::new(&ours));
        check(&mut store, instance.expect("told apart"), "outer");
    }
}

/// A limiter that panics before the memory is created.
struct Panics;

impl ResourceLimiter for Panics {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        panic!("on purpose");
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

#[test]
fn a_limiter_panics() {
    let engine = engine(1);
    let prepared = prepare(&engine, &module("ours"));
    let plain = Module::new(&engine, wasm(r#"(module (memory (export "m") 1))"#)).expect("valid");
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut store = Store::new(&engine, Panics);
        store.limiter(|it| it);
        drop(prepared.instantiate(&mut store, &Linker::new(&engine)));
    }));
    assert!(panicked.is_err());
    // The memory that was not requested is not left for the next module.
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &plain, &[]).expect("works");
    let memory = memory(&mut store, instance, "m");
    assert!(memory.data(&store) == contents(PAGE, &[]));
}
