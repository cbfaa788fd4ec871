//! What is known about a file, and its reports: as text, as JSON, as an HTML page.

mod bar;
pub(crate) mod decision;
pub(crate) mod hint;
pub(crate) mod html;
pub(crate) mod json;
mod map;
pub(crate) mod module;
mod reasons;
mod start;
pub(crate) mod survey;
mod table;
pub(crate) mod text;
pub(crate) mod wrap;
