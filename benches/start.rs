//! The cost of computing a module's initial memory, compared with a lower bound.
//!
//! Each row has its lower bound in the same run, round by round, so that the ratios do not
//! depend on the load of the machine:
//!
//! * `parse`: [`Module::parse_all`], compared with a minimal pass with wasmparser over section
//!   headers, imports, globals and segment headers that skips the code. Estimate: one pass
//!   over the same bytes, so about 1x.
//! * `build`: images from a plan, compared with one `memcpy` of as many bytes into fresh
//!   memory. Estimate: each data byte is copied once into zeroed pages, so about 1x.
//!
//! Inputs: a module of ours, and those of the folder that `WASM_MEMINIT_CORPUS` names.
//! `cargo bench -p wasm-meminit-reference` compares `parse` with an engine's translation.

extern crate alloc;

#[path = "../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_analysis::wasmparser::{Chunk, Parser, Payload};
use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_test_oracle::inputs;

use crate::paired::{Way, measure};

/// Reads the minimum that determines the initial memory. Returns the number of data bytes.
fn walk(wasm: &[u8]) -> usize {
    let mut parser = Parser::new(0);
    let mut outer = Vec::new();
    let mut rest = wasm;
    let mut n_bytes = 0;
    loop {
        let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) else {
            panic!("a valid module");
        };
        rest = &rest[consumed..];
        match payload {
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = &rest[usize::try_from(size).expect("small")..];
            }
            Payload::ImportSection(reader) => {
                reader.into_imports().for_each(|it| drop(black_box(it)));
            }
            Payload::MemorySection(reader) => reader.into_iter().for_each(|it| drop(black_box(it))),
            Payload::GlobalSection(reader) => reader.into_iter().for_each(|it| drop(black_box(it))),
            Payload::DataSection(reader) => {
                n_bytes += reader
                    .into_iter()
                    .map(|it| it.expect("valid").data.len())
                    .sum::<usize>();
            }
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                outer.push(core::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outer.pop() {
                Some(parser_of) => parser = parser_of,
                None => return n_bytes,
            },
            _ => {}
        }
    }
}

/// Prints the median of our time, and of its ratio to the lower bound.
fn row(
    name: &str,
    time: Duration,
    ours: impl FnMut(u32) -> Duration,
    bound: impl FnMut(u32) -> Duration,
) {
    let (mut ours, mut bound) = (ours, bound);
    let mut ways = [
        Way::new(|n| Ok::<_, Infallible>(ours(n))),
        Way::new(|n| Ok(bound(n))),
    ];
    let Ok(()) = measure(&mut ways, time, 1);
    let [ours, bound] = &ways;
    println!(
        "{name:<40} {:>10.2} us {:>10.2} us {:>6.2}x",
        ours.median() / 1e3,
        bound.median() / 1e3,
        ours.ratio(bound)
    );
}

/// Times `n` repetitions. Results are dropped outside of the time, so that each is in fresh
/// memory.
fn timed<T>(n: u32, run: impl Fn() -> T) -> Duration {
    let mut results = Vec::with_capacity(usize::try_from(n).expect("few"));
    let start = Instant::now();
    results.extend((0..n).map(|_| run()));
    let took = start.elapsed();
    drop(black_box(results));
    took
}

fn main() {
    // `cargo test` runs benches too, only to check that they work.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let time = Duration::from_millis(if is_bench { 2_000 } else { 0 });
    println!("{:<40} {:>13} {:>13} {:>7}", "", "ours", "bound", "ratio");
    let own = inputs::own_modules().into_iter();
    let own = own.filter(|it| it.name == "tour.wasm");
    let modules: Vec<_> = own.chain(inputs::corpus().into_iter().flatten()).collect();
    for input in &modules {
        // Check before timing: a fast wrong answer is worthless.
        let module = Module::parse(&input.wasm).expect("valid");
        let data = module.segments().values();
        assert_eq!(
            data.map(|it| it.data.len()).sum::<usize>(),
            walk(&input.wasm)
        );
        row(
            &format!("parse {}", input.name),
            time,
            |n| timed(n, || Module::parse(&input.wasm)),
            |n| timed(n, || walk(&input.wasm)),
        );
    }
    for input in &modules {
        let module = Module::parse(&input.wasm).expect("valid");
        let policy = Policy::default().with_zeroed_imports(true);
        let plan = Plan::new(&module, &policy);
        let bytes: Vec<u8> = ModuleImage::build(&module, &plan)
            .expect("fits")
            .into_images()
            .flat_map(|image| image.as_ref().bytes().to_vec())
            .collect();
        if !bytes.is_empty() {
            row(
                &format!("build {}", input.name),
                time,
                |n| timed(n, || ModuleImage::build(&module, &plan)),
                |n| timed(n, || black_box(&bytes).clone()),
            );
        }
    }
}
