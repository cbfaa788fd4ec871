//! The processor time of a thread, which excludes other work on the machine.

use core::time::Duration;

/// Returns how long this thread has run.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("since the thread began"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// Returns the wall-clock time, which on other systems includes other work.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> Duration {
    wall()
}

/// Returns the wall-clock time since the first call, to measure other processes.
pub(crate) fn wall() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
