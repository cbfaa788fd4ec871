//! Generated modules and their hosts, made from bytes.
//!
//! The specs are those of the differential tests. Proptest could make them from bytes too, but
//! it gives each part half of what is left, so that most parts would get none.

use arbitrary::{Result, Unstructured};
use wasm_meminit_analysis::{HostPageSize, Policy, StartFunction};
use wasm_meminit_test_oracle::generate::{
    Addr, Anchor, Bytes, DataSpec, ElementOffset, ElementSpec, Form, GlobalInit, GlobalSpec,
    MemorySpec, Spec, Target, smith_module_from,
};
use wasm_meminit_test_oracle::host::Host;

/// Returns a valid module and a host for it.
pub(crate) fn module(u: &mut Unstructured<'_>) -> Result<(Vec<u8>, Host)> {
    if u.ratio(1, 4)? {
        let host = host(u)?;
        let traps = u.ratio(1, 4)?;
        let wasm = smith_module_from(u, !traps).ok_or(arbitrary::Error::NotEnoughData)?;
        return Ok((wasm, host));
    }
    let spec = spec(u)?;
    Ok((spec.encode(), spec.host))
}

/// Returns any policy, with images of at most 4 MiB.
pub(crate) fn policy(u: &mut Unstructured<'_>) -> Result<Policy> {
    let page = HostPageSize::new(1 << u.int_in_range(0..=16)?).expect("a power of two");
    let mut policy = match u.int_in_range(0..=3)? {
        0 => Policy::reference(page),
        1 => Policy::smallest(page),
        2 => Policy::single_run(page, u.arbitrary()?),
        _ => Policy::balanced(page),
    };
    if u.arbitrary()? {
        policy = policy.with_max_gap(*u.choose(&[0, 1, 4096, 100_000, u64::MAX])?);
    }
    if u.arbitrary()? {
        policy = policy.with_max_runs(*u.choose(&[0, 1, 2, 3, usize::MAX])?);
    }
    let max_image_size = *u.choose(&[0, 4096, 100_000, 4 << 20, 4 << 20, 4 << 20])?;
    Ok(policy
        .with_max_image_size(max_image_size)
        .with_zeroed_imports(u.arbitrary()?)
        .with_start_function(*u.choose(&[
            StartFunction::Unchanged,
            StartFunction::AlreadyInitialized,
            StartFunction::AlreadyInitializedTls,
            StartFunction::WritesStripped,
        ])?))
}

/// Returns up to `max` items.
fn several<T>(
    u: &mut Unstructured<'_>,
    max: usize,
    mut make: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let n = u.int_in_range(0..=max)?;
    (0..n).map(|_| make(u)).collect()
}

fn spec(u: &mut Unstructured<'_>) -> Result<Spec> {
    let are_giants = u.ratio(1, 8)?;
    let first = memory(u, are_giants)?;
    let mut memories = several(u, 2, |u| memory(u, are_giants))?;
    memories.push(first);
    Ok(Spec {
        memories,
        globals: several(u, 4, global)?,
        elements: several(u, 2, element)?,
        host: host(u)?,
        data_count: u.arbitrary()?,
        data: several(u, 9, data)?,
    })
}

fn memory(u: &mut Unstructured<'_>, is_giant: bool) -> Result<MemorySpec> {
    let page_of_1 = u.ratio(1, 4)?;
    let min = match (is_giant, page_of_1) {
        (true, true) => *u.choose(&[(1 << 32) - 1, u64::MAX, u64::MAX - 4095])?,
        (true, false) => *u.choose(&[1 << 16, (1 << 16) - 1, 1 << 20, (1 << 48) - 1])?,
        (false, true) => u.int_in_range(0..=9000)?,
        (false, false) => u.int_in_range(0..=3)?,
    };
    let room = match is_giant {
        true => None,
        false => Some(u.int_in_range(0..=3)?).filter(|it| *it != 3),
    };
    let space32 = if page_of_1 { u32::MAX.into() } else { 1 << 16 };
    Ok(MemorySpec {
        imported: u.ratio(1, 3)?,
        is_64: u.ratio(1, 4)? || space32 < min,
        shared: u.ratio(1, 6)?,
        page_of_1,
        min,
        room,
    })
}

fn global(u: &mut Unstructured<'_>) -> Result<GlobalSpec> {
    Ok(GlobalSpec {
        is_64: u.ratio(1, 3)?,
        init: match u.int_in_range(0..=2)? {
            0 => GlobalInit::Imported,
            1 => GlobalInit::Const(number(u)?),
            _ => GlobalInit::Sum(u.int_in_range(0..=3)?, number(u)?),
        },
    })
}

fn element(u: &mut Unstructured<'_>) -> Result<ElementSpec> {
    Ok(ElementSpec {
        imported_table: u.arbitrary()?,
        offset: match u.ratio(3, 4)? {
            true => ElementOffset::Const(u.int_in_range(0..=2)?),
            false => ElementOffset::Global(u.int_in_range(0..=3)?),
        },
        n_functions: u.int_in_range(0..=2)?,
    })
}

fn data(u: &mut Unstructured<'_>) -> Result<DataSpec> {
    let target = match u.ratio(1, 10)? {
        true => None,
        false => Some(Target {
            memory: u.int_in_range(0..=2)?,
            addr: addr(u)?,
            form: form(u)?,
        }),
    };
    let bytes = match u.int_in_range(0..=9)? {
        0 => Bytes::Many(0, 4096),
        1 => Bytes::Many(u.int_in_range(0..=2)?, u.int_in_range(0..=20_000)?),
        2 => Bytes::Island(u.int_in_range(0..=9000)?),
        _ => Bytes::Few(several(u, 8, |u| u.int_in_range(0..=2))?),
    };
    Ok(DataSpec { target, bytes })
}

fn addr(u: &mut Unstructured<'_>) -> Result<Addr> {
    let anchor = match u.int_in_range(0..=7)? {
        0 => Anchor::Zero,
        1 => Anchor::Min,
        2 => *u.choose(&[Anchor::Actual, Anchor::Space32, Anchor::Space64])?,
        _ => Anchor::Page(u.int_in_range(0..=20)?),
    };
    let delta = match u.ratio(1, 2)? {
        true => 0,
        false => u.int_in_range(-8..=8)?,
    };
    Ok(Addr {
        anchor,
        delta,
        end: u.ratio(2, 5)? || !matches!(anchor, Anchor::Zero | Anchor::Page(_)),
    })
}

fn form(u: &mut Unstructured<'_>) -> Result<Form> {
    Ok(match u.int_in_range(0..=15)? {
        0 => Form::Sum(number(u)?),
        1 => Form::Difference(number(u)?),
        2 => Form::Product(number(u)?),
        3..6 => Form::Global(u.int_in_range(0..=3)?),
        6 => Form::BareGlobal(u.int_in_range(0..=3)?),
        _ => Form::Const,
    })
}

fn number(u: &mut Unstructured<'_>) -> Result<i64> {
    Ok(match u.int_in_range(0..=6)? {
        0..4 => u.int_in_range(0..=64)?,
        4 | 5 => *u.choose(&[4096, 4095, 65_536, 131_072, -1, i64::MIN, i64::MAX])?,
        _ => u.arbitrary()?,
    })
}

pub(crate) fn host(u: &mut Unstructured<'_>) -> Result<Host> {
    let mut globals = several(u, 2, number)?;
    globals.push(number(u)?);
    Ok(Host {
        globals,
        extra_wasm_pages: u.int_in_range(0..=2)?,
        fill: *u.choose(&[0, 0xa5])?,
    })
}
