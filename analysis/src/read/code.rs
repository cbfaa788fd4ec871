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
    /// Returns the `nth` body, starting with its locals. Takes time linear in the number of
    /// bodies between the start function and this one, if it is the later one.
    pub(crate) fn body(&self, nth: u32) -> Option<&'a [u8]> {
        let nth = usize::try_from(nth).ok()?;
        match self {
            Self::Section(section) => section.body(nth),
            Self::Bodies(bodies) => bodies.get(nth).copied(),
        }
    }
}

/// A code section, and where its first bodies are.
#[derive(Clone, Debug)]
pub(crate) struct CodeSection<'a> {
    /// What follows the count.
    pub(crate) bytes: &'a [u8],
    /// Where the length of each of the first bodies is.
    lengths: Vec<u32>,
}

impl<'a> CodeSection<'a> {
    /// Finds the bodies up to the `last`, in a section given without the count. Those after it
    /// are found on demand: in a large module, passing over all of them takes a while.
    pub(crate) fn new(bytes: &'a [u8], last: u32) -> Self {
        let lengths = (0..=last).zip(bodies(bytes, 0)).map(|(_, it)| it.length_at);
        let lengths = lengths.map_while(|it| u32::try_from(it).ok()).collect();
        Self { bytes, lengths }
    }

    fn body(&self, nth: usize) -> Option<&'a [u8]> {
        let known = nth.min(self.lengths.len().checked_sub(1)?);
        let mut rest = self.bodies_from(known)?;
        self.bytes.get(rest.nth(nth.checked_sub(known)?)?.range)
    }

    fn bodies_from(&self, known: usize) -> Option<impl Iterator<Item = Body>> {
        let at = usize::try_from(*self.lengths.get(known)?).ok()?;
        Some(bodies(self.bytes, at))
    }

    /// Returns the bodies with their numbers, from one at or before the byte at `at`.
    pub(crate) fn bodies_at(&self, at: usize) -> impl Iterator<Item = (u32, Range<usize>)> {
        let starts_before = |it: &u32| usize::try_from(*it).is_ok_and(|it| it <= at);
        let n_before = self.lengths.partition_point(starts_before);
        let known = n_before.saturating_sub(1);
        let numbers = u32::try_from(known).unwrap_or(u32::MAX)..;
        let bodies = self.bodies_from(known).into_iter().flatten();
        numbers.zip(bodies.map(|it| it.range))
    }
}

/// Where a body is in the section.
struct Body {
    length_at: usize,
    range: Range<usize>,
}

/// Returns the bodies from the one whose length is at `from`, up to the first that does not fit.
fn bodies(section: &[u8], from: usize) -> impl Iterator<Item = Body> {
    let mut reader = Reader::new(section.get(from..).unwrap_or_default());
    core::iter::from_fn(move || {
        let length_at = section.len().checked_sub(reader.rest().len())?;
        let len = usize::try_from(reader.var_u32()?).ok()?;
        let start = section.len().checked_sub(reader.rest().len())?;
        reader.bytes(len)?;
        let range = start..start.checked_add(len)?;
        Some(Body { length_at, range })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bodies, the second of them empty, the third with a padded length; then one that
    /// does not fit.
    const SECTION: [u8; 9] = [2, 7, 8, 0, 0x81, 0, 9, 3, 1];

    #[test]
    fn bodies_are_found_by_number() {
        for last in 0..4 {
            let code = Code::Section(CodeSection::new(&SECTION, last));
            assert_eq!(code.body(0), Some(&[7, 8][..]));
            assert_eq!(code.body(1), Some(&[][..]));
            assert_eq!(code.body(2), Some(&[9][..]));
            assert_eq!(code.body(3), None);
        }
        assert_eq!(Code::Section(CodeSection::new(&[], 0)).body(0), None);
        assert_eq!(Code::default().body(0), None);
    }

    #[test]
    fn bodies_are_found_by_position() {
        let all = [(0, 1..3), (1, 4..4), (2, 6..7)];
        for last in 0..4 {
            let section = CodeSection::new(&SECTION, last);
            for at in 0..SECTION.len() {
                // One of them contains the byte or begins after it, if any body does.
                let found: Vec<_> = section.bodies_at(at).collect();
                assert!(all.ends_with(&found), "{found:?}");
                let expected = all.iter().find(|it| at < it.1.end);
                assert_eq!(found.iter().find(|it| at < it.1.end), expected);
            }
        }
    }
}
