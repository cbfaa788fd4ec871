//! How text is written: numbers and units, which characters may be shown or pasted, and what
//! the terminal can display.

pub(crate) mod excerpt;
pub(crate) mod printable;
pub(crate) mod shell;
pub(crate) mod terminal;
pub(crate) mod units;
