//! Asynchronous instantiation: polls that interleave, on one thread and on several.
#![cfg(feature = "async")]

mod support;

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::thread;

use wasm_meminit_wasmtime::{Engine, MemoryImports, Options, Prepared};
use wasmtime::{Instance, Linker, Module, ResourceLimiterAsync, Store};

use support::{PAGE, contents, engine, memory, prepare, soil, wasm};

/// Yields before it allows a memory.
struct Yields {
    n_yields: u32,
}

/// Pending for this many polls.
struct Yield(u32);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

type Allowed<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

impl ResourceLimiterAsync for Yields {
    fn memory_growing<'life, 'future>(
        &'life mut self,
        _: usize,
        _: usize,
        _: Option<usize>,
    ) -> Allowed<'future>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(async {
            Yield(self.n_yields).await;
            Ok(true)
        })
    }

    fn table_growing<'life, 'future>(
        &'life mut self,
        _: usize,
        _: usize,
        _: Option<usize>,
    ) -> Allowed<'future>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(async { Ok(true) })
    }
}

fn store(engine: &Engine, n_yields: u32) -> Store<Yields> {
    let mut store = Store::new(engine, Yields { n_yields });
    store.limiter_async(|it| it);
    store
}

/// Two memories of the same type, a start function that yields, and data of this name.
fn module(name: &str) -> String {
    format!(
        r#"(module
             (import "" "yield" (func $yield))
             (memory (export "m") 1) (memory (export "n") 1)
             (data (memory 0) (i32.const 3) "{name}")
             (data (memory 1) (i32.const 5) "{name}")
             (start $yield))"#
    )
}

fn linker(engine: &Engine) -> Linker<Yields> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap_async("", "yield", |_, (): ()| Box::new(Yield(2)))
        .expect("new");
    linker
}

fn check(store: &mut Store<Yields>, instance: Instance, name: &str) {
    for (memory_name, at) in [("m", 3), ("n", 5)] {
        let memory = memory(store, instance, memory_name);
        assert!(memory.data(&*store) == contents(PAGE, &[(at, name.as_bytes())]));
        soil(memory.data_mut(&mut *store));
    }
}

/// Polls a future to its end, each time on another thread.
fn on_many_threads<T: Send>(future: impl Future<Output = T> + Send) -> (T, u32) {
    let mut future = pin!(future);
    for n_polls in 1.. {
        let polled = thread::scope(|scope| {
            let poll = || {
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
            };
            scope.spawn(poll).join().expect("no panic")
        });
        if let Poll::Ready(output) = polled {
            return (output, n_polls);
        }
    }
    unreachable!("more polls than numbers")
}

#[test]
fn each_poll_on_another_thread() {
    let engine = engine(2);
    let prepared = prepare(&engine, &module("ours"));
    let linker = linker(&engine);
    let pre = prepared.instantiate_pre(&linker).expect("all imports");
    for n_yields in [0, 1, 3] {
        for by_pre in [false, true] {
            let mut store = store(&engine, n_yields);
            let (instance, n_polls) = match by_pre {
                true => on_many_threads(pre.instantiate_async(&mut store)),
                false => on_many_threads(prepared.instantiate_async(&mut store, &linker)),
            };
            // One poll more than there were yields: for two memories, and the start function.
            assert_eq!(n_polls, 2 * n_yields + 2 + 1);
            check(&mut store, instance.expect("works"), "ours");
        }
    }
    assert_eq!(engine.memories().stats().n_slots, 2);
}

#[test]
fn polls_of_several_instantiations_interleave() {
    let engine = engine(8);
    let names = ["first", "second", "third"];
    let prepared = names.map(|name| prepare(&engine, &module(name)));
    let plain = Module::new(&engine, wasm(r#"(module (memory (export "m") 1))"#)).expect("valid");
    let linker = linker(&engine);
    for round in 0..3 {
        let mut stores = [0, 1, 2].map(|nth| store(&engine, (nth + round) % 3));
        {
            let mut futures: Vec<_> = (prepared.iter().zip(&mut stores))
                .map(|(prepared, store)| Some(Box::pin(prepared.instantiate_async(store, &linker))))
                .collect();
            let mut instances = [None; 3];
            while futures.iter().any(Option::is_some) {
                for (future, instance) in futures.iter_mut().zip(&mut instances) {
                    let Some(pending) = future else {
                        continue;
                    };
                    let cx = &mut Context::from_waker(Waker::noop());
                    if let Poll::Ready(done) = pending.as_mut().poll(cx) {
                        *instance = Some(done.expect("works"));
                        *future = None;
                    }
                    // Between polls, the thread does other work.
                    let mut store = Store::new(&engine, ());
                    let other = Instance::new(&mut store, &plain, &[]).expect("works");
                    let memory = memory(&mut store, other, "m");
                    assert!(memory.data(&store) == contents(PAGE, &[]));
                    soil(memory.data_mut(&mut store));
                }
            }
            drop(futures);
            for ((store, instance), name) in stores.iter_mut().zip(instances).zip(names) {
                check(store, instance.expect("done"), name);
            }
        }
    }
}

#[test]
fn instantiations_that_are_dropped() {
    let engine = engine(2);
    let prepared = prepare(&engine, &module("ours"));
    let linker = linker(&engine);
    for n_polls in 0..7 {
        let mut store = store(&engine, 2);
        let mut future = Box::pin(prepared.instantiate_async(&mut store, &linker));
        for _ in 0..n_polls {
            let cx = &mut Context::from_waker(Waker::noop());
            let polled = future.as_mut().poll(cx);
            assert!(polled.is_pending());
        }
        drop(future);
        drop(store);
        let mut store = self::store(&engine, 0);
        let (instance, _) = on_many_threads(prepared.instantiate_async(&mut store, &linker));
        check(&mut store, instance.expect("works"), "ours");
    }
    assert_eq!(engine.memories().stats().n_slots, 2);
}

#[test]
fn host_functions_instantiate_while_others_wait() {
    let engine = engine(8);
    let outer = prepare(&engine, &module("outer"));
    let inner = prepare(&engine, &module("inner"));
    let innermost = linker(&engine);
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap_async(
            "",
            "yield",
            move |mut caller: wasmtime::Caller<'_, Yields>, (): ()| {
                let (inner, innermost) = (inner.clone(), innermost.clone());
                Box::new(async move {
                    Yield(1).await;
                    let instance = inner.instantiate_async(&mut caller, &innermost).await?;
                    Yield(1).await;
                    let memory = instance.get_memory(&mut caller, "n").expect("exported");
                    assert!(memory.data(&caller) == contents(PAGE, &[(5, b"inner")]));
                    soil(memory.data_mut(&mut caller));
                    wasmtime::Result::Ok(())
                })
            },
        )
        .expect("new");
    for _ in 0..3 {
        let mut store = store(&engine, 1);
        let (instance, _) = on_many_threads(outer.instantiate_async(&mut store, &linker));
        check(&mut store, instance.expect("works"), "outer");
    }
}

#[test]
fn provided_memories() {
    let engine = engine(2);
    let wat = r#"(module
        (import "" "m" (memory 1)) (import "" "yield" (func $yield)) (memory (export "n") 1)
        (data (memory 0) (i32.const 3) "ours") (data (memory 1) (i32.const 5) "ours")
        (export "m" (memory 0)) (start $yield))"#;
    let options = Options::new().with_memory_imports(MemoryImports::Provide);
    let prepared = Prepared::new(&engine, &wasm(wat), &options).expect("valid");
    let linker = linker(&engine);
    for n_yields in [0, 1, 2] {
        let mut store = store(&engine, n_yields);
        let instance = on_many_threads(prepared.instantiate_async(&mut store, &linker));
        assert_eq!(instance.1, 2 * n_yields + 2 + 1);
        check(&mut store, instance.0.expect("works"), "ours");
    }
}
