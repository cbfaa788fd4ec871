//! A row of columns as an SVG element.

use maud::{Markup, html};

use super::budget::Budget;
use crate::report::picture::{HEIGHT, Row};

/// Draws a row that is stretched to the width of its place.
pub(super) fn row(row: &Row, budget: &mut Budget) -> Markup {
    let Some(left) = budget.rectangles.checked_sub(row.n_stretches) else {
        return html! { span class="dim" { "not drawn: too many pictures" } };
    };
    budget.rectangles = left;
    let view = format!("0 0 {} {HEIGHT}", row.n_columns.max(1));
    html! {
        svg viewBox=(view) preserveAspectRatio="none" aria-hidden="true" {
            @for (style, path) in &row.paths { path class=(style.class) d=(path) {} }
        }
    }
}
