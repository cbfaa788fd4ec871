//! Inlines the initialisers of defined globals into offset expressions, for hosts that know
//! only the values of imports.
//!
//! An offset may name a global that the module defines. A host without the module's bytes
//! does not have its initialiser, so the initialiser replaces the global.

use alloc::vec::Vec;

use cranelift_entity::EntityRef;

use crate::expr::const_expr::eval;
use crate::reader::Reader;
use crate::{Global, GlobalIndex, Module, OffsetExpr, Value};

/// Maximum length in bytes of an offset with inlined initialisers. Toolchains need fewer
/// than 20; the limit is needed because each definition can double the length.
const MAX_LEN: usize = 128;

/// An offset that names only imported globals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedOffset {
    /// A single value.
    Const(Value),
    /// The encoding of an expression over imported globals, `end` included.
    Expr(Vec<u8>),
}

impl Module<'_> {
    /// Replaces the globals that the module defines by their initialisers. Values supplied
    /// by the host are ignored.
    ///
    /// Returns `None` if the offset names no such global, or if the result would exceed 128
    /// bytes, which no toolchain needs. In the latter case, the host has to know the value
    /// of a global that the module defines.
    pub fn resolve_offset(&self, offset: &OffsetExpr<'_>) -> Option<ResolvedOffset> {
        let OffsetExpr::Expr(expr) = offset else {
            return None;
        };
        let is_defined = |global: GlobalIndex| self.global_imports.len() <= global.index();
        let is_closed = offset.globals().next().is_none();
        if !is_closed && !offset.globals().any(is_defined) {
            return None;
        }
        let mut output = Vec::new();
        self.inline(expr.as_bytes(), &mut output)?;
        output.push(END);
        let constant = eval(&output, &|_| None).map(ResolvedOffset::Const);
        Some(constant.unwrap_or(ResolvedOffset::Expr(output)))
    }

    /// Appends the instructions without `end`. `None` if a limit is exceeded.
    fn inline(&self, bytes: &[u8], output: &mut Vec<u8>) -> Option<()> {
        // The enclosing expressions still to be read, outermost first.
        let mut stack = Vec::new();
        let mut reader = Reader::new(bytes);
        // Counted, because a definition that only names another global adds no byte.
        let mut n_steps = 0_usize;
        loop {
            n_steps = n_steps.checked_add(1).filter(|n| *n <= MAX_STEPS)?;
            let before = reader.rest();
            match reader.byte()? {
                END => match stack.pop() {
                    Some(outer) => {
                        reader = outer;
                        continue;
                    }
                    None => return Some(()),
                },
                GLOBAL_GET => {
                    let global = reader.var_u32()?;
                    if global == u32::MAX {
                        return None;
                    }
                    let global = GlobalIndex::from_u32(global);
                    if self.global_imports.len() <= global.index() {
                        match self.definition(global)? {
                            Definition::Value(value) => encode_const(output, value),
                            Definition::Init(init) => {
                                stack.push(reader);
                                reader = Reader::new(init);
                            }
                        }
                        continue;
                    }
                }
                0x41 => {
                    reader.var_s32()?;
                }
                0x42 => {
                    reader.var_s64()?;
                }
                0x6a..=0x6c | 0x7c..=0x7e => {}
                _ => return None,
            }
            let len = before.len().checked_sub(reader.rest().len())?;
            output.extend_from_slice(before.get(..len)?);
            if MAX_LEN <= output.len() {
                return None;
            }
        }
    }

    /// Returns the definition of a global, ignoring values supplied by the host.
    fn definition(&self, global: GlobalIndex) -> Option<Definition<'_>> {
        if let Some(init) = self.deferred.init(global) {
            return Some(Definition::Init(init));
        }
        match self.globals.get(global)? {
            Global::Known(value) => Some(Definition::Value(*value)),
            _ => None,
        }
    }
}

/// Maximum number of instructions read: more than fit the limit, with definitions between.
const MAX_STEPS: usize = 8 * MAX_LEN;

const END: u8 = 0x0b;
const GLOBAL_GET: u8 = 0x23;

enum Definition<'a> {
    Value(Value),
    Init(&'a [u8]),
}

/// Appends a constant instruction with an operand of minimal length.
fn encode_const(output: &mut Vec<u8>, value: Value) {
    let (op, mut rest) = match value {
        Value::I32(value) => (0x41, i64::from(value)),
        Value::I64(value) => (0x42, value),
    };
    output.push(op);
    loop {
        // Never fails: seven bits.
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest = rest.wrapping_shr(7);
        let is_last = (rest == 0 && low & 0x40 == 0) || (rest == -1 && low & 0x40 != 0);
        output.push(if is_last { low } else { low | 0x80 });
        if is_last {
            return;
        }
    }
}

#[cfg(all(test, feature = "parse"))]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;
    use crate::IndexType;

    /// An `i32` expression over the globals below `n`.
    fn expr(n: usize) -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(|it| format!("(i32.const {it})")),
            (0..n.max(1)).prop_map(|it| format!("(global.get {it})")),
        ];
        leaf.prop_recursive(3, 8, 2, |inner| {
            let op = prop_oneof![Just("add"), Just("sub"), Just("mul")];
            (op, inner.clone(), inner).prop_map(|(op, a, b)| format!("(i32.{op} {a} {b})"))
        })
    }

    proptest! {
        /// With the host's values, the resolved offset has the value of the original one. It
        /// names only imports, and does not depend on values supplied earlier.
        #[test]
        fn resolved_offsets_have_the_same_value(
            inits in (expr(2), expr(3), expr(4)),
            offset in expr(5),
            values: (i32, i32),
        ) {
            let wat = format!(
                r#"(module (import "" "a" (global i32)) (import "" "b" (global i32)) (memory 1)
                   (global i32 {}) (global i32 {}) (global i32 {}) (data (offset {offset}) ""))"#,
                inits.0, inits.1, inits.2);
            let wasm = wat::parse_str(wat).unwrap();
            let plain = Module::parse(&wasm).unwrap();
            let index = GlobalIndex::from_u32;
            let with_values = plain.clone()
                .with_global(index(0), Value::I32(values.0)).unwrap()
                .with_global(index(1), Value::I32(values.1)).unwrap();
            let offset = plain.active_segments().next().unwrap().offset;
            let expected = offset.eval(IndexType::I32, &|it| with_values.global_value(it));
            let resolved = plain.resolve_offset(&offset);
            prop_assert_eq!(&resolved, &with_values.resolve_offset(&offset));
            let imports = |it: GlobalIndex| match it.as_u32() {
                0 => Some(Value::I32(values.0)),
                1 => Some(Value::I32(values.1)),
                _ => None,
            };
            let got = match resolved {
                None => {
                    // Unchanged, or too long.
                    let is_imported = |it: GlobalIndex| it.as_u32() < 2;
                    prop_assume!(offset.globals().all(is_imported));
                    offset.eval(IndexType::I32, &imports)
                }
                Some(ResolvedOffset::Const(value)) => Ok(value.address(IndexType::I32).unwrap()),
                Some(ResolvedOffset::Expr(bytes)) => {
                    let (expr, rest) = OffsetExpr::decode(&bytes).unwrap();
                    prop_assert!(rest.is_empty() && expr.globals().next().is_some());
                    expr.eval(IndexType::I32, &imports)
                }
            };
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn definitions_that_grow_exponentially_are_not_inlined() {
        let mut wat = String::from(r#"(module (import "" "a" (global i32)) (memory 1)"#);
        for nth in 0..60 {
            wat += &format!("(global i32 (i32.add (global.get {nth}) (global.get {nth})))");
        }
        wat += r#"(data (global.get 60) "x") (data (global.get 3) "x"))"#;
        let wasm = wat::parse_str(wat).unwrap();
        let module = Module::parse(&wasm).unwrap();
        let mut offsets = module.active_segments().map(|it| it.offset);
        assert_eq!(module.resolve_offset(&offsets.next().unwrap()), None);
        assert!(module.resolve_offset(&offsets.next().unwrap()).is_some());
    }

    /// The operands of the inlined constants have one, two and ten bytes.
    #[test]
    fn defined_constants_are_inlined() {
        for value in [0, 63, 64, -64, -65, 300, i64::MIN, i64::MAX] {
            let wat = format!(
                r#"(module (import "" "a" (global i64)) (memory i64 1) (global i64 (i64.const {value}))
                   (data (global.get 1) "")
                   (data (offset (i64.add (i64.mul (global.get 0) (i64.const 2)) (global.get 1))) ""))"#
            );
            let wasm = wat::parse_str(wat).unwrap();
            let module = Module::parse(&wasm).unwrap();
            let offsets: Vec<_> = module.active_segments().map(|it| it.offset).collect();
            let constant = ResolvedOffset::Const(Value::I64(value));
            assert_eq!(module.resolve_offset(&offsets[0]), Some(constant));
            let Some(ResolvedOffset::Expr(bytes)) = module.resolve_offset(&offsets[1]) else {
                panic!("{value}: an expression over the import");
            };
            let (expr, _) = OffsetExpr::decode(&bytes).unwrap();
            let text = format!("global.get 0 i64.const 2 i64.mul i64.const {value} i64.add");
            assert_eq!(format!("{expr}"), text);
        }
    }
}
