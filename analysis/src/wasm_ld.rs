//! Recognises the start function that wasm-ld writes for threaded modules.
//!
//! Not a pattern of bytes but a run of the function: every operand is a constant, so
//! that what it does to a zero memory is known exactly. Whatever is not in the sequence
//! below is refused.
//!
//! ```text
//! [global.get __memory_base, const F, add, local.set 0]      position-independent code
//! block  block  block
//!   FLAG  i32.const 0  i32.const 1  i32.atomic.rmw.cmpxchg
//!   br_table 0 1 2
//! end                                                        it was 0: ours to do
//!   ( ADDR [ADDR global.set __tls_base]
//!     i32.const 0  const LEN  memory.init or memory.fill )*
//!   FLAG  i32.const 2  i32.atomic.store
//!   FLAG  i32.const -1  memory.atomic.notify  drop
//!   br 1
//! end                                                        it was 1: another's
//!   FLAG  i32.const 1  i64.const -1  memory.atomic.wait32  drop
//! end                                                        done
//! data.drop*
//! end
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use wasmparser::{BinaryReader, BlockType, MemArg, MemArgTarget, Operator, OperatorsReader};

use crate::const_expr::Value;
use crate::initialization::{fits, len};
use crate::module::Global;
use crate::start_function::{StartInit, StartReason, ThreadLocal};
use crate::{DataIndex, FuncIndex, GlobalIndex, IndexType, MemoryIndex, Module, SegmentMode};

type Result<T> = core::result::Result<T, StartReason>;

/// Functions that a start function of wasm-ld calls, at most: relocations of globals,
/// then this.
const MAX_CALLS: usize = 4;

/// Operands at once, at most: an address, its copy, two more.
const MAX_STACK: usize = 8;

/// What the start function does.
pub(crate) fn recognize(module: &Module<'_>) -> Result<StartInit> {
    if module.passive_segments().next().is_none() {
        return Err(StartReason::Nothing);
    }
    let start = module.start.ok_or(StartReason::Nothing)?;
    let bodies = called(module, start)?;
    let function = *bodies.last().ok_or(StartReason::NoBody)?;
    let body = module.body(function).ok_or(StartReason::NoBody)?;
    let mut run = Run::new(module, body)?;
    run.function()?;
    run.finish(function, bodies)
}

/// The start function and those that it calls, if that is all it does and none but the
/// last can touch a memory; otherwise the start function alone.
fn called(module: &Module<'_>, start: FuncIndex) -> Result<Vec<FuncIndex>> {
    let body = module.body(start).ok_or(StartReason::NoBody)?;
    let mut code = Code::new(body)?;
    let mut calls = Vec::new();
    loop {
        match code.next()?.0 {
            Operator::Call { function_index } if calls.len() < MAX_CALLS => {
                calls.push(function_index);
            }
            Operator::End if code.is_at_end() => break,
            _ => return Ok(alloc::vec![start]),
        }
    }
    let Some((last, before)) = calls.split_last() else {
        return code.refuse();
    };
    let mut bodies = alloc::vec![start];
    for function in before {
        let function = func(*function, &code)?;
        touches_no_memory(module.body(function).ok_or(StartReason::NoBody)?)?;
        bodies.push(function);
    }
    bodies.push(func(*last, &code)?);
    Ok(bodies)
}

fn func(index: u32, code: &Code<'_>) -> Result<FuncIndex> {
    if index == u32::MAX {
        return code.refuse();
    }
    Ok(FuncIndex::from_u32(index))
}

/// Refuses a function that does more than to compute globals from globals.
fn touches_no_memory(body: &[u8]) -> Result<()> {
    let mut code = Code::new(body)?;
    loop {
        match code.next()?.0 {
            Operator::GlobalGet { .. }
            | Operator::GlobalSet { .. }
            | Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::I32Add
            | Operator::I64Add => {}
            Operator::End if code.is_at_end() => return Ok(()),
            _ => return code.refuse(),
        }
    }
}

/// A function's instructions, one by one.
struct Code<'a> {
    ops: OperatorsReader<'a>,
    /// How many locals, all of the same type.
    n_locals: u32,
    /// Where the instruction read last begins and ends in the body.
    at: Range<usize>,
}

impl<'a> Code<'a> {
    fn new(body: &'a [u8]) -> Result<Self> {
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

    fn next(&mut self) -> Result<(Operator<'a>, Range<usize>)> {
        self.at.start = self.at.end;
        match self.ops.read() {
            Ok(op) => {
                let end = self.ops.original_position();
                self.at.end = usize::try_from(end).unwrap_or(usize::MAX);
                Ok((op, self.at.clone()))
            }
            Err(_) => self.refuse(),
        }
    }

    fn is_at_end(&self) -> bool {
        self.ops.get_binary_reader().eof()
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(StartReason::Shape {
            offset: u64::try_from(self.at.start).unwrap_or(u64::MAX),
        })
    }
}

/// An operand: its value, and where the constant stands if it is one.
#[derive(Clone, Debug)]
struct Operand {
    value: Value,
    /// The immediate of the `const`, in the body.
    immediate: Option<Range<usize>>,
}

/// The function as it runs on a zero memory.
struct Run<'m, 'a> {
    module: &'m Module<'a>,
    code: Code<'m>,
    stack: Vec<Operand>,
    locals: [Option<Value>; 2],
    memory: Option<MemoryIndex>,
    flag: Option<u64>,
    init: Partial,
}

#[derive(Default)]
struct Partial {
    writes: Vec<(DataIndex, u64)>,
    zeroed: Vec<Range<u64>>,
    thread_local: Option<ThreadLocal>,
    lengths: Vec<Range<usize>>,
    globals: Vec<GlobalIndex>,
}

impl<'m, 'a> Run<'m, 'a> {
    fn new(module: &'m Module<'a>, body: &'m [u8]) -> Result<Self> {
        Ok(Self {
            module,
            code: Code::new(body)?,
            stack: Vec::new(),
            locals: [None; 2],
            memory: None,
            flag: None,
            init: Partial::default(),
        })
    }

    fn function(&mut self) -> Result<()> {
        // The prologue ends with the first block.
        while !self.step()? {}
        self.expect(is_block)?;
        self.expect(is_block)?;
        self.claim()?;
        self.expect(|op| matches!(op, Operator::End))?;
        self.writes()?;
        self.expect(|op| matches!(op, Operator::Br { relative_depth: 1 }))?;
        self.expect(|op| matches!(op, Operator::End))?;
        self.wait()?;
        self.expect(|op| matches!(op, Operator::End))?;
        self.drops()
    }

    /// `FLAG 0 1 cmpxchg br_table`.
    fn claim(&mut self) -> Result<()> {
        let op = self.until_effect()?;
        let Operator::I32AtomicRmwCmpxchg { memarg } = op else {
            return self.code.refuse();
        };
        let memory = self.plain(&memarg)?;
        self.pop_exactly(Value::I32(1))?;
        self.pop_exactly(Value::I32(0))?;
        self.memory = Some(memory);
        self.flag = Some(self.pop_address()?.0);
        self.expect_empty()?;
        let (op, _) = self.code.next()?;
        let Operator::BrTable { targets } = op else {
            return self.code.refuse();
        };
        let labels = targets.targets().map(core::result::Result::ok);
        let is_theirs = targets.default() == 2 && labels.eq([Some(0), Some(1)]);
        if is_theirs {
            Ok(())
        } else {
            self.code.refuse()
        }
    }

    /// Writes, up to the `drop` behind the call that wakes the other threads.
    fn writes(&mut self) -> Result<()> {
        loop {
            let op = match self.until_effect()? {
                Operator::I32AtomicStore { memarg } => {
                    self.pop_exactly(Value::I32(2))?;
                    self.pop_flag(&memarg)?;
                    break;
                }
                op => op,
            };
            let Operator::GlobalSet { global_index } = op else {
                self.write(&op)?;
                continue;
            };
            let address = self.set_global(global_index)?;
            let op = self.until_effect()?;
            if self.write(&op)? != address {
                return self.code.refuse();
            }
        }
        let Operator::MemoryAtomicNotify { memarg } = self.until_effect()? else {
            return self.code.refuse();
        };
        self.pop_exactly(Value::I32(-1))?;
        self.pop_flag(&memarg)?;
        self.expect(|op| matches!(op, Operator::Drop))
    }

    /// `FLAG 1 -1 wait32 drop`.
    fn wait(&mut self) -> Result<()> {
        let Operator::MemoryAtomicWait32 { memarg } = self.until_effect()? else {
            return self.code.refuse();
        };
        self.pop_exactly(Value::I64(-1))?;
        self.pop_exactly(Value::I32(1))?;
        self.pop_flag(&memarg)?;
        self.expect(|op| matches!(op, Operator::Drop))
    }

    /// `data.drop* end`, and nothing behind it.
    fn drops(&mut self) -> Result<()> {
        loop {
            match self.code.next()?.0 {
                Operator::DataDrop { data_index } => {
                    self.passive(data_index)?;
                }
                Operator::End if self.code.is_at_end() => return Ok(()),
                _ => return self.code.refuse(),
            }
        }
    }

    /// One write; returns its first address.
    fn write(&mut self, op: &Operator<'_>) -> Result<u64> {
        match *op {
            Operator::MemoryFill { mem } => self.fill(mem),
            Operator::MemoryInit { data_index, mem } => self.init(data_index, mem),
            _ => self.code.refuse(),
        }
    }

    fn set_global(&mut self, global: u32) -> Result<u64> {
        let address = self.pop_address()?.0;
        let n_globals = self.module.globals.len();
        let global = crate::index::checked::<GlobalIndex>(global, n_globals);
        match global {
            Some(global) if self.init.thread_local.is_none() => {
                self.init.thread_local = Some(ThreadLocal { global, address });
                Ok(address)
            }
            _ => self.code.refuse(),
        }
    }

    fn fill(&mut self, memory: u32) -> Result<u64> {
        let (len, immediate) = self.pop_address()?;
        self.pop_exactly(Value::I32(0))?;
        let start = self.pop_address()?.0;
        self.expect_empty()?;
        self.expect_memory(memory)?;
        let end = self.check_bounds(start, len)?;
        self.init.zeroed.push(start..end);
        self.shortened(immediate)?;
        Ok(start)
    }

    fn init(&mut self, segment: u32, memory: u32) -> Result<u64> {
        let Some(Operand {
            value: Value::I32(n_bytes),
            immediate,
        }) = self.stack.pop()
        else {
            return self.code.refuse();
        };
        self.pop_exactly(Value::I32(0))?;
        let start = self.pop_address()?.0;
        self.expect_empty()?;
        self.expect_memory(memory)?;
        let (segment, data) = self.passive(segment)?;
        let is_written = self.init.writes.iter().any(|(it, _)| *it == segment);
        if is_written || u64::from(n_bytes.cast_unsigned()) != len(data) {
            return self.code.refuse();
        }
        self.check_bounds(start, len(data))?;
        self.init.writes.push((segment, start));
        self.shortened(immediate)?;
        Ok(start)
    }

    fn shortened(&mut self, immediate: Option<Range<usize>>) -> Result<()> {
        match immediate {
            Some(immediate) => {
                self.init.lengths.push(immediate);
                Ok(())
            }
            None => self.code.refuse(),
        }
    }

    fn passive(&self, segment: u32) -> Result<(DataIndex, &'a [u8])> {
        let index = crate::index::checked::<DataIndex>(segment, self.module.segments.len());
        let segment = index.and_then(|it| Some((it, self.module.segments.get(it)?)));
        match segment {
            Some((index, it)) if matches!(it.mode, SegmentMode::Passive) => Ok((index, it.data)),
            _ => self.code.refuse(),
        }
    }

    fn check_bounds(&self, start: u64, len: u64) -> Result<u64> {
        let size = self.memory.and_then(|it| self.module.memory_size(it));
        let min_bytes = size.unwrap_or(0);
        if fits(start, len, min_bytes) {
            Ok(start.saturating_add(len))
        } else {
            Err(StartReason::OutOfBounds {
                offset: start,
                min_bytes,
            })
        }
    }

    /// Runs instructions that only move constants; returns the first that does not.
    fn until_effect(&mut self) -> Result<Operator<'m>> {
        loop {
            let (op, at) = self.code.next()?;
            if !self.moves(&op, &at)? {
                return Ok(op);
            }
        }
    }

    /// One instruction before the first block; `true` for the block.
    fn step(&mut self) -> Result<bool> {
        let (op, at) = self.code.next()?;
        if is_block(&op) {
            self.expect_empty()?;
            return Ok(true);
        }
        if self.moves(&op, &at)? {
            Ok(false)
        } else {
            self.code.refuse()
        }
    }

    /// Whether the instruction only moves constants; if so, that is done.
    fn moves(&mut self, op: &Operator<'_>, at: &Range<usize>) -> Result<bool> {
        // Behind the one byte of the instruction.
        let immediate = Some(at.start.saturating_add(1)..at.end);
        match *op {
            Operator::I32Const { value } => self.push(Value::I32(value), immediate),
            Operator::I64Const { value } => self.push(Value::I64(value), immediate),
            Operator::GlobalGet { global_index } => {
                let value = self.global(global_index)?;
                self.push(value, None)
            }
            Operator::LocalGet { local_index } => {
                match self.local(local_index)?.as_ref().copied() {
                    Some(value) => self.push(value, None),
                    None => self.code.refuse(),
                }
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop()?;
                *self.local(local_index)? = Some(value);
                Ok(())
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop()?;
                *self.local(local_index)? = Some(value);
                self.push(value, None)
            }
            Operator::I32Add | Operator::I64Add => {
                let sum = match (op, self.pop()?, self.pop()?) {
                    (Operator::I32Add, Value::I32(b), Value::I32(a)) => {
                        Value::I32(a.wrapping_add(b))
                    }
                    (Operator::I64Add, Value::I64(b), Value::I64(a)) => {
                        Value::I64(a.wrapping_add(b))
                    }
                    _ => return self.code.refuse(),
                };
                self.push(sum, None)
            }
            _ => return Ok(false),
        }?;
        Ok(true)
    }

    fn global(&mut self, index: u32) -> Result<Value> {
        let global = crate::index::checked::<GlobalIndex>(index, self.module.globals.len());
        match global.and_then(|it| Some((it, self.module.globals.get(it)?))) {
            Some((global, Global::Known(value))) => {
                self.init.globals.push(global);
                Ok(*value)
            }
            Some((global, Global::Unknown(_))) => Err(StartReason::DynamicOffset { global }),
            Some((_, Global::Unusable)) | None => self.code.refuse(),
        }
    }

    fn local(&mut self, index: u32) -> Result<&mut Option<Value>> {
        let nth = usize::try_from(index).unwrap_or(usize::MAX);
        if self.code.n_locals <= index || self.locals.len() <= nth {
            return self.code.refuse();
        }
        match self.locals.get_mut(nth) {
            Some(local) => Ok(local),
            // Not reached: it was compared with the length.
            None => self.code.refuse(),
        }
    }

    fn push(&mut self, value: Value, immediate: Option<Range<usize>>) -> Result<()> {
        if self.stack.len() == MAX_STACK {
            return self.code.refuse();
        }
        self.stack.push(Operand { value, immediate });
        Ok(())
    }

    fn pop(&mut self) -> Result<Value> {
        match self.stack.pop() {
            Some(it) => Ok(it.value),
            None => self.code.refuse(),
        }
    }

    fn pop_exactly(&mut self, value: Value) -> Result<()> {
        if self.pop()? == value {
            Ok(())
        } else {
            self.code.refuse()
        }
    }

    /// An address or length of the memory, or of any where it is not known yet.
    fn pop_address(&mut self) -> Result<(u64, Option<Range<usize>>)> {
        let memory = self.memory.and_then(|it| self.module.memories.get(it));
        let Some(it) = self.stack.pop() else {
            return self.code.refuse();
        };
        let index_type = memory.map_or(IndexType::I32, |it| it.ty.index_type);
        match it.value.address(index_type) {
            Some(address) => Ok((address, it.immediate)),
            None => self.code.refuse(),
        }
    }

    fn pop_flag(&mut self, memarg: &MemArg) -> Result<()> {
        let memory = self.plain(memarg)?;
        let address = self.pop_address()?.0;
        self.expect_empty()?;
        if self.flag == Some(address) && self.memory == Some(memory) {
            Ok(())
        } else {
            self.code.refuse()
        }
    }

    /// The memory of an access to 4 bytes at its address itself.
    fn plain(&self, memarg: &MemArg) -> Result<MemoryIndex> {
        let MemArgTarget::Memory(memory) = memarg.target else {
            return self.code.refuse();
        };
        let memory = crate::index::checked(memory, self.module.memories.len());
        let is_plain = memarg.offset == 0 && memarg.align == 2 && memarg.ordering.is_none();
        match memory {
            Some(memory) if is_plain => Ok(memory),
            _ => self.code.refuse(),
        }
    }

    fn expect(&mut self, is_right: impl Fn(&Operator<'_>) -> bool) -> Result<()> {
        if is_right(&self.code.next()?.0) {
            self.expect_empty()
        } else {
            self.code.refuse()
        }
    }

    fn expect_empty(&self) -> Result<()> {
        if self.stack.is_empty() {
            Ok(())
        } else {
            self.code.refuse()
        }
    }

    fn expect_memory(&self, index: u32) -> Result<()> {
        if self.memory.is_some_and(|it| it.as_u32() == index) {
            Ok(())
        } else {
            self.code.refuse()
        }
    }

    fn finish(self, function: FuncIndex, bodies: Vec<FuncIndex>) -> Result<StartInit> {
        let (Some(memory), Some(flag)) = (self.memory, self.flag) else {
            return self.code.refuse();
        };
        self.check_bounds(flag, 4)?;
        if !flag.is_multiple_of(4) {
            return self.code.refuse();
        }
        let init = self.init;
        Ok(StartInit {
            memory,
            flag,
            writes: init.writes,
            zeroed: init.zeroed,
            thread_local: init.thread_local,
            function,
            lengths: init.lengths,
            bodies,
            globals: init.globals,
        })
    }
}

const fn is_block(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::Block {
            blockty: BlockType::Empty
        }
    )
}
