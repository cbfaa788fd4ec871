//! Parses a [`Module`] from bytes, with wasmparser as the reader of sections.

use alloc::vec::Vec;
use core::ops::Range;

use wasmparser::{
    BinaryReader, Chunk, DataKind, DataSectionReader, Encoding, GlobalSectionReader,
    ImportSectionReader, Parser, Payload, TypeRef, ValType,
};

use crate::code::Code;
use crate::decode::Reader;
use crate::error::{Limited, ParseError, ParseErrorKind};
use crate::limits::{MAX_GLOBALS, MAX_IMPORTS, MAX_MODULES};
use crate::{
    ImportName, IndexType, MemoryType, Module, ModuleBuilder, OffsetExpr, ValueType, WasmPageSize,
};

type Result<T> = core::result::Result<T, ParseError>;

// Not a `From` impl: that would make wasmparser's version part of the error.
#[cold]
fn malformed(err: &wasmparser::BinaryReaderError) -> ParseError {
    ParseError::new(ParseErrorKind::Malformed, err.offset())
}

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

/// The id of the data section.
const DATA_SECTION: u8 = 11;

/// A position in the input, and its byte offset.
#[derive(Clone, Copy)]
struct Position<'a> {
    rest: &'a [u8],
    offset: u64,
}

/// wasmparser's parser over a whole input, skipping code sections.
struct Walk<'a> {
    rest: &'a [u8],
    offset: u64,
    parser: Parser,
    outer: Vec<Parser>,
}

impl<'a> Walk<'a> {
    fn new(wasm: &'a [u8]) -> Self {
        Self {
            rest: wasm,
            offset: 0,
            parser: Parser::new(0),
            outer: Vec::new(),
        }
    }

    // Inlined because copying payloads is noticeable for small modules.
    #[inline]
    fn next(&mut self) -> Result<Payload<'a>> {
        match self.parser.parse(self.rest, true) {
            Ok(Chunk::Parsed { consumed, payload }) => {
                self.advance(consumed)?;
                Ok(payload)
            }
            // Not expected after the end of input was announced, but not relied on.
            Ok(Chunk::NeedMoreData(_)) => self.truncated(),
            Err(err) => Err(self.unreadable(&err)),
        }
    }

    /// Returns a more specific error for mismatched counts: the parser compares them before
    /// it returns the data section, and reports neither.
    #[cold]
    fn explain(&self, err: ParseError, builder: &ModuleBuilder<'a>) -> ParseError {
        let Some(declared) = builder.module.data_count else {
            return err;
        };
        let mut reader = Reader::new(self.rest);
        let is_data = reader.byte() == Some(DATA_SECTION) && reader.var_u32().is_some();
        match reader.var_u32() {
            Some(found) if is_data && found != declared => {
                ParseError::new(ParseErrorKind::DataCount { declared, found }, self.offset)
            }
            _ => err,
        }
    }

    #[cold]
    fn unreadable(&self, err: &wasmparser::BinaryReaderError) -> ParseError {
        let end = self
            .offset
            .saturating_add(crate::initialization::len(self.rest));
        let kind = if end <= err.offset() {
            ParseErrorKind::Truncated
        } else {
            ParseErrorKind::Malformed
        };
        ParseError::new(kind, err.offset())
    }

    /// Skips the code section whose start was just read, and returns its bytes.
    fn skip_section(&mut self, size: u32) -> Result<&'a [u8]> {
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(section) = self.rest.get(..len) else {
            return self.truncated();
        };
        self.parser.skip_section();
        self.advance(len)?;
        Ok(section)
    }

    /// Returns the position of the next payload.
    const fn position(&self) -> Position<'a> {
        Position {
            rest: self.rest,
            offset: self.offset,
        }
    }

    /// Returns the bytes at `range`, in a section parsed at position `before`.
    fn bytes(&self, before: Position<'a>, range: &Range<u64>) -> Result<&'a [u8]> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(before.offset)?).ok();
        match (at(range.start), at(range.end)) {
            (Some(start), Some(end)) => match before.rest.get(start..end) {
                Some(bytes) => Ok(bytes),
                None => self.truncated(),
            },
            _ => self.truncated(),
        }
    }

    fn advance(&mut self, len: usize) -> Result<()> {
        let Some(rest) = self.rest.get(len..) else {
            return self.truncated();
        };
        self.rest = rest;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(())
    }

    fn enter(&mut self, inner: Parser) {
        self.outer.push(core::mem::replace(&mut self.parser, inner));
    }

    /// Returns to the enclosing component; `false` if there is none.
    fn leave(&mut self) -> bool {
        match self.outer.pop() {
            Some(parser) => {
                self.parser = parser;
                true
            }
            None => false,
        }
    }

    #[cold]
    fn truncated<T>(&self) -> Result<T> {
        let end = self
            .offset
            .saturating_add(crate::initialization::len(self.rest));
        Err(ParseError::new(ParseErrorKind::Truncated, end))
    }
}

impl<'a> ModuleBuilder<'a> {
    /// Adds a payload from an engine's own parse loop.
    ///
    /// Pass the payloads of one core module in order. Payloads irrelevant to memories are
    /// ignored and may be omitted. Function bodies may be omitted too, but then
    /// [`Module::start_init`] returns [`StartReason::NoBody`](crate::StartReason::NoBody).
    /// If both the element section and `Payload::End` are omitted,
    /// [`Module::elements_may_trap`] returns `true`.
    ///
    /// # Errors
    ///
    /// The same as [`Module::parse`].
    pub fn payload(&mut self, payload: &Payload<'a>) -> Result<()> {
        match payload {
            Payload::ImportSection(reader) => self.imports(reader.clone()),
            Payload::TableSection(reader) => {
                self.module.elements.table_section = Some(reader.clone());
                Ok(())
            }
            Payload::MemorySection(reader) => {
                for memory in reader.clone().into_iter_with_offsets() {
                    let (offset, memory) = memory.map_err(|err| malformed(&err))?;
                    self.offset = offset;
                    let ty = self.memory_type(&memory)?;
                    self.memory(ty)?;
                }
                Ok(())
            }
            Payload::GlobalSection(reader) => self.global_section(reader.clone()),
            Payload::StartSection { func, range } => {
                self.offset = range.start;
                self.start(*func)
            }
            Payload::End(_) => {
                self.all_elements();
                Ok(())
            }
            Payload::ElementSection(reader) => {
                self.all_elements();
                self.module.elements.section = Some(reader.clone());
                Ok(())
            }
            Payload::DataCountSection { count, range } => {
                self.offset = range.start;
                self.module.data_count = Some(*count);
                Ok(())
            }
            Payload::DataSection(reader) => self.data_section(reader),
            Payload::CodeSectionEntry(body) if self.module.start.is_some() => {
                self.body(body.as_bytes());
                Ok(())
            }
            Payload::CustomSection(section) if section.name() == "name" => {
                self.module.name_section = Some(section.data());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn imports(&mut self, reader: ImportSectionReader<'a>) -> Result<()> {
        // The section's count is of groups, each of which may contain any number of imports.
        let mut n_imports = 0_usize;
        for import in reader.into_imports_with_offsets() {
            let (offset, import) = import.map_err(|err| malformed(&err))?;
            self.offset = offset;
            if n_imports == MAX_IMPORTS {
                return self.fail(ParseErrorKind::TooMany {
                    what: Limited::Imports,
                });
            }
            n_imports = n_imports.saturating_add(1);
            let name = ImportName {
                module: import.module,
                name: import.name,
            };
            match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => self.import_functions(1),
                TypeRef::Table(ty) => self.table(IndexType::of(ty.table64), ty.initial),
                TypeRef::Memory(ty) => {
                    let ty = self.memory_type(&ty)?;
                    self.import_memory(name, ty)?;
                }
                TypeRef::Global(ty) => {
                    let usable = if ty.mutable {
                        None
                    } else {
                        value_type(ty.content_type)
                    };
                    self.import_global(name, usable)?;
                }
                TypeRef::Tag(_) => {}
            }
        }
        Ok(())
    }

    fn global_section(&mut self, reader: GlobalSectionReader<'a>) -> Result<()> {
        // A global takes at least 4 bytes: type, mutability, an instruction, `end`.
        let n_bytes = reader.range().end.saturating_sub(reader.range().start);
        let likely = u64::from(reader.count()).min(n_bytes / 4);
        let likely = usize::try_from(likely).unwrap_or(0).min(MAX_GLOBALS);
        self.module.globals.reserve_exact(likely);
        for global in reader.into_iter_with_offsets() {
            let (offset, global) = global.map_err(|err| malformed(&err))?;
            self.offset = offset;
            match value_type(global.ty.content_type) {
                Some(ty) if !global.ty.mutable => {
                    let mut init = global.init_expr.get_binary_reader();
                    let init = init.read_bytes(init.bytes_remaining());
                    self.global(ty, init.map_err(|err| malformed(&err))?)?;
                }
                _ => self.unusable_global()?,
            }
        }
        Ok(())
    }

    fn data_section(&mut self, reader: &DataSectionReader<'a>) -> Result<()> {
        let range = reader.range();
        // Typical segments are longer than 16 bytes; for shorter ones, the list grows.
        let n_bytes = range.end.saturating_sub(range.start);
        let likely = u64::from(reader.count()).min(n_bytes.checked_div(16).unwrap_or(0));
        self.module
            .segments
            .reserve(usize::try_from(likely).unwrap_or(0));
        for segment in reader.clone().into_iter_with_offsets() {
            let (offset, segment) = segment.map_err(|err| malformed(&err))?;
            self.offset = offset;
            match segment.kind {
                DataKind::Passive => self.passive_segment(segment.data)?,
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => {
                    let mut expr = offset_expr.get_binary_reader();
                    let expr = expr.read_bytes(expr.bytes_remaining());
                    let expr = expr.map_err(|err| malformed(&err))?;
                    let Ok((offset, _)) = OffsetExpr::decode(expr) else {
                        return self.fail(ParseErrorKind::InvalidExpr);
                    };
                    self.active_segment(memory_index, offset, segment.data)?;
                }
            }
        }
        Ok(())
    }

    /// Stores a body, in case the caller asks for [`Module::start_init`].
    fn body(&mut self, body: &'a [u8]) {
        match &mut self.module.code {
            Code::Bodies(bodies) => bodies.push(body),
            code => *code = Code::Bodies(alloc::vec![body]),
        }
    }

    fn memory_type(&self, ty: &wasmparser::MemoryType) -> Result<MemoryType> {
        let page_size = match ty.page_size_log2 {
            None | Some(16) => WasmPageSize::Kib64,
            Some(0) => WasmPageSize::One,
            Some(_) => {
                let memory = u32::try_from(self.module.memories.len()).unwrap_or(u32::MAX);
                return self.fail(ParseErrorKind::InvalidMemoryType { memory });
            }
        };
        let index_type = IndexType::of(ty.memory64);
        Ok(MemoryType {
            index_type,
            shared: ty.shared,
            page_size,
            min: ty.initial,
            max: ty.maximum,
        })
    }
}

const fn value_type(ty: ValType) -> Option<ValueType> {
    match ty {
        ValType::I32 => Some(ValueType::I32),
        ValType::I64 => Some(ValueType::I64),
        _ => None,
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
