//! Measures the compressed size of what a rewrite of the data can change.

use alloc::vec::Vec;
use core::ops::Range;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

use super::error::RewriteError;
use super::section::{PREAMBLE, id, sections};

/// The level of `gzip -9`.
const BEST: i32 = 9;

/// A window of 32 KiB and no zlib header, as in a gzip file.
const RAW: i32 = -15;

/// How far back a match can be, in bytes.
const WINDOW: usize = 32 << 10;

/// Returns the compressed size of a module, less that of the bytes which are the same in every
/// rewrite of its data and too far away to affect anything else: most of a large module.
///
/// Only sizes of rewrites of one module are comparable. `has_uses` tells whether function bodies
/// name data segments.
pub(super) fn comparable_len(wasm: &[u8], has_uses: bool) -> Result<u64, RewriteError> {
    let excerpts = excerpts(wasm, has_uses)?;
    let parts = excerpts.into_iter().filter_map(|it| wasm.get(it));
    Ok(deflated_len(parts))
}

/// Returns the sections that can differ, with the bytes that a match there, or from there, can
/// reach: in order, disjoint.
fn excerpts(wasm: &[u8], has_uses: bool) -> Result<Vec<Range<usize>>, RewriteError> {
    let mut changed: Vec<Range<usize>> = Vec::new();
    let mut end = PREAMBLE;
    let mut data_end = PREAMBLE;
    for section in sections(wasm) {
        let section = section?;
        let start = end;
        end = end.saturating_add(section.whole.len());
        let may_change = match section.id {
            id::DATA | id::DATA_COUNT => true,
            id::CODE => has_uses,
            _ => section.name() == Some("name"),
        };
        if may_change {
            changed.push(start..end);
        }
        if section.id != id::CUSTOM {
            data_end = end;
        }
    }
    // Where the data section is, or would be.
    changed.push(data_end..data_end);
    changed.sort_unstable_by_key(|it| it.start);

    let mut excerpts: Vec<Range<usize>> = Vec::new();
    for range in changed {
        let start = range.start.saturating_sub(WINDOW);
        let end = range.end.saturating_add(WINDOW).min(wasm.len());
        match excerpts.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => excerpts.push(start..end),
        }
    }
    Ok(excerpts)
}

/// Returns the length of the parts, one after the other, compressed with DEFLATE at its best
/// level.
///
/// Takes linear time: matches are searched at a bounded number of positions. The result
/// differs from zlib's by a fraction of a percent.
fn deflated_len<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u64 {
    let flags = create_comp_flags_from_zip_params(BEST, RAW, 0);
    let mut compressor = CompressorOxide::new(flags);
    let mut len = 0_u64;
    let parts = parts.map(|it| (it, TDEFLFlush::None));
    for (part, flush) in parts.chain([(&[][..], TDEFLFlush::Finish)]) {
        // Output is counted and discarded, so that nothing is allocated for it.
        compress_to_output(&mut compressor, part, flush, |out| {
            len = len.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
            true
        });
    }
    len
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::section::write;
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    fn whole_len(bytes: &[u8]) -> u64 {
        deflated_len([bytes].into_iter())
    }

    #[test]
    fn zeros_compress_and_noise_does_not() {
        assert!(whole_len(&vec![0; 1 << 20]) < 1200);
        let noise = noise(1 << 16);
        let len = whole_len(&noise);
        assert!((65_000..66_000).contains(&len), "{len}");
        // Matches are found across parts.
        let text = b"the quick brown fox jumps over the lazy dog".repeat(100);
        let parts = text.chunks(7);
        assert_eq!(deflated_len(parts), whole_len(&text));
        assert!(whole_len(&[noise.clone(), noise].concat()) <= len * 2);
    }

    /// A module: the sections are not parsed.
    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        for (id, contents) in sections {
            write(&mut wasm, *id, contents).expect("small");
        }
        wasm
    }

    #[test]
    fn a_difference_of_data_is_that_of_the_module() {
        let code = noise(300_000);
        let debug = [&b"\x04info"[..], &noise(200_000)].concat();
        let name = [&b"\x04name"[..], &noise(3000)].concat();
        let data = noise(10_000);
        let joined = [&data[..], &[0; 5000]].concat();
        let of = |n: u8, data: Option<&[u8]>, uses: bool| {
            let mut sections = vec![(id::DATA_COUNT, vec![n]), (id::CODE, code.clone())];
            sections.extend(data.map(|it| (id::DATA, it.to_vec())));
            sections.extend([(id::CUSTOM, name.clone()), (id::CUSTOM, debug.clone())]);
            let sections: Vec<(u8, &[u8])> = sections.iter().map(|it| (it.0, &it.1[..])).collect();
            let wasm = module(&sections);
            let len = comparable_len(&wasm, uses).expect("sections");
            (
                i64::try_from(whole_len(&wasm)).unwrap(),
                i64::try_from(len).unwrap(),
            )
        };
        for uses in [false, true] {
            let old = of(1, Some(&data), uses);
            assert!(uses || old.1 < old.0 / 2, "{old:?}");
            for new in [
                of(2, Some(&joined), uses),
                of(1, Some(&data[..900]), uses),
                of(0, None, uses),
            ] {
                let (whole, excerpt) = (new.0 - old.0, new.1 - old.1);
                // The blocks of DEFLATE end elsewhere.
                assert!((whole - excerpt).abs() < 40, "{whole} {excerpt}");
            }
        }
        let all = module(&[(id::CODE, &code), (id::DATA, &data)]);
        assert_eq!(
            comparable_len(&all, true).expect("sections"),
            whole_len(&all)
        );
    }
}
