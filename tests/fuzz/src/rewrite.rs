//! Rewrites of any module: of a valid one by the check of the rewriting tests, of another one
//! an error or a module.

#[allow(dead_code, reason = "its tally is for tests")]
#[path = "../../rewrite/same_memory.rs"]
mod same_memory;

use arbitrary::Unstructured;
use wasm_meminit_analysis::{Module, Plan, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackOptions, RewriteError, externalize, internalize, map_modules, pack,
    pack_memory, strip, strip_renumbered,
};
use wasm_meminit_test_oracle::valid::is_valid;

use self::same_memory::{Tally, check};
use crate::differential::{is_core, is_small, split};
use crate::generate;

/// The bytes are the module, followed by what selects its host.
pub(crate) fn run(bytes: &[u8]) {
    let (wasm, rest) = split(bytes);
    let was_valid = is_valid(wasm);
    check_all(wasm, was_valid);
    // An import of the host would have the name of one of ours.
    if !was_valid || !is_core(wasm) || contains(wasm, DEFAULT_IMPORT_MODULE) || is_for_linker(wasm)
    {
        return;
    }
    let Ok(host) = generate::host(&mut Unstructured::new(rest)) else {
        return;
    };
    if is_small(wasm, &host) {
        check(wasm, &[host], &mut Tally::default()).unwrap_or_else(|err| panic!("{err}"));
    }
}

fn contains(wasm: &[u8], name: &str) -> bool {
    wasm.windows(name.len()).any(|it| it == name.as_bytes())
}

fn is_for_linker(wasm: &[u8]) -> bool {
    ["linking", "reloc."].iter().any(|it| contains(wasm, it))
}

/// Applies all rewrites. What was valid stays valid, unless it is refused for a good reason.
fn check_all(wasm: &[u8], was_valid: bool) {
    let check = |what: &str, result: Result<Vec<u8>, RewriteError>| match result {
        Ok(bytes) => assert!(!was_valid || is_valid(&bytes), "{what}: not valid"),
        Err(err) => assert!(!was_valid || is_refusal(&err), "{what}: {err}"),
    };
    let packed = map_modules(wasm, &mut |it| {
        pack(it, &PackOptions::default()).map(|it| it.wasm)
    });
    check("packed", packed);
    let copied = map_modules::<RewriteError>(wasm, &mut |it| {
        it.binary()
            .map(<[u8]>::to_vec)
            .ok_or(RewriteError::NoBinary)
    });
    check("copied", copied);
    let Ok(module) = Module::parse(wasm) else {
        return;
    };
    let plan = Plan::new(&module, &Policy::default().with_max_image_size(1 << 20));
    check("stripped", strip(&module, &plan));
    check("renumbered", strip_renumbered(&module, &plan));
    check("internalized", internalize(&module));
    let name = |it: wasm_meminit_analysis::MemoryIndex| format!("memory{}", it.as_u32());
    check(
        "externalized",
        externalize(&module, DEFAULT_IMPORT_MODULE, &name),
    );
    let image = Image::capture(&[1, 0, 2]).expect("small");
    for memory in module.memories().keys() {
        // It fails if the memory is imported, or too small for three bytes.
        let packed = pack_memory(&module, memory, image.as_ref(), 3, &PackOptions::default());
        if let Ok(packed) = packed {
            check("a captured memory", Ok(packed.wasm));
        }
    }
}

/// Whether a valid module may be refused for this reason.
fn is_refusal(err: &RewriteError) -> bool {
    matches!(
        err,
        RewriteError::NameTaken { .. }
            | RewriteError::ImportedTwice { .. }
            | RewriteError::Relocatable
            | RewriteError::TooDeep
    )
}
