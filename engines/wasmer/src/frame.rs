//! Which module a memory is for.
//!
//! The engine does not tell its tunables. So each instantiation of a prepared module pushes a
//! frame onto a stack of its thread, and pops it afterwards; the tunables take the next memory of
//! the top frame. Instantiations within host functions push further frames.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::marker::PhantomData;

use wasm_meminit_apply::{MemoryImage, MemoryType, PreparedMemory};

use crate::error::{InstantiateError, MemoryError};
use crate::pool::Pool;

std::thread_local! {
    /// The instantiations that are in progress on this thread; the innermost is last.
    static STACK: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The memories that one call will request, in order.
#[derive(Debug)]
pub(crate) struct MemoryList {
    pool: Arc<Pool>,
    requester: Requester,
    memories: Box<[PreparedMemory]>,
}

/// Who requests a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    /// An instance, for a memory that its module defines.
    Module,
    /// `Memory::new`.
    Host,
}

/// The state of one call.
struct Frame {
    list: Arc<MemoryList>,
    n_requested: usize,
    /// Why a memory of the list was refused. The engine keeps only the message.
    failure: Option<MemoryError>,
}

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The next memory of the top frame, with its image if it has one.
    Listed(Option<Arc<MemoryImage>>),
    /// A zeroed memory: the request belongs to no prepared module.
    Unlisted,
}

impl MemoryList {
    pub(crate) fn new(
        pool: &Arc<Pool>,
        requester: Requester,
        memories: &[PreparedMemory],
    ) -> Arc<Self> {
        Arc::new(Self {
            pool: Arc::clone(pool),
            requester,
            memories: memories.into(),
        })
    }
}

/// Slots no longer hold images that nothing will start from again.
impl Drop for MemoryList {
    fn drop(&mut self) {
        for image in self.memories.iter().filter_map(PreparedMemory::image) {
            self.pool.slots.evict(image);
        }
    }
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

/// Calls `f`, in which the engine requests the memories of `list`, and turns its result into ours.
pub(crate) fn run<R, E: Into<InstantiateError>>(
    list: &Arc<MemoryList>,
    f: impl FnOnce() -> Result<R, E>,
) -> Result<R, InstantiateError> {
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
        Ok(done) => Ok(done),
        Err(err) => Err(frame.failure.map_or_else(|| err.into(), Into::into)),
    }
}

/// Takes the next memory of the top frame, if that is of the same pool and the same requester.
///
/// Instances request all of their memories before anything else can request one. So what is
/// requested afterwards belongs to code that a start function calls.
pub(crate) fn claim(
    pool: &Arc<Pool>,
    requester: Requester,
    ty: MemoryType,
) -> Result<Claim, MemoryError> {
    let claimed = with_top(pool, |frame| {
        let index = frame.n_requested;
        let memory = frame.list.memories.get(index);
        let Some(memory) = memory.filter(|_| frame.list.requester == requester) else {
            return Ok(Claim::Unlisted);
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
        Ok(Claim::Listed(memory.image().cloned()))
    });
    claimed.unwrap_or(Ok(Claim::Unlisted))
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

    use wasmer::MemoryType;
    use wasmer::sys::{EngineBuilder, Singlepass};

    use super::*;
    use crate::prepare::Parts;
    use crate::{Engine, Memories, MemoriesConfig, MemoryImports, Options};

    fn engine(max_memories: usize) -> Engine {
        let max_memories = NonZeroUsize::new(max_memories).expect("not 0");
        let memories = Memories::new(MemoriesConfig::new(max_memories));
        memories.engine(EngineBuilder::new(Singlepass::default()).engine())
    }

    /// A list of one memory of 1 to 2 pages, as if the host requested it.
    fn list(engine: &Engine) -> Arc<MemoryList> {
        let wasm =
            wat::parse_str(r#"(module (import "" "" (memory 1 2)) (data (i32.const 3) "x"))"#);
        let options = Options::new().with_memory_imports(MemoryImports::Provide);
        let parts = Parts::build(&wasm.expect("valid"), &options).expect("valid");
        MemoryList::new(&engine.memories().pool, Requester::Host, &parts.memories)
    }

    /// Requests memories of the host, and returns the byte at address 3 of each.
    fn request(engine: &Engine, types: &[(u32, Option<u32>)]) -> Result<Vec<u8>, InstantiateError> {
        let mut store = wasmer::Store::new(engine);
        run(&list(engine), || {
            let memories = types.iter().map(|(min, max)| {
                let memory = wasmer::Memory::new(&mut store, MemoryType::new(*min, *max, false))?;
                Ok(memory.view(&store).read_u8(3).unwrap_or(0))
            });
            memories.collect::<Result<Vec<u8>, wasmer::MemoryError>>()
        })
    }

    #[test]
    fn a_request_of_another_type_is_refused() {
        let engine = engine(2);
        for (min, max) in [(1, None), (1, Some(3)), (2, Some(2)), (0, Some(2))] {
            let err = request(&engine, &[(min, max)]).expect_err("another type");
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
        assert_eq!(request(&engine, &[(1, Some(2))]).expect("listed"), [b'x']);
    }

    #[test]
    fn requests_after_the_last_are_zeroed() {
        let engine = engine(2);
        for _ in 0..2 {
            let found = request(&engine, &[(1, Some(2)), (1, Some(2))]);
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

    /// The requester of the list did not request it.
    #[test]
    fn a_request_of_an_instance_is_not_the_hosts() {
        let engine = engine(2);
        let pool = &engine.memories().pool;
        let ty = list(&engine).memories[0].ty();
        let scope = Scope::enter(&list(&engine));
        let claimed = claim(pool, Requester::Module, ty);
        assert!(matches!(claimed, Ok(Claim::Unlisted)));
        let claimed = claim(pool, Requester::Host, ty);
        assert!(matches!(claimed, Ok(Claim::Listed(Some(_)))));
        assert_eq!(scope.leave().n_requested, 1);
    }
}
