//! Decides whether a program can run its start function's writes a second time.
//!
//! Stripping the writes sets their lengths to zero, so a second run would write nothing.
//! The flag normally prevents a second run, but a program can clear the flag. So stripping
//! is safe only if nothing but instantiation reaches the function.

use alloc::vec::Vec;

use wasmparser::{
    BinaryReader, ConstExpr, ElementItems, ExternalKind, FunctionBody, Operator, Payload, TableInit,
};

use super::init::{ReachedBy, StartInit, StartReason};
use crate::read::code::{Code, CodeSection};
use crate::read::walk::Walk;
use crate::{FuncIndex, Module};

/// Rejects a start function that anything but the start section reaches. Reads the whole
/// module, and searches the code once for each of at most two functions.
pub(crate) fn check(module: &Module<'_>, init: &StartInit) -> Result<(), StartReason> {
    let unknown = StartReason::Reachable {
        function: init.function,
        by: ReachedBy::Unknown,
    };
    let (Some(wasm), Some(start), Code::Section(section)) =
        (module.binary(), module.start(), &module.code)
    else {
        return Err(unknown);
    };
    let reach = Reach {
        start,
        function: init.function,
    };
    let mut walk = Walk::new(wasm);
    loop {
        let found = match walk.next() {
            Ok(Payload::End(_)) => return Ok(()),
            Ok(Payload::CodeSectionStart { size, .. }) => match walk.skip_section(size) {
                Ok(_) => reach.code(section, module.n_imported_functions()),
                Err(_) => return Err(unknown),
            },
            Ok(payload) => reach.section(payload),
            Err(_) => return Err(unknown),
        };
        match found {
            Ok(None) => {}
            Ok(Some(reason)) => return Err(reason),
            // What cannot be read might reach the function.
            Err(_) => return Err(unknown),
        }
    }
}

/// The function that writes, and the start function if that is another one.
struct Reach {
    start: FuncIndex,
    function: FuncIndex,
}

type Found = wasmparser::Result<Option<StartReason>>;

impl Reach {
    fn by(&self, function: u32, by: ReachedBy) -> Option<StartReason> {
        let matching = [self.start, self.function]
            .into_iter()
            .find(|it| it.as_u32() == function)?;
        Some(StartReason::Reachable {
            function: matching,
            by,
        })
    }

    fn section(&self, payload: Payload<'_>) -> Found {
        match payload {
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let is_function =
                        matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact);
                    if let (true, Some(it)) =
                        (is_function, self.by(export.index, ReachedBy::Export))
                    {
                        return Ok(Some(it));
                    }
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    if let Some(it) = self.elements(element?.items)? {
                        return Ok(Some(it));
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    if let Some(it) = self.expr(&global?.init_expr, ReachedBy::Global)? {
                        return Ok(Some(it));
                    }
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    if let TableInit::Expr(expr) = table?.init
                        && let Some(it) = self.expr(&expr, ReachedBy::Element)?
                    {
                        return Ok(Some(it));
                    }
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn elements(&self, items: ElementItems<'_>) -> Found {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    if let Some(it) = self.by(function?, ReachedBy::Element) {
                        return Ok(Some(it));
                    }
                }
            }
            ElementItems::Expressions(_, exprs) => {
                for expr in exprs {
                    if let Some(it) = self.expr(&expr?, ReachedBy::Element)? {
                        return Ok(Some(it));
                    }
                }
            }
        }
        Ok(None)
    }

    fn expr(&self, expr: &ConstExpr<'_>, by: ReachedBy) -> Found {
        for op in expr.get_operators_reader() {
            if let Operator::RefFunc { function_index } = op?
                && let Some(it) = self.by(function_index, by)
            {
                return Ok(Some(it));
            }
        }
        Ok(None)
    }

    /// Decodes the functions whose bytes may name one of ours. They are few, and decoding the
    /// others would take most of the time of an analysis.
    fn code(&self, section: &CodeSection<'_>, n_imported: u32) -> Found {
        let code = section.bytes;
        let mut places: Vec<usize> = mentions(code, self.start.as_u32()).collect();
        if self.start != self.function {
            places.extend(mentions(code, self.function.as_u32()));
        }
        places.sort(); // two sorted runs: about linear
        let mut bodies = section.bodies_at(places.first().copied().unwrap_or(0));
        let mut end_of_read = 0;
        for at in places {
            if at < end_of_read {
                continue;
            }
            let Some((nth, range)) = bodies.find(|(_, body)| at < body.end) else {
                return Ok(self.by(self.function.as_u32(), ReachedBy::Unknown));
            };
            end_of_read = range.end;
            let body = code.get(range).unwrap_or(&[]);
            let caller = n_imported.saturating_add(nth);
            let found = self.body(&FunctionBody::new(BinaryReader::new(body, 0)), caller)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn body(&self, body: &FunctionBody<'_>, caller: u32) -> Found {
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            let found = match ops.read()? {
                // The call made by instantiation. `function_body::called` checked that the
                // start function calls it once, as its last call.
                Operator::Call { function_index }
                    if caller == self.start.as_u32()
                        && function_index == self.function.as_u32()
                        && self.start != self.function =>
                {
                    None
                }
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    self.by(function_index, ReachedBy::Call)
                }
                Operator::RefFunc { function_index } => {
                    self.by(function_index, ReachedBy::Reference)
                }
                _ => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Returns where the index of a function follows a byte that is, in an instruction, one that
/// names a function. Passes over the code once, at the speed of memory.
///
/// Searches for the first byte of the index, which is rarer than those of the instructions: in
/// threaded modules, 0.03 to 0.3 % of the code instead of 2 to 3 %.
fn mentions(code: &[u8], function: u32) -> impl Iterator<Item = usize> {
    const NAMING: [u8; 3] = [0x10, 0x12, 0xd2]; // call, return_call, ref.func
    let low = u8::try_from(function & 0x7f).unwrap_or(0); // never fails: 7 bits
    // In all bytes of an index but the last, the upper bit is set. A linker may pad a small one.
    let short = if function < 0x80 { low } else { low | 0x80 };
    let places = memchr::memchr2_iter(low | 0x80, short, code);
    places.filter(move |at| {
        let before = at.checked_sub(1).and_then(|before| code.get(before));
        before.is_some_and(|it| NAMING.contains(it))
            && code.get(*at..).map(leb128) == Some(function.into())
    })
}

/// The unsigned number at the start of these bytes, in up to five of them; `u64::MAX` where
/// there is none.
fn leb128(bytes: &[u8]) -> u64 {
    let mut value = 0;
    for (byte, shift) in bytes.iter().zip([0, 7, 14, 21, 28]) {
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &[u8], functions: [u32; 2], expected: [&[usize]; 2]) {
        let found = functions.map(|it| mentions(code, it).collect::<Vec<_>>());
        assert_eq!([&found[0][..], &found[1][..]], expected);
    }

    #[test]
    fn bytes_that_may_name_a_function_are_found() {
        for naming in [0x10, 0x12, 0xd2] {
            check(&[0x41, naming, 5, 0x0b], [5, 200], [&[2], &[]]);
            check(&[0x41, naming, 0xc8, 1, 0x0b], [5, 200], [&[], &[2]]);
            // As a linker pads it.
            let padded = [naming, 0x85, 0x80, 0x80, 0x80, 0];
            check(&padded, [5, 200], [&[1], &[]]);
            let padded = [naming, 0xc8, 0x81, 0x80, 0x80, 0];
            check(&padded, [5, 200], [&[], &[1]]);
            let last = [naming, 0xfe, 0xff, 0xff, 0xff, 0x0f];
            check(&last, [0x7e, u32::MAX - 1], [&[], &[1]]);
            check(&[naming, 6, 0x0b], [5, 200], [&[], &[]]);
            check(&[naming], [5, 200], [&[], &[]]);
            check(&[naming, 0x85], [5, 200], [&[], &[]]);
            let mixed = [naming, 5, naming, 0xc8, 1, naming, 0x85, 0, 5];
            check(&mixed, [5, 200], [&[1, 6], &[3]]);
        }
        check(&[0x41, 5, 0x0b], [5, 200], [&[], &[]]);
    }
}
