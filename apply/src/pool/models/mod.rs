//! Models of the pool: programs of two to four threads that shuttle runs in thousands of
//! chosen orders (`cargo xtask models`).
//!
//! Threads take turns at each lock, wait, wake-up and atomic operation. A thread that
//! waits forever is a deadlock, and fails the model: that is how a lost wake-up is found.
//! Slots are real ones. Shuttle treats every atomic operation as sequentially consistent;
//! weaker orders are left to the ThreadSanitizer (`cargo xtask sanitize thread`).

mod batch;
mod close;
mod deadline;
mod eviction;
mod explore;
mod hand_over;
mod order;
#[cfg(feature = "fault-injection")]
mod refusals;
mod statistics;
mod world;
