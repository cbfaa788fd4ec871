//! Direct system calls of tests and benches, and all `unsafe` code of this crate.

#![allow(
    unsafe_code,
    reason = "direct system calls; this crate is not published"
)]

pub mod allocator;
#[cfg(target_os = "linux")]
pub mod descriptors;
#[cfg_attr(not(target_os = "linux"), path = "no_floor.rs")]
pub mod floor;
#[cfg(target_os = "linux")]
pub mod fork;
pub mod map;
#[cfg(target_os = "linux")]
pub mod probe;
