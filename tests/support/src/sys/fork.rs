//! fork(2), for tests that need a forked child.

use core::panic::AssertUnwindSafe;
use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::thread;

/// How long a child may run, in seconds.
const MAX_SECONDS: u32 = 60;

/// Ends this process with `SIGALRM` after a minute, whatever it is doing. A child of
/// [`in_fork`] starts a new minute; a program that this one executes does not.
pub(crate) fn limit_time() {
    // SAFETY: sets a timer, and touches no memory.
    unsafe { libc::alarm(MAX_SECONDS) };
}

/// Returns once the other thread, if there is one, is waiting: proc_pid_stat(5), field 3.
fn wait_until_alone() {
    let own = rustix::thread::gettid().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let tasks = tasks.map(|task| task.expect("a thread").file_name().into_string());
    let tasks: Vec<String> = tasks.map(|name| name.expect("a number")).collect();
    assert!(
        tasks.len() <= 2,
        "a process that forks has too many threads: {tasks:?}"
    );
    for task in tasks.iter().filter(|task| **task != own) {
        let is_asleep = || {
            let stat = fs::read_to_string(format!("/proc/self/task/{task}/stat"));
            // After the name, which is in parentheses and may contain any character.
            let stat = stat.unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('S'))
        };
        while !is_asleep() {
            thread::yield_now();
        }
    }
}

/// Runs `check` in a child of fork(2) and returns its result. The child is killed after a
/// minute.
///
/// Call it from [`in_process`](crate::process::in_process): the process may have one other
/// thread, the test harness's first, which must be asleep. So no thread is in the middle of a
/// change when the child is created, and no lock is held forever by a thread that does not
/// exist in the child.
///
/// # Panics
///
/// If this process has more threads, if no child can be created, or if `check` panicked.
pub fn in_fork(check: impl FnOnce() -> bool) -> bool {
    wait_until_alone();
    // SAFETY: the only other thread is waiting in the kernel for this one to end, without
    // holding a lock. So the child is a copy of an idle process: what is sound here is sound there.
    let pid = unsafe { libc::fork() };
    assert!(0 <= pid, "no child");
    if pid == 0 {
        limit_time();
        let code = match catch_unwind(AssertUnwindSafe(check)) {
            Ok(true) => 0,
            Ok(false) => 1,
            // The panic hook has printed the reason.
            Err(_) => 2,
        };
        let _ = std::io::stderr().flush();
        // SAFETY: ends the child at once, so nothing of the parent's is dropped twice.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    // SAFETY: `status` is ours, and the child was created above.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid, "waitpid");
    assert!(
        libc::WIFEXITED(status),
        "the child ended by a signal: {status:#x}"
    );
    match libc::WEXITSTATUS(status) {
        0 => true,
        1 => false,
        code => panic!("the child failed: exit code {code}"),
    }
}
