//! Rewrites a module for the engine: the same memories, globals, tables and segments, but no
//! code that runs.
//!
//! Every memory becomes an import: a defined memory is indistinguishable from a zeroed
//! import of the same size, and the host can read its own memory even after a trap. Imports
//! precede definitions, so no index changes. The start function, exports, tags and custom
//! sections are removed. Bodies become `unreachable`, since none is called; so instructions
//! that the engine does not support do not matter.

use wasm_encoder::{
    CodeSection, EntityType, Function, ImportSection, MemoryType, RawSection, SectionId, TableType,
};
use wasmparser::{Parser, Payload, TypeRef};

use crate::host::Host;
use crate::shape::Shape;

/// The source of the values of defined globals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DefinedGlobals {
    /// From their own initialisers, which the engine evaluates.
    Initialised,
    /// From the host: they become imports with the values that the naive replay computes, for
    /// an engine that does not support the initialisers.
    Imported,
}

/// Returns the module for the engine, or an error that names what cannot be rewritten.
pub(super) fn rewrite(
    wasm: &[u8],
    shape: &Shape<'_>,
    host: &Host,
    globals: DefinedGlobals,
) -> Result<Vec<u8>, String> {
    let mut module = wasm_encoder::Module::new();
    // Only the type section precedes the imports.
    let mut imported = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("validated");
        if !imported
            && !matches!(
                payload,
                Payload::Version { .. } | Payload::TypeSection(_) | Payload::CustomSection(_)
            )
        {
            imported = true;
            let mut entries = match &payload {
                Payload::ImportSection(section) => other_imports(section.clone())?,
                _ => Vec::new(),
            };
            if globals == DefinedGlobals::Imported {
                let defined = shape.globals.iter().filter(|it| it.init.is_some());
                for global in defined {
                    entries.push(global_type(global.ty, global.mutable, false)?);
                }
            }
            module.section(&imports(entries, shape, host));
        }
        let raw = match payload {
            Payload::TypeSection(it) => (SectionId::Type, it.range()),
            Payload::FunctionSection(it) => (SectionId::Function, it.range()),
            Payload::TableSection(it) => (SectionId::Table, it.range()),
            Payload::GlobalSection(_) if globals == DefinedGlobals::Imported => continue,
            Payload::GlobalSection(it) => (SectionId::Global, it.range()),
            Payload::ElementSection(it) => (SectionId::Element, it.range()),
            Payload::DataCountSection { range, .. } => (SectionId::DataCount, range),
            Payload::DataSection(it) => (SectionId::Data, it.range()),
            Payload::CodeSectionStart { .. } => {
                module.section(&bodies(shape.n_functions));
                continue;
            }
            _ => continue,
        };
        let (id, range) = raw;
        let start = usize::try_from(range.start).expect("in the module");
        let end = usize::try_from(range.end).expect("in the module");
        module.section(&RawSection {
            id: id.into(),
            data: &wasm[start..end],
        });
    }
    Ok(module.finish())
}

/// Imported functions, tables and globals, in order.
fn other_imports(section: wasmparser::ImportSectionReader<'_>) -> Result<Vec<EntityType>, String> {
    let mut entries = Vec::new();
    for import in section.into_imports() {
        entries.push(match import.expect("validated").ty {
            TypeRef::Memory(_) | TypeRef::Tag(_) => continue,
            TypeRef::Func(ty) => EntityType::Function(ty),
            TypeRef::FuncExact(_) => return Err("imports a function with an exact type".into()),
            TypeRef::Table(ty) => EntityType::Table(table_type(ty)?),
            TypeRef::Global(ty) => global_type(ty.content_type, ty.mutable, ty.shared)?,
        });
    }
    Ok(entries)
}

fn imports(entries: Vec<EntityType>, shape: &Shape<'_>, host: &Host) -> ImportSection {
    let mut section = ImportSection::new();
    for (nth, entry) in entries.into_iter().enumerate() {
        section.import("other", &nth.to_string(), entry);
    }
    for (nth, ty) in shape.memories.iter().enumerate() {
        // With the size that the host chooses, and not shared: at instantiation there is no
        // other thread yet.
        let bytes = host
            .memory_bytes(shape, nth)
            .expect("checked by the caller");
        section.import(
            "memory",
            &nth.to_string(),
            MemoryType {
                minimum: bytes / crate::shape::page_bytes(ty),
                maximum: None,
                memory64: ty.memory64,
                shared: false,
                page_size_log2: ty.page_size_log2,
            },
        );
    }
    section
}

fn bodies(n_functions: u32) -> CodeSection {
    let mut section = CodeSection::new();
    for _ in 0..n_functions {
        let mut body = Function::new([]);
        body.instructions().unreachable().end();
        section.function(&body);
    }
    section
}

fn global_type(ty: wasmparser::ValType, mutable: bool, shared: bool) -> Result<EntityType, String> {
    Ok(EntityType::Global(wasm_encoder::GlobalType {
        val_type: val_type(ty)?,
        mutable,
        shared,
    }))
}

fn table_type(ty: wasmparser::TableType) -> Result<TableType, String> {
    let wasm_encoder::ValType::Ref(element_type) =
        val_type(wasmparser::ValType::Ref(ty.element_type))?
    else {
        return Err("a table whose elements are not references".into());
    };
    Ok(TableType {
        element_type,
        minimum: ty.initial,
        maximum: ty.maximum,
        table64: ty.table64,
        shared: ty.shared,
    })
}

fn val_type(ty: wasmparser::ValType) -> Result<wasm_encoder::ValType, String> {
    use wasm_encoder::{RefType, ValType};
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) if ty == wasmparser::RefType::FUNCREF => {
            ValType::Ref(RefType::FUNCREF)
        }
        wasmparser::ValType::Ref(ty) if ty == wasmparser::RefType::EXTERNREF => {
            ValType::Ref(RefType::EXTERNREF)
        }
        wasmparser::ValType::Ref(_) => {
            return Err("imports a reference type of a later proposal".into());
        }
    })
}
