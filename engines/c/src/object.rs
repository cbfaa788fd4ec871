//! What an opaque pointer refers to.
//!
//! All opaque types of the header are this one type, so that a pointer to the wrong kind of
//! object is an error and not undefined behaviour.

use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard, TryLockError};

use wasm_meminit::PreparedModule;
use wasm_meminit::apply::{Host, MemoryImage, SlotPool};

use crate::error::Error;
use crate::slot::SlotCell;
use crate::types::{self, Status};

/// One object of the library.
#[derive(Debug)]
pub(crate) enum Object {
    Bytes(Vec<u8>),
    Host(Mutex<Host>),
    Module(PreparedModule),
    Image(Arc<MemoryImage>),
    Slot(SlotCell),
    Pool(SlotPool),
}

impl Object {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Host(_) => "a host",
            Self::Module(_) => "a module",
            Self::Image(_) => "an image",
            Self::Slot(_) => "a slot",
            Self::Pool(_) => "a pool",
        }
    }

    fn wrong_kind(&self, expected: &str) -> Error {
        let found = self.kind();
        Error::new(
            Status::WrongKind,
            format_args!("the pointer refers to {found}, expected {expected}"),
        )
    }
}

/// An opaque type of the header: transparent over [`Object`].
pub(crate) trait Opaque {
    /// The contents of an object of this kind.
    type Value: MayBeBusy;

    /// Creates an object.
    fn new(value: Self::Value) -> Self;

    /// Returns the contents, or an error if the object is of another kind.
    fn value(&self) -> Result<&Self::Value, Error>;
}

/// The contents of an object, which a call on another thread may be using.
pub(crate) trait MayBeBusy {
    /// Returns an error if a call is known to use the object: it cannot be freed then.
    fn expect_idle(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl MayBeBusy for Vec<u8> {}
impl MayBeBusy for PreparedModule {}
impl MayBeBusy for Arc<MemoryImage> {}
impl MayBeBusy for SlotPool {}

impl MayBeBusy for Mutex<Host> {
    fn expect_idle(&self) -> Result<(), Error> {
        expect_idle(self, "host")
    }
}

impl MayBeBusy for SlotCell {
    fn expect_idle(&self) -> Result<(), Error> {
        self.expect_free()
    }
}

macro_rules! opaque {
    ($($kind:ident($value:ty), $name:literal;)*) => {$(
        impl Opaque for types::$kind {
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
    Host(Mutex<Host>), "a host";
    Module(PreparedModule), "a module";
    Image(Arc<MemoryImage>), "an image";
    Slot(SlotCell), "a slot";
    Pool(SlotPool), "a pool";
}

/// Locks what one call at a time may use. A call never waits for another one: that would hide a
/// race in the caller.
pub(crate) fn lock<'a, T>(value: &'a Mutex<T>, name: &str) -> Result<MutexGuard<'a, T>, Error> {
    value.try_lock().map_err(|err| match err {
        TryLockError::WouldBlock => Error::new(
            Status::Busy,
            format_args!("another call is using the {name}"),
        ),
        TryLockError::Poisoned(_) => Error::new(
            Status::Poisoned,
            format_args!("an earlier call on the {name} failed in the middle"),
        ),
    })
}

/// Returns an error if another call holds the lock. One that failed in the middle does not.
pub(crate) fn expect_idle<T>(value: &Mutex<T>, name: &str) -> Result<(), Error> {
    match value.try_lock() {
        Err(TryLockError::WouldBlock) => lock(value, name).map(drop),
        _ => Ok(()),
    }
}
