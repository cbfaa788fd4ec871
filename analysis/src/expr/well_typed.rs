//! Type-checks offset expressions without evaluating them.

use crate::{IndexType, OffsetExpr};

impl OffsetExpr<'_> {
    /// Returns whether the expression produces an address of that type: every instruction
    /// has its operands, and none are left over. Globals are assumed to have that type.
    ///
    /// An integer expression has a single type and no branches, so counting operands is
    /// sufficient. The stack depth is not limited.
    pub fn is_well_typed(&self, index_type: IndexType) -> bool {
        match self {
            Self::Const(value) => value.address(index_type).is_some(),
            Self::Expr(expr) => is_well_typed(expr.as_bytes(), index_type),
        }
    }
}

/// Checks one expression, `end` included, whose encoding was decoded before.
pub(crate) fn is_well_typed(bytes: &[u8], index_type: IndexType) -> bool {
    let [constant, operators] = match index_type {
        IndexType::I32 => [0x41, 0x6a],
        IndexType::I64 => [0x42, 0x7c],
    };
    let mut depth = 0_u64;
    let mut rest = bytes.iter();
    while let Some(&op) = rest.next() {
        match op {
            0x0b => return depth == 1 && rest.as_slice().is_empty(),
            0x23 => {}
            _ if op == constant => {}
            // add, sub, mul
            _ if op.checked_sub(operators).is_some_and(|nth| nth < 3) => {
                match depth.checked_sub(1) {
                    Some(left @ 1..) => depth = left,
                    _ => return false,
                }
                continue;
            }
            _ => return false,
        }
        depth = depth.saturating_add(1);
        // The operand: LEB128 ends with the first byte below 0x80.
        let _ = rest.find(|byte| **byte < 0x80);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: bool) {
        let is = match OffsetExpr::decode(bytes) {
            Ok((expr, [])) => expr.is_well_typed(IndexType::I32),
            _ => false,
        };
        assert_eq!(is, expected);
    }

    #[test]
    fn ill_typed_expressions_are_rejected() {
        check(&[0x23, 0, 0x0b], true);
        check(&[0x23, 0x80, 1, 0x41, 0x7f, 0x6a, 0x0b], true);
        check(&[0x41, 1, 0x0b], true);
        check(&[0x42, 1, 0x0b], false);
        check(&[0x41, 1, 0x41, 2, 0x6c, 0x0b], true);
        check(&[0x42, 1, 0x42, 2, 0x7e, 0x0b], false);
        check(&[0x23, 0, 0x42, 2, 0x6a, 0x0b], false);
        check(&[0x23, 0, 0x6a, 0x0b], false);
        check(&[0x23, 0, 0x23, 0, 0x0b], false);
        check(&[0x6a, 0x0b], false);
        check(&[0x0b], false);
        check(&[0x23, 0, 0x0b, 0x0b], false);
        check(&[0x23, 0], false);
        let deep = [&[0x23, 0].repeat(100)[..], &[0x6a; 99], &[0x0b]].concat();
        check(&deep, true);
        // Neither a known operator nor one of 64 bits.
        check(&[0x41, 1, 0x41, 2, 0x6d, 0x0b], false);
        check(&[0x41, 1, 0x41, 2, 0x7c, 0x0b], false);
        check(&[0xd0, 0x70, 0x0b], false);
    }
}
