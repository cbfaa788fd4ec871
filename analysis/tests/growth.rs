//! No input makes the analysis take more than about linear time.
//!
//! The cases are those of the bench `growth`, at sizes that suit a debug build.

#![cfg(feature = "parse")]

#[path = "../../benches/growth/analysis.rs"]
mod analysis;
#[path = "../../benches/growth/clock.rs"]
mod clock;
#[path = "../../benches/growth/fit.rs"]
mod fit;
#[path = "../../benches/growth/wasm.rs"]
mod wasm;

use crate::fit::MOST;

#[test]
fn about_linear() {
    for row in analysis::ROWS {
        // Large enough that all lists come from fresh pages of the allocator, not from its
        // cache.
        let growth = row.measure(&[4_000, 16_000]);
        println!("{growth}");
        assert!(growth.exponent < MOST, "{growth}");
    }
}
