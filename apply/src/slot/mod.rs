//! Slots: reservations of address space, each of which holds one memory after another.

mod ageing;
pub(crate) mod batch;
mod config;
mod contents;
mod growth;
mod instantiate;
mod memory_slot;
mod page_tables;
mod reset;
mod strategy;
mod working_set;

pub use self::batch::{BatchReport, reset_many};
pub use self::config::SlotConfig;
pub use self::memory_slot::MemorySlot;
pub use self::strategy::{ResetReport, Strategy};
pub use self::working_set::WorkingSet;
