//! The error of a call, and the last one of each thread.

use alloc::borrow::Cow;
use core::any::Any;
use core::cell::RefCell;
use core::ffi::c_char;
use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use wasm_meminit::apply::{
    AcquireError, ImageError, InstantiateError, OsError, PrepareError, SlotError,
};
use wasm_meminit::image_builder::DecodeError;

use crate::types::{ErrorInfo, Status};

/// No segment, or no memory.
const NONE: u32 = u32::MAX;

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    status: Status,
    os_error: i32,
    segment: u32,
    memory: u32,
    message: Cow<'static, str>,
}

impl Error {
    pub(crate) fn new(status: Status, message: impl fmt::Display) -> Self {
        Self {
            status,
            os_error: 0,
            segment: NONE,
            memory: NONE,
            message: message.to_string().into(),
        }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    /// Adds what is known about the cause.
    fn of_os(self, err: OsError) -> Self {
        Self {
            os_error: err.code(),
            ..self
        }
    }

    fn of_memory(self, memory: u32) -> Self {
        Self { memory, ..self }
    }

    /// Takes the numbers of an error, and the message of the one that contains it.
    fn with_message(self, message: &dyn fmt::Display) -> Self {
        Self {
            message: message.to_string().into(),
            ..self
        }
    }
}

impl From<SlotError> for Error {
    fn from(err: SlotError) -> Self {
        let status = match err {
            SlotError::InUse | SlotError::NotInUse => Status::WrongState,
            SlotError::Poisoned => Status::Poisoned,
            SlotError::TooLarge { .. } | SlotError::MemoryTooSmall(_) => Status::DoesNotFit,
            SlotError::Shrinks { .. } => Status::InvalidArgument,
            SlotError::Unsupported => Status::Unsupported,
            SlotError::Os(os) => return Self::new(Status::System, err).of_os(os),
            _ => Status::Internal,
        };
        Self::new(status, err)
    }
}

impl From<AcquireError> for Error {
    fn from(err: AcquireError) -> Self {
        match err {
            AcquireError::Exhausted { .. } => Self::new(Status::Exhausted, err),
            AcquireError::TimedOut { .. } => Self::new(Status::TimedOut, err),
            AcquireError::Slot(err) => err.into(),
            _ => Self::new(Status::Internal, err),
        }
    }
}

impl From<ImageError> for Error {
    fn from(err: ImageError) -> Self {
        match err {
            ImageError::Os(os) => Self::new(Status::System, err).of_os(os),
            ImageError::TooLarge { .. } => Self::new(Status::DoesNotFit, err),
            _ => Self::new(Status::Unsupported, err),
        }
    }
}

impl From<DecodeError> for Error {
    fn from(err: DecodeError) -> Self {
        Self::new(Status::Malformed, err)
    }
}

impl From<PrepareError> for Error {
    fn from(err: PrepareError) -> Self {
        let status = match &err {
            PrepareError::Assumption { .. } => Status::HostMismatch,
            PrepareError::Image { memory, error } => {
                let cause = Self::from(*error).of_memory(memory.as_u32());
                return cause.with_message(&err);
            }
            PrepareError::OutOfMemory => Status::System,
            _ => Status::Malformed,
        };
        Self::new(status, err)
    }
}

impl From<InstantiateError> for Error {
    fn from(err: InstantiateError) -> Self {
        let plain = |status| Self::new(status, err);
        match err {
            InstantiateError::MemoryCount { .. } => plain(Status::InvalidArgument),
            InstantiateError::TooSmall { memory, .. } => {
                plain(Status::DoesNotFit).of_memory(memory.as_u32())
            }
            InstantiateError::WrongImage { memory } => {
                plain(Status::InvalidArgument).of_memory(memory.as_u32())
            }
            InstantiateError::Global { .. } => plain(Status::InvalidArgument),
            InstantiateError::AssumedGlobal { .. } => plain(Status::HostMismatch),
            InstantiateError::Slot { memory, error } => {
                let cause = Self::from(error).of_memory(memory.as_u32());
                cause.with_message(&err)
            }
            InstantiateError::Acquire { memory, error } => {
                let cause = Self::from(error).of_memory(memory.as_u32());
                cause.with_message(&err)
            }
            InstantiateError::Segment(failed) => Self {
                segment: failed.segment.map_or(NONE, |segment| segment.as_u32()),
                memory: failed.memory_index.as_u32(),
                ..plain(match failed.is_trap() {
                    true => Status::Trap,
                    false => Status::Internal,
                })
            },
            _ => plain(Status::Internal),
        }
    }
}

impl From<wasm_meminit::Error> for Error {
    fn from(err: wasm_meminit::Error) -> Self {
        match err {
            wasm_meminit::Error::Decode(err) => err.into(),
            wasm_meminit::Error::Prepare(err) => err.into(),
            _ => Self::new(Status::DoesNotFit, err),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(err: std::io::Error) -> Self {
        Self {
            os_error: err.raw_os_error().unwrap_or(0),
            ..Self::new(Status::System, err)
        }
    }
}

/// Room for a message with its final NUL, in bytes. A longer message is cut.
const MESSAGE: usize = 1024;

/// The last error of a thread. It has no destructor, and its bytes never move: a pointer to the
/// message stays valid as long as the thread runs.
struct Last {
    status: Status,
    os_error: i32,
    segment: u32,
    memory: u32,
    message: [u8; MESSAGE],
}

std::thread_local! {
    static LAST: RefCell<Last> = const {
        RefCell::new(Last {
            status: Status::Ok,
            os_error: 0,
            segment: NONE,
            memory: NONE,
            message: [0; MESSAGE],
        })
    };
}

/// Runs the body of an exported function. Nothing that it does unwinds into the caller, and its
/// error becomes the last one of this thread.
pub(crate) fn call<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Status> {
    // A panic leaves no object half changed: a lock that was held refuses all later calls.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(internal(&panic)));
    result.map_err(|err| {
        LAST.with_borrow_mut(|last| last.set(&err));
        err.status
    })
}

fn internal(panic: &Box<dyn Any + Send>) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a message");
    Error::new(Status::Internal, format_args!("internal error: {text}"))
}

impl Last {
    fn set(&mut self, err: &Error) {
        self.status = err.status;
        self.os_error = err.os_error;
        self.segment = err.segment;
        self.memory = err.memory;
        let mut end = err.message.len().min(MESSAGE - 1);
        while !err.message.is_char_boundary(end) {
            end -= 1;
        }
        self.message.fill(0);
        let text = &err.message.as_bytes()[..end];
        for (to, byte) in self.message.iter_mut().zip(text) {
            // The name of an import may contain a NUL, which would end the message.
            *to = if *byte == 0 { b'?' } else { *byte };
        }
    }
}

/// Returns the last error of this thread; a success, with an empty message, if there was none.
pub(crate) fn last() -> ErrorInfo {
    LAST.with_borrow(|last| ErrorInfo {
        struct_size: size_of::<ErrorInfo>(),
        status: last.status as i32,
        os_error: last.os_error,
        segment: last.segment,
        memory: last.memory,
        message: last.message.as_ptr().cast::<c_char>(),
    })
}

#[cfg(test)]
mod tests {
    use wasm_meminit::analysis::{DataIndex, InitError, InitErrorKind, MemoryIndex};
    use wasm_meminit::apply::MemoryTooSmall;

    use super::*;

    fn message() -> String {
        LAST.with_borrow(|last| {
            let end = last.message.iter().position(|byte| *byte == 0);
            String::from_utf8(last.message[..end.expect("ends")].to_vec()).expect("UTF-8")
        })
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let result: Result<(), _> = call(|| panic!("on {}", "purpose"));
        assert_eq!(result, Err(Status::Internal));
        assert_eq!(message(), "internal error: on purpose");
        let result: Result<(), _> = call(|| std::panic::panic_any(5));
        assert_eq!(result, Err(Status::Internal));
        assert_eq!(message(), "internal error: a panic without a message");
    }

    #[test]
    fn a_message_is_cut_between_characters_and_has_no_nul() {
        let long = "é".repeat(MESSAGE);
        let result: Result<(), _> = call(|| Err(Error::invalid(format_args!("x{long}"))));
        assert_eq!(result, Err(Status::InvalidArgument));
        assert_eq!(message(), format!("x{}", "é".repeat((MESSAGE - 2) / 2)));
        let result: Result<(), _> = call(|| Err(Error::invalid("a\0b")));
        assert_eq!(result, Err(Status::InvalidArgument));
        assert_eq!(message(), "a?b");
    }

    /// What a caller switches on, and which memory or segment it is about.
    #[test]
    fn causes_have_their_statuses() {
        let small = MemoryTooSmall {
            image_end: 17,
            memory_bytes: 16,
        };
        let memory = MemoryIndex::from_u32(2);
        let exhausted = AcquireError::Exhausted { max_slots: 1 };
        let segment = |kind| InitError {
            kind,
            memory_index: memory,
            segment: Some(DataIndex::from_u32(3)),
        };
        let too_far = InitErrorKind::OutOfBounds {
            addr: 9,
            len: 9,
            size: 9,
        };
        let cases: [(Error, Status, u32, u32); 16] = [
            (SlotError::InUse.into(), Status::WrongState, NONE, NONE),
            (SlotError::NotInUse.into(), Status::WrongState, NONE, NONE),
            (SlotError::Poisoned.into(), Status::Poisoned, NONE, NONE),
            (
                SlotError::MemoryTooSmall(small).into(),
                Status::DoesNotFit,
                NONE,
                NONE,
            ),
            (
                SlotError::Shrinks {
                    bytes: 1,
                    current: 2,
                }
                .into(),
                Status::InvalidArgument,
                NONE,
                NONE,
            ),
            (
                SlotError::Unsupported.into(),
                Status::Unsupported,
                NONE,
                NONE,
            ),
            (exhausted.into(), Status::Exhausted, NONE, NONE),
            (
                AcquireError::TimedOut { max_slots: 1 }.into(),
                Status::TimedOut,
                NONE,
                NONE,
            ),
            (
                AcquireError::Slot(SlotError::Poisoned).into(),
                Status::Poisoned,
                NONE,
                NONE,
            ),
            (
                ImageError::TooLarge { image_end: 9 }.into(),
                Status::DoesNotFit,
                NONE,
                NONE,
            ),
            (
                ImageError::NoSuchMemory.into(),
                Status::Unsupported,
                NONE,
                NONE,
            ),
            (PrepareError::OutOfMemory.into(), Status::System, NONE, NONE),
            (
                InstantiateError::WrongImage { memory }.into(),
                Status::InvalidArgument,
                NONE,
                2,
            ),
            (
                InstantiateError::Acquire {
                    memory,
                    error: exhausted,
                }
                .into(),
                Status::Exhausted,
                NONE,
                2,
            ),
            (
                InstantiateError::Segment(segment(too_far)).into(),
                Status::Trap,
                3,
                2,
            ),
            (
                InstantiateError::Segment(segment(InitErrorKind::UnknownOffset)).into(),
                Status::Internal,
                3,
                2,
            ),
        ];
        for (error, status, segment, memory) in cases {
            let found = (error.status, error.segment, error.memory);
            assert_eq!(found, (status, segment, memory), "{}", error.message);
        }
    }

    #[test]
    fn a_success_keeps_the_last_error() {
        let _: Result<(), _> = call(|| Err(Error::invalid("kept")));
        assert_eq!(call(|| Ok(3)), Ok(3));
        assert_eq!(message(), "kept");
    }
}
