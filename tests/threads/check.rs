//! One check for every module: the image holds what the start function would have written.

use wasm_meminit_analysis::{
    GlobalIndex, HostPageSize, MemoryIndex, Module, Plan, Policy, StartFunction, StartReason,
    Value, ValueType,
};
use wasm_meminit_image_builder::rewrite::{strip, strip_renumbered};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use super::start::{Left, start};

/// What was compared.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) n_refused: u64,
    pub(crate) n_baked: u64,
    pub(crate) n_starts: u64,
    pub(crate) n_bytes: u64,
}

/// Bakes the start function's data in every way, and starts from the image. Imported globals
/// are `base`. Returns `Ok` with the reason if nothing may be baked.
pub(crate) fn check(
    wasm: &[u8],
    base: i64,
    tally: &mut Tally,
) -> Result<Option<StartReason>, String> {
    let module = with_globals(wasm, base)?;
    let init = match module.start_init() {
        Ok(init) => init,
        Err(reason) => {
            tally.n_refused += 1;
            return Ok(Some(reason));
        }
    };
    let min_bytes = module.memories()[init.memory()]
        .ty
        .min_bytes()
        .ok_or("2^64 bytes")?;
    let zeros = vec![0; usize::try_from(min_bytes).map_err(|err| err.to_string())?];
    let mut refused = None;
    let mut expected = None;
    for how in [
        StartFunction::AlreadyInitialized,
        StartFunction::AlreadyInitializedTls,
        StartFunction::WritesStripped,
    ] {
        let policy = Policy::balanced(HostPageSize::KIB_4)
            .with_zeroed_imports(true)
            .with_start_function(how);
        let plan = Plan::new(&module, &policy);
        match plan.start() {
            Ok(_) => {}
            Err(StartReason::ThreadLocal { global }) => {
                let is_theirs = init.thread_local().is_some_and(|it| it.global == *global);
                if how == StartFunction::AlreadyInitialized && is_theirs {
                    continue;
                }
                return Err(format!(
                    "{how:?} is refused because of thread-local storage"
                ));
            }
            Err(reason) => {
                refused = Some(*reason);
                continue;
            }
        }
        let expected = match &expected {
            Some(left) => left,
            None => expected
                .insert(start(wasm, base, &zeros)?.ok_or("recognised, but it traps or waits")?),
        };
        let image = image(&module, &plan, init.memory(), &zeros)?;
        let mut modules = vec![wasm.to_vec()];
        if how == StartFunction::WritesStripped {
            let err = |err: wasm_meminit_image_builder::rewrite::RewriteError| err.to_string();
            modules.push(strip(&module, &plan).map_err(err)?);
            modules.push(strip_renumbered(&module, &plan).map_err(err)?);
        }
        for (nth, wasm) in modules.iter().enumerate() {
            let Some(mut left) = start(wasm, base, &image)? else {
                return Err(format!(
                    "{how:?}, module {nth}: traps or waits with its image"
                ));
            };
            if let (StartFunction::AlreadyInitializedTls, Some(it)) = (how, init.thread_local()) {
                // The host provides the storage, as it does for every later thread.
                left.globals
                    .insert(it.global.as_u32(), it.addr.cast_signed());
            }
            compare(expected, &left).map_err(|err| format!("{how:?}, module {nth}: {err}"))?;
            // A second thread must write nothing.
            let second = start(wasm, base, &left.memory)?.ok_or("a second thread traps")?;
            if second.memory != left.memory {
                return Err(format!("{how:?}, module {nth}: a second thread writes"));
            }
            tally.n_starts += 2;
            tally.n_bytes += left.memory.len() as u64;
            if nth != 0 {
                check_emptied(wasm, base, &zeros, init.flag())?;
            }
        }
    }
    match refused {
        Some(_) => tally.n_refused += 1,
        None => tally.n_baked += 1,
    }
    Ok(refused)
}

/// Checks that a stripped module writes nothing except the flag.
fn check_emptied(wasm: &[u8], base: i64, zeros: &[u8], flag: u64) -> Result<(), String> {
    let left = start(wasm, base, zeros)?.ok_or("stripped, it traps with zeroed memory")?;
    let flag = usize::try_from(flag).map_err(|err| err.to_string())?;
    let mut done = zeros.to_vec();
    done[flag..flag + 4].copy_from_slice(&2_u32.to_le_bytes());
    if left.memory == done {
        Ok(())
    } else {
        Err("stripped, it still writes what is baked".into())
    }
}

fn compare(expected: &Left, left: &Left) -> Result<(), String> {
    if expected.globals != left.globals {
        return Err(format!(
            "globals {:?}, expected {:?}",
            left.globals, expected.globals
        ));
    }
    if expected.memory == left.memory {
        return Ok(());
    }
    let mut pairs = expected.memory.iter().zip(&left.memory);
    match pairs.position(|(a, b)| a != b) {
        Some(at) => Err(format!("byte {at:#x} differs")),
        None => Err("the size differs".into()),
    }
}

/// Returns what the host maps, from the decoded artifact.
fn image(
    module: &Module<'_>,
    plan: &Plan<'_>,
    memory: MemoryIndex,
    zeros: &[u8],
) -> Result<Vec<u8>, String> {
    let built = ModuleImage::build(module, plan).map_err(|err| err.to_string())?;
    let artifact = built.encode().map_err(|err| err.to_string())?;
    let artifact = Artifact::decode(&artifact).map_err(|err| err.to_string())?;
    if artifact.start() != built.start() || built.start().is_none() {
        return Err("the artifact's start function differs".into());
    }
    let mut bytes = zeros.to_vec();
    if let Some(image) = artifact.image(memory) {
        for run in image.runs() {
            let start = usize::try_from(run.addr).map_err(|err| err.to_string())?;
            // The last run may extend past the end of a memory that ends within its page.
            let end = bytes.len().min(start + run.data.len());
            bytes[start..end].copy_from_slice(&run.data[..end - start]);
        }
    }
    Ok(bytes)
}

/// Returns the module with the values of its imported globals set.
fn with_globals(wasm: &[u8], base: i64) -> Result<Module<'_>, String> {
    let mut module = Module::parse(wasm).map_err(|err| err.to_string())?;
    for nth in 0..u32::try_from(module.global_imports().len()).map_err(|err| err.to_string())? {
        let global = GlobalIndex::from_u32(nth);
        let ty = match &module.globals()[global] {
            wasm_meminit_analysis::Global::Unknown(ty) => *ty,
            _ => continue,
        };
        let value = match ty {
            ValueType::I32 => Value::I32(base as i32),
            ValueType::I64 => Value::I64(base),
        };
        module = module
            .with_global(global, value)
            .map_err(|err| err.to_string())?;
    }
    Ok(module)
}
