//! The start function of threaded modules, whose effect is known without running it.

#[cfg(feature = "parse")]
mod function_body;
mod init;
#[cfg(feature = "parse")]
mod operands;
#[cfg(feature = "parse")]
pub(crate) mod reachable;
#[cfg(feature = "parse")]
mod wasm_ld;

pub use self::init::{ReachedBy, StartFunction, StartInit, StartReason, ThreadLocal};
use crate::Module;

/// How much of each segment the start function may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    Whole,
    WholeOrZero,
}

impl Module<'_> {
    /// Returns the effect of the start function on a zeroed memory, if it is the one that
    /// wasm-ld generates for threaded modules. Reads only the bodies of that function and of
    /// the functions it calls.
    ///
    /// # Errors
    ///
    /// [`StartReason`] if it is another function; this is not a failure.
    pub fn start_init(&self) -> Result<StartInit, StartReason> {
        self.recognized(Lengths::Whole)
    }

    /// Like [`start_init`](Self::start_init), of a module whose start function may have been
    /// stripped: what it writes with a length of 0 is not among its writes, even if others still
    /// need the segment.
    ///
    /// # Errors
    ///
    /// The same as [`start_init`](Self::start_init).
    pub fn stripped_start_init(&self) -> Result<StartInit, StartReason> {
        self.recognized(Lengths::WholeOrZero)
    }

    fn recognized(&self, lengths: Lengths) -> Result<StartInit, StartReason> {
        #[cfg(feature = "parse")]
        let init = wasm_ld::recognize(self, lengths);
        #[cfg(not(feature = "parse"))]
        let _ = lengths;
        // Without a parser there are no bodies.
        #[cfg(not(feature = "parse"))]
        let init = Err(StartReason::NoBody);
        init
    }
}
