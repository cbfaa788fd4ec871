//! Turns defined memories into imports, so that a host that owns the memory determines its
//! initial contents.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{ImportSectionReader, MemorySectionReader, MemoryType};
use wasm_meminit_analysis::{MemoryIndex, Module};

use super::error::{RewriteError, malformed};
use super::section::{EXTERN_MEMORY, ItemList, PREAMBLE, Section, id, items, sections, write};

/// The default module name that memories are imported from.
pub const DEFAULT_IMPORT_MODULE: &str = "meminit";

/// Turns every memory that the module defines into an import from `import_module`, under the
/// name that `name` returns for its index.
///
/// Imports precede definitions, so every memory keeps its index, and code, exports and
/// segments are unchanged, byte for byte. The import section grows and the memory section is
/// removed, so all sections after them move in the file: offsets in source maps and in debug
/// information that count from the start of the file must be adjusted, while those that count
/// from the start of the code section remain valid. The import section's size is encoded
/// without padding. Types are kept: the import must have at least the declared minimum and at
/// most the declared maximum. A module that defines no memory is returned unchanged.
///
/// The program behaves the same if the host supplies, for each instance, what the module would
/// have created: a new memory of the declared minimum, zeroed or with an image installed.
///
/// # Errors
///
/// [`RewriteError`] if the module was not parsed from bytes; if the module already imports
/// something of such a name, or `name` returns the same name twice; and for an object file,
/// whose relocations refer to sections by index.
pub fn externalize(
    module: &Module<'_>,
    import_module: &str,
    name: &dyn Fn(MemoryIndex) -> String,
) -> Result<Vec<u8>, RewriteError> {
    let wasm = module.binary().ok_or(RewriteError::NoBinary)?;
    let defined: Vec<(MemoryIndex, String)> = module
        .memories()
        .keys()
        .skip(module.n_imported_memories())
        .map(|memory| (memory, name(memory)))
        .collect();
    if defined.is_empty() {
        return Ok(wasm.to_vec());
    }
    for section in sections(wasm) {
        if section?.is_for_linker() {
            return Err(RewriteError::Relocatable);
        }
    }
    let (imports, types) = read(wasm, import_module, &defined)?;
    let contents = import_section(imports, import_module, &defined, &types)?;

    let mut out = Vec::with_capacity(wasm.len().saturating_add(contents.len()));
    out.extend_from_slice(wasm.get(..PREAMBLE).unwrap_or_default());
    let mut is_written = false;
    for section in sections(wasm) {
        let section = section?;
        let is_before = matches!(section.id, id::CUSTOM | id::TYPE);
        if !is_before && !is_written {
            write(&mut out, id::IMPORT, &contents)?;
            is_written = true;
        }
        if !matches!(section.id, id::IMPORT | id::MEMORY) {
            out.extend_from_slice(section.whole);
        }
    }
    Ok(out)
}

/// The import section, if there is one, and the encoded types of the defined memories.
type Found<'a> = (Option<Section<'a>>, Vec<&'a [u8]>);

fn read<'a>(
    wasm: &'a [u8],
    import_module: &str,
    defined: &[(MemoryIndex, String)],
) -> Result<Found<'a>, RewriteError> {
    let mut imports = None;
    let mut types = Vec::new();
    for section in sections(wasm) {
        let section = section?;
        match section.id {
            id::IMPORT => {
                check_names(&section, import_module, defined)?;
                imports = Some(section);
            }
            id::MEMORY => {
                let reader = MemorySectionReader::new(section.reader());
                types = items::<MemoryType>(&section, reader.map_err(|err| malformed(&err))?)?;
            }
            _ => {}
        }
    }
    if types.len() != defined.len() {
        // Never reached: the module was parsed from the same bytes.
        return Err(RewriteError::Malformed { offset: 0 });
    }
    Ok((imports, types))
}

/// Checks that no existing import has one of the new names. A host resolves a name to a
/// single item, so two such imports would be the same memory.
fn check_names(
    section: &Section<'_>,
    import_module: &str,
    defined: &[(MemoryIndex, String)],
) -> Result<(), RewriteError> {
    // A map, because there may be a million imports.
    let names: BTreeMap<&str, MemoryIndex> = defined
        .iter()
        .map(|(memory, name)| (name.as_str(), *memory))
        .collect();
    let reader = ImportSectionReader::new(section.reader()).map_err(|err| malformed(&err))?;
    for import in reader.into_imports() {
        let import = import.map_err(|err| malformed(&err))?;
        if import.module != import_module {
            continue;
        }
        if let Some(memory) = names.get(import.name) {
            return Err(RewriteError::NameTaken { memory: *memory });
        }
    }
    Ok(())
}

/// Returns the contents of the import section: the old imports, then the memories.
fn import_section(
    imports: Option<Section<'_>>,
    import_module: &str,
    defined: &[(MemoryIndex, String)],
    types: &[&[u8]],
) -> Result<Vec<u8>, RewriteError> {
    let mut items = ItemList::default();
    items.append(imports)?;
    let mut taken = BTreeSet::new();
    for ((memory, name), ty) in defined.iter().zip(types) {
        if !taken.insert(name.as_str()) {
            return Err(RewriteError::NameTaken { memory: *memory });
        }
        items.push(|out| {
            import_module.encode(out);
            name.as_str().encode(out);
            out.push(EXTERN_MEMORY);
            out.extend_from_slice(ty);
        })?;
    }
    Ok(items.contents())
}
