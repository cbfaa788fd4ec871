//! Decides whether a program can run its start function's writes a second time.
//!
//! Stripping the writes sets their lengths to zero, so a second run would write nothing.
//! The flag normally prevents a second run, but a program can clear the flag. So stripping
//! is safe only if nothing but instantiation reaches the function.

use wasmparser::{
    ConstExpr, ElementItems, ExternalKind, FunctionBody, Operator, Parser, Payload, TableInit,
};

use super::init::{ReachedBy, StartInit, StartReason};
use crate::{FuncIndex, Module};

/// Rejects a start function that anything but the start section reaches. Reads the whole
/// module once, including function bodies.
pub(crate) fn check(module: &Module<'_>, init: &StartInit) -> Result<(), StartReason> {
    let unknown = StartReason::Reachable {
        function: init.function,
        by: ReachedBy::Unknown,
    };
    let (Some(wasm), Some(start)) = (module.binary(), module.start()) else {
        return Err(unknown);
    };
    let reach = Reach {
        start,
        function: init.function,
    };
    let mut nth = module.n_imported_functions();
    for payload in Parser::new(0).parse_all(wasm) {
        let found = match payload {
            Err(err) => Err(err),
            Ok(Payload::CodeSectionEntry(body)) => {
                let caller = nth;
                nth = nth.saturating_add(1);
                reach.body(&body, caller)
            }
            Ok(payload) => reach.section(payload),
        };
        match found {
            Ok(None) => {}
            Ok(Some(reason)) => return Err(reason),
            // What cannot be read might reach the function.
            Err(_) => return Err(unknown),
        }
    }
    Ok(())
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

    /// Whether the bytes of a function can hold an instruction that names one of ours. That
    /// is so for few of all functions, and to read the instructions of the others would
    /// take most of the time of an analysis.
    fn may_name(&self, code: &[u8]) -> bool {
        const NAMING: [u8; 3] = [0x10, 0x12, 0xd2]; // call, return_call, ref.func
        let ours = [self.start, self.function].map(|it| u64::from(it.as_u32()));
        memchr::memchr3_iter(NAMING[0], NAMING[1], NAMING[2], code).any(|at| {
            let index = code.get(at.saturating_add(1)..).map(leb128);
            index.is_some_and(|it| ours.contains(&it))
        })
    }

    fn body(&self, body: &FunctionBody<'_>, caller: u32) -> Found {
        if !self.may_name(body.as_bytes()) {
            return Ok(None);
        }
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

    #[test]
    fn bytes_that_may_name_a_function_are_found() {
        let reach = |start, function| Reach {
            start: FuncIndex::from_u32(start),
            function: FuncIndex::from_u32(function),
        };
        for naming in [0x10, 0x12, 0xd2] {
            assert!(reach(5, 200).may_name(&[0x41, naming, 5, 0x0b]));
            assert!(reach(5, 200).may_name(&[0x41, naming, 0xc8, 1, 0x0b]));
            // As a linker pads it.
            assert!(reach(5, 200).may_name(&[naming, 0x85, 0x80, 0x80, 0x80, 0]));
            let last = [naming, 0xfe, 0xff, 0xff, 0xff, 0x0f];
            assert!(reach(5, u32::MAX - 1).may_name(&last));
            assert!(!reach(5, 200).may_name(&[naming, 6, 0x0b]));
            assert!(!reach(5, 200).may_name(&[naming]));
            assert!(!reach(5, 200).may_name(&[naming, 0x85]));
        }
        assert!(!reach(5, 200).may_name(&[0x41, 5, 0x0b]));
    }
}
