//! How much reading an input may allocate.

use wasm_meminit_test_oracle::costs::CONSTANT;

/// Runs `read`, and checks that it never holds more than `limit` bytes.
#[track_caller]
pub(crate) fn at_most<T>(limit: usize, input: &[u8], read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let measured = allocation_counter::measure(|| result = Some(read()));
    assert!(
        measured.bytes_max <= u64::try_from(limit).expect("64 bits"),
        "{} bytes allocated for {} bytes of input, more than {limit}",
        measured.bytes_max,
        input.len()
    );
    result.expect("it ran")
}

/// The same with a limit of so many bytes for each byte of input, and the constant.
#[track_caller]
pub(crate) fn at_most_each<T>(multiple: usize, input: &[u8], read: impl FnOnce() -> T) -> T {
    at_most(CONSTANT + multiple * input.len(), input, read)
}
