//! Implements the memory interfaces of engines with our slots, where no adapter does.
//!
//! All `unsafe` code of this package is here, in one file per engine.

pub(crate) mod wasmi;

use core::num::NonZeroUsize;

/// How many instances may exist at once.
const MAX_SLOTS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
