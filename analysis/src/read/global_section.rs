//! Decodes the global section from its bytes.
//!
//! Emscripten's modules have tens of thousands of globals, nearly all of them integers with a
//! constant initialiser: this module decodes those itself, and leaves any other to wasmparser.
//! A section that an engine passes as a payload is read with wasmparser; tests check that
//! both give the same module.

use wasmparser::BinaryReader;

use crate::limits::MAX_GLOBALS;
use crate::read::payload::malformed;
use crate::reader::Reader;
use crate::{Global, ModuleBuilder, ParseError, Value};

/// The fewest bytes of a global: type, mutability, an instruction, `end`.
const MIN_BYTES: usize = 4;

impl<'a> ModuleBuilder<'a> {
    /// Decodes the contents of a global section, which end at offset `end` of the input. Core
    /// specification, "Global Section".
    pub(crate) fn global_section_bytes(
        &mut self,
        bytes: &'a [u8],
        end: u64,
    ) -> Result<(), ParseError> {
        let reserve = |builder: &mut Self, n: usize| {
            builder.module.globals.reserve_exact(n.min(MAX_GLOBALS));
        };
        self.vector(bytes, end, MIN_BYTES, reserve, Self::binary_global)
    }

    fn binary_global(&mut self, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        let before = reader.rest();
        match constant(reader) {
            Some((true, _)) => self.unusable_global(),
            Some((false, value)) => self.push_global(Global::Known(value)).map(drop),
            None => {
                let mut general = BinaryReader::new(before, self.offset);
                let global = general.read().map_err(|err| malformed(&err))?;
                self.parsed_global(&global)?;
                let rest = general.read_bytes(general.bytes_remaining());
                *reader = Reader::new(rest.map_err(|err| malformed(&err))?);
                Ok(())
            }
        }
    }
}

/// Reads a global of an integer type with a constant as its initialiser: whether it is
/// mutable, and its value. `None` for any other global, or for bytes that are none.
fn constant(reader: &mut Reader<'_>) -> Option<(bool, Value)> {
    let (ty, mutability, op) = (reader.byte()?, reader.byte()?, reader.byte()?);
    let value = match (ty, op) {
        (0x7f, 0x41) => Value::I32(reader.var_s32()?),
        (0x7e, 0x42) => Value::I64(reader.var_s64()?),
        _ => return None,
    };
    let is_mutable = match mutability {
        0 => false,
        1 => true,
        _ => return None,
    };
    (reader.byte()? == 0x0b).then_some((is_mutable, value))
}
