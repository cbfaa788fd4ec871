//! Builds a module from the payloads of a parse loop.

use wasmparser::{
    DataKind, DataSectionReader, GlobalSectionReader, ImportSectionReader, Payload, TypeRef,
    ValType,
};

use crate::limits::{MAX_GLOBALS, MAX_IMPORTS};
use crate::read::code::{Code, CodeSection};
use crate::read::elements::Table;
use crate::read::error::{Limited, ParseError, ParseErrorKind};
use crate::{
    ImportName, IndexType, MemoryType, ModuleBuilder, OffsetExpr, ValueType, WasmPageSize,
};

type Result<T> = core::result::Result<T, ParseError>;

// Not a `From` impl: that would make wasmparser's version part of the error.
#[cold]
pub(super) fn malformed(err: &wasmparser::BinaryReaderError) -> ParseError {
    ParseError::new(ParseErrorKind::Malformed, err.offset())
}

impl<'a> ModuleBuilder<'a> {
    /// Adds a payload from an engine's own parse loop.
    ///
    /// Pass the payloads of one core module in order. Payloads irrelevant to memories are
    /// ignored and may be omitted. Function bodies may be omitted too, but then
    /// [`Module::start_init`](crate::Module::start_init) returns
    /// [`StartReason::NoBody`](crate::StartReason::NoBody). If both the element section and
    /// `Payload::End` are omitted,
    /// [`Module::elements_may_trap`](crate::Module::elements_may_trap) returns `true`.
    ///
    /// # Errors
    ///
    /// The same as [`Module::parse`](crate::Module::parse).
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
                self.end();
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
                TypeRef::Table(ty) => self.module.elements.imported_tables.push(Table {
                    index_type: IndexType::of(ty.table64),
                    min: ty.initial,
                }),
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
            self.parsed_global(&global)?;
        }
        Ok(())
    }

    pub(super) fn parsed_global(&mut self, global: &wasmparser::Global<'a>) -> Result<()> {
        match value_type(global.ty.content_type) {
            Some(ty) if !global.ty.mutable => {
                let mut init = global.init_expr.get_binary_reader();
                let init = init.read_bytes(init.bytes_remaining());
                self.global(ty, init.map_err(|err| malformed(&err))?)
            }
            _ => self.unusable_global(),
        }
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

    /// Ends the module: its element segments are known, and so is whether bodies are needed.
    pub(crate) fn end(&mut self) {
        self.all_elements();
        // Without passive segments, a start function has nothing to copy.
        if let Some(section) = self.code_section.take()
            && let Some(start) = self.module.start
            && self.module.passive_segments().next().is_some()
        {
            let nth = start
                .as_u32()
                .saturating_sub(self.module.n_imported_functions);
            self.module.code = Code::Section(CodeSection::new(section, nth));
        }
    }

    /// Stores a body, in case the caller asks for [`Module::start_init`].
    fn body(&mut self, body: &'a [u8]) {
        if let Code::Bodies(bodies) = &mut self.module.code {
            bodies.push(body);
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
