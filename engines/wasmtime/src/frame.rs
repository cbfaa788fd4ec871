//! Which module a memory is for.
//!
//! The engine does not tell its memory creator. So each instantiation of a prepared module pushes
//! a frame onto a stack of its thread, and pops it afterwards; the creator takes the next memory
//! of the top frame. Instantiations within host functions push further frames. An asynchronous
//! instantiation pushes its frame for each poll: between polls, its thread does other work, and
//! the next poll may be on another thread.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::marker::PhantomData;
use std::sync::Mutex;

use wasm_meminit_apply::{MemoryImage, MemoryType, PooledSlot};
use wasmtime::Trap;

use crate::error::MemoryError;
use crate::list::{AfterLast, MemoryList};
use crate::pool::Pool;

std::thread_local! {
    /// The instantiations that are in progress on this thread; the innermost is last.
    static STACK: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The state of one instantiation.
#[derive(Debug)]
pub(crate) struct Frame {
    list: Arc<MemoryList>,
    n_requested: usize,
    /// The memories to zero if an element segment traps.
    zeroable: Vec<Arc<Mutex<PooledSlot>>>,
    /// Why a memory of the list was refused. The engine keeps only the message.
    failure: Option<MemoryError>,
}

/// A started memory of the top frame.
pub(crate) struct Claimed {
    pub(crate) slot: PooledSlot,
    pub(crate) is_zeroable: bool,
}

/// A frame on the stack of this thread, which is popped when this is dropped.
pub(crate) struct Scope {
    /// The number of frames below this one.
    depth: usize,
    /// Stays on its thread.
    _thread: PhantomData<*const ()>,
}

impl Frame {
    pub(crate) const fn new(list: Arc<MemoryList>) -> Self {
        Self {
            list,
            n_requested: 0,
            zeroable: Vec::new(),
            failure: None,
        }
    }

    // Not inlined, nor are the other users of `STACK`: code that is inlined into a function that
    // continues on another thread could use the stack of the thread that it began on.
    #[inline(never)]
    pub(crate) fn enter(self) -> Scope {
        let depth = STACK.with_borrow_mut(|stack| {
            stack.push(self);
            stack.len() - 1
        });
        Scope {
            depth,
            _thread: PhantomData,
        }
    }

    /// Turns the engine's result into ours.
    ///
    /// If an element segment trapped, no data segment was applied, so the memories become zero.
    pub(crate) fn finish<R>(self, result: wasmtime::Result<R>) -> wasmtime::Result<R> {
        let expected = self.list.memories.len();
        match result {
            Ok(_) if self.n_requested != expected => {
                Err(wasmtime::Error::new(MemoryError::NotRequested {
                    requested: self.n_requested,
                    expected,
                }))
            }
            Ok(instance) => Ok(instance),
            Err(err) => {
                // No start function runs, so this trap is a data segment's, which come last.
                if err.downcast_ref() != Some(&Trap::MemoryOutOfBounds) {
                    for slot in &self.zeroable {
                        // The failed instance stays in its store and keeps the address: this
                        // removes no access, and a slot in use cannot fail.
                        let _ = lock(slot).zero();
                    }
                }
                Err(self.failure.map_or(err, wasmtime::Error::new))
            }
        }
    }
}

impl Scope {
    /// Pops the frame.
    #[inline(never)]
    pub(crate) fn leave(self) -> Frame {
        pop(self.depth).expect("pushed by `enter`")
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        drop(pop(self.depth));
    }
}

/// Removes all frames from `depth` on, and returns the first of them.
#[inline(never)]
fn pop(depth: usize) -> Option<Frame> {
    // A thread that ends has no frames.
    let (frame, above) = STACK
        .try_with(|stack| {
            let mut stack = stack.borrow_mut();
            let above = (depth + 1 < stack.len()).then(|| stack.split_off(depth + 1));
            let frame = (depth < stack.len()).then(|| stack.pop()).flatten();
            (frame, above)
        })
        .ok()?;
    // Only now is the stack no longer borrowed.
    drop(above);
    frame
}

/// Starts the next memory of the top frame, if that is of the same pool.
///
/// Returns `None` for a memory that belongs to no prepared module.
#[inline(never)]
pub(crate) fn claim(
    pool: &Arc<Pool>,
    ty: MemoryType,
    start: impl FnOnce(Option<&Arc<MemoryImage>>) -> Result<PooledSlot, MemoryError>,
) -> Result<Option<Claimed>, MemoryError> {
    with_top(pool, |frame| {
        let index = frame.n_requested;
        let Some(memory) = frame.list.memories.get(index) else {
            return match frame.list.after_last {
                AfterLast::Zeroed => Ok(None),
                AfterLast::Refused => Err(MemoryError::Unexpected { found: ty }),
            };
        };
        if memory.ty() != ty {
            return Err(MemoryError::OtherType {
                index,
                expected: memory.ty(),
                found: ty,
            });
        }
        frame.n_requested = index + 1;
        Ok(Some(Claimed {
            slot: start(memory.image())?,
            is_zeroable: frame.list.zeroes_on_trap,
        }))
    })
    .unwrap_or(Ok(None))
}

/// Records why the memory that was claimed last was refused.
#[inline(never)]
pub(crate) fn fail(pool: &Arc<Pool>, failure: MemoryError) {
    with_top(pool, |frame| frame.failure = Some(failure));
}

/// Records a memory that must be zeroed if an element segment traps.
#[inline(never)]
pub(crate) fn record(pool: &Arc<Pool>, slot: &Arc<Mutex<PooledSlot>>) {
    with_top(pool, |frame| frame.zeroable.push(Arc::clone(slot)));
}

fn with_top<R>(pool: &Arc<Pool>, f: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    STACK.with_borrow_mut(|stack| {
        let top = stack.last_mut()?;
        Arc::ptr_eq(&top.list.pool, pool).then(|| f(top))
    })
}

pub(crate) fn lock(slot: &Mutex<PooledSlot>) -> std::sync::MutexGuard<'_, PooledSlot> {
    // A slot stays valid, whatever its user did.
    slot.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Calls `f`, in which the engine requests the memories of `list`.
pub(crate) fn run<R>(
    list: &Arc<MemoryList>,
    f: impl FnOnce() -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    let scope = Frame::new(Arc::clone(list)).enter();
    let result = f();
    scope.leave().finish(result)
}

/// Does the same as [`run`] for a future, which may continue on other threads.
#[cfg(feature = "async")]
pub(crate) async fn run_async<R>(
    list: &Arc<MemoryList>,
    future: impl Future<Output = wasmtime::Result<R>>,
) -> wasmtime::Result<R> {
    let mut future = core::pin::pin!(future);
    let mut frame = Some(Frame::new(Arc::clone(list)));
    let result = core::future::poll_fn(|cx| {
        let scope = frame.take().expect("put back below").enter();
        let polled = future.as_mut().poll(cx);
        frame = Some(scope.leave());
        polled
    })
    .await;
    frame.expect("put back above").finish(result)
}
