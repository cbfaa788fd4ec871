//! What an opaque pointer refers to.
//!
//! All opaque types of the header are this one type, so that a pointer to the wrong kind of
//! object is an error and not undefined behaviour.

use alloc::sync::Arc;
use std::sync::RwLock;

use wasm_meminit::PreparedModule;
use wasm_meminit::apply::{Host, MemoryImage, SlotPool};

use crate::error::Error;
use crate::lock::expect_idle;
use crate::slot::SlotCell;
use crate::types::Status;

/// One object of the library.
#[allow(
    clippy::large_enum_variant,
    reason = "each is in an allocation of its own"
)]
#[derive(Debug)]
pub(crate) enum Object {
    Bytes(Vec<u8>),
    Host(RwLock<Host>),
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

    pub(crate) fn wrong_kind(&self, expected: &str) -> Error {
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

impl MayBeBusy for RwLock<Host> {
    fn expect_idle(&self) -> Result<(), Error> {
        expect_idle(self.try_write(), "host")
    }
}

impl MayBeBusy for SlotCell {
    fn expect_idle(&self) -> Result<(), Error> {
        self.expect_free()
    }
}
