//! Which module a memory is for.
//!
//! The engine does not tell its tunables. So each instantiation of a prepared module pushes a
//! frame onto a stack of its thread, and pops it afterwards; the tunables take the next memory of
//! the top frame. Instantiations within host functions push further frames.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::marker::PhantomData;

use wasm_meminit_apply::{MemoryImage, MemoryType};
use wasmer::Instance;

use crate::error::{InstantiateError, MemoryError};
use crate::list::MemoryList;
use crate::pool::Pool;

std::thread_local! {
    /// The instantiations that are in progress on this thread; the innermost is last.
    static STACK: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The state of one instantiation.
struct Frame {
    list: Arc<MemoryList>,
    n_requested: usize,
    /// Why a memory of the list was refused. The engine keeps only the message.
    failure: Option<MemoryError>,
}

/// A memory of the top frame.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) image: Option<Arc<MemoryImage>>,
}

/// A frame on the stack of this thread, which is popped when this is dropped.
struct Scope {
    /// The number of frames below this one.
    depth: usize,
    /// Stays on its thread.
    _thread: PhantomData<*const ()>,
}

impl Scope {
    fn enter(list: &Arc<MemoryList>) -> Self {
        let depth = STACK.with_borrow_mut(|stack| {
            stack.push(Frame {
                list: Arc::clone(list),
                n_requested: 0,
                failure: None,
            });
            stack.len() - 1
        });
        Self {
            depth,
            _thread: PhantomData,
        }
    }

    /// Pops the frame.
    fn leave(self) -> Frame {
        let mut popped = pop(self.depth);
        popped.truncate(1);
        popped.pop().expect("pushed by `enter`")
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Frames are dropped after the stack is no longer borrowed.
        drop(pop(self.depth));
    }
}

/// Removes all frames from `depth` on.
fn pop(depth: usize) -> Vec<Frame> {
    STACK.with_borrow_mut(|stack| stack.split_off(depth.min(stack.len())))
}

/// Calls `f`, in which the engine requests the memories of `list`.
pub(crate) fn run(
    list: &Arc<MemoryList>,
    f: impl FnOnce() -> Result<Instance, InstantiateError>,
) -> Result<Instance, InstantiateError> {
    let scope = Scope::enter(list);
    let result = f();
    let frame = scope.leave();
    let expected = list.memories.len();
    match result {
        Ok(_) if frame.n_requested != expected => Err(MemoryError::NotRequested {
            requested: frame.n_requested,
            expected,
        }
        .into()),
        Ok(instance) => Ok(instance),
        Err(err) => Err(frame.failure.map_or(err, Into::into)),
    }
}

/// Takes the next memory of the top frame, if that is of the same pool.
///
/// Returns `None` for a memory that belongs to no prepared module. An instance requests all of
/// its memories before any code runs, so what is requested afterwards belongs to something that
/// host functions instantiate, which are called by a start function.
pub(crate) fn claim(pool: &Arc<Pool>, ty: MemoryType) -> Result<Option<Claim>, MemoryError> {
    with_top(pool, |frame| {
        let index = frame.n_requested;
        let Some(memory) = frame.list.memories.get(index) else {
            return Ok(None);
        };
        if memory.ty() != ty {
            let err = MemoryError::OtherType {
                index,
                expected: memory.ty(),
                found: ty,
            };
            frame.failure = Some(err.clone());
            return Err(err);
        }
        frame.n_requested = index + 1;
        Ok(Some(Claim {
            image: memory.image().cloned(),
        }))
    })
    .unwrap_or(Ok(None))
}

/// Records why the memory that was claimed last was refused.
pub(crate) fn fail(pool: &Arc<Pool>, failure: MemoryError) {
    with_top(pool, |frame| frame.failure = Some(failure));
}

fn with_top<R>(pool: &Arc<Pool>, f: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    // A thread that ends has no frames.
    let result = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let top = stack.last_mut()?;
        Arc::ptr_eq(&top.list.pool, pool).then(|| f(top))
    });
    result.ok().flatten()
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroUsize;

    use wasmer::sys::{EngineBuilder, Singlepass};
    use wasmer::{Imports, Memory, Module, Store};

    use super::*;
    use crate::prepare::Parts;
    use crate::{Engine, Memories, MemoriesConfig, Options};

    fn engine(max_memories: usize) -> Engine {
        let max_memories = NonZeroUsize::new(max_memories).expect("not 0");
        let memories = Memories::new(MemoriesConfig::new(max_memories));
        let engine = memories.engine(EngineBuilder::new(Singlepass::default()).engine());
        engine.expect("guards")
    }

    /// A list of one memory of 1 to 2 pages.
    fn list(engine: &Engine) -> Arc<MemoryList> {
        let wasm = wat::parse_str(r#"(module (memory 1 2) (data (i32.const 3) "x"))"#);
        let parts = Parts::build(&wasm.expect("valid"), &Options::new()).expect("valid");
        let pool = Arc::clone(&engine.memories().pool);
        Arc::new(MemoryList::new(pool, parts.memories))
    }

    /// Instantiates a module with these memories instead of that of the list, and returns the byte
    /// at address 3 of each.
    fn request(engine: &Engine, memories: &[&str]) -> Result<Vec<u8>, InstantiateError> {
        let named = memories.iter().enumerate();
        let named = named.map(|(nth, ty)| format!(r#"(memory (export "{nth}") {ty})"#));
        let wat = format!("(module {})", named.collect::<String>());
        let wasm = wat::parse_str(wat).expect("valid");
        let module = Module::new(engine, wasm).expect("valid");
        let mut store = Store::new(engine);
        let instance = run(&list(engine), || {
            Ok(Instance::new(&mut store, &module, &Imports::new())?)
        })?;
        let read = |nth: usize| {
            let memory = instance.exports.get_memory(&nth.to_string());
            let memory = memory.expect("exported");
            memory.view(&store).read_u8(3).expect("in bounds")
        };
        Ok((0..memories.len()).map(read).collect())
    }

    #[test]
    fn a_request_of_another_type_is_refused() {
        let engine = engine(2);
        for other in ["1", "1 3", "2 2", "0 2", "1 2 shared"] {
            let err = request(&engine, &[other]).expect_err("another type");
            let InstantiateError::Memory(MemoryError::OtherType {
                index, expected, ..
            }) = err
            else {
                panic!("{err}");
            };
            assert_eq!((index, expected.min, expected.max), (0, 1, Some(2)));
        }
        // No slot was taken, and the image is where it belongs.
        assert_eq!(engine.memories().stats().n_slots, 0);
        assert_eq!(request(&engine, &["1 2"]).expect("listed"), [b'x']);
    }

    #[test]
    fn requests_after_the_last_are_zeroed() {
        let engine = engine(2);
        for _ in 0..2 {
            let found = request(&engine, &["1 2", "1 2"]);
            assert_eq!(found.expect("room"), [b'x', 0]);
        }
    }

    #[test]
    fn a_memory_that_is_not_requested_is_reported() {
        let err = request(&engine(1), &[]).expect_err("none");
        let expected = MemoryError::NotRequested {
            requested: 0,
            expected: 1,
        };
        assert!(matches!(err, InstantiateError::Memory(err) if err == expected));
    }

    /// `Memory::new` never gets a memory of a module.
    #[test]
    fn a_request_of_the_host_is_not_an_instances() {
        let engine = engine(1);
        let list = list(&engine);
        let scope = Scope::enter(&list);
        let mut store = Store::new(&engine);
        let ty = wasmer::MemoryType::new(1, Some(2), false);
        let memory = Memory::new(&mut store, ty).expect("room");
        assert!(matches!(memory.view(&store).read_u8(3), Ok(0)));
        let claimed = claim(&list.pool, list.memories[0].ty());
        assert!(matches!(claimed, Ok(Some(Claim { image: Some(_) }))));
        assert_eq!(scope.leave().n_requested, 1);
    }
}
