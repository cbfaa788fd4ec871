//! How much reading an input may allocate.

/// Allocated regardless of the input: the crates' own buffers, and messages of errors.
const CONSTANT: u64 = 64 << 10;

/// Runs `read`, and checks that it never holds more than `multiple` bytes for each byte of
/// input.
#[track_caller]
pub(crate) fn at_most<T>(multiple: u64, input: &[u8], read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let measured = allocation_counter::measure(|| result = Some(read()));
    let limit = CONSTANT + multiple * u64::try_from(input.len()).expect("64 bits");
    assert!(
        measured.bytes_max <= limit,
        "{} bytes allocated for {} bytes of input",
        measured.bytes_max,
        input.len()
    );
    result.expect("it ran")
}
