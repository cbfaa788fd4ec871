//! Parses a [`Module`] from bytes.

use alloc::vec::Vec;

use wasmparser::{BinaryReader, Encoding, Payload};

use super::walk::Walk;
use crate::limits::MAX_MODULES;
use crate::read::code::Code;
use crate::read::error::{Limited, ParseError, ParseErrorKind};
use crate::{Module, ModuleBuilder};

type Result<T> = core::result::Result<T, ParseError>;

impl<'a> Module<'a> {
    /// Parses a core module in one pass. The code section is skipped.
    ///
    /// Takes time linear in the number of sections, imports, globals and data segments.
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
                    builder.module.code = Code::Section(walk.skip_section(size)?);
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
                    builder.all_elements();
                    return builder.finish();
                }
                payload => builder.payload(&payload)?,
            }
        }
    }

    /// Parses a core module, or every core module nested in a component, in file order.
    /// Returns an empty list for a component without core modules.
    ///
    /// # Errors
    ///
    /// The same as [`parse`](Self::parse).
    pub fn parse_all(wasm: &'a [u8]) -> Result<Vec<Self>> {
        let mut walk = Walk::new(wasm);
        let mut modules = Vec::new();
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
                    builder.module.code = Code::Section(walk.skip_section(size)?);
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
                        builder.all_elements();
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
