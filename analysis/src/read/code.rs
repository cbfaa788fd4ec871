//! Function bodies, found on demand.

use alloc::vec::Vec;

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
            Self::Section(section) => {
                let mut reader = Reader::new(section);
                for _ in 0..nth {
                    let len = reader.var_u32()?;
                    reader.bytes(usize::try_from(len).ok()?)?;
                }
                let len = reader.var_u32()?;
                reader.bytes(usize::try_from(len).ok()?)
            }
        }
    }
}
