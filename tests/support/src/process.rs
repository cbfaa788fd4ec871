//! Runs a part of a test in its own process.
//!
//! A resource limit, a system call filter or a changed root directory affects a process for the
//! rest of its life, and some facts are determined only once per process. Such tests need fresh
//! processes. [`in_process`] executes the test binary again with the name of the test, and only
//! the part that it was called for runs there. Nothing else runs in that process except the
//! test harness, which waits.

use std::env;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The environment variable with the part that a child runs.
const VARIABLE: &str = "WASM_MEMINIT_TEST_PROCESS";

/// The exit codes with which a child reports its result. The test harness uses 0 and 101.
const TRUE: i32 = 40;
const FALSE: i32 = 41;

/// Expands to the name of the enclosing test as the test harness knows it, even within
/// closures. In a function that tests call, it is that function's name.
#[macro_export]
macro_rules! test_name {
    () => {{
        const fn here() {}
        $crate::process::enclosing(core::any::type_name_of_val(&here))
    }};
}

/// For [`test_name!`]: turns `krate::module::test::{{closure}}::here` into `module::test`.
pub fn enclosing(name: &'static str) -> &'static str {
    let name = name.strip_suffix("::here").unwrap_or(name);
    let name = name.split("::{{closure}}").next().unwrap_or(name);
    name.split_once("::").map_or(name, |(_, name)| name)
}

/// Runs `check` in a fresh process and returns its result. The child is killed after a minute.
///
/// `test` is the calling test, from [`test_name!`]; `part` distinguishes calls in the same
/// test. In the child, the test runs up to this call. Other parts are skipped, as if they had
/// returned true, and the process ends after `check`.
///
/// ```no_run
/// # use wasm_meminit_test_support::{process::in_process, test_name};
/// #[test]
/// fn a_limit_is_kept() {
///     for limit in [1, 2] {
///         assert!(in_process(test_name!(), &format!("limit {limit}"), || limit < 3));
///     }
/// }
/// ```
///
/// # Panics
///
/// If `check` panicked, if the child did not reach it or ended otherwise, or if the test has two
/// parts with the same name.
#[track_caller]
pub fn in_process(test: &str, part: &str, check: impl FnOnce() -> bool) -> bool {
    static STARTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    let wanted = format!("{test}: {part}");
    match env::var(VARIABLE) {
        Ok(it) if it == wanted => {
            #[cfg(target_os = "linux")]
            crate::sys::fork::limit_time();
            let passed = check();
            std::process::exit(if passed { TRUE } else { FALSE });
        }
        // Another part, before the one to run.
        Ok(_) => return true,
        Err(_) => {}
    }
    {
        let mut started = STARTED.lock().expect("no panic under the lock");
        let is_new = !started.contains(&wanted);
        started.push(wanted.clone());
        drop(started);
        assert!(is_new, "two parts with the same name: {wanted}");
    }
    let itself = env::current_exe().expect("a path");
    let done = Command::new(itself)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, &wanted)
        .stdin(Stdio::null())
        // Show what a child prints about a panic, or about what it skips.
        .stderr(Stdio::inherit())
        .output()
        .expect("a child");
    match done.status.code() {
        Some(TRUE) => true,
        Some(FALSE) => false,
        _ => panic!(
            "{wanted}: the child failed: {}\n{}",
            done.status,
            String::from_utf8_lossy(&done.stdout)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_test_knows_its_name() {
        let inside = || test_name!();
        assert_eq!(test_name!(), "process::tests::a_test_knows_its_name");
        assert_eq!(inside(), test_name!());
    }

    #[test]
    fn a_child_is_another_process_and_returns_the_result() {
        let is_child = || env::var(VARIABLE).is_ok();
        for (part, verdict) in [("yes", true), ("no", false)] {
            let found = in_process(test_name!(), part, || is_child() && verdict);
            assert_eq!(found, verdict || is_child());
        }
    }

    #[test]
    fn a_failing_child_gives_no_result() {
        for part in ["panics", "ends"] {
            let ran = catch_unwind(|| {
                in_process(test_name!(), part, || {
                    assert_ne!(part, "panics", "on purpose");
                    std::process::exit(0)
                })
            });
            assert!(ran.is_err() || env::var(VARIABLE).is_ok(), "{part}");
        }
    }

    #[test]
    fn an_unknown_test_name_gives_no_result() {
        assert!(catch_unwind(|| in_process("no_such_test", "", || true)).is_err());
    }

    #[test]
    fn parts_must_have_different_names() {
        let twice = || in_process(test_name!(), "same", || true);
        assert!(twice());
        assert!(env::var(VARIABLE).is_ok() || catch_unwind(twice).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fork_has_the_memory_of_its_parent() {
        assert!(in_process(test_name!(), "alone", || {
            let mut cell = 1;
            let changed = crate::fork::in_fork(|| {
                cell += 1;
                cell == 2
            });
            changed && cell == 1 && !crate::fork::in_fork(|| false)
        }));
        assert!(in_process(test_name!(), "three threads", || {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let other = std::thread::spawn(move || receiver.recv());
            let refused = catch_unwind(|| crate::fork::in_fork(|| true)).is_err();
            drop(sender);
            other.join().is_ok() && refused
        }));
    }
}
