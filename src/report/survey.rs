//! What is known about a file, shared by every output format.

use super::file::{FileFacts, FileKind};
use super::headline::Headline;
use super::hint::Hint;
use super::instances::Instances;
use super::module::ModuleSurvey;

/// A file, its core modules and the plan of each.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    pub(crate) file: FileFacts,
    /// The module or component in the binary format.
    pub(crate) binary: &'a [u8],
    /// The policy's preset.
    pub(crate) policy: &'static str,
    /// The host page size in bytes.
    pub(crate) page_size: u64,
    pub(crate) modules: Vec<ModuleSurvey<'a>>,
    /// The core instances of a component.
    pub(crate) instances: Instances,
    pub(crate) headline: Headline,
    /// The options that would put more data into images.
    pub(crate) hint: Option<Hint>,
    /// Whether the report lists the segments.
    pub(crate) has_segments: bool,
}

impl Survey<'_> {
    pub(crate) fn is_component(&self) -> bool {
        self.file.kind == FileKind::Component
    }
}
