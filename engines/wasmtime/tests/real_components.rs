//! Components that contain a language's whole runtime answer requests from our memory as from
//! wasmtime's own. Skipped without `WASM_MEMINIT_COMPONENTS`.

#[path = "support/runtimes.rs"]
mod runtimes;

use core::future::poll_fn;
use core::mem::replace;
use core::task::{Context, Poll, Waker};
use std::thread;

use wasm_meminit_wasmtime::PreparedComponent;

use runtimes::{
    DIRECTORY, Engines, Instance, MALFORMED, Pre, Program, REQUESTS, data_bytes, programs,
};

const N_THREADS: usize = 4;

/// A component in both engines.
struct Case {
    program: Program,
    engines: Engines,
    prepared: PreparedComponent,
    /// Its answers without us.
    expected: Vec<String>,
}

fn answers(mut instance: Instance) -> Vec<String> {
    let answer = |request| instance.respond(request);
    let answers = REQUESTS.into_iter().map(answer).collect::<Result<_, _>>();
    answers.unwrap_or_else(|err| panic!("{err:?}"))
}

fn start(pre: &Pre) -> Instance {
    pre.start().unwrap_or_else(|err| panic!("{err:?}"))
}

/// Compiles each component once, and runs all tests with it.
#[test]
fn runtimes_answer_from_our_memory() {
    let Some(programs) = programs() else {
        eprintln!("skipped: {DIRECTORY} is not set");
        return;
    };
    for program in programs {
        // Room for two instances per thread: some slots are reset while others are in use.
        let engines = Engines::new(64).unwrap_or_else(|err| panic!("{err:?}"));
        let theirs = Pre::as_it_is(&engines.on_demand, &program.wasm);
        let theirs = theirs.unwrap_or_else(|err| panic!("{}: {err:?}", program.name));
        let expected = answers(start(&theirs));
        assert_eq!(answers(start(&theirs)), expected, "deterministic");
        let prepared = engines.prepare(&program.wasm);
        let case = Case {
            prepared: prepared.unwrap_or_else(|err| panic!("{}: {err:?}", program.name)),
            program,
            engines,
            expected,
        };
        data_is_in_images(&case);
        one_after_the_other(&case);
        after_traps(&case);
        concurrently(&case);
        asynchronously(&case);
    }
}

fn data_is_in_images(case: &Case) {
    let bytes = data_bytes(&case.program.wasm).expect("well-formed");
    let (n_memories, n_images) = (case.prepared.n_memories(), case.prepared.n_images());
    eprintln!(
        "{}: {} bytes, {n_memories} memories, {n_images} images with {} of {} bytes of data\n  {}",
        case.program.name,
        case.program.wasm.len(),
        bytes.in_images,
        bytes.total,
        case.expected[0],
    );
    assert_ne!(n_images, 0);
    // Both runtimes have a heap that was filled at build time.
    assert!(1 << 20 < bytes.in_images);
    assert_eq!(bytes.in_images, bytes.total);
}

/// All instances have the same few slots, which hold their images.
fn one_after_the_other(case: &Case) {
    let pre = Pre::prepared(&case.prepared).expect("all imports");
    let n_memories = case.prepared.n_memories() as u64;
    for nth in 1..=20 {
        assert_eq!(answers(start(&pre)), case.expected);
        let stats = case.engines.ours.memories().stats();
        assert_eq!(stats.n_slots, n_memories);
        assert_eq!(
            stats.n_hits + stats.n_maps + stats.n_blank,
            nth * n_memories
        );
        // Each image was mapped once, and no reset needed another mapping.
        assert_eq!((stats.n_blank, stats.n_maps), (n_memories, 0), "{stats:?}");
        assert_eq!(
            (stats.n_image_copies, stats.n_poisoned),
            (0, 0),
            "{stats:?}"
        );
    }
    let stats = case.engines.ours.memories().stats();
    let bytes = data_bytes(&case.program.wasm).expect("well-formed");
    eprintln!("  {} bytes of images; {stats:?}", stats.image_bytes);
    // An image has at least the pages with data. Some of the data is zero.
    assert!(bytes.in_images / 4 < stats.image_bytes, "{stats:?}");
}

/// A trap leaves memories as they are at that moment.
fn after_traps(case: &Case) {
    let pre = Pre::prepared(&case.prepared).expect("all imports");
    for _ in 0..3 {
        let mut instance = start(&pre);
        instance.respond(MALFORMED).expect_err("a trap");
        drop(instance);
        assert_eq!(answers(start(&pre)), case.expected);
    }
}

fn concurrently(case: &Case) {
    let pre = Pre::prepared(&case.prepared).expect("all imports");
    thread::scope(|scope| {
        for _ in 0..N_THREADS {
            scope.spawn(|| {
                for _ in 0..5 {
                    let [first, second] = [start(&pre), start(&pre)];
                    assert_eq!(answers(second), case.expected);
                    assert_eq!(answers(first), case.expected);
                }
            });
        }
    });
}

/// Several instances take turns on one thread.
fn asynchronously(case: &Case) {
    let pre = Pre::prepared(&case.prepared).expect("all imports");
    let mut tasks: Vec<_> = (0..8).map(|_| Box::pin(answers_async(&pre))).collect();
    let mut context = Context::from_waker(Waker::noop());
    while !tasks.is_empty() {
        tasks.retain_mut(|task| match task.as_mut().poll(&mut context) {
            Poll::Pending => true,
            Poll::Ready(answers) => {
                assert_eq!(answers, case.expected);
                false
            }
        });
    }
}

async fn answers_async(pre: &Pre) -> Vec<String> {
    let instance = pre.start_async().await;
    let mut instance = instance.unwrap_or_else(|err| panic!("{err:?}"));
    let mut answers = Vec::new();
    for request in REQUESTS {
        yield_now().await;
        let answer = instance.respond_async(request).await;
        answers.push(answer.unwrap_or_else(|err| panic!("{err:?}")));
    }
    answers
}

/// Lets the other tasks continue.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|_| match replace(&mut has_yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
