//! The provenance of an artifact, and its assumptions about the host, in its header.

use wasm_meminit_analysis::{
    Assumption, GlobalIndex, HostPageSize, MemoryIndex, Policy, StartFunction,
};

use crate::artifact::wire::{Reader, Writer};
use crate::image::provenance::Tool;

pub(crate) fn put_tool(writer: &mut Writer, tool: &Tool<'_>) {
    writer.counted(tool.name.as_bytes());
    writer.counted(tool.version.as_bytes());
}

pub(crate) fn take_tool<'a>(reader: &mut Reader<'a>) -> Option<Tool<'a>> {
    Some(Tool {
        name: reader.name()?,
        version: reader.name()?,
    })
}

const SINGLE_RUN: u8 = 0;
const RUNS: u8 = 1;

/// Writes a policy without its page size, which is at the front of the header.
pub(crate) fn put_policy(writer: &mut Writer, policy: &Policy, start: StartFunction) {
    if let Some(bytes) = policy.max_image_size_always_allowed() {
        writer.byte(SINGLE_RUN);
        writer.uint(bytes);
    } else {
        writer.byte(RUNS);
        writer.uint(policy.max_gap().unwrap_or(0));
        // Independent of the width of `usize`.
        let max_runs = policy.max_runs();
        writer.uint(match u64::try_from(max_runs) {
            Ok(max_runs) if policy.max_runs() != usize::MAX => max_runs,
            _ => u64::MAX,
        });
    }
    writer.uint(policy.max_image_size());
    writer.bool(policy.assumes_zeroed_imports());
    writer.byte(treatment_code(start));
}

pub(crate) fn take_policy(reader: &mut Reader<'_>, page_size: HostPageSize) -> Option<Policy> {
    let policy = match reader.byte()? {
        SINGLE_RUN => Policy::single_run(page_size, reader.uint()?),
        RUNS => {
            let max_gap = reader.uint()?;
            let max_runs = reader.uint().filter(|max_runs| *max_runs != 0)?;
            Policy::smallest(page_size)
                .with_max_gap(max_gap)
                .with_max_runs(usize::try_from(max_runs).unwrap_or(usize::MAX))
        }
        _ => return None,
    };
    let policy = policy.with_max_image_size(reader.uint()?);
    let policy = policy.with_zeroed_imports(reader.bool()?);
    let start = treatment_of(reader.byte()?)?;
    Some(policy.with_start_function(start))
}

const fn treatment_code(start: StartFunction) -> u8 {
    match start {
        StartFunction::AlreadyInitialized => 1,
        StartFunction::AlreadyInitializedTls => 2,
        StartFunction::WritesStripped => 3,
        // `Runs`; a variant added later has no code in this format version.
        _ => 0,
    }
}

const fn treatment_of(code: u8) -> Option<StartFunction> {
    match code {
        0 => Some(StartFunction::Unchanged),
        1 => Some(StartFunction::AlreadyInitialized),
        2 => Some(StartFunction::AlreadyInitializedTls),
        3 => Some(StartFunction::WritesStripped),
        _ => None,
    }
}

const GLOBAL_VALUE: u8 = 0;
const ZEROED_MEMORY: u8 = 1;
const MEMORY_SIZE: u8 = 2;
const START_FUNCTION: u8 = 3;

/// Returns kind and index, the unique sort key of assumptions.
pub(crate) fn key(assumption: &Assumption) -> Option<(u8, u32)> {
    Some(match assumption {
        Assumption::GlobalValue { global, .. } => (GLOBAL_VALUE, global.as_u32()),
        Assumption::ZeroedMemory { memory, .. } => (ZEROED_MEMORY, memory.as_u32()),
        Assumption::MemorySize { memory, .. } => (MEMORY_SIZE, memory.as_u32()),
        Assumption::StartFunction { memory, .. } => (START_FUNCTION, memory.as_u32()),
        // A kind added later cannot be expressed in this format version.
        _ => return None,
    })
}

/// Returns `None` for a kind that this format version cannot express.
pub(crate) fn put_assumption(writer: &mut Writer, assumption: &Assumption) -> Option<()> {
    let (kind, index) = key(assumption)?;
    writer.byte(kind);
    writer.uint(index.into());
    let mut import = |module: &str, name: &str| {
        writer.counted(module.as_bytes());
        writer.counted(name.as_bytes());
    };
    match assumption {
        Assumption::GlobalValue {
            module,
            name,
            value,
            ..
        } => {
            import(module, name);
            writer.value(*value);
        }
        Assumption::ZeroedMemory { module, name, .. } => import(module, name),
        Assumption::MemorySize {
            module,
            name,
            bytes,
            ..
        } => {
            import(module, name);
            writer.uint(*bytes);
        }
        Assumption::StartFunction { treatment, .. } => writer.byte(treatment_code(*treatment)),
        _ => return None,
    }
    Some(())
}

pub(crate) fn take_assumption(reader: &mut Reader<'_>) -> Option<Assumption> {
    let kind = reader.byte()?;
    let index = reader.index()?;
    let memory = MemoryIndex::from_u32(index);
    Some(match kind {
        GLOBAL_VALUE => Assumption::GlobalValue {
            global: GlobalIndex::from_u32(index),
            module: reader.name()?.into(),
            name: reader.name()?.into(),
            value: reader.value()?,
        },
        ZEROED_MEMORY => Assumption::ZeroedMemory {
            memory,
            module: reader.name()?.into(),
            name: reader.name()?.into(),
        },
        MEMORY_SIZE => Assumption::MemorySize {
            memory,
            module: reader.name()?.into(),
            name: reader.name()?.into(),
            bytes: reader.uint()?,
        },
        START_FUNCTION => Assumption::StartFunction {
            memory,
            treatment: treatment_of(reader.byte()?).filter(|it| *it != StartFunction::Unchanged)?,
        },
        _ => return None,
    })
}
