//! How memories are initialised: the forms, and one driver for all of them.

mod forms;
mod init_memory;

pub use self::forms::{MemoryInitialization, MemoryInitializer, StaticMemoryInitializer};
pub use self::init_memory::{InitError, InitErrorKind, InitMemory, SizeOverflow};
