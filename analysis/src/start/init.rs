//! What a start function writes, if that is known without running it.
//!
//! In threaded modules, `wasm-ld` emits only passive segments and a start function
//! (`__wasm_init_memory`) that every thread runs on the shared memory. It tests a flag in
//! that memory. If the flag is 0, the thread sets it to 1, writes all segments, sets it to
//! 2 and wakes the others. If it is 1, the thread waits. If it is 2, initialisation is done.
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md>

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::tagged::tagged;
use crate::{DataIndex, FuncIndex, GlobalIndex, MemoryIndex};

/// How the segments that wasm-ld's start function writes are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum StartFunction {
    /// The start function runs unchanged and writes them; nothing is baked.
    #[default]
    Unchanged,
    /// They are baked, and the flag is 2 in the image: the unmodified start function finds
    /// the memory already initialised, as it does in later threads.
    ///
    /// Not possible if the function also sets up the first thread's thread-local storage,
    /// which later threads get from elsewhere: see [`Self::AlreadyInitializedTls`].
    AlreadyInitialized,
    /// As [`Self::AlreadyInitialized`], but the host promises to set up thread-local storage
    /// for the first instance as it does for every later thread, for example by calling the
    /// module's `__wasm_init_tls` with [`ThreadLocal::addr`]. If the promise does not hold,
    /// the program misbehaves.
    AlreadyInitializedTls,
    /// They are baked, and the flag is 0 in the image. The start function runs in full, but
    /// the image builder's `strip` reduces its writes to zero bytes, because the image
    /// contains the data. Requires no promise; the unmodified module works too, only slower.
    ///
    /// Not possible if anything but instantiation reaches the function: a program that
    /// clears the flag and runs it again would miss the writes. This check requires the
    /// module's bytes. It does not cover a program that clears the flag and then starts
    /// another thread, which no threaded program does.
    WritesStripped,
}

impl fmt::Display for StartFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "it runs unchanged",
            Self::AlreadyInitialized => "it finds the memory already initialised",
            Self::AlreadyInitializedTls => {
                "it finds the memory already initialised, and the host provides thread-local storage"
            }
            Self::WritesStripped => "it runs with nothing left to write",
        })
    }
}

/// The effect of wasm-ld's start function on a zeroed memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StartInit {
    pub(crate) memory: MemoryIndex,
    pub(crate) flag: u64,
    pub(crate) writes: Vec<(DataIndex, u64)>,
    pub(crate) zeroed: Vec<Range<u64>>,
    pub(crate) zeroed_after: Vec<usize>,
    pub(crate) thread_local: Option<ThreadLocal>,
    pub(crate) function: FuncIndex,
    pub(crate) lengths: Vec<Range<usize>>,
    /// All functions that were read. The result is valid only for these bodies.
    pub(crate) bodies: Vec<FuncIndex>,
    /// The globals that its addresses depend on, including repeats.
    pub(crate) globals: Vec<GlobalIndex>,
}

/// The thread-local storage of the first thread, which is part of the baked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ThreadLocal {
    /// The mutable global that the start function sets: `__tls_base`.
    pub global: GlobalIndex,
    /// The address that it is set to.
    pub addr: u64,
}

impl StartInit {
    /// Returns the memory that the function writes to.
    pub const fn memory(&self) -> MemoryIndex {
        self.memory
    }

    /// Returns the address of the flag: 4 aligned bytes, 0 before the writes and 2 after them.
    pub const fn flag(&self) -> u64 {
        self.flag
    }

    /// Returns the passive segments that the function writes whole, with their addresses, in
    /// the order of the writes.
    pub fn writes(&self) -> &[(DataIndex, u64)] {
        &self.writes
    }

    /// Returns the address ranges that the function fills with zeros; they are zero already.
    pub fn zeroed(&self) -> &[Range<u64>] {
        &self.zeroed
    }

    /// Returns, for each of the ranges that are filled with zeros, how many of the writes precede
    /// it.
    pub fn zeroed_after(&self) -> &[usize] {
        &self.zeroed_after
    }

    /// Returns the first thread's thread-local storage, if the program has any.
    pub const fn thread_local(&self) -> Option<ThreadLocal> {
        self.thread_local
    }

    /// Returns the function that writes: the start function, or one that it calls.
    pub const fn function(&self) -> FuncIndex {
        self.function
    }

    /// Returns where in that function's body the length of each write is encoded, as the
    /// operand of an `i32.const` or `i64.const`. Byte offsets are relative to the start of
    /// the body, where the locals are declared.
    pub fn lengths(&self) -> &[Range<usize>] {
        &self.lengths
    }
}

tagged! {
    "StartReason"
    /// Why none of the start function's writes are baked.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum StartReason {
        /// The policy does not request it.
        NotAsked,
        /// There are no passive segments, or no start function.
        Nothing,
        /// The start function is imported, or its body was not supplied.
        NoBody,
        /// The body is not that of wasm-ld's start function.
        Shape {
            /// The offset of the first unexpected instruction in the function's body.
            offset: u64,
        },
        /// An address depends on a global whose value is not known.
        DynamicOffset {
            /// The global.
            global: GlobalIndex,
        },
        /// A write ends past the known size of the memory. It traps unless the memory is
        /// larger.
        OutOfBounds {
            /// The address of its first byte.
            addr: u64,
            /// The size supplied by the host, or else the declared minimum, in bytes.
            min_bytes: u64,
        },
        /// Two writes overlap, or one overlaps the flag or an active segment, so their order
        /// would matter.
        Overlap {
            /// The address.
            addr: u64,
        },
        /// The memory is imported, so its initial contents are not known.
        ImportedMemory,
        /// The function also sets a global in the first thread, which would be skipped.
        ThreadLocal {
            /// The global.
            global: GlobalIndex,
        },
        /// An active segment is replayed. It may trap, in which case the start function does
        /// not run, or it may overwrite baked bytes.
        Replayed {
            /// The segment.
            segment: DataIndex,
        },
        /// Something other than instantiation reaches the function, which could then run
        /// again after its writes are stripped ([`StartFunction::WritesStripped`]).
        Reachable {
            /// The function that writes, or the start function that calls it.
            function: FuncIndex,
            /// What reaches it.
            by: ReachedBy,
        },
        /// The policy creates no image of that memory: it is too large, or too sparse.
        Policy,
    }
}

/// What reaches a start function other than instantiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ReachedBy {
    /// It is exported.
    Export,
    /// A function calls it.
    Call,
    /// A function takes a reference to it.
    Reference,
    /// An element segment or a table contains a reference to it.
    Element,
    /// A global contains a reference to it.
    Global,
    /// Unknown, because the module was not read from bytes, or a part of it is unreadable.
    Unknown,
}

impl fmt::Display for ReachedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Export => "it is exported",
            Self::Call => "another function calls it",
            Self::Reference => "a function takes a reference to it",
            Self::Element => "a table or an element segment contains a reference to it",
            Self::Global => "a global contains a reference to it",
            Self::Unknown => "what reaches it is not known",
        })
    }
}

impl fmt::Display for StartReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAsked => f.write_str("the policy leaves it unchanged"),
            Self::Nothing => f.write_str("the module has no start function or no passive segments"),
            Self::NoBody => f.write_str("the body of the start function is not available"),
            Self::Shape { offset } => {
                write!(
                    f,
                    "not the start function of wasm-ld: it differs at byte {offset:#x}"
                )
            }
            Self::DynamicOffset { global } => {
                write!(f, "an address depends on global {}", global.as_u32())
            }
            Self::OutOfBounds { addr, min_bytes } => write!(
                f,
                "a write at address {addr:#x} ends past the memory's known size of {min_bytes:#x} bytes"
            ),
            Self::Overlap { addr } => write!(f, "two writes overlap at address {addr:#x}"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::ThreadLocal { global } => write!(
                f,
                "it sets global {} only in the first thread",
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
            Self::Policy => f.write_str("the policy creates no image of its memory"),
        }
    }
}
