//! Constant expressions that can be the offset of a data segment.
//!
//! Core specification, "Constant Expressions", with extended-const: of all
//! constant instructions, only `i32/i64.const`, `add`, `sub`, `mul` and
//! `global.get` produce an integer, so nothing else can appear in an offset.
//! Expressions are stored as their encoded bytes; a single constant, which is
//! almost every offset that toolchains emit, is stored as its value.

use alloc::borrow::Cow;
use core::fmt;

use crate::decode::Reader;
use crate::limits::MAX_EXPR_DEPTH;
use crate::value::Value;
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
    pub(crate) fn new(bytes: Cow<'a, [u8]>) -> Option<Self> {
        match OffsetExpr::decode(&bytes) {
            Ok((OffsetExpr::Expr(_), [])) => Some(Self { bytes }),
            _ => None,
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvalError {
    /// The value of this global is not known.
    UnknownGlobal(GlobalIndex),
    /// The bytes are not an integer constant expression: they contain another
    /// instruction, mismatched types, or a missing or surplus operand.
    Invalid,
    /// The operand stack would exceed [`MAX_EXPR_DEPTH`].
    TooDeep,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownGlobal(global) => {
                write!(f, "the value of global {} is not known", global.as_u32())
            }
            Self::Invalid => f.write_str("not an integer constant expression"),
            Self::TooDeep => write!(f, "more than {MAX_EXPR_DEPTH} operands on the stack"),
        }
    }
}

impl core::error::Error for EvalError {}

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
    pub const fn as_const(&self) -> Option<Value> {
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

/// Returns the globals that the expression at the front of `bytes` names, in order.
pub(crate) fn globals(bytes: &[u8]) -> impl Iterator<Item = GlobalIndex> {
    let mut reader = Reader::new(bytes);
    core::iter::from_fn(move || {
        loop {
            match Op::read(&mut reader)? {
                Op::GlobalGet(global) => return Some(global),
                Op::End => return None,
                _ => {}
            }
        }
    })
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

/// The instructions that can produce an integer in a constant expression.
#[derive(Clone, Copy)]
enum Op {
    End,
    GlobalGet(GlobalIndex),
    Const(Value),
    I32(Binary),
    I64(Binary),
}

#[derive(Clone, Copy)]
enum Binary {
    Add,
    Sub,
    Mul,
}

impl Op {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.byte()? {
            0x0b => Self::End,
            0x23 => {
                let global = reader.var_u32()?;
                // No module has that many globals (`MAX_GLOBALS`).
                if global == u32::MAX {
                    return None;
                }
                Self::GlobalGet(GlobalIndex::from_u32(global))
            }
            0x41 => Self::Const(Value::I32(reader.var_s32()?)),
            0x42 => Self::Const(Value::I64(reader.var_s64()?)),
            0x6a => Self::I32(Binary::Add),
            0x6b => Self::I32(Binary::Sub),
            0x6c => Self::I32(Binary::Mul),
            0x7c => Self::I64(Binary::Add),
            0x7d => Self::I64(Binary::Sub),
            0x7e => Self::I64(Binary::Mul),
            _ => return None,
        })
    }

    fn fmt(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("end"),
            Self::GlobalGet(global) => write!(f, "global.get {}", global.as_u32()),
            Self::Const(Value::I32(value)) => write!(f, "i32.const {value}"),
            Self::Const(Value::I64(value)) => write!(f, "i64.const {value}"),
            Self::I32(binary) => write!(f, "i32.{}", binary.name()),
            Self::I64(binary) => write!(f, "i64.{}", binary.name()),
        }
    }
}

impl Binary {
    const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
        }
    }

    const fn i32(self, left: i32, right: i32) -> i32 {
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
        }
    }

    const fn i64(self, left: i64, right: i64) -> i64 {
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
        }
    }
}

/// The operand stack of an expression under evaluation; not heap-allocated.
struct Stack {
    values: [Value; MAX_EXPR_DEPTH],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: Value) -> Result<(), EvalError> {
        *self.values.get_mut(self.depth).ok_or(EvalError::TooDeep)? = value;
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, EvalError> {
        self.depth = self.depth.checked_sub(1).ok_or(EvalError::Invalid)?;
        self.values
            .get(self.depth)
            .copied()
            .ok_or(EvalError::Invalid)
    }
}

/// Evaluates the expression at the front of `bytes`.
pub(crate) fn eval(
    bytes: &[u8],
    globals: &dyn Fn(GlobalIndex) -> Option<Value>,
) -> Result<Value, EvalError> {
    let mut reader = Reader::new(bytes);
    let mut stack = Stack {
        values: [Value::I32(0); MAX_EXPR_DEPTH],
        depth: 0,
    };
    let mut unknown = None;
    loop {
        let value = match Op::read(&mut reader).ok_or(EvalError::Invalid)? {
            Op::End => break,
            Op::Const(value) => value,
            Op::GlobalGet(global) => match globals(global) {
                Some(value) => value,
                None => {
                    // Read on: an invalid remainder takes precedence over an unknown global.
                    unknown = unknown.or(Some(global));
                    continue;
                }
            },
            _ if unknown.is_some() => continue,
            Op::I32(binary) => match (stack.pop()?, stack.pop()?) {
                (Value::I32(right), Value::I32(left)) => Value::I32(binary.i32(left, right)),
                _ => return Err(EvalError::Invalid),
            },
            Op::I64(binary) => match (stack.pop()?, stack.pop()?) {
                (Value::I64(right), Value::I64(left)) => Value::I64(binary.i64(left, right)),
                _ => return Err(EvalError::Invalid),
            },
        };
        if unknown.is_none() {
            stack.push(value)?;
        }
    }
    if let Some(global) = unknown {
        return Err(EvalError::UnknownGlobal(global));
    }
    let value = stack.pop()?;
    if stack.depth == 0 {
        Ok(value)
    } else {
        Err(EvalError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
