//! Which core modules a promise about imported memories applies to.

use alloc::collections::BTreeSet;

use wasm_meminit::analysis::{MemoryIndex, Module, Policy, SegmentMode};

use crate::input::Source;
use crate::report::instances::Instances;
use crate::text::terminal;

/// Returns the policy for each core module; see [`policy`].
pub(crate) fn policies(
    source: Source<'_>,
    modules: &[Module<'_>],
    instances: &Instances,
    of_all: Policy,
) -> Vec<Policy> {
    let modules = modules.iter().enumerate();
    modules
        .map(|(nth, it)| policy(source, nth, it, instances, of_all))
        .collect()
}

/// Returns the policy for a core module, and warns if the promise that imported memories are zeroed
/// does not apply to a memory that it writes to.
pub(crate) fn policy(
    source: Source<'_>,
    nth: usize,
    module: &Module<'_>,
    instances: &Instances,
    of_all: Policy,
) -> Policy {
    let chosen = instances.policy_of(nth, of_all);
    if of_all.assumes_zeroed_imports()
        && let Some((memory, why)) = exception(module, chosen)
    {
        terminal::warn(&format!(
            "{source}: --assume-zeroed-imports does not apply to memory {} of core module {nth}: \
             {why}",
            memory.as_u32()
        ));
    }
    chosen
}

/// Returns the first memory that segments are written to and that the promise does not apply to,
/// and why.
fn exception(module: &Module<'_>, chosen: Policy) -> Option<(MemoryIndex, &'static str)> {
    let memories = module.segments().values().filter_map(|it| match it.mode {
        SegmentMode::Active { memory_index, .. } => Some(memory_index),
        SegmentMode::Passive => None,
    });
    // Most segments write to the same one.
    let memories: BTreeSet<MemoryIndex> = memories.collect();
    let imported = |it: &&MemoryIndex| module.defined_memory_index(**it).is_none();
    let mut imported = memories.iter().filter(imported);
    if chosen.assumes_zeroed_imports() {
        let twice = imported.find(|it| module.is_imported_twice(**it))?;
        return Some((*twice, "another memory is imported under its name"));
    }
    let first = imported.next()?;
    Some((*first, "it is, or may be, the memory of another instance"))
}
