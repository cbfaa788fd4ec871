//! Images, artifacts and rewritten modules, each from worst-case input.

use core::hint::black_box;

use wasm_meminit_analysis::{HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig};
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, RewriteError, externalize, map_modules, pack,
    pack_memory, strip, strip_renumbered,
};
use wasm_meminit_image_builder::{Artifact, ArtifactHead, Image, ModuleImage};

use crate::fit::Row;
use crate::inputs::{active, components, gaps, replayed, start_function, taken_names};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "build, encode, decode: one run per two segments",
        input: |n| active(n, 1, two_on_every_second_page),
        run: artifact,
    },
    Row {
        name: "build, encode, decode: overlapping segments",
        input: |n| active(n, 1, |nth, n| (0, n - nth, vec![1; 4])),
        run: artifact,
    },
    Row {
        name: "build, encode, decode: everything replayed",
        input: replayed,
        run: artifact,
    },
    Row {
        name: "build, encode, decode: 100 memories",
        input: |n| active(n, 100, |nth, n| (nth % 100, (n - nth) * 20, vec![1])),
        run: artifact,
    },
    Row {
        name: "capture: every other byte of a page is zero",
        input: |n| [1, 0].repeat(n as usize * 16),
        run: |bytes| {
            black_box(Image::capture(bytes).expect("small"));
        },
    },
    Row {
        name: "strip: one byte each, upwards",
        input: |n| active(n, 1, upwards),
        run: strip_both,
    },
    Row {
        name: "strip: one byte each, downwards",
        input: |n| active(n, 1, downwards),
        run: strip_both,
    },
    Row {
        name: "strip: all in one place",
        input: |n| active(n, 1, in_one_place),
        run: strip_both,
    },
    Row {
        name: "strip: 100 memories",
        input: |n| active(n, 100, in_turn),
        run: strip_both,
    },
    Row {
        name: "strip: a byte on every other page",
        input: |n| active(n, 1, |nth, n| (0, (n - nth) * 8192, vec![1])),
        run: strip_both,
    },
    Row {
        name: "strip: gaps of all sizes",
        input: |n| gaps(n, 1 << 20),
        run: strip_both,
    },
    Row {
        name: "strip: a start function with many writes",
        input: |n| start_function(n, 0),
        run: |wasm| {
            let module = Module::parse(wasm).expect("well formed");
            let policy = Policy::default().with_start_function(StartFunction::WritesStripped);
            let plan = Plan::new(&module, &policy);
            assert!(plan.start().is_ok(), "{:?}", plan.start());
            black_box(strip(&module, &plan).expect("stripped"));
        },
    },
    Row {
        name: "externalize: 100 memories",
        input: |n| active(n, 100, in_turn),
        run: externalized,
    },
    Row {
        name: "externalize: imports of the same module",
        input: taken_names,
        run: externalized,
    },
    Row {
        name: "pack: one byte each, upwards",
        input: |n| active(n, 1, upwards),
        run: pack_for_all,
    },
    Row {
        name: "pack: one byte each, downwards",
        input: |n| active(n, 1, downwards),
        run: pack_for_all,
    },
    Row {
        name: "pack: all in one place",
        input: |n| active(n, 1, in_one_place),
        run: pack_for_all,
    },
    Row {
        name: "pack: 100 memories",
        input: |n| active(n, 100, in_turn),
        run: pack_for_all,
    },
    Row {
        name: "pack: a byte on every other page",
        input: |n| active(n, 1, |nth, _| (0, nth * 8192, vec![1])),
        run: pack_for_all,
    },
    Row {
        name: "pack: gaps of all sizes",
        input: |n| gaps(n, 1 << 20),
        run: pack_for_all,
    },
    Row {
        name: "pack a captured memory: a byte in every 64",
        input: |n| {
            let mut memory = vec![0; n as usize * 64];
            memory.iter_mut().step_by(64).for_each(|byte| *byte = 1);
            memory
        },
        run: |memory| {
            let wasm = active(0, 1, upwards);
            let module = Module::parse(&wasm).expect("well formed");
            let image = Image::capture(memory).expect("small");
            let options = PackOptions::default().with_max_segments(7);
            let index = MemoryIndex::from_u32(0);
            black_box(pack_memory(&module, index, image.as_ref(), 0, &options).expect("packed"));
        },
    },
    Row {
        name: "map_modules: modules at 60 levels of components",
        input: components,
        run: |wasm| {
            let copied = map_modules(wasm, &mut |it| {
                let same = it.binary().map(<[u8]>::to_vec);
                same.ok_or(RewriteError::NoBinary)
            });
            let copied = copied.expect("well formed");
            assert!(copied == wasm, "changed");
        },
    },
    Row {
        name: "place and map: a run for every other page",
        input: |n| active(n, 1, two_on_every_second_page),
        run: place,
    },
    Row {
        name: "place and map: holes of all sizes",
        input: |n| {
            active(n, 1, |nth, _| {
                let at = nth / 2 * 16 + nth / 32 * 700 + nth / 512 * 9000;
                (0, at * 1024 + nth % 2, vec![1])
            })
        },
        run: place,
    },
];

/// An image has half as many pages as there are segments: at small sizes, the allocator
/// reuses its memory.
fn two_on_every_second_page(nth: u32, _: u32) -> (u32, u32, Vec<u8>) {
    (0, nth / 2 * 8192 + nth % 2, vec![1])
}

fn upwards(nth: u32, _: u32) -> (u32, u32, Vec<u8>) {
    (0, nth * 16, vec![1])
}

fn downwards(nth: u32, n: u32) -> (u32, u32, Vec<u8>) {
    (0, (n - nth) * 16, vec![1])
}

fn in_one_place(_: u32, _: u32) -> (u32, u32, Vec<u8>) {
    (0, 5, vec![1])
}

/// In 100 memories.
fn in_turn(nth: u32, _: u32) -> (u32, u32, Vec<u8>) {
    (nth % 100, nth / 100 * 40, vec![1])
}

fn plan<'a>(module: &Module<'a>) -> Plan<'a> {
    Plan::new(module, &Policy::smallest(HostPageSize::KIB_4))
}

fn artifact(wasm: &[u8]) {
    let module = Module::parse(wasm).expect("well formed");
    let built = ModuleImage::build(&module, &plan(&module)).expect("room");
    let bytes = built.encode().expect("room");
    black_box(ArtifactHead::decode(&bytes).expect("just encoded"));
    let decoded = Artifact::decode(&bytes).expect("just encoded");
    black_box(decoded.replay().count());
}

fn strip_both(wasm: &[u8]) {
    let module = Module::parse(wasm).expect("well formed");
    let plan = plan(&module);
    black_box(strip(&module, &plan).expect("stripped"));
    black_box(strip_renumbered(&module, &plan).expect("stripped"));
}

fn externalized(wasm: &[u8]) {
    let module = Module::parse(wasm).expect("well formed");
    let name = |memory: MemoryIndex| format!("memory {}", memory.as_u32());
    black_box(externalize(&module, DEFAULT_IMPORT_MODULE, &name).expect("externalized"));
}

/// With the default limit of segments, and with as few segments as possible.
fn pack_for_all(wasm: &[u8]) {
    let module = Module::parse(wasm).expect("well formed");
    for &objective in PackFor::ALL {
        let options = PackOptions::default().with_objective(objective);
        black_box(pack(&module, &options).expect("packed"));
        black_box(pack(&module, &options.with_max_segments(0)).expect("packed"));
    }
}

/// Creates an image of many runs, then starts and resets a slot with it.
fn place(wasm: &[u8]) {
    let module = Module::parse(wasm).expect("well formed");
    let built = ModuleImage::build(&module, &plan(&module)).expect("room");
    let image = built.image(MemoryIndex::from_u32(0)).expect("a memory");
    let image = alloc::sync::Arc::new(MemoryImage::new(image).expect("room"));
    let mut slot = MemorySlot::new(&SlotConfig::new(4 << 30)).expect("room");
    slot.instantiate(Some(&image), 4 << 30).expect("room");
    slot.reset().expect("reset");
}
