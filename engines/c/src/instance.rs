//! Initialises the memories of an instance.

use smallvec::SmallVec;
use wasm_meminit::PreparedModule;
use wasm_meminit::apply::{InstanceMemory, InstantiateError};

use crate::error::Error;
use crate::module;
use crate::slot::{Locked, SlotCell};
use crate::types::Global;

/// One element for each memory: nothing is allocated for modules with at most two.
pub(crate) type EachMemory<T> = SmallVec<[T; 2]>;

/// A memory of the caller.
#[derive(Debug)]
pub(crate) enum HostMemory<'a> {
    /// A slot, and the initial size in bytes, or 0.
    Slot(&'a SlotCell, u64),
    Bytes(&'a mut [u8]),
}

enum Held<'a> {
    Slot(Locked<'a>, u64),
    Bytes(&'a mut [u8]),
}

pub(crate) fn instantiate(
    module: &PreparedModule,
    memories: EachMemory<HostMemory<'_>>,
    globals: &[Global],
) -> Result<(), Error> {
    for global in globals {
        module::value_of(global)?;
    }
    let value = |index| {
        let values = globals
            .iter()
            .filter_map(|global| module::value_of(global).ok());
        let mut found = values.filter(|(of, _)| *of == index);
        found.next().map(|(_, value)| value)
    };
    with(memories, |memories| module.instantiate(memories, &value))
}

pub(crate) fn place_images(
    module: &PreparedModule,
    memories: EachMemory<HostMemory<'_>>,
) -> Result<(), Error> {
    with(memories, |memories| module.place_images(memories))
}

/// Locks all slots, so that one that was passed twice is an error, and then runs `act`.
fn with(
    memories: EachMemory<HostMemory<'_>>,
    act: impl FnOnce(&mut [InstanceMemory<'_>]) -> Result<(), InstantiateError>,
) -> Result<(), Error> {
    let held = memories.into_iter().map(|memory| {
        Ok(match memory {
            HostMemory::Slot(slot, bytes) => Held::Slot(slot.lock()?, bytes),
            HostMemory::Bytes(bytes) => Held::Bytes(bytes),
        })
    });
    let mut held = held.collect::<Result<EachMemory<_>, Error>>()?;
    let memories = held.iter_mut().map(|held| match held {
        Held::Slot(slot, bytes) => slot.memory(*bytes),
        Held::Bytes(bytes) => Ok(InstanceMemory::Bytes(bytes)),
    });
    let result = act(&mut memories.collect::<Result<EachMemory<_>, Error>>()?);
    if result
        .as_ref()
        .map_or_else(InstantiateError::is_trap, |()| true)
    {
        for held in &mut held {
            if let Held::Slot(slot, _) = held {
                slot.started();
            }
        }
    }
    Ok(result?)
}
