//! The opaque types of the header.
//!
//! `cfg(cbindgen)` is never set: it hides from the header that all objects have one layout.

use alloc::sync::Arc;
use std::sync::RwLock;

use wasm_meminit::PreparedModule;
use wasm_meminit::apply::{MemoryImage, SlotPool};

use crate::error::Error;
use crate::object::{Object, Opaque};
use crate::slot::SlotCell;

/// Bytes that belong to the library: an artifact, a module, a text.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Bytes(pub(crate) Object);

/// What a host supplies to the imports of a module.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Host(pub(crate) Object);

/// A module's memories, prepared for any number of instances.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Module(pub(crate) Object);

/// The initial contents of one memory.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Image(pub(crate) Object);

/// One reservation of address space, for one memory after another.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Slot(pub(crate) Object);

/// Slots that the threads of a process share.
#[cfg_attr(not(cbindgen), repr(transparent))]
#[derive(Debug)]
pub struct Pool(pub(crate) Object);

/// One memory of an instance: a slot or, if that is null, bytes of the host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The size of this structure: `sizeof(wasm_meminit_memory)`.
    pub struct_size: usize,
    /// A ready slot, or one from a pool that was acquired for this memory, and in which no module
    /// was started since.
    pub slot: *mut Slot,
    /// The bytes of a memory that is not in a slot, each of them zero unless the memory is
    /// imported and has no image. Ignored if there is a slot.
    pub data: *mut u8,
    /// With `data`, its size in bytes. With a slot of its own, the initial size in bytes, or 0
    /// for the size that the module declares. Ignored for a slot of a pool.
    pub bytes: u64,
}

macro_rules! opaque {
    ($($kind:ident($value:ty), $name:literal;)*) => {$(
        impl Opaque for $kind {
            type Value = $value;

            fn new(value: $value) -> Self {
                Self(Object::$kind(value))
            }

            fn value(&self) -> Result<&$value, Error> {
                match &self.0 {
                    Object::$kind(value) => Ok(value),
                    other => Err(other.wrong_kind($name)),
                }
            }
        }
    )*};
}

opaque! {
    Bytes(Vec<u8>), "bytes";
    Host(RwLock<wasm_meminit::apply::Host>), "a host";
    Module(PreparedModule), "a module";
    Image(Arc<MemoryImage>), "an image";
    Slot(SlotCell), "a slot";
    Pool(SlotPool), "a pool";
}
