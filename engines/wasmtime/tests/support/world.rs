//! What generated modules import, and what an instantiation of one does.

use wasmtime::{
    Engine, Error, Global, GlobalType, Instance, Linker, Mutability, Ref, RefType, Store, Table,
    TableType, Val, ValType,
};

/// The state of a store: the table through which a failed instance can be observed.
pub(crate) struct World {
    pub(crate) store: Store<()>,
    pub(crate) linker: Linker<()>,
    table: Table,
}

impl World {
    pub(crate) fn new(engine: &Engine, fails: bool) -> Self {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let ty = TableType::new(RefType::FUNCREF, 2, None);
        let table = Table::new(&mut store, ty, Ref::Func(None)).expect("room");
        linker.define(&store, "", "table", table).expect("new");
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let value = Val::I32(if fails { -2 } else { 0 });
        let global = Global::new(&mut store, ty, value).expect("valid");
        linker.define(&store, "", "fail", global).expect("new");
        Self {
            store,
            linker,
            table,
        }
    }

    /// Returns the hash of the first memory, also of an instance that failed.
    pub(crate) fn hash(&mut self) -> i64 {
        let function = self.table.get(&mut self.store, 0).expect("in bounds");
        let function = function.as_func().expect("a function").expect("not null");
        let hash = function.typed::<(), i64>(&self.store).expect("the type");
        hash.call(&mut self.store, ()).expect("no trap")
    }
}

/// What an instantiation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The contents of all memories.
    Started(Vec<Vec<u8>>),
    /// The trap, and the hash of the first memory.
    Failed(String, i64),
}

impl Outcome {
    /// Describes what an instantiation did.
    pub(crate) fn of(
        world: &mut World,
        instance: Result<Instance, Error>,
        n_memories: usize,
    ) -> Self {
        match instance {
            Ok(instance) => {
                let contents = |nth: usize| {
                    let memory = instance.get_memory(&mut world.store, &nth.to_string());
                    memory.expect("exported").data(&world.store).to_vec()
                };
                Self::Started((0..n_memories).map(contents).collect())
            }
            Err(err) => {
                let trap = err.downcast_ref::<wasmtime::Trap>();
                let trap = trap.unwrap_or_else(|| panic!("{err:?}"));
                Self::Failed(trap.to_string(), world.hash())
            }
        }
    }
}
