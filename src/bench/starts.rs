//! Measures initialising a fresh memory, by each method.

use alloc::sync::Arc;
use std::time::Instant;

use wasm_meminit::analysis::{
    InitMemory, MemoryIndex, Module, OffsetExpr, Plan, SizeOverflow, StaticMemoryInitializer,
};
use wasm_meminit::apply::{MemoryImage, MemorySlot, SlotConfig, SlotError, copy_into_zeroed};
use wasm_meminit::image_builder::ImageRef;

use super::MIN_ROUNDS;
use super::paired::{Way, measure as measure_ways};
use super::request::Request;
use super::spread::{Comparison, Spread};

/// A way to initialise a memory, and what it costs.
pub(crate) struct Start {
    pub(super) way: &'static str,
    /// In nanoseconds.
    pub(super) time: Spread,
    /// Compared with the first way.
    pub(super) comparison: Comparison,
}

/// Measures reserving the address space, initialising the memory, and releasing both.
pub(super) fn measure(
    request: &Request<'_>,
    index: MemoryIndex,
    bytes: u64,
    built: Option<ImageRef<'_>>,
    image: Option<&Arc<MemoryImage>>,
) -> Result<Vec<Start>, SlotError> {
    let fresh = |image| -> Result<MemorySlot, SlotError> {
        let mut slot = MemorySlot::new(&SlotConfig::new(bytes))?;
        slot.instantiate(image, bytes)?;
        Ok(slot)
    };
    let mut ways: Vec<(&'static str, Way<'_, SlotError>)> = vec![(
        "replay",
        Way::new(|n| {
            repeat(n, || {
                replay(
                    request.module,
                    request.plan,
                    index,
                    fresh(None)?.as_mut_slice(),
                );
                Ok(())
            })
        }),
    )];
    if let Some(built) = built {
        ways.push((
            "copy",
            Way::new(move |n| {
                repeat(n, || {
                    let mut slot = fresh(None)?;
                    copy_into_zeroed(built, slot.as_mut_slice())?;
                    Ok(())
                })
            }),
        ));
    }
    let name = if image.is_some() { "map" } else { "zero" };
    ways.push((
        name,
        Way::new(move |n| repeat(n, || fresh(image).map(drop))),
    ));

    let (names, mut ways): (Vec<_>, Vec<_>) = ways.into_iter().unzip();
    measure_ways(&mut ways, request.time, MIN_ROUNDS)?;
    let starts = names.into_iter().zip(&ways).map(|(way, it)| Start {
        way,
        time: Spread::of(&it.samples),
        comparison: Comparison::new(&it.samples, &ways[0].samples),
    });
    Ok(starts.collect())
}

fn repeat(
    n: u32,
    mut job: impl FnMut() -> Result<(), SlotError>,
) -> Result<core::time::Duration, SlotError> {
    let start = Instant::now();
    for _ in 0..n {
        job()?;
    }
    Ok(start.elapsed())
}

/// Does what an engine without an image does for one memory: writes segment after segment,
/// including those that a baked start function would write.
fn replay(module: &Module<'_>, plan: &Plan<'_>, index: MemoryIndex, memory: &mut [u8]) {
    let initialization = module.memory_initialization();
    // If the module traps, the replay stops there: that is what a start costs then.
    let _ = initialization.init_memory(&mut OneMemory {
        module,
        index,
        memory,
    });
    let start = plan.start().ok().filter(|it| it.memory() == index);
    for (segment, address) in start.map_or(&[][..], |it| it.writes()) {
        let Some(segment) = module.segments().get(*segment) else {
            continue;
        };
        write(memory, *address, segment.data);
    }
}

fn write(memory: &mut [u8], address: u64, data: &[u8]) {
    let target = usize::try_from(address)
        .ok()
        .and_then(|at| memory.get_mut(at..at.checked_add(data.len())?));
    if let Some(target) = target {
        target.copy_from_slice(data);
    }
}

/// All memories of a module, only one of which is written.
struct OneMemory<'a> {
    module: &'a Module<'a>,
    index: MemoryIndex,
    memory: &'a mut [u8],
}

impl InitMemory for OneMemory<'_> {
    fn memory_size_in_bytes(&mut self, index: MemoryIndex) -> Result<u64, SizeOverflow> {
        let memory = self.module.memories().get(index).ok_or(SizeOverflow)?;
        memory.ty.min_bytes().ok_or(SizeOverflow)
    }

    fn eval_offset(&mut self, index: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        let index_type = self.module.memories().get(index)?.ty.index_type;
        let global = |it| self.module.global_value(it);
        // Only the host knows the value; any address that is in bounds costs the same.
        Some(offset.eval(index_type, &global).unwrap_or(0))
    }

    fn write(&mut self, index: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        if index == self.index {
            write(self.memory, init.addr, &init.data);
        }
        true
    }
}
