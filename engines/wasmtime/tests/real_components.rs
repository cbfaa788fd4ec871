//! Components that contain a language's whole runtime answer requests from our memory.
//!
//! `WASM_MEMINIT_COMPONENTS` names a directory of components without imports, each of which
//! exports `respond: func(request: string) -> string`. `componentize-js` and `componentize-py`
//! build such components; see `docs/engines/wasmtime.md`.
#![cfg(feature = "component-model")]

mod support;

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::time::Instant;

use wasm_meminit_wasmtime::{Options, PreparedComponent};
use wasmtime::component::{Component, Instance, Linker, Val};
use wasmtime::{Engine, Store};

const REQUESTS: [&str; 3] = ["a first request", "", "the third request, which is longer"];

/// How many starts are timed.
const N_TIMED: usize = 21;

fn respond(store: &mut Store<()>, instance: Instance, request: &str) -> String {
    let respond = instance.get_func(&mut *store, "respond");
    let mut results = [Val::Bool(false)];
    respond
        .expect("exported")
        .call(&mut *store, &[Val::String(request.into())], &mut results)
        .unwrap_or_else(|err| panic!("{err:?}"));
    match results {
        [Val::String(response)] => response,
        other => panic!("{other:?}"),
    }
}

/// Starts an instance and answers all requests. Returns the answers, and the time of the start
/// and of the first answer.
fn answers(
    engine: &Engine,
    start: &dyn Fn(&mut Store<()>) -> wasmtime::Result<Instance>,
) -> (Vec<String>, Duration) {
    let begin = Instant::now();
    let mut store = Store::new(engine, ());
    let instance = start(&mut store).unwrap_or_else(|err| panic!("{err:?}"));
    let mut answers = vec![respond(&mut store, instance, REQUESTS[0])];
    let time = begin.elapsed();
    for request in &REQUESTS[1..] {
        answers.push(respond(&mut store, instance, request));
    }
    (answers, time)
}

fn check(path: &Path) {
    let wasm = fs::read(path).expect("readable");
    let plain = Engine::default();
    let component = Component::new(&plain, &wasm).unwrap_or_else(|err| panic!("{err:?}"));
    let linker = Linker::new(&plain);
    let theirs = || answers(&plain, &|store| linker.instantiate(store, &component));
    let (expected, their_first) = theirs();

    let engine = support::engine(16);
    let prepared = PreparedComponent::new(&engine, &wasm, &Options::new());
    let prepared = prepared.unwrap_or_else(|err| panic!("{err}"));
    assert_ne!(prepared.n_images(), 0);
    let linker = Linker::new(&engine);
    let ours = || answers(&engine, &|store| prepared.instantiate(store, &linker));
    let (first, our_first) = ours();
    assert_eq!(first, expected);

    let (mut their_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..N_TIMED {
        their_times.push(theirs().1);
        let (again, time) = ours();
        assert_eq!(again, expected);
        our_times.push(time);
    }
    their_times.sort_unstable();
    our_times.sort_unstable();
    eprintln!(
        "{}: {} bytes, {} memories, {} images\n{:?}\n\
         start and first answer: cold {their_first:?}, with us {our_first:?}; \
         warm {:?}, with us {:?}",
        path.display(),
        wasm.len(),
        prepared.n_memories(),
        prepared.n_images(),
        expected,
        their_times[N_TIMED / 2],
        our_times[N_TIMED / 2],
    );
}

#[test]
fn runtimes_answer_from_our_memory() {
    let Some(directory) = std::env::var_os("WASM_MEMINIT_COMPONENTS") else {
        eprintln!("skipped: WASM_MEMINIT_COMPONENTS is not set");
        return;
    };
    let mut n_checked = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "wasm") {
            check(&path);
            n_checked += 1;
        }
    }
    assert_ne!(n_checked, 0, "no components");
}
