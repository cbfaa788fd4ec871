//! Every way to initialise memories, compared with an engine and with a naive replay, by the
//! check of the differential tests.

#[allow(dead_code, reason = "its summary is for tests")]
#[path = "../../../differential/check.rs"]
mod check;
#[path = "../../../differential/real.rs"]
mod real;
#[path = "../../../differential/ways.rs"]
mod ways;

use std::sync::OnceLock;

use arbitrary::Unstructured;
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::is_valid;

use self::check::{Tally, check};
use self::ways::{NamedPolicy, policies};
use crate::generate;

/// Modules whose memories have more bytes together are left to other tests.
const MAX_BYTES: u64 = 16 << 20;

/// The highest id of a section: tags.
const LAST_SECTION: u8 = 13;

/// Compares under one policy: a target runs many modules, not many policies.
fn compare(wasm: &[u8], host: &Host, nth_policy: usize) {
    static POLICIES: OnceLock<Vec<NamedPolicy>> = OnceLock::new();
    let policies = POLICIES.get_or_init(|| policies(false));
    let nth = nth_policy % policies.len();
    let hosts = core::slice::from_ref(host);
    let mut tally = Tally::default();
    check(wasm, hosts, &policies[nth..=nth], 1, &mut tally).unwrap_or_else(|err| panic!("{err}"));
}

/// Makes a module from the bytes. Returns whether there are enough.
pub(crate) fn structured(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    let Ok(nth_policy) = u.arbitrary::<u8>() else {
        return false;
    };
    let Ok((wasm, host)) = generate::module(&mut u) else {
        return false;
    };
    compare(&wasm, &host, nth_policy.into());
    true
}

/// The bytes are the module, followed by what selects its host and the policy. Returns whether
/// the module is valid and small.
pub(crate) fn instantiate(bytes: &[u8]) -> bool {
    let (wasm, rest) = split(bytes);
    if !is_core(wasm) || !is_valid(wasm) {
        return false;
    }
    let mut u = Unstructured::new(rest);
    let (Ok(host), Ok(nth_policy)) = (generate::host(&mut u), u.arbitrary::<u8>()) else {
        return false;
    };
    if !is_small(wasm, &host) {
        return false;
    }
    compare(wasm, &host, nth_policy.into());
    true
}

/// Returns the module, also followed by a few choices of hosts and policies.
pub(crate) fn seeds(wasm: &[u8]) -> Vec<Vec<u8>> {
    let choices: [&[u8]; 3] = [
        b"",
        &[0xff; 16],
        b"\x80\x01\x07\xe0\x33\x99\x10\x47\x02\x05\xc8",
    ];
    choices.iter().map(|it| [wasm, it].concat()).collect()
}

/// Splits after the last section: a byte that is no section's id ends the module. So a module
/// or component is an input, and so is one that is followed by further choices.
pub(crate) fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = bytes.len().min(8);
    while let Some((id, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) {
        let mut reader = wasmparser::BinaryReader::new(rest, 0);
        let Ok(len) = reader.read_var_u32() else {
            break;
        };
        let head = usize::try_from(reader.original_position()).expect("in the input");
        let len = usize::try_from(len).expect("32 bits");
        let end = at.saturating_add(1 + head).saturating_add(len);
        if LAST_SECTION < *id || bytes.len() < end {
            break;
        }
        at = end;
    }
    bytes.split_at(at)
}

/// Whether the bytes begin as a core module, not as a component.
pub(crate) fn is_core(wasm: &[u8]) -> bool {
    wasm.get(4..8) == Some(&[1, 0, 0, 0])
}

/// Whether the memories of a valid module are small enough to be allocated again and again.
pub(crate) fn is_small(wasm: &[u8], host: &Host) -> bool {
    let shape = Shape::of(wasm);
    let sizes = (0..shape.memories.len()).map(|nth| host.memory_bytes(&shape, nth));
    let total = sizes.fold(0_u64, |sum, it| sum.saturating_add(it.unwrap_or(u64::MAX)));
    total <= MAX_BYTES
}
