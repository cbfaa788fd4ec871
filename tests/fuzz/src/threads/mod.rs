//! Start functions of threaded modules: as wasm-ld writes them, and with changed bytes. By the
//! check of the thread tests.

#[allow(dead_code, reason = "its tally is for tests")]
#[path = "../../../threads/check.rs"]
mod check;
#[path = "../../../threads/emulate.rs"]
mod emulate;
#[allow(dead_code, reason = "its strategies are for tests")]
#[path = "../../../threads/forms.rs"]
mod forms;
#[path = "../../../threads/start.rs"]
mod start;

use arbitrary::{Result, Unstructured};
use wasm_meminit_analysis::{Module, wasmparser};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::{is_valid, is_valid_unshared};
use wasmparser::{Parser, Payload};

use self::check::{Tally, check};
use self::forms::{Form, Part};

/// The value of imported globals in modules that are given as bytes.
const BASE: i64 = 4096;

/// The largest memory of such modules, in bytes.
const MAX_BYTES: u64 = 4 << 16;

/// A module, or what a form is made from and what is changed in it. Returns whether its writes are
/// baked.
pub(crate) fn run(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\0asm") {
        return is_valid_unshared(bytes) && is_like_a_form(bytes) && !compare(bytes, BASE);
    }
    changed(&mut Unstructured::new(bytes)).unwrap_or(false)
}

/// Returns whether it is refused.
fn compare(wasm: &[u8], base: i64) -> bool {
    let refused = check(wasm, base, &mut Tally::default()).unwrap_or_else(|err| panic!("{err}"));
    refused.is_some()
}

/// Whether the emulation has everything that the module needs: one small memory.
fn is_like_a_form(wasm: &[u8]) -> bool {
    let shape = Shape::of(wasm);
    let host = Host::new(&[BASE], 0, 0);
    let is_small = shape.memories.len() == 1
        && shape.min_bytes(0).is_some_and(|it| it <= MAX_BYTES)
        && host.memory_bytes(&shape, 0) == shape.min_bytes(0);
    // The tables of a host are zeroed, so their elements may trap.
    is_small && shape.elements.is_empty() && shape.tables.is_empty()
}

/// Returns whether the writes of the changed form are baked.
fn changed(u: &mut Unstructured<'_>) -> Result<bool> {
    let form = form(u)?;
    let wasm = form.wasm();
    assert!(is_valid(&wasm), "{form:?}");
    let base = form.base.unwrap_or(0).into();
    let bodies = bodies(&wasm);
    let n_changes = *u.choose(&[0, 0, 0, 1, 2, 3])?;
    if n_changes == 0 {
        let is_refused = compare(&wasm, base);
        assert_eq!(is_refused, !form.is_sound(), "{form:?}");
        return Ok(!is_refused);
    }
    let mut wasm = wasm;
    for _ in 0..n_changes {
        let at = *u.choose(&bodies)?;
        wasm[at] = u.arbitrary()?;
    }
    Ok(is_valid_unshared(&wasm) && !compare(&wasm, base))
}

fn form(u: &mut Unstructured<'_>) -> Result<Form> {
    let [is_64, is_inlined, is_imported] = u.arbitrary()?;
    let is_called = u.ratio(1, 4)?;
    let base = *u.choose(&[None, None, Some(0), Some(1024), Some(65_536), Some(100_000)])?;
    let mut end = 64;
    let mut parts = Vec::new();
    for _ in 0..u.int_in_range(0..=5)? {
        let address = end + u.int_in_range(0..=600_u32)?;
        let len = u.int_in_range(0..=300)?;
        let is_zero = u.ratio(1, 4)?;
        end = address + len;
        parts.push(Part {
            address,
            len,
            is_zero,
        });
    }
    let shift = match u.int_in_range(0..=9)? {
        0 => u.int_in_range(-40..=40)?,
        1 => 200_000,
        _ => 0,
    };
    if let Some(last) = parts.last_mut() {
        last.address = last.address.saturating_add_signed(shift);
    }
    // A module without segments is not checked.
    parts.push(Part {
        address: end + 4,
        len: 5,
        is_zero: false,
    });
    let thread_local = u.int_in_range(0..=2 * parts.len())?;
    Ok(Form {
        is_64,
        base,
        is_called,
        is_inlined,
        is_imported,
        flag: (end + 9).next_multiple_of(4) + u32::from(u.ratio(1, 16)?),
        thread_local: (thread_local < parts.len()).then_some(thread_local),
        parts,
    })
}

/// Returns the byte positions of all function bodies.
fn bodies(wasm: &[u8]) -> Vec<usize> {
    let payloads = Parser::new(0).parse_all(wasm).map(|it| it.expect("valid"));
    let bodies = payloads.filter_map(|it| match it {
        Payload::CodeSectionEntry(body) => Some(body.range()),
        _ => None,
    });
    bodies
        .flatten()
        .map(|at| usize::try_from(at).expect("in the module"))
        .collect()
}

/// Returns threaded modules, and the complete forms.
pub(crate) fn seeds(wasm: &[u8]) -> Vec<Vec<u8>> {
    let has_start = |it: &Module<'_>| it.start().is_some() && it.passive_segments().count() != 0;
    match Module::parse(wasm) {
        Ok(module) if has_start(&module) => {
            let forms = forms::full().into_iter().map(|it| it.wasm());
            forms.chain([wasm.to_vec()]).collect()
        }
        _ => Vec::new(),
    }
}
