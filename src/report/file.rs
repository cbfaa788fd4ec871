//! What identifies a file in a report.

use std::path::Path;

use wasm_meminit::image_builder::{Bundle, SourceHash};

use crate::input::hash::{sha256, sha256_of_parts};
use crate::input::{Binary, Source};
use crate::progress::Progress;

/// A file as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Its name as given, or `stdin`.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// The hash of its bytes, for reports that show it.
    pub(crate) sha256: Option<SourceHash>,
    pub(crate) kind: FileKind,
    /// Whether it is in the text format.
    pub(crate) is_text: bool,
}

/// What a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Module,
    Component,
    Artifact,
    /// The artifacts of a component's core modules.
    Bundle,
}

impl FileKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Component => "component",
            Self::Artifact => "artifact",
            Self::Bundle => "bundle",
        }
    }
}

impl FileFacts {
    /// Returns its name without the folder.
    pub(crate) fn base_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or_default()
    }

    /// Describes a file that is written, given in parts.
    pub(crate) fn of_output(
        path: &Path,
        parts: &[&[u8]],
        kind: FileKind,
        progress: &Progress,
    ) -> Self {
        Self {
            name: match path.as_os_str() == "-" {
                true => String::from("stdout"),
                false => path.display().to_string(),
            },
            size: parts.iter().map(|it| it.len() as u64).sum(),
            sha256: Some(sha256_of_parts(parts, progress)),
            kind,
            is_text: false,
        }
    }

    /// Describes a module or component. Its bytes are hashed if a report shows the hash.
    pub(crate) fn of_module(
        source: Source<'_>,
        binary: &Binary,
        has_hash: bool,
        progress: &Progress,
    ) -> Self {
        let kind = match binary.is_component() {
            true => FileKind::Component,
            false => FileKind::Module,
        };
        Self {
            name: source.to_string(),
            size: binary.file_bytes().len() as u64,
            sha256: has_hash.then(|| binary.file_hash(progress)),
            kind,
            is_text: binary.text.is_some(),
        }
    }

    /// Describes an artifact or a bundle.
    pub(crate) fn of_artifact(
        source: Source<'_>,
        bytes: &[u8],
        has_hash: bool,
        progress: &Progress,
    ) -> Self {
        let kind = match Bundle::is_bundle(bytes) {
            true => FileKind::Bundle,
            false => FileKind::Artifact,
        };
        Self {
            name: source.to_string(),
            size: bytes.len() as u64,
            sha256: has_hash.then(|| sha256(bytes, progress)),
            kind,
            is_text: false,
        }
    }
}
