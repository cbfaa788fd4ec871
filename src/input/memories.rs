//! `--memory [MODULE:]NAME=BYTES`: actual sizes of imported memories.
//!
//! A side module declares only enough memory for its own data, but receives the memory of
//! the whole program. Once that size is known, data at a realistic base is in bounds.

use core::str::FromStr;

use wasm_meminit::analysis::{ImportName, MemoryIndex, Module};

use crate::input::import::Import;
use crate::text::units;

/// The size of an imported memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMemory {
    import: Import,
    bytes: u64,
}

impl FromStr for KnownMemory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, bytes) = text
            .rsplit_once('=')
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
    for memory in known {
        let import = &memory.import;
        import.check("--memory", modules.len())?;
        let mut found = false;
        for (nth, module) in modules.iter_mut().enumerate() {
            if !import.may_be_in(nth) {
                continue;
            }
            for index in imports(module, import) {
                found = true;
                *module = core::mem::take(module)
                    .with_memory_size(index, memory.bytes)
                    .map_err(|err| format!("--memory {import}: {err}"))?;
            }
        }
        if !found {
            let modules = modules
                .iter()
                .enumerate()
                .filter(|it| import.may_be_in(it.0));
            let names = modules.flat_map(|(_, it)| named(it)).map(|it| it.1);
            return Err(import.unknown("--memory", "memory", names));
        }
    }
    Ok(modules)
}

fn named<'m>(module: &'m Module<'_>) -> impl Iterator<Item = (MemoryIndex, ImportName<'m>)> {
    let memories = module.memories().iter();
    memories.filter_map(|(index, it)| Some((index, it.import?)))
}

fn imports(module: &Module<'_>, import: &Import) -> Vec<MemoryIndex> {
    named(module)
        .filter(|(index, name)| import.is(index.as_u32(), name))
        .map(|(index, _)| index)
        .collect()
}
