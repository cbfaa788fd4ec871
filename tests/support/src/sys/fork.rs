//! fork(2), for what only a forked child can show.

use core::panic::AssertUnwindSafe;
use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::thread;

/// How long a child may run, in seconds.
const MAX_SECONDS: u32 = 60;

/// Ends this process by `SIGALRM` after a minute, whatever it is busy with. A child of
/// [`in_fork`] starts anew; a program that this one executes does not.
pub(crate) fn limit_time() {
    // SAFETY: sets a timer, and touches no memory.
    unsafe { libc::alarm(MAX_SECONDS) };
}

/// Returns once the other thread, if there is one, waits: proc_pid_stat(5), field 3.
fn wait_until_alone() {
    let own = rustix::thread::gettid().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let tasks = tasks.map(|task| task.expect("a thread").file_name().into_string());
    let tasks: Vec<String> = tasks.map(|name| name.expect("a number")).collect();
    assert!(
        tasks.len() <= 2,
        "threads of a process that forks: {tasks:?}"
    );
    for task in tasks.iter().filter(|task| **task != own) {
        let is_asleep = || {
            let stat = fs::read_to_string(format!("/proc/self/task/{task}/stat"));
            // Behind the name, which is in parentheses and may have any character.
            let stat = stat.unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('S'))
        };
        while !is_asleep() {
            thread::yield_now();
        }
    }
}

/// Runs `check` in a child of fork(2), and returns what it returned. The child is ended
/// after a minute.
///
/// Call it from [`in_process`](crate::process::in_process): the process may have one other
/// thread, the test harness's first, and that one must be asleep. So nobody is in the
/// middle of a change when the child is made, and no lock is held for ever by a thread that
/// is not in the child.
///
/// # Panics
///
/// Where this process has more threads, where there is no child to be had, and where
/// `check` panicked.
pub fn in_fork(check: impl FnOnce() -> bool) -> bool {
    wait_until_alone();
    // SAFETY: the only other thread waits for this one to end, in the kernel and without a
    // lock. So the child is a copy of a process at rest: what is sound here is sound there.
    let pid = unsafe { libc::fork() };
    assert!(0 <= pid, "no child");
    if pid == 0 {
        limit_time();
        let code = match catch_unwind(AssertUnwindSafe(check)) {
            Ok(true) => 0,
            Ok(false) => 1,
            // The hook has said why.
            Err(_) => 2,
        };
        let _ = std::io::stderr().flush();
        // SAFETY: ends the child at once: nothing of the parent's is dropped twice.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    // SAFETY: `status` is ours, and the child was made above.
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
