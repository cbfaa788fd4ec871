//! What no compiler checks: the engine's memories are pointers, and its tunables have `unsafe`
//! functions.
#![allow(
    unsafe_code,
    reason = "compiled code reads a memory's base through a pointer"
)]

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use wasm_meminit_apply::PooledSlot;
use wasmer::sys::Tunables;
use wasmer::sys::vm::{
    LinearMemory, MaybeInstanceOwned, VMConfig, VMGlobal, VMGlobalDefinition, VMMemory,
    VMMemoryDefinition, VMTable, VMTableDefinition, VMTag,
};
use wasmer::{
    FunctionType, GlobalType, MemoryError, MemoryStyle, MemoryType, Pages, TableStyle, TableType,
    TagKind,
};

use crate::error;
use crate::pool::Pool;
use crate::started::{self, grown, n_pages};

/// Creates the memories of an engine. Everything else is up to its former tunables.
pub(crate) struct SlotTunables {
    pool: Arc<Pool>,
    /// The engine with its former tunables.
    base: wasmer::sys::engine::Engine,
}

impl SlotTunables {
    pub(crate) const fn new(pool: Arc<Pool>, base: wasmer::sys::engine::Engine) -> Self {
        Self { pool, base }
    }

    fn base(&self) -> &dyn Tunables {
        self.base.tunables()
    }
}

impl Tunables for SlotTunables {
    fn memory_style(&self, ty: &MemoryType) -> MemoryStyle {
        match ty.shared {
            true => self.base().memory_style(ty),
            // Slots have the reservation and the guard that this requires.
            false => MemoryStyle::Static,
        }
    }

    fn table_style(&self, ty: &TableType) -> TableStyle {
        self.base().table_style(ty)
    }

    /// For `Memory::new`.
    fn create_host_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        if ty.shared {
            return self.base().create_host_memory(ty, style);
        }
        started::check(*ty)?;
        let slot = started::start_zeroed(&self.pool, *ty, *style).map_err(refused)?;
        Ok(Linear::create(slot, *ty, Definition::host()))
    }

    /// For memories that a module defines.
    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        vm_definition_location: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        if ty.shared {
            started::pass(&self.pool, *ty).map_err(refused)?;
            let base = self.base();
            // SAFETY: the caller's promise is passed on.
            return unsafe { base.create_vm_memory(ty, style, vm_definition_location) };
        }
        let slot = started::start(&self.pool, *ty, *style).map_err(refused)?;
        // It is valid for as long as the engine uses the memory: the caller's promise.
        let definition = Definition(MaybeInstanceOwned::Instance(vm_definition_location));
        Ok(Linear::create(slot, *ty, definition))
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base().create_host_table(ty, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        vm_definition_location: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        let base = self.base();
        // SAFETY: the caller's promise is passed on.
        unsafe { base.create_vm_table(ty, style, vm_definition_location) }
    }

    fn create_global(&self, ty: GlobalType) -> Result<VMGlobal, String> {
        self.base().create_global(ty)
    }

    unsafe fn create_vm_global(
        &self,
        ty: GlobalType,
        vm_definition_location: NonNull<VMGlobalDefinition>,
    ) -> Result<VMGlobal, String> {
        let base = self.base();
        // SAFETY: the caller's promise is passed on.
        unsafe { base.create_vm_global(ty, vm_definition_location) }
    }

    fn create_tag(&self, kind: TagKind, ty: FunctionType) -> Result<VMTag, String> {
        self.base().create_tag(kind, ty)
    }

    fn vmconfig(&self) -> &VMConfig {
        self.base().vmconfig()
    }
}

/// Converts our error to the engine's.
fn refused(err: error::MemoryError) -> MemoryError {
    MemoryError::Generic(err.to_string())
}

/// Where compiled code reads the memory's base and size.
struct Definition(MaybeInstanceOwned<VMMemoryDefinition>);

impl Definition {
    /// A definition that is part of no instance.
    fn host() -> Self {
        let empty = VMMemoryDefinition {
            base: core::ptr::null_mut(),
            current_length: 0,
        };
        Self(MaybeInstanceOwned::Host(Box::new(UnsafeCell::new(empty))))
    }
}

// SAFETY: it is either our own, or the instance's, which moves between threads only with its
// store, as the memory does that this is part of.
unsafe impl Send for Definition {}
// SAFETY: through a shared reference, `vmmemory` only copies the pointer.
unsafe impl Sync for Definition {}

/// The memory in a slot, which is reset when this is dropped with its store.
struct Linear {
    slot: PooledSlot,
    ty: MemoryType,
    definition: Definition,
}

impl Linear {
    /// Returns the engine's handle of a started memory.
    fn create(slot: PooledSlot, ty: MemoryType, definition: Definition) -> VMMemory {
        let mut memory = Self {
            slot,
            ty,
            definition,
        };
        memory.publish();
        VMMemory(Box::new(memory))
    }

    /// Tells compiled code the base and the size.
    fn publish(&mut self) {
        let definition = VMMemoryDefinition {
            base: self.slot.as_ptr(),
            // Never truncates: at most the reservation, which is mapped.
            current_length: self.slot.len() as usize,
        };
        let place = self.definition.0.as_ptr();
        // SAFETY: the place is valid: it is ours, or the instance's, whose definition outlives all
        // use of the memory (promised by the caller of `create_vm_memory`). Nothing reads it now:
        // the engine calls `grow` from the thread that runs the instance, with exclusive access
        // to the store. The base is valid for that many bytes, and stays so until the slot is
        // dropped; everything after them, up to the end of the guard, is inaccessible:
        // `MemorySlot` guarantees both where `MemorySlot::HAS_GUARDS` is true. Elsewhere there is
        // no `Linear`: `Pool::acquire`, from which all slots are, returns an error.
        unsafe { place.write(definition) }
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
        n_pages(self.slot.len())
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let current = self.size();
        let bytes = grown(current, delta, self.ty.maximum);
        if bytes.is_none_or(|bytes| self.slot.grow(bytes).is_err()) {
            return Err(MemoryError::CouldNotGrow {
                current,
                attempted_delta: delta,
            });
        }
        self.publish();
        Ok(current)
    }

    fn grow_at_least(&mut self, min_size: u64) -> Result<(), MemoryError> {
        let missing = min_size.saturating_sub(self.slot.len());
        match n_pages(missing.saturating_add(0xffff)) {
            Pages(0) => Ok(()),
            delta => self.grow(delta).map(drop),
        }
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition.0.as_ptr()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }
}

/// Without the definition: if an instantiation fails, the memory stays in its store, but the
/// instance does not.
impl fmt::Debug for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linear")
            .field("slot", &self.slot)
            .field("ty", &self.ty)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroUsize;

    use wasm_meminit_apply::MemorySlot;
    use wasmer::sys::{BaseTunables, EngineBuilder, NativeEngineExt as _, Singlepass};
    use wasmer::{Imports, Instance, Memory, Module, Store, Table, Value};

    use super::*;
    use crate::{Memories, MemoriesConfig, Options, Prepared};

    /// Code checks bounds, and no table is small enough.
    struct Other;

    impl Tunables for Other {
        fn memory_style(&self, _: &MemoryType) -> MemoryStyle {
            MemoryStyle::Dynamic {
                offset_guard_size: 0x1_0000,
            }
        }

        fn table_style(&self, ty: &TableType) -> TableStyle {
            BaseTunables::new().table_style(ty)
        }

        fn create_host_memory(
            &self,
            ty: &MemoryType,
            style: &MemoryStyle,
        ) -> Result<VMMemory, MemoryError> {
            BaseTunables::new().create_host_memory(ty, style)
        }

        unsafe fn create_vm_memory(
            &self,
            ty: &MemoryType,
            style: &MemoryStyle,
            location: NonNull<VMMemoryDefinition>,
        ) -> Result<VMMemory, MemoryError> {
            // SAFETY: the caller's promise is passed on.
            unsafe { BaseTunables::new().create_vm_memory(ty, style, location) }
        }

        fn create_host_table(&self, _: &TableType, _: &TableStyle) -> Result<VMTable, String> {
            Err("no table for the host".into())
        }

        unsafe fn create_vm_table(
            &self,
            _: &TableType,
            _: &TableStyle,
            _: NonNull<VMTableDefinition>,
        ) -> Result<VMTable, String> {
            Err("no table for instances".into())
        }
    }

    const MODULE: &str = r#"(module (memory (export "m") 1) (data (i32.const 0) "x"))"#;

    fn engine() -> wasmer::sys::engine::Engine {
        EngineBuilder::new(Singlepass::default()).engine()
    }

    fn memories() -> Memories {
        Memories::new(MemoriesConfig::new(NonZeroUsize::MIN))
    }

    fn wasm(wat: &str) -> Vec<u8> {
        wat::parse_str(wat).expect("a module")
    }

    #[test]
    fn code_of_another_style_is_refused() {
        let mut other = engine();
        other.set_tunables(Other);
        let module = Module::new(&wasmer::Engine::from(other), wasm(MODULE)).expect("valid");
        let engine = memories().engine(engine()).expect("guards");
        let mut store = Store::new(&engine);
        let err = Instance::new(&mut store, &module, &Imports::new());
        let err = err.expect_err("another style").to_string();
        assert!(
            err.contains("compiled for memories of style Dynamic"),
            "{err}"
        );
        assert_eq!(engine.memories().stats().n_slots, 0);
    }

    /// Those of tunables that were set although `Memories::engine` returns an error.
    #[test]
    fn memories_need_guards() {
        let memories = memories();
        let mut engine = engine();
        let tunables = SlotTunables::new(Arc::clone(&memories.pool), engine.clone());
        engine.set_tunables(tunables);
        let engine = wasmer::Engine::from(engine);
        let module = Module::new(&engine, wasm(MODULE)).expect("valid");
        let instantiate = || {
            let mut store = Store::new(engine.clone());
            let made = Instance::new(&mut store, &module, &Imports::new());
            made.map(drop).map_err(|err| err.to_string())
        };
        let create = || {
            let made = Memory::new(
                &mut Store::new(engine.clone()),
                MemoryType::new(1, None, false),
            );
            made.map(drop).map_err(|err| err.to_string())
        };
        for made in [instantiate(), create()] {
            match MemorySlot::HAS_GUARDS {
                true => made.expect("room"),
                false => {
                    let err = made.expect_err("no guards");
                    assert!(
                        err.contains(&error::MemoryError::NoGuards.to_string()),
                        "{err}"
                    );
                }
            }
        }
        let n_slots = u64::from(MemorySlot::HAS_GUARDS);
        assert_eq!(memories.stats().n_slots, n_slots);
    }

    /// Whatever the former tunables prefer.
    #[test]
    fn code_of_the_engine_is_of_the_static_style() {
        let mut other = engine();
        other.set_tunables(Other);
        let engine = memories().engine(other).expect("guards");
        let style = engine
            .tunables()
            .memory_style(&MemoryType::new(1, None, false));
        assert_eq!(style, MemoryStyle::Static);
        let prepared = Prepared::new(&engine, &wasm(MODULE), &Options::new()).expect("valid");
        let mut store = Store::new(&engine);
        let instance = prepared.instantiate(&mut store, &Imports::new());
        let instance = instance.expect("no table");
        let memory = instance.exports.get_memory("m").expect("exported");
        assert!(matches!(memory.view(&store).read_u8(0), Ok(b'x')));
        drop(store);

        // A shared memory is theirs, also in its style.
        let mut store = Store::new(&engine);
        let ty = MemoryType::new(1, Some(2), true);
        let shared = Memory::new(&mut store, ty).expect("room");
        assert!(shared.ty(&store).shared);
        let style = engine.tunables().memory_style(&ty);
        assert!(matches!(style, MemoryStyle::Dynamic { .. }));
        assert_eq!(engine.memories().stats().n_slots, 1);
    }

    #[test]
    fn the_former_tunables_create_tables() {
        let mut other = engine();
        other.set_tunables(Other);
        let engine = memories().engine(other).expect("guards");
        let mut store = Store::new(&engine);
        let ty = TableType::new(wasmer::Type::FuncRef, 1, None);
        let err = Table::new(&mut store, ty, Value::FuncRef(None));
        let err = err.expect_err("no table").to_string();
        assert!(err.contains("no table for the host"), "{err}");
        let wasm = wasm(r#"(module (memory 1) (table 1 funcref) (data (i32.const 0) "x"))"#);
        let prepared = Prepared::new(&engine, &wasm, &Options::new()).expect("valid");
        let err = prepared.instantiate(&mut store, &Imports::new());
        let err = err.expect_err("no table").to_string();
        assert!(err.contains("no table for instances"), "{err}");
        // The memory is in the store, the instance is not: its definition must not be read.
        assert!(!format!("{store:?}").is_empty());
        assert_eq!(engine.memories().stats().n_ready, 0);
        drop(store);
        assert_eq!(engine.memories().stats().n_ready, 1);
    }
}
