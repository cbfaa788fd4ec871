//! Reads function bodies instruction by instruction.

use alloc::vec::Vec;
use core::ops::Range;

use wasmparser::{BinaryReader, Operator, OperatorsReader};

use super::init::StartReason;
use crate::{FuncIndex, Module};

type Result<T> = core::result::Result<T, StartReason>;

/// Maximum number of functions that wasm-ld's start function calls: some that relocate
/// globals, then the one that initialises memory.
pub(crate) const MAX_CALLS: usize = 4;

/// Returns the start function and the functions that it calls, if it does nothing else and
/// only the last of them can access a memory; otherwise the start function alone. Also returns
/// the body of the last: finding a body passes over all that precede it.
pub(crate) fn called<'m>(
    module: &'m Module<'_>,
    start: FuncIndex,
) -> Result<(Vec<FuncIndex>, &'m [u8])> {
    let body = module.body(start).ok_or(StartReason::NoBody)?;
    let mut code = BodyReader::new(body)?;
    let mut calls = Vec::new();
    loop {
        match code.next()?.0 {
            Operator::Call { function_index } if calls.len() < MAX_CALLS => {
                calls.push(function_index);
            }
            Operator::End if code.is_at_end() => break,
            _ => return Ok((alloc::vec![start], body)),
        }
    }
    let Some((last, before)) = calls.split_last() else {
        return code.reject();
    };
    let mut bodies = alloc::vec![start];
    for function in before {
        let function = func(*function, &code)?;
        check_no_memory_access(module.body(function).ok_or(StartReason::NoBody)?)?;
        bodies.push(function);
    }
    let last = func(*last, &code)?;
    bodies.push(last);
    Ok((bodies, module.body(last).ok_or(StartReason::NoBody)?))
}

pub(crate) fn func(index: u32, code: &BodyReader<'_>) -> Result<FuncIndex> {
    if index == u32::MAX {
        return code.reject();
    }
    Ok(FuncIndex::from_u32(index))
}

/// Rejects a function that does anything but compute globals from globals.
pub(crate) fn check_no_memory_access(body: &[u8]) -> Result<()> {
    let mut code = BodyReader::new(body)?;
    loop {
        match code.next()?.0 {
            Operator::GlobalGet { .. }
            | Operator::GlobalSet { .. }
            | Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::I32Add
            | Operator::I64Add => {}
            Operator::End if code.is_at_end() => return Ok(()),
            _ => return code.reject(),
        }
    }
}

/// A cursor over the instructions of a function.
pub(crate) struct BodyReader<'a> {
    ops: OperatorsReader<'a>,
    /// The number of locals.
    pub(crate) n_locals: u32,
    /// The byte range in the body of the instruction read last.
    at: Range<usize>,
}

impl<'a> BodyReader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self> {
        let mut reader = BinaryReader::new(body, 0);
        let mut locals = || {
            let mut n_locals = 0_u32;
            for _ in 0..reader.read_var_u32()? {
                n_locals = n_locals.saturating_add(reader.read_var_u32()?);
                reader.read::<wasmparser::ValType>()?;
            }
            wasmparser::Result::Ok(n_locals)
        };
        let n_locals =
            locals().map_err(|err: wasmparser::BinaryReaderError| StartReason::Shape {
                offset: err.offset(),
            })?;
        let start = usize::try_from(reader.original_position()).unwrap_or(usize::MAX);
        Ok(Self {
            ops: OperatorsReader::new(reader),
            n_locals,
            at: start..start,
        })
    }

    pub(crate) fn next(&mut self) -> Result<(Operator<'a>, Range<usize>)> {
        self.at.start = self.at.end;
        match self.ops.read() {
            Ok(op) => {
                let end = self.ops.original_position();
                self.at.end = usize::try_from(end).unwrap_or(usize::MAX);
                Ok((op, self.at.clone()))
            }
            Err(_) => self.reject(),
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.ops.get_binary_reader().eof()
    }

    pub(crate) fn reject<T>(&self) -> Result<T> {
        Err(StartReason::Shape {
            offset: u64::try_from(self.at.start).unwrap_or(u64::MAX),
        })
    }
}
