//! Modules as text, and the naive replay of their segments.

use core::fmt::Write as _;

use wasm_meminit_analysis::{GlobalIndex, Value};

/// A module of memories, imported globals and active segments.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Imported ones first.
    pub(crate) memories: Vec<Memory>,
    /// All of them are imported.
    pub(crate) globals: Vec<Value>,
    pub(crate) segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) imported: bool,
    pub(crate) is_64: bool,
    pub(crate) shared: bool,
    /// Pages of one byte instead of 64 KiB.
    pub(crate) small_pages: bool,
    /// In pages of its own size.
    pub(crate) min: usize,
    /// How many additional bytes the host provides for an imported memory.
    pub(crate) extra: usize,
    /// The byte that fills an imported memory that is not promised to be zero.
    pub(crate) fill: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) memory: usize,
    pub(crate) offset: Offset,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Offset {
    Const(u64),
    Global(usize),
    Sum(usize, u64),
}

impl Memory {
    pub(crate) const fn min_bytes(&self) -> usize {
        if self.small_pages {
            self.min
        } else {
            self.min << 16
        }
    }

    /// Returns its size in an instance.
    pub(crate) const fn bytes(&self) -> usize {
        if self.imported {
            self.min_bytes() + self.extra
        } else {
            self.min_bytes()
        }
    }
}

impl Spec {
    pub(crate) fn wat(&self) -> String {
        let mut wat = String::from("(module\n");
        for (nth, global) in self.globals.iter().enumerate() {
            let ty = match global {
                Value::I32(_) => "i32",
                Value::I64(_) => "i64",
            };
            let _ = writeln!(wat, r#"(import "g" "{nth}" (global {ty}))"#);
        }
        for (nth, memory) in self.memories.iter().enumerate() {
            let ty = ty(memory);
            let _ = if memory.imported {
                writeln!(wat, r#"(import "m" "{nth}" (memory {ty}))"#)
            } else {
                writeln!(wat, "(memory {ty})")
            };
        }
        for it in &self.segments {
            let prefix = if self.memories[it.memory].is_64 {
                "i64"
            } else {
                "i32"
            };
            let offset = match it.offset {
                Offset::Const(addr) => format!("({prefix}.const {addr})"),
                Offset::Global(global) => format!("(global.get {global})"),
                Offset::Sum(global, addr) => {
                    format!("({prefix}.add (global.get {global}) ({prefix}.const {addr}))")
                }
            };
            let data: String = it.data.iter().map(|it| format!("\\{it:02x}")).collect();
            let _ = writeln!(wat, r#"(data (memory {}) {offset} "{data}")"#, it.memory);
        }
        wat.push(')');
        wat
    }

    pub(crate) fn global(&self, global: GlobalIndex) -> Option<Value> {
        let nth = usize::try_from(global.as_u32()).expect("small");
        self.globals.get(nth).copied()
    }

    /// Returns the contents of each memory before the start.
    pub(crate) fn before(&self, zeroed_imports: bool) -> Vec<Vec<u8>> {
        let before = |memory: &Memory| {
            let zero = zeroed_imports || !memory.imported;
            vec![if zero { 0 } else { memory.fill }; memory.bytes()]
        };
        self.memories.iter().map(before).collect()
    }

    /// Writes segment after segment; returns which one traps, if one does.
    pub(crate) fn replay(&self, memories: &mut [Vec<u8>]) -> Option<usize> {
        for (nth, it) in self.segments.iter().enumerate() {
            let memory = &mut memories[it.memory];
            let addr = self.address(it);
            let end = u128::from(addr) + it.data.len() as u128;
            if (memory.len() as u128) < end {
                return Some(nth);
            }
            let addr = usize::try_from(addr).expect("within");
            memory[addr..addr + it.data.len()].copy_from_slice(&it.data);
        }
        None
    }

    fn address(&self, segment: &Segment) -> u64 {
        let value = |nth: usize| match self.globals[nth] {
            Value::I32(value) => u64::from(value.cast_unsigned()),
            Value::I64(value) => value.cast_unsigned(),
        };
        let sum = match segment.offset {
            Offset::Const(addr) => addr,
            Offset::Global(nth) => value(nth),
            Offset::Sum(nth, addr) => value(nth).wrapping_add(addr),
        };
        if self.memories[segment.memory].is_64 {
            sum
        } else {
            sum & 0xffff_ffff
        }
    }
}

fn ty(memory: &Memory) -> String {
    let mut ty = String::new();
    if memory.is_64 {
        ty.push_str("i64 ");
    }
    let _ = write!(ty, "{}", memory.min);
    if memory.shared {
        let _ = write!(ty, " {} shared", memory.min + 2);
    }
    if memory.small_pages {
        ty.push_str(" (pagesize 1)");
    }
    ty
}
