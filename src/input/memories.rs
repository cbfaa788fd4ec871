//! `--memory [MODULE:]NAME=BYTES`: actual sizes of imported memories.
//!
//! A side module declares only enough memory for its own data, but receives the memory of
//! the whole program. Once that size is known, data at a realistic base is in bounds.

use core::str::FromStr;
use std::collections::HashSet;

use wasm_meminit::analysis::{ImportName, MemoryIndex, Module};

use crate::input::import::{Import, Named};
use crate::text::units;

/// The size of an imported memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KnownMemory {
    pub(super) import: Import,
    bytes: u64,
}

impl FromStr for KnownMemory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, bytes) = text
            .rsplit_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| match text.parse::<u32>() {
                Ok(_) => "expected NAME=BYTES (dump selects a memory with --memory-index)",
                Err(_) => "expected NAME=BYTES",
            })?;
        let import = Import::parse(name)?;
        let bytes = units::bytes(bytes)?;
        Ok(Self { import, bytes })
    }
}

/// Returns the modules with the sizes of these memories set.
///
/// # Errors
///
/// A short message that names the option, if no module imports the memory, or if the import
/// does not allow that size.
pub(crate) fn apply<'a>(
    mut modules: Vec<Module<'a>>,
    known: &[KnownMemory],
) -> Result<Vec<Module<'a>>, String> {
    let imports = modules.iter().enumerate().flat_map(|(nth, module)| {
        imported(module).map(move |(index, name)| (nth, index.as_u32(), name))
    });
    let named = Named::new(known.iter().map(|it| &it.import), imports);
    let mut seen: HashSet<&KnownMemory> = HashSet::new();
    for memory in known.iter().filter(|it| seen.insert(it)) {
        let import = &memory.import;
        import.check("--memory", modules.len())?;
        let found = named.of(import);
        if found.is_empty() {
            let modules = modules
                .iter()
                .enumerate()
                .filter(|it| import.may_be_in(it.0));
            let names = modules.flat_map(|(_, it)| imported(it)).map(|it| it.1);
            return Err(import.unknown("--memory", "memory", names));
        }
        for &(nth, index) in found {
            let Some(module) = modules.get_mut(nth) else {
                continue;
            };
            *module = core::mem::take(module)
                .with_memory_size(MemoryIndex::from_u32(index), memory.bytes)
                .map_err(|err| format!("--memory {import}: {err}"))?;
        }
    }
    Ok(modules)
}

fn imported<'m>(module: &'m Module<'_>) -> impl Iterator<Item = (MemoryIndex, ImportName<'m>)> {
    let memories = module.memories().iter();
    memories.filter_map(|(index, it)| Some((index, it.import?)))
}
