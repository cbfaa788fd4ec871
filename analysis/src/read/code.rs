//! Function bodies, found on demand.

use alloc::vec::Vec;
use core::ops::Range;

use crate::reader::Reader;

/// Function bodies, not yet parsed.
#[derive(Clone, Debug, Default)]
pub(crate) enum Code<'a> {
    #[default]
    None,
    /// The contents of the code section after the count.
    Section(&'a [u8]),
    /// Bodies that were supplied one by one.
    Bodies(Vec<&'a [u8]>),
}

impl<'a> Code<'a> {
    /// Returns the `nth` body, starting with its locals. Skips the bodies before it in linear
    /// time.
    pub(crate) fn body(&self, nth: u32) -> Option<&'a [u8]> {
        match self {
            Self::None => None,
            Self::Bodies(bodies) => bodies.get(usize::try_from(nth).ok()?).copied(),
            Self::Section(section) => section.get(bodies(section).nth(usize::try_from(nth).ok()?)?),
        }
    }
}

/// Returns where the bodies are in a code section, given without the count, up to the first
/// that does not fit.
pub(crate) fn bodies(section: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut reader = Reader::new(section);
    core::iter::from_fn(move || {
        let len = usize::try_from(reader.var_u32()?).ok()?;
        let start = section.len().checked_sub(reader.rest().len())?;
        reader.bytes(len)?;
        Some(start..start.checked_add(len)?)
    })
}
