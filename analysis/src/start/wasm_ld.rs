//! Recognises the start function that wasm-ld generates for threaded modules.
//!
//! This does not match a byte pattern; it executes the function symbolically. Every operand
//! is a constant, so the effect on a zeroed memory is known exactly. Anything that deviates
//! from the sequence below is rejected.
//!
//! ```text
//! ( VALUE global.set | call of a function that only sets globals )*
//!                                          relocations, possibly inlined by an optimiser
//! [global.get __memory_base, const F, add, local.set 0]      position-independent code
//! block  block  block
//!   FLAG  i32.const 0  i32.const 1  i32.atomic.rmw.cmpxchg
//!   br_table 0 1 2
//! end                                                        it was 0: this thread writes
//!   ( ADDR [ADDR global.set __tls_base]
//!     i32.const 0  const LEN  memory.init or memory.fill )*
//!   FLAG  i32.const 2  i32.atomic.store
//!   FLAG  i32.const -1  memory.atomic.notify  drop
//!   br 1
//! end                                                        it was 1: another thread writes
//!   FLAG  i32.const 1  i64.const -1  memory.atomic.wait32  drop
//! end                                                        done
//! data.drop*
//! end
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use cranelift_entity::EntityRef;
use wasmparser::{BlockType, MemArg, MemArgTarget, Operator};

use super::Lengths;
use super::function_body::{MAX_CALLS, called, check_no_memory_access, func};
use super::init::{StartInit, StartReason, ThreadLocal};
use super::operands::{Known, Operand, Operands};
use crate::address::{fits, len};
use crate::{
    DataIndex, FuncIndex, GlobalIndex, IndexType, MemoryIndex, Module, SegmentMode, Value,
};

type Result<T> = core::result::Result<T, StartReason>;

/// Returns what the start function does, if it is wasm-ld's.
pub(super) fn recognize(module: &Module<'_>, lengths: Lengths) -> Result<StartInit> {
    if module.passive_segments().next().is_none() {
        return Err(StartReason::Nothing);
    }
    let start = module.start.ok_or(StartReason::Nothing)?;
    let (bodies, body) = called(module, start)?;
    let function = *bodies.last().ok_or(StartReason::NoBody)?;
    let mut interpreter = Interpreter::new(module, body, lengths)?;
    interpreter.function()?;
    interpreter.finish(function, bodies)
}

/// Executes the function on a zeroed memory.
struct Interpreter<'m, 'a> {
    module: &'m Module<'a>,
    operands: Operands<'m, 'a>,
    lengths: Lengths,
    memory: Option<MemoryIndex>,
    flag: Option<u64>,
    init: Partial,
}

#[derive(Default)]
struct Partial {
    writes: Vec<(DataIndex, u64)>,
    /// For each segment, whether it was written.
    is_written: Vec<bool>,
    zeroed: Vec<Range<u64>>,
    zeroed_after: Vec<usize>,
    thread_local: Option<ThreadLocal>,
    lengths: Vec<Range<usize>>,
    called: Vec<FuncIndex>,
}

impl<'m, 'a> Interpreter<'m, 'a> {
    fn new(module: &'m Module<'a>, body: &'m [u8], lengths: Lengths) -> Result<Self> {
        Ok(Self {
            module,
            operands: Operands::new(module, body)?,
            lengths,
            memory: None,
            flag: None,
            init: Partial::default(),
        })
    }

    fn function(&mut self) -> Result<()> {
        // The prologue ends with the first block.
        let mut n_calls = 0;
        while !self.step(&mut n_calls)? {}
        self.operands.expect(is_block)?;
        self.operands.expect(is_block)?;
        self.claim()?;
        self.operands.expect(|op| matches!(op, Operator::End))?;
        self.writes()?;
        self.operands
            .expect(|op| matches!(op, Operator::Br { relative_depth: 1 }))?;
        self.operands.expect(|op| matches!(op, Operator::End))?;
        self.wait()?;
        self.operands.expect(|op| matches!(op, Operator::End))?;
        self.drops()
    }

    /// `FLAG 0 1 cmpxchg br_table`.
    fn claim(&mut self) -> Result<()> {
        let op = self.operands.until_effect()?;
        let Operator::I32AtomicRmwCmpxchg { memarg } = op else {
            return self.operands.code.reject();
        };
        let memory = self.direct_access(&memarg)?;
        self.operands.pop_exactly(Value::I32(1))?;
        self.operands.pop_exactly(Value::I32(0))?;
        self.memory = Some(memory);
        self.flag = Some(self.pop_address()?.0);
        self.operands.expect_empty()?;
        let (op, _) = self.operands.code.next()?;
        let Operator::BrTable { targets } = op else {
            return self.operands.code.reject();
        };
        let labels = targets.targets().map(core::result::Result::ok);
        let is_wasm_ld = targets.default() == 2 && labels.eq([Some(0), Some(1)]);
        if is_wasm_ld {
            Ok(())
        } else {
            self.operands.code.reject()
        }
    }

    /// The writes, up to the `drop` after the notification that wakes the other threads.
    fn writes(&mut self) -> Result<()> {
        loop {
            let op = match self.operands.until_effect()? {
                Operator::I32AtomicStore { memarg } => {
                    self.operands.pop_exactly(Value::I32(2))?;
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
            let op = self.operands.until_effect()?;
            if self.write(&op)? != address {
                return self.operands.code.reject();
            }
        }
        let Operator::MemoryAtomicNotify { memarg } = self.operands.until_effect()? else {
            return self.operands.code.reject();
        };
        self.operands.pop_exactly(Value::I32(-1))?;
        self.pop_flag(&memarg)?;
        self.operands.expect(|op| matches!(op, Operator::Drop))
    }

    /// `FLAG 1 -1 wait32 drop`.
    fn wait(&mut self) -> Result<()> {
        let Operator::MemoryAtomicWait32 { memarg } = self.operands.until_effect()? else {
            return self.operands.code.reject();
        };
        self.operands.pop_exactly(Value::I64(-1))?;
        self.operands.pop_exactly(Value::I32(1))?;
        self.pop_flag(&memarg)?;
        self.operands.expect(|op| matches!(op, Operator::Drop))
    }

    /// `data.drop* end`, and nothing after it.
    fn drops(&mut self) -> Result<()> {
        loop {
            match self.operands.code.next()?.0 {
                Operator::DataDrop { data_index } => {
                    self.passive(data_index)?;
                }
                Operator::End if self.operands.code.is_at_end() => return Ok(()),
                _ => return self.operands.code.reject(),
            }
        }
    }

    /// Executes one write and returns its first address.
    fn write(&mut self, op: &Operator<'_>) -> Result<u64> {
        match *op {
            Operator::MemoryFill { mem } => self.fill(mem),
            Operator::MemoryInit { data_index, mem } => self.init(data_index, mem),
            _ => self.operands.code.reject(),
        }
    }

    fn set_global(&mut self, global: u32) -> Result<u64> {
        let addr = self.pop_address()?.0;
        let n_globals = self.module.globals.len();
        let global = crate::index::checked::<GlobalIndex>(global, n_globals);
        match global {
            Some(global) if self.init.thread_local.is_none() => {
                self.init.thread_local = Some(ThreadLocal { global, addr });
                Ok(addr)
            }
            _ => self.operands.code.reject(),
        }
    }

    fn fill(&mut self, memory: u32) -> Result<u64> {
        let (len, immediate) = self.pop_address()?;
        self.operands.pop_exactly(Value::I32(0))?;
        let start = self.pop_address()?.0;
        self.operands.expect_empty()?;
        self.expect_memory(memory)?;
        let end = self.check_bounds(start, len)?;
        self.init.zeroed.push(start..end);
        self.init.zeroed_after.push(self.init.writes.len());
        self.record_length(immediate)?;
        Ok(start)
    }

    fn init(&mut self, segment: u32, memory: u32) -> Result<u64> {
        let Operand {
            value: Known::Value(Value::I32(n_bytes)),
            immediate,
        } = self.operands.pop_operand()?
        else {
            return self.operands.code.reject();
        };
        self.operands.pop_exactly(Value::I32(0))?;
        let start = self.pop_address()?.0;
        self.operands.expect_empty()?;
        self.expect_memory(memory)?;
        let (segment, data) = self.passive(segment)?;
        let n_bytes = u64::from(n_bytes.cast_unsigned());
        if !self.first_write(segment) {
            return self.operands.code.reject();
        }
        self.check_bounds(start, n_bytes)?;
        if n_bytes == len(data) {
            self.init.writes.push((segment, start));
            self.record_length(immediate)?;
        } else if n_bytes != 0 || self.lengths == Lengths::Whole {
            return self.operands.code.reject();
        }
        Ok(start)
    }

    /// Marks the segment as written, and returns whether it was not written before.
    fn first_write(&mut self, segment: DataIndex) -> bool {
        let is_written = &mut self.init.is_written;
        if is_written.is_empty() {
            is_written.resize(self.module.segments.len(), false);
        }
        let slot = is_written.get_mut(segment.index());
        slot.is_some_and(|slot| !core::mem::replace(slot, true))
    }

    fn record_length(&mut self, immediate: Option<Range<usize>>) -> Result<()> {
        match immediate {
            Some(immediate) => {
                self.init.lengths.push(immediate);
                Ok(())
            }
            None => self.operands.code.reject(),
        }
    }

    fn passive(&self, segment: u32) -> Result<(DataIndex, &'a [u8])> {
        let index = crate::index::checked::<DataIndex>(segment, self.module.segments.len());
        let segment = index.and_then(|it| Some((it, self.module.segments.get(it)?)));
        match segment {
            Some((index, it)) if matches!(it.mode, SegmentMode::Passive) => Ok((index, it.data)),
            _ => self.operands.code.reject(),
        }
    }

    fn check_bounds(&self, start: u64, len: u64) -> Result<u64> {
        let size = self.memory.and_then(|it| self.module.memory_size(it));
        let min_bytes = size.unwrap_or(0);
        if fits(start, len, min_bytes) {
            Ok(start.saturating_add(len))
        } else {
            Err(StartReason::OutOfBounds {
                addr: start,
                min_bytes,
            })
        }
    }

    /// Executes one instruction of the prologue. Returns `true` for the first block.
    fn step(&mut self, n_calls: &mut usize) -> Result<bool> {
        let (op, at) = self.operands.code.next()?;
        if is_block(&op) {
            self.operands.expect_empty()?;
            return Ok(true);
        }
        match op {
            // A relocation: the value that a global is set to does not affect the memory.
            Operator::GlobalSet { .. } => {
                self.operands.discard()?;
            }
            Operator::Call { function_index } if *n_calls < MAX_CALLS => {
                self.operands.expect_empty()?;
                *n_calls = n_calls.saturating_add(1);
                let function = func(function_index, &self.operands.code)?;
                let body = self.module.body(function).ok_or(StartReason::NoBody)?;
                check_no_memory_access(body)?;
                self.init.called.push(function);
            }
            op if self.operands.moves_constants(&op, &at)? => {}
            _ => return self.operands.code.reject(),
        }
        Ok(false)
    }

    /// Pops an address or length. Before the memory is known, it must be an `i32`.
    fn pop_address(&mut self) -> Result<(u64, Option<Range<usize>>)> {
        let memory = self.memory.and_then(|it| self.module.memories.get(it));
        let index_type = memory.map_or(IndexType::I32, |it| it.ty.index_type);
        self.operands.pop_address(index_type)
    }

    fn pop_flag(&mut self, memarg: &MemArg) -> Result<()> {
        let memory = self.direct_access(memarg)?;
        let address = self.pop_address()?.0;
        self.operands.expect_empty()?;
        if self.flag == Some(address) && self.memory == Some(memory) {
            Ok(())
        } else {
            self.operands.code.reject()
        }
    }

    /// Returns the memory of a 4-byte access without a static offset.
    fn direct_access(&self, memarg: &MemArg) -> Result<MemoryIndex> {
        let MemArgTarget::Memory(memory) = memarg.target else {
            return self.operands.code.reject();
        };
        let memory = crate::index::checked(memory, self.module.memories.len());
        let is_direct = memarg.offset == 0 && memarg.align == 2 && memarg.ordering.is_none();
        match memory {
            Some(memory) if is_direct => Ok(memory),
            _ => self.operands.code.reject(),
        }
    }

    fn expect_memory(&self, index: u32) -> Result<()> {
        if self.memory.is_some_and(|it| it.as_u32() == index) {
            Ok(())
        } else {
            self.operands.code.reject()
        }
    }

    fn finish(self, function: FuncIndex, mut bodies: Vec<FuncIndex>) -> Result<StartInit> {
        let (Some(memory), Some(flag)) = (self.memory, self.flag) else {
            return self.operands.code.reject();
        };
        self.check_bounds(flag, 4)?;
        if !flag.is_multiple_of(4) {
            return self.operands.code.reject();
        }
        let init = self.init;
        bodies.extend(init.called);
        Ok(StartInit {
            memory,
            flag,
            writes: init.writes,
            zeroed: init.zeroed,
            zeroed_after: init.zeroed_after,
            thread_local: init.thread_local,
            function,
            lengths: init.lengths,
            bodies,
            globals: self.operands.globals,
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
