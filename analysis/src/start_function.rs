//! What a start function writes, where that is known without running it.
//!
//! `wasm-ld` gives threaded modules passive segments only, and a start function
//! (`__wasm_init_memory`) that every thread runs on the one shared memory. A flag in that
//! memory decides: 0, and this thread claims it (1), writes all segments, sets it to 2
//! and wakes the others; 1, and the thread waits; 2, and all is done.
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md>

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::tagged::tagged;
use crate::{DataIndex, FuncIndex, GlobalIndex, MemoryIndex};

/// What becomes of the segments that a start function of wasm-ld writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartFunction {
    /// The program writes them when it runs; nothing is baked.
    #[default]
    Runs,
    /// They are baked, and the flag stands at 2: to the untouched start function the
    /// first instance is a later thread.
    ///
    /// Refused where the function also gives the first thread its thread-local storage,
    /// which later threads get from elsewhere: see [`Self::FindsDoneAsThread`].
    FindsDone,
    /// The same, with a promise: the host gives the first instance thread-local storage as
    /// it does every later thread, say by calling its `__wasm_init_tls` with
    /// [`ThreadLocal::address`]. Where the promise does not hold, the program is wrong.
    FindsDoneAsThread,
    /// They are baked, and the flag stands at 0. The start function does all that it did;
    /// `strip` of the image builder makes its writes empty, since the bytes are there.
    /// Needs no promise, and an untouched module is right too, only slower.
    ///
    /// Refused where anything but the instantiation reaches the function: a program that
    /// clears the flag and runs it again would find the writes gone. The bytes of the
    /// module are needed for that check. What it leaves to the program is to clear the flag
    /// and then to start another thread, which no threaded program does.
    Emptied,
}

impl fmt::Display for StartFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runs => "it is left to the program",
            Self::FindsDone => "it finds the memory already initialised",
            Self::FindsDoneAsThread => {
                "it finds the memory already initialised, and the host provides thread-local storage"
            }
            Self::Emptied => "it runs with nothing left to write",
        })
    }
}

/// What a start function of wasm-ld does to a memory that is zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartInit {
    pub(crate) memory: MemoryIndex,
    pub(crate) flag: u64,
    pub(crate) writes: Vec<(DataIndex, u64)>,
    pub(crate) zeroed: Vec<Range<u64>>,
    pub(crate) thread_local: Option<ThreadLocal>,
    pub(crate) function: FuncIndex,
    pub(crate) lengths: Vec<Range<usize>>,
    /// All functions that were looked at: it holds while their bodies are these.
    pub(crate) bodies: Vec<FuncIndex>,
    /// What its addresses depend on, repeats included.
    pub(crate) globals: Vec<GlobalIndex>,
}

/// The thread-local storage of the first thread: a part of the baked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadLocal {
    /// The mutable global that the start function sets: `__tls_base`.
    pub global: GlobalIndex,
    /// To what: the address in bytes.
    pub address: u64,
}

impl StartInit {
    /// The memory it writes to.
    pub const fn memory(&self) -> MemoryIndex {
        self.memory
    }

    /// The address of the flag: 4 bytes, aligned, that are 0 before and 2 afterwards.
    pub const fn flag(&self) -> u64 {
        self.flag
    }

    /// The passive segments that are written as a whole, and their addresses in bytes,
    /// in the order of the writes.
    pub fn writes(&self) -> &[(DataIndex, u64)] {
        &self.writes
    }

    /// Addresses that are filled with zeros, where zeros are.
    pub fn zeroed(&self) -> &[Range<u64>] {
        &self.zeroed
    }

    /// Set for the first thread alone, where the program has thread-local storage.
    pub const fn thread_local(&self) -> Option<ThreadLocal> {
        self.thread_local
    }

    /// The function that does it: the start function, or one that it calls.
    pub const fn function(&self) -> FuncIndex {
        self.function
    }

    /// Where in that function's body the length of each write stands, as the operand of
    /// an `i32.const` or `i64.const`: positions in bytes from the body's first byte, which
    /// is its number of locals.
    pub fn lengths(&self) -> &[Range<usize>] {
        &self.lengths
    }
}

tagged! {
    "StartReason"
    /// Why nothing that the start function writes is baked.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum StartReason {
        /// The policy does not ask for it.
        NotAsked,
        /// There are no passive segments, or no start function.
        Nothing,
        /// The start function is imported, or its body was not handed over.
        NoBody,
        /// The body does not do what wasm-ld's does.
        Shape {
            /// The first byte that differs, from the start of the function's body.
            offset: u64,
        },
        /// An address depends on a global without a certain value.
        DynamicOffset {
            /// The global.
            global: GlobalIndex,
        },
        /// A write ends past the size that the memory is known to have: it traps unless the
        /// memory is larger.
        OutOfBounds {
            /// The address of its first byte.
            offset: u64,
            /// What the host said of the size, otherwise the declared minimum; in bytes.
            min_bytes: u64,
        },
        /// Two of the writes, or one and the flag, or one and an active segment, meet at an
        /// address where the order would matter.
        Overlap {
            /// The address.
            offset: u64,
        },
        /// The memory is imported, so what it holds before is not known.
        ImportedMemory,
        /// It also sets a global for the first thread alone, which that would lack.
        ThreadLocal {
            /// The global.
            global: GlobalIndex,
        },
        /// An active segment is replayed: it may trap, and then the start function does not
        /// run; or it is written over what is baked.
        Replayed {
            /// The segment.
            segment: DataIndex,
        },
        /// Something other than the instantiation reaches the function, which could then run
        /// again and find its writes emptied ([`StartFunction::Emptied`]).
        Reachable {
            /// The function that writes, or the start function that calls it.
            function: FuncIndex,
            /// What reaches it.
            by: ReachedBy,
        },
        /// The policy gives no image to that memory: too many bytes, or the reference's rule.
        Policy,
    }
}

/// What reaches a start function, beside the instantiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReachedBy {
    /// It is exported.
    Export,
    /// A function calls it.
    Call,
    /// A function takes a reference to it.
    Reference,
    /// An element segment or a table holds a reference to it.
    Element,
    /// A global holds a reference to it.
    Global,
    /// Not known: the module was not read from bytes, or they cannot be read.
    Unknown,
}

impl fmt::Display for ReachedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Export => "it is exported",
            Self::Call => "another function calls it",
            Self::Reference => "a function takes a reference to it",
            Self::Element => "a table or an element segment holds it",
            Self::Global => "a global holds it",
            Self::Unknown => "what reaches it is not known",
        })
    }
}

impl fmt::Display for StartReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAsked => f.write_str("the policy leaves it to the program"),
            Self::Nothing => f.write_str("no start function and passive segments"),
            Self::NoBody => f.write_str("the start function has no body here"),
            Self::Shape { offset } => {
                write!(f, "byte {offset:#x} of the start function is not wasm-ld's")
            }
            Self::DynamicOffset { global } => {
                write!(f, "an address depends on global {}", global.as_u32())
            }
            Self::OutOfBounds { offset, min_bytes } => write!(
                f,
                "at address {offset:#x} it ends past the memory's known size of {min_bytes:#x} bytes"
            ),
            Self::Overlap { offset } => write!(f, "two writes meet at address {offset:#x}"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::ThreadLocal { global } => write!(
                f,
                "it sets global {} for the first thread alone",
                global.as_u32()
            ),
            Self::Replayed { segment } => {
                write!(f, "active segment {} is replayed", segment.as_u32())
            }
            Self::Reachable { function, by } => write!(
                f,
                "function {} could run again with nothing left to write: {by}",
                function.as_u32()
            ),
            Self::Policy => f.write_str("the policy gives its memory no image"),
        }
    }
}
