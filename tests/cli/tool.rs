//! Runs the tool and captures its output.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Child;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The exit code and output of one run.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns a command that runs the tool in the directory of our own modules, without
/// environment variables that would change its output.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-meminit"));
    command.current_dir(modules());
    for name in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the tool with these arguments.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> RunOutput {
    captured(&command().args(args).output().expect("the tool runs"))
}

/// Runs the tool with these bytes as stdin.
pub(crate) fn run_with_stdin(args: &[&str], stdin: &[u8]) -> RunOutput {
    let mut command = command();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool runs");
    // If the tool refuses its input, it may not read all of it.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    captured(&child.wait_with_output().expect("the tool ends"))
}

fn captured(output: &Output) -> RunOutput {
    RunOutput {
        code: output.status.code().expect("an exit code, not a signal"),
        stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    }
}

impl RunOutput {
    /// Checks that the run succeeded with an empty stderr, and returns its stdout.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "stdout: {}",
            self.stdout
        );
        self.stdout
    }

    /// Checks the exit code, and that stderr is exactly this message; empty for none.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32, line: &str) {
        let expected = match line {
            "" => String::new(),
            line => format!("{line}\n"),
        };
        assert_eq!(self.stderr, expected);
        assert_eq!((self.code, self.stdout.as_str()), (code, ""));
    }
}

/// Returns the directory of our own modules.
pub(crate) fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules")
}

/// Returns the names of our own modules, without extension and sorted.
pub(crate) fn module_names() -> Vec<String> {
    let files = fs::read_dir(modules()).expect("a directory");
    let paths = files.map(|it| it.expect("an entry").path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension() == Some(OsStr::new("wat")))
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_str()
                .expect("UTF-8")
                .to_owned()
        })
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

/// A temporary directory for the files of one test.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Creates a FIFO and returns its path.
    #[cfg(unix)]
    pub(crate) fn fifo(&self, name: &str) -> String {
        let path = self.path(name);
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        path
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("written");
        path
    }

    /// Assembles a module from text, writes it and returns its path.
    pub(crate) fn module(&self, name: &str, text: &str) -> String {
        self.file(name, wat::parse_str(text).expect("a module"))
    }

    /// Returns the names of all files in the directory, sorted.
    pub(crate) fn list(&self) -> Vec<String> {
        let files = fs::read_dir(self.0.path()).expect("a directory");
        let names = files.map(|it| it.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|it| it.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

/// Sends a signal, such as `TERM`.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("kill").success());
}

/// Whether a process is in a state of proc_pid_stat(5), such as `T`: stopped.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_state(child: &Child, state: char) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    let after = stat.rsplit(") ").next();
    after.is_some_and(|it| it.starts_with(state))
}
