//! Engines that exist, started from our memory, and measured beside us.
//!
//! Not a default member: the engines take minutes to compile. `cargo xtask peers test`
//! runs the tests.
