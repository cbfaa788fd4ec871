//! Replaces the core modules of a component in place.

use alloc::vec::Vec;

use wasm_meminit_analysis::Module;

use super::error::RewriteError;
use super::section::{PREAMBLE, sections, write};

/// Ids of a component's sections that contain other binaries (component model, "Binary
/// Format").
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Maximum number of components within each other; tools emit a few levels.
const MAX_DEPTH: usize = 64;

/// Replaces each core module of a component with the result of `f`, in the order of
/// [`Module::parse_all`]. A core module that is not in a component is passed to `f` directly.
///
/// Apart from the modules, only the sizes of the sections that contain them change.
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
    map_nested(wasm, 0, f)
}

fn map_nested<E: From<RewriteError>>(
    wasm: &[u8],
    depth: usize,
    f: &mut dyn FnMut(&Module<'_>) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    if !wasm.starts_with(b"\0asm") {
        return Err(RewriteError::Malformed { offset: 0 }.into());
    }
    // The upper half of the version field is the layer: 0 for core modules.
    if wasm.get(6..8).is_none_or(|layer| layer == [0, 0]) {
        let module = Module::parse(wasm).map_err(|err| RewriteError::Malformed {
            offset: err.offset(),
        })?;
        return f(&module);
    }
    if depth == MAX_DEPTH {
        return Err(RewriteError::TooDeep.into());
    }
    let mut out = Vec::with_capacity(wasm.len());
    out.extend_from_slice(wasm.get(..PREAMBLE).unwrap_or_default());
    for section in sections(wasm) {
        let section = section?;
        if let CORE_MODULE | COMPONENT = section.id {
            let nested = map_nested(section.contents, depth.saturating_add(1), f)?;
            write(&mut out, section.id, &nested)?;
        } else {
            out.extend_from_slice(section.whole);
        }
    }
    Ok(out)
}
