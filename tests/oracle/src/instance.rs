//! An instance during instantiation, as in an engine: the host's memories, the actual values
//! of all globals, and `init_memory` to drive them.

use wasm_meminit_analysis::{
    Global, GlobalIndex, InitMemory, MemoryIndex, MemoryInitialization, Module, OffsetExpr,
    SizeOverflow, StaticMemoryInitializer, Value, ValueType,
};

use crate::host::Host;
use crate::memory::{Memory, Outcome, Trap};
use crate::shape::Shape;

/// Initialises the memories of a host.
pub fn instantiate(
    shape: &Shape<'_>,
    host: &Host,
    module: &Module<'_>,
    initialization: &MemoryInitialization<'_>,
) -> Result<Outcome, String> {
    let mut instance = Instance {
        memories: memories(shape, host),
        globals: values(module, &shape.global_values(host, true)),
        module,
    };
    let trap = match initialization.init_memory(&mut instance) {
        Ok(()) => None,
        Err(err) if err.is_trap() => Some(Trap::Data(err.segment.map(|it| it.as_u32()))),
        Err(err) => return Err(err.to_string()),
    };
    Ok(Outcome {
        memories: instance.memories,
        trap,
    })
}

/// Returns the memories of a host before anything is written.
pub fn memories(shape: &Shape<'_>, host: &Host) -> Vec<Memory> {
    (0..shape.memories.len())
        .map(|nth| {
            let size = host
                .memory_bytes(shape, nth)
                .expect("checked by the caller");
            Memory::new(size, host.first_byte(shape, nth))
        })
        .collect()
}

/// Returns the module, with the host's values of imported globals.
pub fn with_imported_globals<'a>(
    module: &Module<'a>,
    shape: &Shape<'_>,
    host: &Host,
) -> Result<Module<'a>, String> {
    let mut module = module.clone();
    let all = values(&module, &shape.global_values(host, true));
    let n_imported = module.global_imports().len();
    for (nth, value) in (0..).zip(&all[..n_imported]) {
        if let Some(value) = value {
            module = module
                .with_global(GlobalIndex::from_u32(nth), *value)
                .map_err(|err| err.to_string())?;
        }
    }
    Ok(module)
}

/// An instance during instantiation.
struct Instance<'a> {
    memories: Vec<Memory>,
    globals: Vec<Option<Value>>,
    module: &'a Module<'a>,
}

impl Instance<'_> {
    fn memory(&mut self, index: MemoryIndex) -> &mut Memory {
        &mut self.memories[index.as_u32() as usize]
    }
}

impl InitMemory for Instance<'_> {
    fn memory_size_in_bytes(&mut self, index: MemoryIndex) -> Result<u64, SizeOverflow> {
        Ok(self.memory(index).size())
    }

    fn eval_offset(&mut self, index: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        let index_type = self.module.memories()[index].ty.index_type;
        let value = |it: GlobalIndex| self.globals[it.as_u32() as usize];
        offset.eval(index_type, &value).ok()
    }

    fn write(&mut self, index: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        self.memory(index).write(init.addr, &init.data);
        true
    }
}

/// Converts the values of all globals that an address can refer to to the analysis' type.
pub fn values(module: &Module<'_>, values: &[Option<i64>]) -> Vec<Option<Value>> {
    let ty = |global: &Global| match global {
        Global::Known(value) => Some(value.ty()),
        Global::Unknown(ty) => Some(*ty),
        Global::Unusable => None,
    };
    module
        .globals()
        .values()
        .zip(values)
        .map(|(global, value)| {
            let value = (*value)?;
            Some(match ty(global)? {
                ValueType::I32 => Value::I32(value as i32),
                ValueType::I64 => Value::I64(value),
            })
        })
        .collect()
}
