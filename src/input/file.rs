//! Input files: modules and components, binary or text, and artifacts.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use wasm_meminit::image_builder::{BUNDLE_MAGIC, Bundle, MAGIC as ARTIFACT_MAGIC, SourceHash};

use super::bytes::Bytes;
use super::source::{Source, stdin_file};
use super::version::Version;
use super::{assemble, foreign};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// The most bytes that are read from one file: sizes in the binary format have 32 bits.
const MAX_BYTES: u64 = 1 << 32;

/// How many bytes are read at a time.
const PIECE: usize = 1 << 20;

const WASM_MAGIC: &[u8] = b"\0asm";

/// A module or component in the binary format.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) bytes: Bytes,
    /// The text that these bytes were assembled from, if the input was text.
    pub(crate) text: Option<Bytes>,
    /// Of `bytes`, once it is known.
    pub(super) hash: OnceLock<SourceHash>,
}

impl Binary {
    pub(super) const fn new(bytes: Bytes, text: Option<Bytes>) -> Self {
        Self {
            bytes,
            text,
            hash: OnceLock::new(),
        }
    }

    /// Returns the bytes of the file itself.
    pub(crate) fn file_bytes(&self) -> &[u8] {
        self.text.as_deref().unwrap_or(&self.bytes)
    }

    /// Whether the header is that of a component.
    pub(crate) fn is_component(&self) -> bool {
        // The upper half of the version field is the layer: 0 for core modules.
        self.bytes.get(6..8).is_some_and(|layer| layer != [0, 0])
    }
}

/// A file of either kind.
#[derive(Debug)]
pub(crate) enum Input {
    Module(Binary),
    /// The bytes of an artifact, not decoded.
    Artifact(Bytes),
}

/// Reads a module or component, and assembles text into the binary format.
///
/// # Errors
///
/// The file cannot be read, or is neither.
pub(crate) fn module(source: Source<'_>, progress: &Progress) -> Result<Binary> {
    let bytes = read(source, progress, |first| {
        if is_artifact(first) {
            Err("this is an artifact; expected a module".to_owned())
        } else {
            is_module(source, first)
        }
    })?;
    assembled(source, bytes, progress)
}

/// Reads an artifact or a bundle without decoding it.
///
/// # Errors
///
/// The file cannot be read, or is a WebAssembly binary.
pub(crate) fn artifact(source: Source<'_>, progress: &Progress) -> Result<Bytes> {
    read(source, progress, |first| {
        if first.starts_with(WASM_MAGIC) {
            Err("this is a WebAssembly binary; expected an artifact".to_owned())
        } else if first.is_empty() {
            Err("the file is empty".to_owned())
        } else if first.starts_with(&ARTIFACT_MAGIC)
            || ARTIFACT_MAGIC.starts_with(first)
            || Bundle::is_bundle(first)
        {
            Ok(())
        } else {
            let foreign = foreign::recognise(first, source);
            Err(foreign.unwrap_or_else(|| "not a wasm-meminit artifact".to_owned()))
        }
    })
}

/// Reads a module, a component or an artifact.
///
/// # Errors
///
/// The file cannot be read, or is none of these.
pub(crate) fn module_or_artifact(source: Source<'_>, progress: &Progress) -> Result<Input> {
    let bytes = read(source, progress, |first| match is_artifact(first) {
        true => Ok(()),
        false => is_module(source, first),
    })?;
    if is_artifact(&bytes) {
        return Ok(Input::Artifact(bytes));
    }
    assembled(source, bytes, progress).map(Input::Module)
}

/// Whether this is the beginning of an artifact or a bundle.
fn is_artifact(first: &[u8]) -> bool {
    let begins = |magic: &[u8]| first.starts_with(magic.get(..4).unwrap_or(&[]));
    begins(&ARTIFACT_MAGIC) || begins(&BUNDLE_MAGIC)
}

/// Checks that this may be the beginning of a module or component, binary or text.
fn is_module(source: Source<'_>, first: &[u8]) -> core::result::Result<(), String> {
    if first.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if first.starts_with(WASM_MAGIC) || WASM_MAGIC.starts_with(first) {
        return Ok(());
    }
    // Before text: zstd data begins with a parenthesis.
    match foreign::recognise(first, source) {
        Some(cause) => Err(cause),
        None if is_text(first) => Ok(()),
        None => Err("neither a WebAssembly binary nor WebAssembly text".to_owned()),
    }
}

fn assembled(source: Source<'_>, bytes: Bytes, progress: &Progress) -> Result<Binary> {
    if WASM_MAGIC.starts_with(&bytes) || bytes.starts_with(WASM_MAGIC) {
        return Ok(Binary::new(bytes, None));
    }
    progress.phase("assembling", None);
    let assembled = Bytes::Heap(assemble::assemble(source, &bytes)?);
    Ok(Binary::new(assembled, Some(bytes)))
}

/// Whether this may be the text format: it begins with a parenthesis or a comment.
fn is_text(first: &[u8]) -> bool {
    let bom = "\u{feff}".as_bytes();
    let first = first.strip_prefix(bom).unwrap_or(first).trim_ascii_start();
    first.is_empty() || first.starts_with(b"(") || first.starts_with(b";")
}

/// Reads all bytes of a file, after checking the first ones: a device may never end. A file that
/// changes meanwhile is an error.
fn read(
    source: Source<'_>,
    progress: &Progress,
    is_wanted: impl Fn(&[u8]) -> core::result::Result<(), String>,
) -> Result<Bytes> {
    let fail = |err: io::Error| Error::of(&source, err);
    let is_directory = || Error::of(&source, "this is a directory; expected a file");
    let file = match source.is_stdin() {
        // Only to ask what it is.
        true => stdin_file().ok(),
        false => Some(File::open(source.0).map_err(|err| match source.0.is_dir() {
            // Not every system opens one.
            true => is_directory(),
            false => fail(err),
        })?),
    };
    let version = file.as_ref().and_then(Version::of);
    let (mut reader, len): (Box<dyn Read + '_>, Option<u64>) = match &file {
        Some(file) if !source.is_stdin() => {
            let metadata = file.metadata().map_err(fail)?;
            if metadata.is_dir() {
                return Err(is_directory());
            }
            let len = metadata.is_file().then_some(metadata.len());
            (Box::new(file), len)
        }
        _ => (Box::new(io::stdin().lock()), None),
    };
    let too_large = || {
        Error::of(
            &source,
            "larger than 4 GiB, the limit for modules and artifacts",
        )
    };
    if len.is_some_and(is_too_large) {
        return Err(too_large());
    }
    let len = usize::try_from(len.unwrap_or(0)).map_err(|_| too_large())?;
    progress.phase("reading", (len != 0).then_some(len));

    let mut bytes = Bytes::with_room(len).ok_or_else(|| Error::of(&source, "out of memory"))?;
    let mut is_first = true;
    loop {
        let n = bytes.read_from(&mut reader, PIECE).map_err(fail)?;
        progress.advance(n);
        if is_first {
            is_wanted(&bytes).map_err(|cause| Error::of(&source, cause))?;
            is_first = false;
        }
        if n == 0 {
            break;
        }
        if is_too_large(bytes.len() as u64) {
            return Err(too_large());
        }
    }
    if file.as_ref().and_then(Version::of) == version {
        return Ok(bytes);
    }
    let err = Error::of(&source, "the file changed while it was read");
    Err(err.with_hint("run the command again when nothing writes to the file"))
}

const fn is_too_large(len: u64) -> bool {
    MAX_BYTES < len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_4_gib_is_read() {
        assert!(!is_too_large(4 << 30) && is_too_large((4 << 30) + 1));
    }

    #[test]
    fn text_is_distinguished_from_noise() {
        for text in [
            "(module)",
            " \n\t(module)",
            ";; a comment",
            "\u{feff}(module)",
            "  ",
        ] {
            assert!(is_text(text.as_bytes()), "{text:?}");
        }
        for noise in [&b"\x7fELF"[..], b"hello", b"\0\0\0\0"] {
            assert!(!is_text(noise), "{noise:?}");
        }
    }
}
