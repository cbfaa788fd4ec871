//! Ties a plan to its module with a hash of everything that the plan depends on.
//!
//! The hash is not cryptographic: it detects a plan of another module, not a forged one.
//! Values supplied by the host are excluded, because a plan lists them as assumptions.

use core::fmt;

use crate::address::len;
use crate::{Global, ImportName, Module, OffsetExpr, SegmentMode, StartInit, Value, ValueType};

/// What ties a plan to its module.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// The bytes that the module was parsed from. The fingerprint is computed when it is
    /// needed: to serialise the plan, or to compare it with a module in other memory.
    Binary(&'a [u8]),
    Fingerprint(Fingerprint),
}

impl<'a> Origin<'a> {
    /// `start` describes the baked writes, if any.
    pub(crate) fn of(module: &Module<'a>, start: Option<&StartInit>) -> Self {
        match module.binary() {
            Some(binary) => Self::Binary(binary),
            None => Self::Fingerprint(Fingerprint::of(module, start)),
        }
    }

    /// Returns whether a module was parsed from the same slice. `false` if that is not known.
    pub(crate) fn is(&self, module: &Module<'_>) -> bool {
        match self {
            Self::Binary(binary) => module.binary().is_some_and(|it| core::ptr::eq(it, *binary)),
            Self::Fingerprint(_) => false,
        }
    }

    pub(crate) fn fingerprint(&self, start: Option<&StartInit>) -> Fingerprint {
        match self {
            Self::Binary(binary) => Fingerprint::of(&parsed_again(binary), start),
            Self::Fingerprint(fingerprint) => *fingerprint,
        }
    }
}

/// Omits the module's bytes, which may be many.
impl fmt::Debug for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(_) => f.debug_tuple("Binary").finish_non_exhaustive(),
            Self::Fingerprint(fingerprint) => fingerprint.fmt(f),
        }
    }
}

fn parsed_again(binary: &[u8]) -> Module<'_> {
    #[cfg(feature = "parse")]
    let module = Module::parse(binary).ok();
    // Without a parser, no module was parsed.
    #[cfg(not(feature = "parse"))]
    let module = Some(binary).and(None);
    debug_assert!(module.is_some(), "bytes that were parsed before");
    module.unwrap_or_default()
}

/// A hash of a module's memories, globals, segments, and the function bodies whose writes
/// are baked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Hashes the module in linear time. `start` describes the baked writes, if any.
    pub(crate) fn of(module: &Module<'_>, start: Option<&StartInit>) -> Self {
        let mut hash = Hash::new();
        hash.len(module.memories.len());
        for memory in module.memories.values() {
            let ty = &memory.ty;
            hash.word(u64::from(ty.index_type == crate::IndexType::I64));
            hash.word(u64::from(ty.shared));
            hash.word(ty.page_size.bytes());
            hash.word(ty.min);
            hash.word(u64::from(ty.max.is_some()));
            hash.word(ty.max.unwrap_or(0));
            hash.word(u64::from(memory.import.is_some()));
            if let Some(import) = &memory.import {
                hash.import(import);
            }
        }
        globals(&mut hash, module);
        hash.len(module.segments.len());
        for segment in module.segments.values() {
            let (kind, memory, offset) = match &segment.mode {
                SegmentMode::Passive => (0, 0, 0),
                SegmentMode::Active {
                    memory_index,
                    offset,
                } => {
                    let memory = memory_index.as_u32().into();
                    match offset {
                        OffsetExpr::Const(Value::I32(it)) => (1, memory, it.cast_unsigned().into()),
                        OffsetExpr::Const(Value::I64(it)) => (2, memory, it.cast_unsigned()),
                        OffsetExpr::Expr(expr) => {
                            hash.bytes(expr.as_bytes());
                            (3, memory, 0)
                        }
                    }
                }
            };
            // Toolchains emit tens of thousands of short segments: one step for all of this.
            hash.block([kind, memory, offset, len(segment.data)]);
            hash.contents(segment.data);
        }
        hash.word(u64::from(module.start.is_some()));
        hash.word(module.start.map_or(0, |it| it.as_u32().into()));
        #[cfg(feature = "parse")]
        for function in start.map_or(&[][..], |it| &it.bodies) {
            hash.bytes(module.body(*function).unwrap_or_default());
        }
        // Without a parser there are no bodies.
        #[cfg(not(feature = "parse"))]
        let _ = start;
        Self(hash.finish())
    }
}

fn globals(hash: &mut Hash, module: &Module<'_>) {
    hash.len(module.globals.len());
    hash.len(module.global_imports.len());
    for (global, import) in &module.global_imports {
        hash.import(import);
        hash.word(match module.globals.get(global).and_then(Global::ty) {
            None => 0,
            Some(ValueType::I32) => 1,
            Some(ValueType::I64) => 2,
        });
    }
    // Hash the initialiser, not the value, so that supplied values make no difference.
    let mut deferred = module.deferred.iter().peekable();
    let defined = module.globals.iter().skip(module.global_imports.len());
    for (index, global) in defined {
        if let Some((_, init)) = deferred.next_if(|(it, _)| *it == index) {
            hash.bytes(init);
            continue;
        }
        match global {
            Global::Known(value) => hash.value(*value),
            Global::Unknown(_) => hash.word(1),
            Global::Unusable => hash.word(0),
        }
    }
}

/// Four lanes of multiply and rotate. Each step is a bijection of its lane, so a difference
/// in a single word always changes the hash.
struct Hash {
    lanes: [u64; 4],
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hash {
    const fn new() -> Self {
        Self {
            lanes: [1, 2, 3, 4],
        }
    }

    fn word(&mut self, word: u64) {
        let [lane, ..] = &mut self.lanes;
        *lane = step(*lane, word);
    }

    fn len(&mut self, len: usize) {
        self.word(u64::try_from(len).unwrap_or(u64::MAX));
    }

    fn value(&mut self, value: Value) {
        match value {
            Value::I32(value) => {
                self.word(32);
                self.word(value.cast_unsigned().into());
            }
            Value::I64(value) => {
                self.word(64);
                self.word(value.cast_unsigned());
            }
        }
    }

    fn import(&mut self, import: &ImportName<'_>) {
        self.bytes(import.module.as_bytes());
        self.bytes(import.name.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.contents(bytes);
    }

    /// Hashes bytes whose length is hashed too.
    fn contents(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        let (blocks, words) = words.as_chunks::<4>();
        for block in blocks {
            self.block(block.map(u64::from_le_bytes));
        }
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
        if !tail.is_empty() {
            let bytes = tail.iter().rev();
            self.word(bytes.fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    #[inline]
    fn block(&mut self, block: [u64; 4]) {
        for (lane, word) in self.lanes.iter_mut().zip(block) {
            *lane = step(*lane, word);
        }
    }

    fn finish(self) -> u64 {
        let hash = self.lanes.into_iter().fold(0, step);
        hash ^ (hash >> 32)
    }
}

const fn step(lane: u64, word: u64) -> u64 {
    (lane ^ word).wrapping_mul(ODD).rotate_left(29)
}

#[cfg(all(test, feature = "parse"))]
mod tests {
    use alloc::format;

    use super::*;
    use crate::{Plan, Policy};

    #[test]
    fn plans_match_the_same_bytes_wherever_they_are() {
        let text = r#"(module (memory 1) (global i32 (i32.const 7)) (data (i32.const 8) "long enough for more than one block of four words, and a tail"))"#;
        let wasm = wat::parse_str(text).unwrap();
        let module = Module::parse(&wasm).unwrap();
        let plan = Plan::new(&module, &Policy::default());
        assert!(plan.matches(&module));
        for at in 0..wasm.len() {
            let mut other = wasm.clone();
            assert!(plan.matches(&Module::parse(&other).unwrap()));
            other[at] ^= 1;
            // Every change makes the module invalid, or another one.
            let other = Module::parse(&other);
            assert!(
                other.is_err() || !plan.matches(&other.unwrap()),
                "byte {at}"
            );
        }
    }

    /// Plans are stored with compiled modules: another value would invalidate all of them.
    #[test]
    fn a_fingerprint_does_not_change() {
        let of = |text: &str| {
            let wasm = wat::parse_str(text).unwrap();
            Fingerprint::of(&Module::parse(&wasm).unwrap(), None).0
        };
        let text = r#"(module
            (import "env" "base" (global i32)) (import "env" "large" (global i64))
            (import "env" "v" (global v128)) (import "env" "memory" (memory i64 1 2))
            (memory 1) (memory 1 1 shared) (global i64 (i64.const -5))
            (global i32 (global.get 0)) (global (mut i32) (i32.const 0))
            (data (memory 1) (i32.const 8) "0123456789abcdef0123456789abcdef0123456789abcd")
            (data (i64.const 8) "") (data "passive") (data (memory 2) (global.get 0) "b")
            (func) (start 0))"#;
        let expected = [12_857_023_701_227_699_432, 6_786_158_255_302_339_790];
        assert_eq!([of(text), of("(module)")], expected);
    }

    /// Bytes past the end of a name are hashed as zeros, so its length must be, too.
    #[test]
    fn the_length_of_a_name_counts() {
        let module = |name: &str| {
            let text = format!(r#"(module (import "e" "{name}" (memory 1)))"#);
            wat::parse_str(text).unwrap()
        };
        let (short, long) = (module("m"), module("m\\00"));
        let plan = Plan::new(&Module::parse(&short).unwrap(), &Policy::default());
        assert!(!plan.matches(&Module::parse(&long).unwrap()));
    }
}
