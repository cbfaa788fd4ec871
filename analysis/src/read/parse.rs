//! Parses a [`Module`] from bytes.

use alloc::vec::Vec;

use cranelift_entity::EntityRef;
use wasmparser::{BinaryReader, Encoding, Payload};

use super::walk::Walk;
use crate::limits::MAX_MODULES;
use crate::read::error::{Limited, ParseError, ParseErrorKind};
use crate::reader::Reader;
use crate::{DataIndex, Module, ModuleBuilder};

type Result<T> = core::result::Result<T, ParseError>;

impl<'a> Module<'a> {
    /// Parses a core module in one pass. The code section is skipped.
    ///
    /// Takes time linear in the number of sections, imports, globals and data segments, and
    /// of functions if there are a start function and passive segments.
    /// Allocates at most 32 bytes for each byte of input, and 160 bytes for each data
    /// segment and each import of a compact group, whose numbers are
    /// [limited](crate::limits). This is the worst case; for modules emitted by toolchains,
    /// it allocates less than their size.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with the offset of the error. Function bodies, types and exports are
    /// not validated; the engine does that.
    pub fn parse(wasm: &'a [u8]) -> Result<Self> {
        let mut walk = Walk::new(wasm);
        let mut builder = ModuleBuilder::new();
        builder.module.binary = Some(wasm);
        loop {
            let before = walk.position();
            let payload = match walk.next() {
                Ok(payload) => payload,
                Err(err) => return Err(walk.explain(err, &builder)),
            };
            match payload {
                Payload::Version {
                    encoding: Encoding::Component,
                    ..
                } => {
                    return Err(ParseError::new(ParseErrorKind::Component, 0));
                }
                Payload::CodeSectionStart { size, .. } => {
                    builder.code_section = Some(walk.skip_section(size)?);
                }
                Payload::GlobalSection(reader) => {
                    let range = reader.range();
                    builder.global_section_bytes(walk.bytes(before, &range)?, range.end)?;
                }
                Payload::DataSection(reader) => {
                    let range = reader.range();
                    builder.data_section_bytes(walk.bytes(before, &range)?, range.end)?;
                }
                Payload::End(_) => {
                    builder.end();
                    return builder.finish();
                }
                payload => builder.payload(&payload)?,
            }
        }
    }

    /// Parses a core module, or every core module nested in a component, in file order.
    /// Returns an empty list for a component without core modules.
    ///
    /// Allocates as much as [`parse`](Self::parse) of each, and at most 256 bytes in addition for
    /// each core module.
    ///
    /// # Errors
    ///
    /// The same as [`parse`](Self::parse).
    pub fn parse_all(wasm: &'a [u8]) -> Result<Vec<Self>> {
        let mut walk = Walk::new(wasm);
        let mut modules = Vec::with_capacity(count_modules(wasm).min(MAX_MODULES));
        // The module being parsed. Components nest, but a core module is always innermost.
        let mut open: Option<ModuleBuilder<'a>> = None;
        loop {
            let before = walk.position();
            let payload = match (walk.next(), open.take()) {
                (Ok(payload), builder) => {
                    open = builder;
                    payload
                }
                (Err(err), Some(builder)) => return Err(walk.explain(err, &builder)),
                (Err(err), None) => return Err(err),
            };
            match (&mut open, payload) {
                (
                    open @ None,
                    Payload::Version {
                        encoding: Encoding::Module,
                        ..
                    },
                ) => {
                    if modules.len() == MAX_MODULES {
                        let kind = ParseErrorKind::TooMany {
                            what: Limited::Modules,
                        };
                        return Err(ParseError::new(kind, walk.offset));
                    }
                    let mut builder = ModuleBuilder::new();
                    // Starts at its header; `End` sets where it ends.
                    builder.module.binary = Some(before.rest);
                    *open = Some(builder);
                }
                (_, Payload::ModuleSection { parser, .. }) => walk.enter(parser),
                (_, Payload::ComponentSection { parser, .. }) => walk.enter(parser),
                (Some(builder), Payload::CodeSectionStart { size, .. }) => {
                    builder.code_section = Some(walk.skip_section(size)?);
                }
                (Some(builder), Payload::GlobalSection(reader)) => {
                    let range = reader.range();
                    builder.global_section_bytes(walk.bytes(before, &range)?, range.end)?;
                }
                (Some(builder), Payload::DataSection(reader)) => {
                    let range = reader.range();
                    builder.data_section_bytes(walk.bytes(before, &range)?, range.end)?;
                }
                (_, Payload::End(_)) => {
                    if let Some(mut builder) = open.take() {
                        builder.module.binary = builder.module.binary.and_then(|from| {
                            from.get(..from.len().saturating_sub(walk.rest.len()))
                        });
                        builder.end();
                        modules.push(builder.finish()?);
                    }
                    if !walk.leave() {
                        return Ok(modules);
                    }
                }
                (Some(builder), payload) => builder.payload(&payload)?,
                (None, _) => {}
            }
        }
    }

    /// Returns the module's name from its name section, if there is one.
    pub fn name(&self) -> Option<&'a str> {
        let reader = BinaryReader::new(self.name_section?, 0);
        wasmparser::NameSectionReader::new(reader)
            .into_iter()
            .find_map(|it| match it {
                Ok(wasmparser::Name::Module { name, .. }) => Some(name),
                _ => None,
            })
    }

    /// Returns the names of data segments from the name section, in its order, which is that
    /// of the indices in a valid section. Ends at the first malformed name, and skips names of
    /// segments that do not exist.
    pub fn segment_names(&self) -> impl Iterator<Item = (DataIndex, &'a str)> {
        let reader = BinaryReader::new(self.name_section.unwrap_or_default(), 0);
        let maps = wasmparser::NameSectionReader::new(reader)
            .map_while(core::result::Result::ok)
            .filter_map(|it| match it {
                wasmparser::Name::Data(map) => Some(map),
                _ => None,
            });
        let names = maps.flat_map(|map| map.into_iter().map_while(core::result::Result::ok));
        let n_segments = self.segments.len();
        names.filter_map(move |it| {
            let index = usize::try_from(it.index)
                .ok()
                .filter(|it| *it < n_segments)?;
            Some((DataIndex::new(index), it.name))
        })
    }
}

/// The length of magic, version and layer, with which modules and components begin.
const PREAMBLE: usize = 8;

/// Ids of a component's sections that contain other binaries (component model, "Binary Format").
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Returns the number of core modules, or of those before the first error. A list that grows
/// instead would hold up to three times as many.
fn count_modules(wasm: &[u8]) -> usize {
    let mut reader = Reader::new(wasm);
    let preamble = reader.bytes(PREAMBLE).unwrap_or_default();
    // The upper half of the version field is the layer: 0 for core modules.
    if preamble.get(6..) == Some(&[0, 0]) {
        return 1;
    }
    let mut n_modules = 0_usize;
    while let (Some(id), Some(len)) = (reader.byte(), reader.var_u32()) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        // The sections of a nested component end where those of the outer one go on.
        let to_skip = if id == COMPONENT { PREAMBLE } else { len };
        if reader.bytes(to_skip).is_none() {
            break;
        }
        if id == CORE_MODULE && PREAMBLE <= len {
            n_modules = n_modules.saturating_add(1);
        }
    }
    n_modules
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;

    use super::*;

    #[test]
    fn segments_have_the_names_of_the_name_section() {
        let text = r#"(module (memory 1)
            (data $first (i32.const 0) "x") (data (i32.const 1) "y") (data $.rodata "z"))"#;
        let wasm = wat::parse_str(text).unwrap();
        let names = |wasm: &[u8]| -> Vec<(u32, String)> {
            let module = Module::parse(wasm).unwrap();
            let names = module.segment_names();
            names
                .map(|(index, name)| (index.as_u32(), name.to_owned()))
                .collect()
        };
        let expected = [(0, "first".to_owned()), (2, ".rodata".to_owned())];
        assert_eq!(names(&wasm), expected);
        // An index without a segment, and a name that is cut short.
        let section = |names: &[u8]| {
            let body = [b"\x04name\x09".as_slice(), &[names.len() as u8], names].concat();
            let memory_and_data = b"\x05\x03\x01\x00\x01\x0b\x06\x01\x00\x41\x00\x0b\x00";
            let preamble = b"\0asm\x01\0\0\0".as_slice();
            [preamble, memory_and_data, &[0, body.len() as u8], &body].concat()
        };
        assert_eq!(
            names(&section(b"\x02\x00\x01a\x07\x01b")),
            [(0, "a".to_owned())]
        );
        assert_eq!(
            names(&section(b"\x02\x00\x01a\x00\x09b")),
            [(0, "a".to_owned())]
        );
        assert_eq!(names(&section(b"")), []);
    }

    #[test]
    fn modules_are_counted_before_they_are_parsed() {
        for (text, n) in [
            ("(module (type (func)))", 1),
            ("(component)", 0),
            ("(component (component) (component (type $t (func))))", 0),
            (
                "(component (core module) (component (core module) (component (core module)))
                   (core module (type (func))))",
                4,
            ),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            assert_eq!(count_modules(&wasm), n, "{text}");
            let modules = Module::parse_all(&wasm).unwrap();
            assert_eq!((modules.len(), modules.capacity()), (n, n), "{text}");
            for len in 0..wasm.len() {
                assert!(count_modules(&wasm[..len]) <= n.max(1), "{text}");
            }
        }
        // Sections that are too short for a module.
        let wasm = [b"\0asm\x0d\0\x01\0".as_slice(), &[1, 0].repeat(9)].concat();
        assert_eq!(count_modules(&wasm), 0);
    }

    #[test]
    fn a_nested_module_borrows_only_its_own_bytes() {
        let text = r#"(component
            (core module (memory 1) (data (i32.const 0) "x"))
            (component (core module (func) (memory 2))))"#;
        let wasm = wat::parse_str(text).unwrap();
        let nested = Module::parse_all(&wasm).unwrap();
        assert_eq!(nested.len(), 2);
        for module in nested {
            let alone = Module::parse(module.binary().unwrap()).unwrap();
            assert_eq!(alone.memories(), module.memories());
            assert_eq!(alone.segments(), module.segments());
            assert_eq!(alone.binary(), module.binary());
        }
    }
}
