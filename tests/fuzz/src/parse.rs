//! Reading modules, components and offset expressions.

use wasm_meminit_analysis::{
    EvalError, HostPageSize, IndexType, Module, OffsetExpr, Plan, Policy, StartFunction, Value,
};
use wasm_meminit_image_builder::verify::verify;
use wasm_meminit_image_builder::{Artifact, ModuleImage, SourceHash};

use wasm_meminit_test_oracle::costs::{USUAL, of_parsing};

use crate::allocation::{at_most, at_most_each};

/// The largest image that is built here, in bytes.
const MAX_IMAGE: u64 = 1 << 20;

/// Any bytes. Returns whether they are accepted, and there is a module.
pub(crate) fn modules(wasm: &[u8]) -> bool {
    let Ok(modules) = at_most(of_parsing(wasm), wasm, || Module::parse_all(wasm)) else {
        return false;
    };
    let first = wasm.first().copied().unwrap_or_default();
    for module in modules.iter().take(8) {
        let _ = module.name();
        module.segment_names().for_each(drop);
        let _ = module.start_init();
        let page = HostPageSize::KIB_4;
        for policy in [
            Policy::reference(page),
            Policy::balanced(page).with_start_function(StartFunction::WritesStripped),
            Policy::smallest(HostPageSize::KIB_64).with_zeroed_imports(true),
        ] {
            build(module, &policy.with_max_image_size(MAX_IMAGE), first);
        }
    }
    !modules.is_empty()
}

/// Builds, reads and verifies an artifact.
fn build(module: &Module<'_>, policy: &Policy, hash: u8) {
    let plan = Plan::new(module, policy);
    assert!(plan.matches(module));
    for reason in plan.reasons() {
        let _ = reason.reason.to_string();
    }
    let Ok(image) = ModuleImage::build(module, &plan) else {
        return;
    };
    let hash = SourceHash([hash; 32]);
    let bytes = image.with_source(hash).encode().expect("small");
    let artifact = Artifact::decode(&bytes).expect("what was encoded is decoded");
    let verified = verify(module.clone(), hash, &artifact);
    assert!(verified.is_ok(), "{verified:?}");
}

/// Any bytes: an expression, and what follows it. Returns whether it is an expression.
pub(crate) fn expression(bytes: &[u8]) -> bool {
    let decoded = at_most_each(USUAL, bytes, || OffsetExpr::decode(bytes));
    let Ok((expr, rest)) = decoded else {
        return false;
    };
    let len = bytes.len() - rest.len();
    assert!(0 < len);
    let _ = expr.to_string();
    let n_globals = expr.globals().count();
    let mut values = Vec::new();
    for index_type in [IndexType::I32, IndexType::I64] {
        let known = |nth: u32| match index_type {
            IndexType::I32 => Value::I32(nth.cast_signed()),
            IndexType::I64 => Value::I64(i64::from(nth) << 31),
        };
        let value = expr.eval(index_type, &|it| Some(known(it.as_u32())));
        let is_well_typed = expr.is_well_typed(index_type);
        // Its depth is limited only if it is evaluated.
        let is_evaluated = is_well_typed && value != Err(EvalError::TooDeep);
        assert_eq!(value.is_ok(), is_evaluated, "{expr}: {value:?}");
        if let (IndexType::I32, Ok(addr)) = (index_type, &value) {
            assert!(*addr <= u64::from(u32::MAX));
        }
        // A global that is not known makes the value unknown, except of a constant.
        let unknown = expr.eval(index_type, &|_| None);
        assert_eq!(unknown.is_ok(), is_evaluated && n_globals == 0, "{expr}");
        values.push(value);
    }
    // Only `global.get` has no type of its own.
    let has_both = values.iter().all(Result::is_ok);
    assert!(!has_both || n_globals == 1, "{expr}");
    assert_eq!(expr.as_ref().into_owned(), expr);
    true
}

/// Returns the offset expressions of a module.
pub(crate) fn expressions_of(wasm: &[u8]) -> Vec<Vec<u8>> {
    let Ok(modules) = Module::parse_all(wasm) else {
        return Vec::new();
    };
    let segments = modules.iter().flat_map(Module::active_segments);
    let expressions = segments.filter_map(|it| match it.offset {
        OffsetExpr::Const(_) => None,
        OffsetExpr::Expr(expr) => Some(expr.as_bytes().to_vec()),
    });
    let constants = [vec![0x41, 4, 0x0b], vec![0x23, 0, 0x42, 4, 0x7c, 0x0b]];
    expressions.chain(constants).collect()
}
