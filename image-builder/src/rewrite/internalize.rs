//! Turns imported memories into defined ones, so that each instance has its own.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{
    ExportSectionReader, ImportItemCompact, ImportSectionReader, Imports, MemoryType, TypeRef,
};
use wasm_meminit_analysis::{MemoryIndex, Module};

use super::error::{RewriteError, malformed};
use super::section::{EXTERN_MEMORY, ItemList, PREAMBLE, Section, id, items, sections, write};

/// Turns every memory that the module imports into one that it defines, and exports it under the
/// name that it was imported as, unless an export has that name.
///
/// Defined memories follow imported ones, so every memory keeps its index, and code and segments
/// are unchanged, byte for byte. The import section shrinks, and the sections after it move in the
/// file, as for [`externalize`](super::externalize()). A module that imports no memory is returned
/// unchanged.
///
/// The program behaves the same if the host supplied a new memory of the declared minimum, zeroed,
/// for each instance. A host that accesses the memory takes it from the instance's exports.
///
/// ```
/// use wasm_meminit_analysis::Module;
/// use wasm_meminit_image_builder::rewrite::internalize;
///
/// let wasm = wat::parse_str(
///     r#"(module (import "env" "memory" (memory 1)) (data (i32.const 8) "hello"))"#,
/// )?;
/// let wasm = internalize(&Module::parse(&wasm)?)?;
/// assert_eq!(Module::parse(&wasm)?.n_imported_memories(), 0);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`RewriteError`] if the module was not parsed from bytes; if it imports two memories under one
/// name, which a host resolves to the same memory; and for an object file, whose relocations refer
/// to sections by index.
pub fn internalize(module: &Module<'_>) -> Result<Vec<u8>, RewriteError> {
    let wasm = module.binary().ok_or(RewriteError::NoBinary)?;
    if module.n_imported_memories() == 0 {
        return Ok(wasm.to_vec());
    }
    for section in sections(wasm) {
        if section?.is_for_linker() {
            return Err(RewriteError::Relocatable);
        }
    }
    let imported = imported(wasm)?;
    let mut out = Vec::with_capacity(wasm.len());
    out.extend_from_slice(wasm.get(..PREAMBLE).unwrap_or_default());
    let mut memories = Some(&imported);
    let mut exports = Some(&imported);
    let all = sections(wasm).collect::<Result<Vec<_>, _>>()?;
    let n_before_trailing = all
        .iter()
        .rposition(|it| it.id != id::CUSTOM)
        .map_or(0, |nth| nth.saturating_add(1));
    for (nth, section) in all.into_iter().enumerate() {
        // Sections that do not exist yet come before the first one that must follow them, or before
        // trailing custom ones: that of names is the last.
        let is_after_memories = n_before_trailing <= nth
            || !matches!(
                section.id,
                id::CUSTOM | id::TYPE | id::IMPORT | id::FUNCTION | id::TABLE
            );
        if let Some(imported) = memories.take_if(|_| is_after_memories) {
            let old = (section.id == id::MEMORY).then_some(section);
            write(&mut out, id::MEMORY, &memory_section(old, imported)?)?;
        }
        let is_after_exports =
            is_after_memories && !matches!(section.id, id::MEMORY | id::TAG | id::GLOBAL);
        if let Some(imported) = exports.take_if(|_| is_after_exports) {
            let old = (section.id == id::EXPORT).then_some(section);
            write_exports(&mut out, old, imported)?;
        }
        match section.id {
            id::MEMORY | id::EXPORT => {}
            id::IMPORT => write_imports(&mut out, &section)?,
            _ => out.extend_from_slice(section.whole),
        }
    }
    if let Some(imported) = memories {
        write(&mut out, id::MEMORY, &memory_section(None, imported)?)?;
    }
    if let Some(imported) = exports {
        write_exports(&mut out, None, imported)?;
    }
    Ok(out)
}

/// The types and names of imported memories, in index order.
type Imported<'a> = Vec<(MemoryType, &'a str)>;

fn imported(wasm: &[u8]) -> Result<Imported<'_>, RewriteError> {
    let mut names = BTreeSet::new();
    let mut imported = Vec::new();
    for section in sections(wasm) {
        let section = section?;
        if section.id != id::IMPORT {
            continue;
        }
        let reader = ImportSectionReader::new(section.reader()).map_err(|err| malformed(&err))?;
        for import in reader.into_imports() {
            let import = import.map_err(|err| malformed(&err))?;
            let TypeRef::Memory(ty) = import.ty else {
                continue;
            };
            if !names.insert((import.module, import.name)) {
                let memory = u32::try_from(imported.len()).map_err(|_| RewriteError::TooLarge)?;
                let memory = MemoryIndex::from_u32(memory);
                return Err(RewriteError::ImportedTwice { memory });
            }
            imported.push((ty, import.name));
        }
    }
    Ok(imported)
}

/// Writes the import section without memories; nothing if no import remains.
fn write_imports(out: &mut Vec<u8>, section: &Section<'_>) -> Result<(), RewriteError> {
    let reader = || ImportSectionReader::new(section.reader()).map_err(|err| malformed(&err));
    let mut kept = ItemList::default();
    for (group, bytes) in reader()?.into_iter().zip(items(section, reader()?)?) {
        match group.map_err(|err| malformed(&err))? {
            Imports::Single(_, import) if is_memory(import.ty) => {}
            Imports::Compact2 { ty, .. } if is_memory(ty) => {}
            Imports::Compact1 { module, items: all } => {
                let encoded = items(section, all.clone())?;
                for (item, bytes) in all.into_iter().zip(encoded) {
                    let item: ImportItemCompact<'_> = item.map_err(|err| malformed(&err))?;
                    if !is_memory(item.ty) {
                        // Each becomes an import of its own.
                        kept.push(|out| {
                            module.encode(out);
                            out.extend_from_slice(bytes);
                        })?;
                    }
                }
            }
            Imports::Single(..) | Imports::Compact2 { .. } => {
                kept.push(|out| out.extend_from_slice(bytes))?;
            }
        }
    }
    match kept.is_empty() {
        true => Ok(()),
        false => write(out, id::IMPORT, &kept.contents()),
    }
}

const fn is_memory(ty: TypeRef) -> bool {
    matches!(ty, TypeRef::Memory(_))
}

/// Returns the contents of the memory section: the memories that were imported, then the others.
fn memory_section(
    old: Option<Section<'_>>,
    imported: &Imported<'_>,
) -> Result<Vec<u8>, RewriteError> {
    let mut items = ItemList::default();
    for (ty, _) in imported {
        let ty = wasm_encoder::MemoryType {
            minimum: ty.initial,
            maximum: ty.maximum,
            memory64: ty.memory64,
            shared: ty.shared,
            page_size_log2: ty.page_size_log2,
        };
        items.push(|out| ty.encode(out))?;
    }
    items.append(old)?;
    Ok(items.contents())
}

/// Writes the export section: the old exports, then the memories.
fn write_exports(
    out: &mut Vec<u8>,
    old: Option<Section<'_>>,
    imported: &Imported<'_>,
) -> Result<(), RewriteError> {
    let mut names = BTreeSet::new();
    if let Some(section) = old {
        let reader = ExportSectionReader::new(section.reader()).map_err(|err| malformed(&err))?;
        for export in reader {
            names.insert(export.map_err(|err| malformed(&err))?.name);
        }
    }
    let mut items = ItemList::default();
    items.append(old)?;
    for (index, (_, name)) in (0_u32..).zip(imported) {
        if names.insert(*name) {
            items.push(|out| {
                name.encode(out);
                out.push(EXTERN_MEMORY);
                index.encode(out);
            })?;
        }
    }
    match items.is_empty() {
        true => Ok(()),
        false => write(out, id::EXPORT, &items.contents()),
    }
}
