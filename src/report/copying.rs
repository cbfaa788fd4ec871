//! Whether a start function that is not wasm-ld's may copy passive segments.

use wasm_meminit::analysis::Module;
use wasm_meminit::analysis::wasmparser::{
    BinaryReaderError, FunctionBody, Operator, Parser, Payload,
};

/// Returns whether a module's start function, or what it calls, contains `memory.init`. If it calls
/// through a table or a reference, that may be any function.
pub(super) fn may_copy(module: &Module<'_>) -> bool {
    // A function that cannot be read may do anything.
    module
        .binary()
        .is_none_or(|it| reaches_init(module, it).unwrap_or(true))
}

fn reaches_init(module: &Module<'_>, binary: &[u8]) -> Result<bool, BinaryReaderError> {
    let Some(start) = module.start() else {
        return Ok(false);
    };
    let mut bodies: Vec<FunctionBody<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(binary) {
        if let Payload::CodeSectionEntry(body) = payload? {
            bodies.push(body);
        }
    }
    let mut is_known = vec![false; bodies.len()];
    let mut rest = vec![start.as_u32()];
    while let Some(function) = rest.pop() {
        let nth = function.checked_sub(module.n_imported_functions());
        let Some(nth) = nth.map(|it| it as usize).filter(|it| *it < bodies.len()) else {
            // Imported: a host may call any export.
            return any_init(&bodies);
        };
        if core::mem::replace(&mut is_known[nth], true) {
            continue;
        }
        if has_init(&bodies[nth])? {
            return Ok(true);
        }
        for operator in bodies[nth].get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    rest.push(function_index);
                }
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallRef { .. } => return any_init(&bodies),
                _ => {}
            }
        }
    }
    Ok(false)
}

fn any_init(bodies: &[FunctionBody<'_>]) -> Result<bool, BinaryReaderError> {
    for body in bodies {
        if has_init(body)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a function copies a passive segment; not one whose writes were stripped, which copies
/// zero bytes.
fn has_init(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    let mut is_nothing = false;
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        if matches!(operator, Operator::MemoryInit { .. }) && !is_nothing {
            return Ok(true);
        }
        is_nothing = matches!(operator, Operator::I32Const { value: 0 });
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_followed() {
        let init = "(memory.init $p (i32.const 0) (i32.const 0) (i32.const 1))";
        let check = |start: &str, other: &str, expected: bool| {
            let text = format!(
                r#"(module (import "e" "f" (func $host)) (memory 1) (table 1 funcref)
                    (data $p "x") (func $other {other}) (func $loop call $loop call $other)
                    (func $start {start}) (start $start))"#
            );
            let wasm = wat::parse_str(&text).expect("a module");
            let module = Module::parse(&wasm).expect("valid");
            assert_eq!(may_copy(&module), expected, "{text}");
        };
        check(init, "", true);
        check(&init.replace("const 1", "const 0"), "", false);
        check("", init, false);
        check("call $loop", init, true);
        check("call $loop", "data.drop $p", false);
        check("call $host", init, true);
        check("call $host", "", false);
        check("(call_indirect (i32.const 0))", init, true);
        check("(call_indirect (i32.const 0))", "", false);
    }
}
