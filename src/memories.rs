//! `--memory [MODULE:]NAME=BYTES`: how large imported memories really are.
//!
//! A side module declares just enough for its own data; the memory that it gets is that of
//! the whole program. With its size, data at a realistic base are in bounds.

use core::str::FromStr;

use wasm_meminit_analysis::{ImportName, MemoryIndex, Module};

use crate::import::Import;
use crate::units;

/// The size of an imported memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMemory {
    import: Import,
    bytes: u64,
}

impl FromStr for KnownMemory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, bytes) = text.rsplit_once('=').ok_or("not of the form NAME=BYTES")?;
        let import = Import::parse(name)?;
        let bytes = units::bytes(bytes)?;
        Ok(Self { import, bytes })
    }
}

/// The modules with those sizes known.
///
/// # Errors
///
/// One short line that names the option: no module imports the memory, or none of that
/// size could be imported.
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
            return Err(import.unknown("--memory", "memory whose size", names));
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
