//! Runs the tool and looks at all that it says.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What one run said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The tool, without anything of the environment that would change its output, in the
/// directory of our own modules.
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

/// Runs it with these arguments, which may be paths.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Said {
    said(&command().args(args).output().expect("the tool runs"))
}

/// Runs it with these bytes as stdin.
pub(crate) fn run_with_stdin(args: &[&str], stdin: &[u8]) -> Said {
    let mut command = command();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool runs");
    // One that refuses its input may not read it to the end.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    said(&child.wait_with_output().expect("the tool ends"))
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().expect("an exit code, not a signal"),
        stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    }
}

impl Said {
    /// It succeeded and had nothing to complain about.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "stdout: {}",
            self.stdout
        );
        self.stdout
    }

    /// It ended with this code and exactly this line.
    #[track_caller]
    pub(crate) fn complains(self, code: i32, line: &str) {
        assert_eq!(self.stderr, format!("{line}\n"));
        assert_eq!((self.code, self.stdout.as_str()), (code, ""));
    }
}

/// The directory of our own modules.
pub(crate) fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules")
}

/// The names of our own modules in the text format, without extension, in order.
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

/// A directory that goes away with its contents, for the files of one test.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("written");
        path
    }

    /// Writes a module that is given as text, in the binary format.
    pub(crate) fn module(&self, name: &str, text: &str) -> String {
        self.file(name, wat::parse_str(text).expect("a module"))
    }

    /// The names of all files in it, in order.
    pub(crate) fn list(&self) -> Vec<String> {
        let files = fs::read_dir(self.0.path()).expect("a directory");
        let names = files.map(|it| it.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|it| it.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}
