//! The offsets of active segments.

use alloc::borrow::Cow;
use core::fmt;

use super::const_expr::{EvalError, Op, eval, globals};
use super::value::Value;
use crate::reader::Reader;
use crate::{GlobalIndex, IndexType};

/// The offset of an active segment: a constant expression of its memory's index type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum OffsetExpr<'a> {
    /// A single `i32.const` or `i64.const`.
    Const(Value),
    /// Any other integer expression.
    Expr(ExprBytes<'a>),
}

/// An integer constant expression in its binary encoding, `end` included.
///
/// Created by [`OffsetExpr::decode`], or deserialised with the same checks, so it contains
/// only instructions that can appear in such an expression. Borrows from the module, or owns
/// its bytes if it was deserialised from a format without borrowed bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExprBytes<'a> {
    bytes: Cow<'a, [u8]>,
}

impl<'a> ExprBytes<'a> {
    /// Returns the encoding, `end` included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Accepts exactly one expression that is not a single constant.
    #[cfg(feature = "serde")]
    pub(crate) fn new(bytes: Cow<'a, [u8]>) -> Option<Self> {
        match OffsetExpr::decode(&bytes) {
            Ok((OffsetExpr::Expr(_), [])) => Some(Self { bytes }),
            _ => None,
        }
    }
}

impl<'a> OffsetExpr<'a> {
    /// Decodes one expression from the front of `bytes`, and returns it with the remaining
    /// bytes.
    ///
    /// ```
    /// use wasm_meminit_analysis::{IndexType, OffsetExpr};
    ///
    /// // i32.const 16, i32.const 4, i32.add, end; then something else.
    /// let (offset, rest) = OffsetExpr::decode(&[0x41, 16, 0x41, 4, 0x6a, 0x0b, 7])?;
    /// assert_eq!(offset.eval(IndexType::I32, &|_| None), Ok(20));
    /// assert_eq!(rest, [7]);
    /// # Ok::<(), wasm_meminit_analysis::EvalError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EvalError::Invalid`] if the bytes end early or contain an instruction that does
    /// not produce an integer. Types and stack are checked by [`eval`](Self::eval).
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), EvalError> {
        let mut reader = Reader::new(bytes);
        let mut only = None;
        let mut n_ops = 0_u32;
        loop {
            match Op::read(&mut reader).ok_or(EvalError::Invalid)? {
                Op::End => break,
                Op::Const(value) => only = Some(value),
                _ => {}
            }
            n_ops = n_ops.saturating_add(1);
        }
        if let (Some(value), 1) = (only, n_ops) {
            return Ok((Self::Const(value), reader.rest()));
        }
        let len = bytes.len().saturating_sub(reader.rest().len());
        let (bytes, rest) = bytes.split_at_checked(len).ok_or(EvalError::Invalid)?;
        let bytes = Cow::Borrowed(bytes);
        Ok((Self::Expr(ExprBytes { bytes }), rest))
    }

    /// Converts the expression into one that owns its bytes.
    pub fn into_owned(self) -> OffsetExpr<'static> {
        match self {
            Self::Const(value) => OffsetExpr::Const(value),
            Self::Expr(expr) => OffsetExpr::Expr(ExprBytes {
                bytes: Cow::Owned(expr.bytes.into_owned()),
            }),
        }
    }

    /// Returns the same expression, borrowed from `self`.
    pub fn as_ref(&self) -> OffsetExpr<'_> {
        match self {
            Self::Const(value) => OffsetExpr::Const(*value),
            Self::Expr(expr) => OffsetExpr::Expr(ExprBytes {
                bytes: Cow::Borrowed(&expr.bytes),
            }),
        }
    }

    /// Evaluates the expression to an address, in a memory of that index type.
    ///
    /// `globals` returns the values of the globals that the expression names. Arithmetic
    /// wraps, as in WebAssembly.
    ///
    /// # Errors
    ///
    /// [`EvalError::UnknownGlobal`] if `globals` returns `None`, and the other variants as
    /// documented there.
    pub fn eval(
        &self,
        index_type: IndexType,
        globals: &dyn Fn(GlobalIndex) -> Option<Value>,
    ) -> Result<u64, EvalError> {
        let value = match self {
            Self::Const(value) => *value,
            Self::Expr(expr) => eval(&expr.bytes, globals)?,
        };
        value.address(index_type).ok_or(EvalError::Invalid)
    }

    /// Returns the value, if the expression is a single constant.
    pub(crate) const fn as_const(&self) -> Option<Value> {
        match self {
            Self::Const(value) => Some(*value),
            Self::Expr(_) => None,
        }
    }

    /// Returns the globals that the expression names, in order, including repeats.
    pub fn globals(&self) -> impl Iterator<Item = GlobalIndex> {
        globals(match self {
            Self::Const(_) => &[],
            Self::Expr(expr) => &expr.bytes,
        })
    }
}

impl fmt::Debug for OffsetExpr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ExprBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&OffsetExpr::Expr(self.clone()), f)
    }
}

/// Writes the instructions in the text format: `global.get 0 i32.const 8 i32.add`.
impl fmt::Display for OffsetExpr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reader = match self {
            Self::Const(value) => return Op::Const(*value).fmt(f),
            Self::Expr(expr) => Reader::new(&expr.bytes),
        };
        let mut separator = "";
        while let Some(op) = Op::read(&mut reader) {
            if matches!(op, Op::End) {
                break;
            }
            f.write_str(separator)?;
            op.fmt(f)?;
            separator = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;
    use crate::limits::MAX_EXPR_DEPTH;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<u64, EvalError>) {
        let known = |global: GlobalIndex| (global.as_u32() == 0).then_some(Value::I32(100));
        let got = OffsetExpr::decode(bytes).and_then(|(expr, rest)| {
            assert!(rest.is_empty());
            expr.eval(IndexType::I32, &known)
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn constants_are_zero_extended() {
        check(&[0x41, 0x7f, 0x0b], Ok(0xffff_ffff));
        check(&[0x41, 0x05, 0x0b], Ok(5));
    }

    #[test]
    fn arithmetic_wraps() {
        // 2 - 3
        check(&[0x41, 2, 0x41, 3, 0x6b, 0x0b], Ok(0xffff_ffff));
        // (100 + -1) * 2
        check(&[0x23, 0, 0x41, 0x7f, 0x6a, 0x41, 2, 0x6c, 0x0b], Ok(198));
    }

    #[test]
    fn arithmetic_of_64_bits_wraps() {
        let eval = |bytes: &[u8]| {
            let (expr, _) = OffsetExpr::decode(bytes).unwrap();
            expr.eval(IndexType::I64, &|_| Some(Value::I64(100)))
        };
        assert_eq!(eval(&[0x42, 5, 0x0b]), Ok(5));
        // (100 + 7) - 1, 100 * 7, 2 - 3
        assert_eq!(
            eval(&[0x23, 0, 0x42, 7, 0x7c, 0x42, 1, 0x7d, 0x0b]),
            Ok(106)
        );
        assert_eq!(eval(&[0x23, 0, 0x42, 7, 0x7e, 0x0b]), Ok(700));
        assert_eq!(eval(&[0x42, 2, 0x42, 3, 0x7d, 0x0b]), Ok(u64::MAX));
        let mixed = eval(&[0x42, 2, 0x41, 3, 0x7d, 0x0b]);
        assert_eq!(mixed, Err(EvalError::Invalid));
    }

    #[test]
    fn an_expression_is_shown_as_text() {
        let shown = |bytes: &[u8]| {
            let (expr, _) = OffsetExpr::decode(bytes).unwrap();
            let text = expr.to_string();
            assert_eq!(format!("{expr:?}"), text);
            assert_eq!(expr.as_ref().into_owned(), expr);
            text
        };
        assert_eq!(shown(&[0x41, 0x7f, 0x0b]), "i32.const -1");
        assert_eq!(
            shown(&[0x23, 3, 0x41, 1, 0x6a, 0x41, 2, 0x6b, 0x41, 4, 0x6c, 0x0b]),
            "global.get 3 i32.const 1 i32.add i32.const 2 i32.sub i32.const 4 i32.mul"
        );
        assert_eq!(
            shown(&[0x23, 3, 0x42, 1, 0x7c, 0x42, 2, 0x7d, 0x42, 4, 0x7e, 0x0b]),
            "global.get 3 i64.const 1 i64.add i64.const 2 i64.sub i64.const 4 i64.mul"
        );
    }

    #[test]
    fn unknown_globals_are_named() {
        let global = GlobalIndex::from_u32(1);
        check(
            &[0x23, 0, 0x23, 1, 0x6a, 0x0b],
            Err(EvalError::UnknownGlobal(global)),
        );
    }

    #[test]
    fn invalid_expressions_are_rejected() {
        check(&[0x42, 0, 0x0b], Err(EvalError::Invalid)); // wrong type
        check(&[0x0b], Err(EvalError::Invalid)); // no value
        check(&[0x41, 0, 0x41, 0, 0x0b], Err(EvalError::Invalid)); // two values
        check(&[0x41, 0, 0x6a, 0x0b], Err(EvalError::Invalid)); // operand missing
        check(&[0x41, 0, 0x42, 0, 0x6a, 0x0b], Err(EvalError::Invalid)); // mixed
        check(&[0x41, 0], Err(EvalError::Invalid)); // no end
        check(&[0xd0, 0x70, 0x0b], Err(EvalError::Invalid)); // ref.null
    }

    #[test]
    fn depth_is_limited() {
        let mut bytes = alloc::vec![];
        for _ in 0..MAX_EXPR_DEPTH {
            bytes.extend([0x41, 1]);
        }
        let adds = alloc::vec![0x6a; MAX_EXPR_DEPTH - 1];
        check(&[&bytes[..], &adds, &[0x0b]].concat(), Ok(64));
        bytes.extend([0x41, 1]);
        check(
            &[&bytes[..], &adds, &[0x6a, 0x0b]].concat(),
            Err(EvalError::TooDeep),
        );
    }
}
