//! Measures the compressed size of a module.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

/// The level of `gzip -9`.
const BEST: i32 = 9;

/// A window of 32 KiB and no zlib header, as in a gzip file.
const RAW: i32 = -15;

/// Returns the length of `bytes` compressed with DEFLATE at its best level.
///
/// Takes linear time: matches are searched at a bounded number of positions. The result
/// differs from zlib's by a fraction of a percent.
pub(super) fn deflated_len(bytes: &[u8]) -> u64 {
    let flags = create_comp_flags_from_zip_params(BEST, RAW, 0);
    let mut compressor = CompressorOxide::new(flags);
    let mut len = 0_u64;
    // Output is counted and discarded, so that nothing is allocated for it.
    compress_to_output(&mut compressor, bytes, TDEFLFlush::Finish, |out| {
        len = len.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
        true
    });
    len
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn zeros_compress_and_noise_does_not() {
        assert!(deflated_len(&vec![0; 1 << 20]) < 1200);
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..1 << 16)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        let len = deflated_len(&noise);
        assert!((65_000..66_000).contains(&len), "{len}");
        assert!(deflated_len(&[noise.clone(), noise].concat()) <= len * 2);
    }
}
