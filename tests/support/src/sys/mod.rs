//! System calls that tests and benches make themselves, and all `unsafe` of this crate.

#![allow(
    unsafe_code,
    reason = "bare system calls; nothing of this crate is published"
)]

#[cfg(target_os = "linux")]
pub mod descriptors;
#[cfg_attr(not(target_os = "linux"), path = "no_floor.rs")]
pub mod floor;
#[cfg(target_os = "linux")]
pub mod fork;
#[cfg(target_os = "linux")]
pub(crate) mod map;
#[cfg(target_os = "linux")]
pub mod probe;
