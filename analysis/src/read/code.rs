//! Function bodies, found on demand.

use alloc::vec::Vec;
use core::ops::Range;

use crate::reader::Reader;

/// Function bodies, not yet parsed.
#[derive(Clone, Debug)]
pub(crate) enum Code<'a> {
    Section(CodeSection<'a>),
    /// Bodies that were supplied one by one.
    Bodies(Vec<&'a [u8]>),
}

impl Default for Code<'_> {
    fn default() -> Self {
        Self::Bodies(Vec::new())
    }
}

impl<'a> Code<'a> {
    /// Returns the `nth` body, starting with its locals.
    pub(crate) fn body(&self, nth: u32) -> Option<&'a [u8]> {
        let nth = usize::try_from(nth).ok()?;
        match self {
            Self::Section(section) => section.bytes.get(section.body(nth)?),
            Self::Bodies(bodies) => bodies.get(nth).copied(),
        }
    }
}

/// A code section, and where its bodies are.
#[derive(Clone, Debug)]
pub(crate) struct CodeSection<'a> {
    /// What follows the count.
    pub(crate) bytes: &'a [u8],
    /// Where the length of each body is, up to the first that does not fit.
    lengths: Vec<u32>,
}

impl<'a> CodeSection<'a> {
    /// Finds the bodies in a section, given without the count.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        let lengths = core::iter::from_fn(|| {
            let at = bytes.len().checked_sub(reader.rest().len())?;
            let len = reader.var_u32()?;
            reader.bytes(usize::try_from(len).ok()?)?;
            u32::try_from(at).ok()
        });
        let lengths = lengths.collect();
        Self { bytes, lengths }
    }

    fn body(&self, nth: usize) -> Option<Range<usize>> {
        let at = usize::try_from(*self.lengths.get(nth)?).ok()?;
        let mut reader = Reader::new(self.bytes.get(at..)?);
        let len = usize::try_from(reader.var_u32()?).ok()?;
        let start = self.bytes.len().checked_sub(reader.rest().len())?;
        Some(start..start.checked_add(len)?)
    }

    /// Returns the number and the range of the body that contains the byte at `at`, or whose
    /// length does. `None` if it is behind the last body.
    pub(crate) fn body_at(&self, at: usize) -> Option<(u32, Range<usize>)> {
        let starts_before = |it: &u32| usize::try_from(*it).is_ok_and(|it| it <= at);
        let nth = self.lengths.partition_point(starts_before).checked_sub(1)?;
        let range = self.body(nth).filter(|it| at < it.end)?;
        Some((u32::try_from(nth).ok()?, range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_found_by_number_and_by_position() {
        // Three bodies, the second of them empty, the third with a padded length; then one
        // that does not fit.
        let bytes = [2, 7, 8, 0, 0x81, 0, 9, 3, 1];
        let section = CodeSection::new(&bytes);
        let ranges = [1..3, 4..4, 6..7];
        for (nth, range) in ranges.iter().enumerate() {
            assert_eq!(section.body(nth), Some(range.clone()));
        }
        assert_eq!(section.body(3), None);
        let numbers = (0..bytes.len()).map(|at| section.body_at(at).map(|it| it.0));
        let expected = [0, 0, 0, 1, 2, 2, 2, u32::MAX, u32::MAX];
        let expected = expected.map(|it| (it != u32::MAX).then_some(it));
        assert!(numbers.eq(expected));

        let code = Code::Section(section);
        assert_eq!(code.body(0), Some(&[7, 8][..]));
        assert_eq!(code.body(3), None);
        assert_eq!(Code::default().body(0), None);
    }
}
