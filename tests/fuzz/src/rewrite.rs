//! Rewrites of any module: of a valid one by the check of the rewriting tests, of another one
//! an error or a module.

#[allow(dead_code, reason = "its tally is for tests")]
#[path = "../../rewrite/same_memory.rs"]
mod same_memory;

use arbitrary::Unstructured;
use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
use wasm_meminit_image_builder::Image;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackOptions, RewriteError, externalize, internalize, map_modules, pack,
    pack_memory, strip, strip_renumbered,
};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::memory::Trap;
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::is_valid;

use self::same_memory::{Tally, check};
use crate::component::{self, is_component, parts};
use crate::differential::{self, is_core, is_small, split};
use crate::generate;

/// Returns the module and components that contain it, also followed by choices of hosts.
pub(crate) fn seeds(wasm: &[u8]) -> Vec<Vec<u8>> {
    let all = component::seeds(wasm);
    all.iter().flat_map(|it| differential::seeds(it)).collect()
}

/// As many modules of a component are compared.
const MAX_MODULES: usize = 4;

/// What a memory holds that was captured.
const CAPTURED: &[u8] = &[1, 0, 2];

/// The bytes are the module or component, followed by what selects its host. Returns whether the
/// memories of a module are compared.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let (wasm, rest) = split(bytes);
    let was_valid = is_valid(wasm);
    check_modules_mapped(wasm, was_valid);
    if !is_component(wasm) {
        check_all(wasm, was_valid);
    }
    let Ok(host) = generate::host(&mut Unstructured::new(rest)) else {
        return false;
    };
    match (was_valid, is_component(wasm)) {
        (false, _) => false,
        (true, false) => compare(wasm, &host),
        (true, true) => {
            let modules = parts(wasm).0.into_iter().take(MAX_MODULES);
            let n_compared = modules.filter(|it| {
                check_all(it, true);
                compare(it, &host)
            });
            n_compared.count() != 0
        }
    }
}

/// Compares the memories of a valid module. Returns whether they can be.
fn compare(wasm: &[u8], host: &Host) -> bool {
    // An import of the host would have the name of one of ours.
    let is_comparable = is_core(wasm)
        && is_small(wasm, host)
        && !contains(wasm, DEFAULT_IMPORT_MODULE)
        && !is_for_linker(wasm);
    if is_comparable {
        let hosts = core::slice::from_ref(host);
        check(wasm, hosts, &mut Tally::default()).unwrap_or_else(|err| panic!("{err}"));
        check_captured(wasm, host);
    }
    is_comparable
}

/// Checks that a memory that is replaced by a captured one holds it, and that the others do not
/// change.
fn check_captured(wasm: &[u8], host: &Host) {
    let module = Module::parse(wasm).expect("valid");
    let before = oracle::replay(&Shape::of(wasm), host).expect("small");
    for (nth, memory) in module.memories().keys().enumerate() {
        let Some(packed) = captured(&module, memory) else {
            continue;
        };
        let mut after = oracle::replay(&Shape::of(&packed), host).expect("small");
        if after.trap == Some(Trap::Elements) {
            continue; // no data is written then
        }
        let contents = after.memories[nth].to_bytes();
        let (same, zeros) = contents.split_at(CAPTURED.len());
        assert_eq!(same, CAPTURED, "memory {nth}");
        assert!(zeros.iter().all(|it| *it == 0), "memory {nth}");
        if before.trap.is_none() {
            after.memories[nth] = before.memories[nth].clone();
            assert_eq!(after.differs_from(&before), None, "memory {nth} captured");
        }
    }
}

/// Returns the module with a captured memory. `None` if the memory is imported, or too small.
fn captured(module: &Module<'_>, memory: MemoryIndex) -> Option<Vec<u8>> {
    let image = Image::capture(CAPTURED).expect("small");
    let options = PackOptions::default();
    let size = u64::try_from(CAPTURED.len()).expect("small");
    let packed = pack_memory(module, memory, image.as_ref(), size, &options);
    packed.ok().map(|it| it.wasm)
}

/// Checks rewrites of the modules of a component, or of one core module.
fn check_modules_mapped(wasm: &[u8], was_valid: bool) {
    let copied = map_modules::<RewriteError>(wasm, &mut |it| {
        it.binary()
            .map(<[u8]>::to_vec)
            .ok_or(RewriteError::NoBinary)
    });
    match copied {
        Ok(copied) => assert!(copied == wasm, "copied: changed"),
        Err(err) => assert!(!was_valid || is_refusal(&err), "copied: {err}"),
    }
    let packed = map_modules(wasm, &mut |it| pack_by_default(it));
    check_result("packed", was_valid, &packed);
    let Ok(packed) = packed else {
        return;
    };
    if !was_valid || !is_component(wasm) {
        return;
    }
    // What each is packed to, in its place, and nothing else.
    let ((before, frame), (after, same_frame)) = (parts(wasm), parts(&packed));
    assert_eq!(before.len(), after.len(), "the modules of a component");
    for (before, after) in before.iter().zip(after) {
        let packed = pack_by_default(&Module::parse(before).expect("valid"));
        assert!(packed.as_deref() == Ok(after), "a packed module");
    }
    assert!(frame == same_frame, "what contains the modules");
}

fn pack_by_default(module: &Module<'_>) -> Result<Vec<u8>, RewriteError> {
    Ok(pack(module, &PackOptions::default())?.wasm)
}

fn contains(wasm: &[u8], name: &str) -> bool {
    wasm.windows(name.len()).any(|it| it == name.as_bytes())
}

fn is_for_linker(wasm: &[u8]) -> bool {
    ["linking", "reloc."].iter().any(|it| contains(wasm, it))
}

/// Applies all rewrites to a core module.
fn check_all(wasm: &[u8], was_valid: bool) {
    let check = |what: &str, result| check_result(what, was_valid, &result);
    let Ok(module) = Module::parse(wasm) else {
        return;
    };
    let plan = Plan::new(&module, &Policy::default().with_max_image_size(1 << 20));
    check("stripped", strip(&module, &plan));
    check("renumbered", strip_renumbered(&module, &plan));
    check("internalized", internalize(&module));
    let name = |it: MemoryIndex| format!("memory{}", it.as_u32());
    check(
        "externalized",
        externalize(&module, DEFAULT_IMPORT_MODULE, &name),
    );
    for memory in module.memories().keys() {
        if let Some(packed) = captured(&module, memory) {
            check("a captured memory", Ok(packed));
        }
    }
}

/// What was valid stays valid, unless it is refused for a good reason.
fn check_result(what: &str, was_valid: bool, result: &Result<Vec<u8>, RewriteError>) {
    match result {
        Ok(bytes) => assert!(!was_valid || is_valid(bytes), "{what}: not valid"),
        Err(err) => assert!(!was_valid || is_refusal(err), "{what}: {err}"),
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
