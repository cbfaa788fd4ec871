//! Initialises the memories of an instance.

use wasm_meminit::PreparedModule;
use wasm_meminit::apply::{InstanceMemory, InstantiateError};

use crate::error::Error;
use crate::module::values;
use crate::slot::{Locked, SlotCell};
use crate::types::Global;

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
    memories: Vec<HostMemory<'_>>,
    globals: &[Global],
) -> Result<(), Error> {
    let values = values(globals)?;
    let value = |index| {
        let found = values.iter().find(|(of, _)| *of == index);
        found.map(|(_, value)| *value)
    };
    with(memories, |memories| module.instantiate(memories, &value))
}

pub(crate) fn place_images(
    module: &PreparedModule,
    memories: Vec<HostMemory<'_>>,
) -> Result<(), Error> {
    with(memories, |memories| module.place_images(memories))
}

/// Locks all slots, so that one that was passed twice is an error, and then runs `act`.
fn with(
    memories: Vec<HostMemory<'_>>,
    act: impl FnOnce(&mut [InstanceMemory<'_>]) -> Result<(), InstantiateError>,
) -> Result<(), Error> {
    let held = memories.into_iter().map(|memory| {
        Ok(match memory {
            HostMemory::Slot(slot, bytes) => Held::Slot(slot.lock()?, bytes),
            HostMemory::Bytes(bytes) => Held::Bytes(bytes),
        })
    });
    let mut held = held.collect::<Result<Vec<_>, Error>>()?;
    let memories = held.iter_mut().map(|held| match held {
        Held::Slot(slot, bytes) => slot.memory(*bytes),
        Held::Bytes(bytes) => InstanceMemory::Bytes(bytes),
    });
    Ok(act(&mut memories.collect::<Vec<_>>())?)
}
