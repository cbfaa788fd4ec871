//! wasmer: memories from custom tunables.
#![allow(
    unsafe_code,
    reason = "the engine reads a memory's base through a pointer"
)]

use core::cell::UnsafeCell;
use core::ptr::NonNull;

use wasm_meminit_apply::PooledSlot;
use wasmer::sys::vm::{
    LinearMemory, MaybeInstanceOwned, VMMemory, VMMemoryDefinition, VMTable, VMTableDefinition,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{MemoryError, MemoryStyle, MemoryType, Pages, TableStyle, TableType};

use super::Memories;

// ANCHOR: wasmer
/// The reservation in bytes for [`MemoryStyle::Static`], on which compiled code relies.
pub(crate) const RESERVATION: u64 = 4 << 30;
/// The guard in bytes: an address and an instruction's offset have 32 bits each.
pub(crate) const GUARD: u64 = MemoryStyle::static_offset_guard_size();

/// wasmer's default tunables, except that memories start from one image.
pub(crate) struct SlotTunables {
    pub(crate) base: BaseTunables,
    pub(crate) memories: Memories,
}

impl SlotTunables {
    fn memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        definition: MaybeInstanceOwned<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        if ty.shared || *style != MemoryStyle::Static {
            return Err(MemoryError::Generic(format!("{ty}, {style:?}")));
        }
        let min_bytes = ty.minimum.bytes().0 as u64;
        let slot = self.memories.start(min_bytes);
        let slot = slot.map_err(|err| MemoryError::Region(format!("{err:#}")))?;
        let mut memory = Linear {
            slot,
            ty: *ty,
            definition,
        };
        memory.publish();
        Ok(VMMemory(Box::new(memory)))
    }
}

impl Tunables for SlotTunables {
    fn memory_style(&self, _memory: &MemoryType) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    /// For `Memory::new`.
    fn create_host_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        let definition = VMMemoryDefinition {
            base: core::ptr::null_mut(),
            current_length: 0,
        };
        let definition = MaybeInstanceOwned::Host(Box::new(UnsafeCell::new(definition)));
        self.memory(ty, style, definition)
    }

    /// For memories that a module defines.
    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        vm_definition_location: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let definition = MaybeInstanceOwned::Instance(vm_definition_location);
        self.memory(ty, style, definition)
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(ty, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        vm_definition_location: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.base.create_vm_table(ty, style, vm_definition_location) }
    }
}

/// A slot, which is returned and reset when it is dropped with its store.
#[derive(Debug)]
struct Linear {
    slot: PooledSlot,
    ty: MemoryType,
    /// From which compiled code reads the memory's base and size.
    definition: MaybeInstanceOwned<VMMemoryDefinition>,
}

// SAFETY: `definition` is either our own, or the instance's, which moves with its store, as
// this does.
unsafe impl Send for Linear {}
// SAFETY: as above; it is written through `&mut self` only.
unsafe impl Sync for Linear {}

impl Linear {
    fn publish(&mut self) {
        let definition = VMMemoryDefinition {
            base: self.slot.as_ptr(),
            current_length: self.slot.as_slice().len(),
        };
        // SAFETY: valid, which wasmer promises for the instance's, and not in use elsewhere,
        // since wasmer calls us while no compiled code runs.
        unsafe { self.definition.as_ptr().write(definition) }
    }
}

impl LinearMemory for Linear {
    fn ty(&self) -> MemoryType {
        MemoryType {
            minimum: self.size(),
            ..self.ty
        }
    }

    fn size(&self) -> Pages {
        // A 32-bit memory has at most 65,536 pages.
        Pages(u32::try_from(self.slot.len() >> 16).unwrap_or(u32::MAX))
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let current = self.size();
        let error = MemoryError::CouldNotGrow {
            current,
            attempted_delta: delta,
        };
        let limit = self.ty.maximum.unwrap_or(Pages::max_value());
        let Some(pages) = current.checked_add(delta).filter(|it| *it <= limit) else {
            return Err(error);
        };
        let grown = self.slot.grow(u64::from(pages.0) << 16);
        grown.map_err(|_| error)?;
        self.publish();
        Ok(current)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition.as_ptr()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::UnsupportedOperation {
            message: "copying a memory".into(),
        })
    }
}
// ANCHOR_END: wasmer
