//! Names of data segments, from the custom section `name`.

use alloc::collections::BTreeMap;

use wasm_meminit::analysis::Module;
use wasm_meminit::analysis::wasmparser::{KnownCustom, Name, Parser, Payload};

/// The names of a module's data segments. A linker gives a segment the name of the sections
/// that it was made of, as in `.rodata`.
#[derive(Debug, Default)]
pub(crate) struct DataNames<'a>(BTreeMap<u32, &'a str>);

impl<'a> DataNames<'a> {
    pub(crate) fn get(&self, segment: u32) -> Option<&'a str> {
        self.0.get(&segment).copied()
    }
}

/// Reads the names. Whatever is malformed has no name: the section has no meaning for the
/// program.
pub(crate) fn data_segments<'a>(module: &Module<'a>) -> DataNames<'a> {
    let Some(binary) = module.binary() else {
        return DataNames::default();
    };
    let mut names = BTreeMap::new();
    for payload in Parser::new(0).parse_all(binary).map_while(Result::ok) {
        let Payload::CustomSection(section) = payload else {
            continue;
        };
        let KnownCustom::Name(reader) = section.as_known() else {
            continue;
        };
        for subsection in reader.into_iter().map_while(Result::ok) {
            if let Name::Data(map) = subsection {
                let map = map.into_iter().map_while(Result::ok);
                names.extend(map.map(|it| (it.index, it.name)));
            }
        }
    }
    DataNames(names)
}
