//! What is known about a file, shared by every output format.

use super::hint::Hint;
use super::module::ModuleSurvey;

/// A file, its core modules and the plan of each.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    /// The file's name, or `stdin`.
    pub(crate) name: String,
    /// `core module` or `component`, and whether it was text.
    pub(crate) kind: Kind,
    /// Bytes in the binary format.
    pub(crate) n_bytes: u64,
    /// The policy's preset.
    pub(crate) policy: &'static str,
    /// The host page size in bytes.
    pub(crate) page_size: u64,
    pub(crate) modules: Vec<ModuleSurvey<'a>>,
    /// The options that would put more data into images.
    pub(crate) hint: Option<Hint>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) is_component: bool,
    pub(crate) was_text: bool,
}
