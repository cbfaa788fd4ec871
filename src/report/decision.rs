//! How a decision is shown.

use anstyle::Style;
use wasm_meminit::analysis::Decision;

use crate::text::terminal::{CYAN, DIM, GREEN, YELLOW};

/// Returns the colour of a decision.
pub(crate) const fn style(decision: Decision) -> Style {
    match decision {
        Decision::None => DIM,
        Decision::Static => GREEN,
        Decision::Hybrid => CYAN,
        Decision::Segmented => YELLOW,
    }
}

/// Returns a decision as a word.
pub(crate) const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::None => "none",
        Decision::Static => "static",
        Decision::Hybrid => "hybrid",
        Decision::Segmented => "segmented",
    }
}
