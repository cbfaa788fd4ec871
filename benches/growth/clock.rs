//! The processor time of a thread, which other work on the machine does not count in.

use core::time::Duration;

/// How long this thread has run.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("since the thread began"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// Elsewhere, other work counts in.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> Duration {
    wall()
}

/// The time on the wall, since it was first asked for: what other processes take.
pub(crate) fn wall() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
