//! The entries of an artifact's header: memories, runs, and segments to replay.
//!
//! What one function writes, the one next to it reads. `FORMAT.md` is the specification.

use wasm_meminit_analysis::{
    DataIndex, GlobalIndex, IndexType, MemoryIndex, MemoryInitializer, MemoryType, OffsetExpr, Run,
    ThreadLocal, WasmPageSize,
};

use crate::artifact::wire::{EXPRESSION, Reader, Writer};
use crate::image::baked_start::BakedStart;
use crate::length::len_u64;

/// The bits of a memory's flags.
mod memory_flags {
    pub(super) const I64: u8 = 1;
    pub(super) const SHARED: u8 = 2;
    pub(super) const IMPORTED: u8 = 4;
    pub(super) const BYTE_PAGES: u8 = 8;
    pub(super) const HAS_MAX: u8 = 16;
    pub(super) const ALL: u8 = 31;
}

/// Appends the type of a memory, and whether it is imported.
pub(crate) fn put_memory_type(writer: &mut Writer, ty: MemoryType, imported: bool) {
    let MemoryType {
        index_type,
        shared,
        page_size,
        min,
        max,
    } = ty;
    let flags = [
        (index_type == IndexType::I64, memory_flags::I64),
        (shared, memory_flags::SHARED),
        (imported, memory_flags::IMPORTED),
        (page_size == WasmPageSize::One, memory_flags::BYTE_PAGES),
        (max.is_some(), memory_flags::HAS_MAX),
    ];
    let set = flags.iter().filter(|(is, _)| *is);
    writer.byte(set.fold(0, |all, (_, flag)| all | flag));
    writer.uint(min);
    if let Some(max) = max {
        writer.uint(max);
    }
}

/// Reads a memory's type, and whether it is imported. `None` for an invalid type.
pub(crate) fn take_memory_type(reader: &mut Reader<'_>) -> Option<(MemoryType, bool)> {
    let flags = reader.byte()?;
    if flags & !memory_flags::ALL != 0 {
        return None;
    }
    let has = |flag| flags & flag != 0;
    let ty = MemoryType {
        index_type: if has(memory_flags::I64) {
            IndexType::I64
        } else {
            IndexType::I32
        },
        shared: has(memory_flags::SHARED),
        page_size: if has(memory_flags::BYTE_PAGES) {
            WasmPageSize::One
        } else {
            WasmPageSize::Kib64
        },
        min: reader.uint()?,
        max: if has(memory_flags::HAS_MAX) {
            Some(reader.uint()?)
        } else {
            None
        },
    };
    ty.is_valid().then_some((ty, has(memory_flags::IMPORTED)))
}

/// Encoded length of a run's address, length and checksum.
pub(crate) const RUN_LEN: usize = 20;

/// Appends the address, length and checksum of a run.
pub(crate) fn put_run(writer: &mut Writer, run: &Run, data: &[u8]) {
    debug_assert_eq!(run.len, len_u64(data.len()), "a run without its bytes");
    writer.raw(&run.addr.to_le_bytes());
    writer.raw(&run.len.to_le_bytes());
    writer.raw(&crc32fast::hash(data).to_le_bytes());
}

/// Decodes a run and its checksum.
pub(crate) fn run_of(entry: &[u8; RUN_LEN]) -> (Run, u32) {
    let [a0, a1, a2, a3, a4, a5, a6, a7, rest @ ..] = *entry;
    let [l0, l1, l2, l3, l4, l5, l6, l7, checksum @ ..] = rest;
    let run = Run {
        addr: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
        len: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
    };
    (run, u32::from_le_bytes(checksum))
}

/// Appends a segment to replay. `inlined` is its offset with inlined globals, if that differs.
pub(crate) fn put_segment(writer: &mut Writer, it: &MemoryInitializer<'_>, inlined: Option<&[u8]>) {
    writer.uint(it.memory_index.as_u32().into());
    writer.uint(it.segment.as_u32().into());
    match (inlined, &it.offset) {
        (Some(bytes), _) => {
            writer.byte(EXPRESSION);
            writer.counted(bytes);
        }
        (None, OffsetExpr::Const(value)) => writer.value(*value),
        (None, OffsetExpr::Expr(expr)) => {
            writer.byte(EXPRESSION);
            writer.counted(expr.as_bytes());
        }
    }
    writer.counted(&it.data);
}

/// Reads a segment to replay. `None` if its memory is unknown or its offset is ill-typed.
/// `index_type` returns the type of the memory at that position.
pub(crate) fn take_segment<'a>(
    reader: &mut Reader<'a>,
    index_type: impl Fn(usize) -> Option<IndexType>,
) -> Option<MemoryInitializer<'a>> {
    let memory = reader.index()?;
    let segment = reader.index()?;
    let index_type = index_type(usize::try_from(memory).ok()?)?;
    let offset = if reader.rest.first() == Some(&EXPRESSION) {
        reader.byte()?;
        let bytes = reader.counted()?;
        match OffsetExpr::decode(bytes) {
            Ok((expr @ OffsetExpr::Expr(_), [])) if expr.is_well_typed(index_type) => expr,
            _ => return None,
        }
    } else {
        let value = reader.value()?;
        value.address(index_type)?;
        OffsetExpr::Const(value)
    };
    Some(MemoryInitializer {
        memory_index: MemoryIndex::from_u32(memory),
        segment: DataIndex::from_u32(segment),
        offset,
        data: alloc::borrow::Cow::Borrowed(reader.counted()?),
    })
}

/// Appends the description of a start function's baked writes.
pub(crate) fn put_start(writer: &mut Writer, start: &BakedStart) {
    writer.uint(start.memory.as_u32().into());
    writer.uint(start.flag);
    writer.bool(start.is_done);
    writer.bool(start.thread_local.is_some());
    if let Some(it) = start.thread_local {
        writer.uint(it.global.as_u32().into());
        writer.uint(it.addr);
    }
}

/// Reads the description of a start function's baked writes.
pub(crate) fn take_start(reader: &mut Reader<'_>) -> Option<BakedStart> {
    Some(BakedStart {
        memory: MemoryIndex::from_u32(reader.index()?),
        flag: reader.uint()?,
        is_done: reader.bool()?,
        thread_local: if reader.bool()? {
            Some(ThreadLocal {
                global: GlobalIndex::from_u32(reader.index()?),
                addr: reader.uint()?,
            })
        } else {
            None
        },
    })
}
