//! What is known about a file, and its reports: as text, as JSON, as an HTML page.

pub(crate) mod artifact;
mod bar;
pub(crate) mod decision;
pub(crate) mod file;
pub(crate) mod github;
pub(crate) mod headline;
pub(crate) mod hint;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod json_artifact;
pub(crate) mod json_build;
pub(crate) mod json_file;
pub(crate) mod json_many;
pub(crate) mod json_pack;
pub(crate) mod json_verify;
pub(crate) mod many;
mod map;
pub(crate) mod module;
mod reasons;
pub(crate) mod require;
mod segments;
mod single;
mod start;
pub(crate) mod survey;
mod table;
pub(crate) mod text;
mod wrap;
