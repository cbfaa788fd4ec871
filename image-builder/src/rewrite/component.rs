//! Replaces the core modules of a component in place.

use alloc::vec::Vec;

use wasm_meminit_analysis::Module;

use super::data::unsigned_len;
use super::error::RewriteError;
use super::section::{PREAMBLE, Section, checked_len, padded, sections};

/// Ids of a component's sections that contain other binaries (component model, "Binary
/// Format").
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Maximum number of components within each other; tools emit a few levels.
const MAX_DEPTH: usize = 64;

/// Replaces each core module of a component with the result of `f`, in the order of
/// [`Module::parse_all`]. A core module that is not in a component is passed to `f` directly.
///
/// Apart from the modules, only the sizes of the sections that contain them change. A size that
/// stays the same is encoded as before; one that changes takes as few bytes as possible.
///
/// # Errors
///
/// Errors returned by `f`; and [`RewriteError`], converted with `From`, if a binary is
/// malformed or nested too deeply.
///
/// ```
/// use wasm_meminit_analysis::Module;
/// use wasm_meminit_image_builder::rewrite::{PackOptions, RewriteError, map_modules, pack};
///
/// let wasm = wat::parse_str(
///     r#"(component (core module (memory 1) (data (i32.const 0) "") (data (i32.const 0) "x")))"#,
/// )?;
/// let packed = map_modules::<RewriteError>(&wasm, &mut |module| {
///     Ok(pack(module, &PackOptions::default())?.wasm)
/// })?;
/// assert_eq!(Module::parse_all(&packed)?[0].segments().len(), 1);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn map_modules<E: From<RewriteError>>(
    wasm: &[u8],
    f: &mut dyn FnMut(&Module<'_>) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    if let Some(module) = core_module(wasm)? {
        return f(&module);
    }
    let mut out = Output {
        // Most rewrites change the length of few modules.
        bytes: Vec::with_capacity(wasm.len()),
        missing: Vec::new(),
    };
    out.component(wasm, 0, f)?;
    Ok(out.finish())
}

/// Parses a core module. `None` for a component.
fn core_module(wasm: &[u8]) -> Result<Option<Module<'_>>, RewriteError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(RewriteError::Malformed { offset: 0 });
    }
    // The upper half of the version field is the layer: 0 for core modules.
    if wasm.get(6..8).is_some_and(|layer| layer != [0, 0]) {
        return Ok(None);
    }
    let module = Module::parse(wasm).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    Ok(Some(module))
}

/// Returns how many bytes the size of a section takes at least: as many as before if its contents
/// have the same length, so that what is not changed stays as it is.
fn kept_width(section: &Section<'_>, len: u32) -> usize {
    match usize::try_from(len) == Ok(section.contents.len()) {
        true => section.size_width(),
        false => 1,
    }
}

/// The component that is written, without the headers of the sections that contain components:
/// those state lengths that depend on the contents. Inserted at the end, each byte is copied twice,
/// however deep it is nested.
struct Output {
    bytes: Vec<u8>,
    /// In the order of their positions.
    missing: Vec<Header>,
}

/// The header of a section that contains a component.
#[derive(Clone, Copy)]
struct Header {
    /// Where it belongs in the bytes without headers.
    at: usize,
    id: u8,
    /// The length of the contents, with the headers in them, and how many bytes it takes.
    len: u32,
    width: usize,
}

impl Header {
    fn len(&self) -> usize {
        self.width.saturating_add(1)
    }
}

impl Output {
    /// Appends a component, and returns the length of the headers that are missing in it.
    fn component<E: From<RewriteError>>(
        &mut self,
        wasm: &[u8],
        depth: usize,
        f: &mut dyn FnMut(&Module<'_>) -> Result<Vec<u8>, E>,
    ) -> Result<usize, E> {
        let preamble = wasm.get(..PREAMBLE).unwrap_or_default();
        self.bytes.extend_from_slice(preamble);
        let depth = depth.saturating_add(1);
        let mut n_missing = 0_usize;
        for section in sections(wasm) {
            let section = section?;
            if !matches!(section.id, CORE_MODULE | COMPONENT) {
                self.bytes.extend_from_slice(section.whole);
                continue;
            }
            if let Some(module) = core_module(section.contents)? {
                let contents = f(&module)?;
                let len = checked_len(contents.len())?;
                self.bytes.push(section.id);
                let size = padded(len, kept_width(&section, len));
                self.bytes.extend_from_slice(&size);
                self.bytes.extend_from_slice(&contents);
                continue;
            }
            if depth == MAX_DEPTH {
                return Err(RewriteError::TooDeep.into());
            }
            let (nth, at) = (self.missing.len(), self.bytes.len());
            let mut header = Header {
                at,
                id: section.id,
                len: 0,
                width: 0,
            };
            // Comes before those in it.
            self.missing.push(header);
            let inner = self.component(section.contents, depth, f)?;
            let written = self.bytes.len().saturating_sub(at);
            header.len = checked_len(written.saturating_add(inner))?;
            let width = usize::try_from(unsigned_len(header.len.into()));
            let kept = kept_width(&section, header.len);
            header.width = kept.max(width.unwrap_or(usize::MAX));
            if let Some(missing) = self.missing.get_mut(nth) {
                *missing = header;
            }
            n_missing = n_missing.saturating_add(inner).saturating_add(header.len());
        }
        Ok(n_missing)
    }

    /// Inserts the headers.
    fn finish(self) -> Vec<u8> {
        if self.missing.is_empty() {
            return self.bytes;
        }
        let headers = self.missing.iter().map(Header::len);
        let len = headers.fold(self.bytes.len(), usize::saturating_add);
        let mut whole = Vec::with_capacity(len);
        let mut from = 0;
        for header in self.missing {
            let before = self.bytes.get(from..header.at);
            whole.extend_from_slice(before.unwrap_or_default());
            whole.push(header.id);
            whole.extend_from_slice(&padded(header.len, header.width));
            from = header.at;
        }
        whole.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        debug_assert_eq!(whole.len(), len, "a header of another length");
        whole
    }
}
