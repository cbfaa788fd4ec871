//! Executes the instructions that only move constants.
//!
//! Every operand of wasm-ld's start function is a constant, or computed from globals.

use alloc::vec::Vec;
use core::ops::Range;

use wasmparser::Operator;

use super::function_body::BodyReader;
use super::init::StartReason;
use crate::{Global, GlobalIndex, IndexType, Module, Value};

type Result<T> = core::result::Result<T, StartReason>;

/// Maximum depth of the operand stack: an address, its copy, and a few more.
const MAX_STACK: usize = 8;

/// Maximum number of locals: wasm-ld uses two, and inlining adds a few.
const MAX_LOCALS: usize = 16;

/// The value of an operand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Value(Value),
    /// The value of an immutable global whose value is not known.
    Global(GlobalIndex),
    /// The value of a mutable or non-integer global.
    Unusable,
}

/// An operand: its value, and for a constant, the position of its immediate.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) value: Known,
    /// The byte range of the `const` instruction's immediate in the body.
    pub(super) immediate: Option<Range<usize>>,
}

/// The operand stack and the locals of a function, and the rest of its instructions.
pub(super) struct Operands<'m, 'a> {
    module: &'m Module<'a>,
    pub(super) code: BodyReader<'m>,
    stack: Vec<Operand>,
    locals: [Option<Known>; MAX_LOCALS],
    /// The globals that operands depend on, including repeats.
    pub(super) globals: Vec<GlobalIndex>,
    /// How many of `globals` are used independently of the operands on the stack.
    n_globals_before: usize,
}

impl<'m, 'a> Operands<'m, 'a> {
    pub(super) fn new(module: &'m Module<'a>, body: &'m [u8]) -> Result<Self> {
        Ok(Self {
            module,
            code: BodyReader::new(body)?,
            stack: Vec::new(),
            locals: [None; MAX_LOCALS],
            globals: Vec::new(),
            n_globals_before: 0,
        })
    }

    /// Executes instructions that only move constants, and returns the first other one.
    pub(super) fn until_effect(&mut self) -> Result<Operator<'m>> {
        loop {
            let (op, at) = self.code.next()?;
            if !self.moves_constants(&op, &at)? {
                return Ok(op);
            }
        }
    }

    /// Executes the instruction if it only moves constants, and returns whether it did.
    pub(super) fn moves_constants(&mut self, op: &Operator<'_>, at: &Range<usize>) -> Result<bool> {
        // After the one-byte opcode.
        let immediate = Some(at.start.saturating_add(1)..at.end);
        match *op {
            Operator::I32Const { value } => self.push(Known::Value(Value::I32(value)), immediate),
            Operator::I64Const { value } => self.push(Known::Value(Value::I64(value)), immediate),
            Operator::GlobalGet { global_index } => {
                let value = self.global(global_index)?;
                self.push(value, None)
            }
            Operator::LocalGet { local_index } => {
                match self.local(local_index)?.as_ref().copied() {
                    Some(value) => self.push(value, None),
                    None => self.code.reject(),
                }
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop()?;
                *self.local(local_index)? = Some(value);
                self.n_globals_before = self.globals.len();
                Ok(())
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop()?;
                *self.local(local_index)? = Some(value);
                self.n_globals_before = self.globals.len();
                self.push(value, None)
            }
            Operator::I32Add | Operator::I64Add => {
                let (b, a) = (self.pop()?, self.pop()?);
                let sum = match (op, b, a) {
                    (
                        Operator::I32Add,
                        Known::Value(Value::I32(b)),
                        Known::Value(Value::I32(a)),
                    ) => Known::Value(Value::I32(a.wrapping_add(b))),
                    (
                        Operator::I64Add,
                        Known::Value(Value::I64(b)),
                        Known::Value(Value::I64(a)),
                    ) => Known::Value(Value::I64(a.wrapping_add(b))),
                    (_, Known::Value(_), Known::Value(_)) => return self.code.reject(),
                    (_, Known::Value(_), other) | (_, other, _) => other,
                };
                self.push(sum, None)
            }
            _ => return Ok(false),
        }?;
        Ok(true)
    }

    fn global(&mut self, index: u32) -> Result<Known> {
        let global = crate::index::checked::<GlobalIndex>(index, self.module.globals.len());
        match global.and_then(|it| Some((it, self.module.globals.get(it)?))) {
            Some((global, Global::Known(value))) => {
                self.globals.push(global);
                Ok(Known::Value(*value))
            }
            Some((global, Global::Unknown(_))) => Ok(Known::Global(global)),
            Some((_, Global::Unusable)) => Ok(Known::Unusable),
            None => self.code.reject(),
        }
    }

    fn local(&mut self, index: u32) -> Result<&mut Option<Known>> {
        let nth = usize::try_from(index).unwrap_or(usize::MAX);
        if self.code.n_locals <= index || self.locals.len() <= nth {
            return self.code.reject();
        }
        match self.locals.get_mut(nth) {
            Some(local) => Ok(local),
            None => {
                debug_assert!(false, "a local that was compared with their number");
                self.code.reject()
            }
        }
    }

    fn push(&mut self, value: Known, immediate: Option<Range<usize>>) -> Result<()> {
        if self.stack.len() == MAX_STACK {
            return self.code.reject();
        }
        self.stack.push(Operand { value, immediate });
        Ok(())
    }

    fn pop(&mut self) -> Result<Known> {
        Ok(self.pop_operand()?.value)
    }

    fn value(&self, known: Known) -> Result<Value> {
        match known {
            Known::Value(value) => Ok(value),
            Known::Global(global) => Err(StartReason::DynamicOffset { global }),
            Known::Unusable => self.code.reject(),
        }
    }

    pub(super) fn pop_exactly(&mut self, value: Value) -> Result<()> {
        let known = self.pop()?;
        if self.value(known)? == value {
            Ok(())
        } else {
            self.code.reject()
        }
    }

    /// Pops an address or length of this type, with the position of its immediate.
    pub(super) fn pop_address(
        &mut self,
        index_type: IndexType,
    ) -> Result<(u64, Option<Range<usize>>)> {
        let it = self.pop_operand()?;
        match self.value(it.value)?.address(index_type) {
            Some(address) => Ok((address, it.immediate)),
            None => self.code.reject(),
        }
    }

    /// Pops an operand whose value does not matter. Globals that nothing else depends on are
    /// not used.
    pub(super) fn discard(&mut self) -> Result<()> {
        self.pop()?;
        if self.stack.is_empty() {
            self.globals.truncate(self.n_globals_before);
        }
        Ok(())
    }

    pub(super) fn pop_operand(&mut self) -> Result<Operand> {
        match self.stack.pop() {
            Some(it) => Ok(it),
            None => self.code.reject(),
        }
    }

    pub(super) fn expect(&mut self, is_right: impl Fn(&Operator<'_>) -> bool) -> Result<()> {
        if is_right(&self.code.next()?.0) {
            self.expect_empty()
        } else {
            self.code.reject()
        }
    }

    pub(super) fn expect_empty(&self) -> Result<()> {
        if self.stack.is_empty() {
            Ok(())
        } else {
            self.code.reject()
        }
    }
}
