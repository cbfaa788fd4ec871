//! Constant expressions that can be the offset of a data segment.
//!
//! Core specification, "Constant Expressions", with extended-const: of all
//! constant instructions, only `i32/i64.const`, `add`, `sub`, `mul` and
//! `global.get` produce an integer, so nothing else can appear in an offset.
//! Expressions are stored as their encoded bytes; a single constant, which is
//! almost every offset that toolchains emit, is stored as its value.

use core::fmt;

use crate::GlobalIndex;
use crate::expr::value::Value;
use crate::limits::MAX_EXPR_DEPTH;
use crate::reader::Reader;

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

/// The instructions that can produce an integer in a constant expression.
#[derive(Clone, Copy)]
pub(super) enum Op {
    End,
    GlobalGet(GlobalIndex),
    Const(Value),
    I32(Binary),
    I64(Binary),
}

#[derive(Clone, Copy)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
}

impl Op {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
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

    pub(super) fn fmt(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
