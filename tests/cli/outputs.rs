//! Outputs: never the input or each other, written all or none, and `-` is stdout.

use core::time::Duration;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use crate::tool::{self, Scratch};

const MODULE: &str = r#"(module (memory 1) (data (i32.const 0) "hello"))"#;

#[track_caller]
fn refused(args: &[&str], line: &str) {
    tool::run(args).fails_with(2, &format!("error: {line}"));
}

/// The same file under any name: nothing is written, and the input is unchanged.
#[test]
fn an_output_is_never_the_input() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let before = fs::read(&app).expect("read");
    let mut names = vec![app.clone(), scratch.path("./app.wasm")];
    #[cfg(unix)]
    {
        let (link, hard) = (scratch.path("link"), scratch.path("hard"));
        std::os::unix::fs::symlink("app.wasm", &link).expect("a link");
        fs::hard_link(&app, &hard).expect("a link");
        names.extend([link, hard]);
    }
    let list = scratch.list();
    let out = scratch.path("out");
    for name in &names {
        for (input, output) in [(&app, name), (name, &app)] {
            let line = |option| format!("{output}: {option} names the input file");
            refused(&["build", input, "-o", output], &line("--output"));
            refused(&["pack", input, "-o", output], &line("--output"));
            refused(&["inspect", input, "--html", output], &line("--html"));
            let args = ["build", input, "-o", &out, "--strip", output];
            refused(&args, &line("--strip"));
            assert_eq!(fs::read(&app).expect("read"), before);
        }
    }
    assert_eq!(scratch.list(), list);
}

#[test]
fn two_outputs_must_be_two_files() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let same = "--strip and --output name the same file";
    let pairs = |a: &str, b: &str| {
        refused(&["build", &app, "-o", a, "--strip", b], same);
        refused(&["build", &app, "-o", b, "--strip", a], same);
    };
    // Neither exists yet.
    pairs(&scratch.path("x"), &scratch.path("./x"));
    fs::create_dir(scratch.path("d")).expect("created");
    pairs(&scratch.path("x"), &scratch.path("d/../x"));
    pairs("-", "-");
    #[cfg(unix)]
    {
        let link = scratch.path("link");
        std::os::unix::fs::symlink("x", &link).expect("a link");
        pairs(&scratch.path("x"), &link);
        pairs(&link, &scratch.path("d/../link"));
        fs::remove_file(link).expect("removed");
    }
    assert_eq!(scratch.list(), ["app.wasm", "d"]);
}

/// Returns the raw bytes of stdout, and the text of stderr.
fn bytes(args: &[&str]) -> (Vec<u8>, String) {
    let output = tool::command().args(args).output().expect("the tool runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    (output.stdout, stderr)
}

#[test]
fn a_dash_is_stdout() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (artifact, small, page) = (scratch.path("a"), scratch.path("s"), scratch.path("p"));
    let summary = tool::run(["build", &app, "-o", &artifact]).success();
    let packed = tool::run(["pack", &app, "-o", &small]).success();
    let report = tool::run(["inspect", &app, "--html", &page]).success();
    let list = scratch.list();
    for stdout in ["-", "/dev/stdout"] {
        if stdout != "-" && !cfg!(unix) {
            continue;
        }
        let (out, err) = bytes(&["build", &app, "-o", stdout]);
        assert_eq!(out, fs::read(&artifact).expect("read"), "{stdout}");
        assert_eq!(err.lines().count(), summary.lines().count(), "{err}");
        let (out, err) = bytes(&["pack", &app, "-o", stdout]);
        assert_eq!(out, fs::read(&small).expect("read"), "{stdout}");
        let name = if stdout == "-" { "stdout" } else { stdout };
        assert_eq!(err, packed.replace(&small, name));
        let (out, err) = bytes(&["inspect", &app, "--html", stdout]);
        assert_eq!(out, fs::read(&page).expect("read"), "{stdout}");
        assert_eq!(err, report);
    }
    let both = "--json and --html both write to stdout";
    refused(&["inspect", &app, "--json", "--html", "-"], both);
    assert_eq!(scratch.list(), list, "no file named -");
}

/// A file that stdout is redirected to counts as stdout: it is not replaced.
#[cfg(unix)]
#[test]
fn a_redirected_stdout_is_stdout() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let artifact = scratch.path("artifact");
    tool::run(["build", &app, "-o", &artifact]).success();
    let out = scratch.path("out");
    let mut command = tool::command();
    command.args(["build", &app, "-o", "/dev/stdout"]);
    command.stdout(fs::File::create(&out).expect("created"));
    assert!(command.output().expect("the tool runs").status.success());
    assert_eq!(
        fs::read(&out).expect("read"),
        fs::read(&artifact).expect("read")
    );

    // One file as stdin and as the output.
    let before = fs::read(&app).expect("read");
    let mut command = tool::command();
    command.args(["build", "-", "-o", &app]);
    command.stdin(fs::File::open(&app).expect("opened"));
    let output = command.output().expect("the tool runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read(&app).expect("read"), before);
}

/// If one output fails, the other is unchanged.
#[test]
fn both_files_or_none() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let old = scratch.file("old", "old");
    let list = scratch.list();
    let missing = scratch.path("missing/file");
    for args in [
        ["build", &app, "-o", &old, "--strip", &missing],
        ["build", &app, "-o", &missing, "--strip", &old],
    ] {
        let result = tool::run(args);
        let begin = format!("error: {missing}: cannot write: ");
        assert!(result.stderr.starts_with(&begin), "{}", result.stderr);
        assert_eq!(result.code, 2);
    }
    #[cfg(target_os = "linux")]
    for args in [
        ["build", &*app, "-o", &*old, "--strip", "/dev/full"],
        ["build", &*app, "-o", "/dev/full", "--strip", &*old],
    ] {
        assert_eq!(tool::run(args).code, 2);
    }
    assert_eq!(fs::read(&old).expect("read"), b"old");
    assert_eq!(scratch.list(), list);
}

/// A dangling link is written through, as `>` does in a shell; a loop of links is an error.
#[cfg(unix)]
#[test]
fn dangling_links() {
    use std::os::unix::fs::symlink;
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    fs::create_dir(scratch.path("d")).expect("created");
    let link = scratch.path("link");
    symlink("d/second", &link).expect("a link");
    symlink("../file", scratch.path("d/second")).expect("a link");
    tool::run(["build", &app, "-o", &link]).success();
    assert!(fs::symlink_metadata(&link).expect("exists").is_symlink());
    assert!(
        fs::symlink_metadata(scratch.path("d/second"))
            .expect("exists")
            .is_symlink()
    );
    assert!(
        fs::metadata(scratch.path("file"))
            .expect("exists")
            .is_file()
    );

    let (a, b) = (scratch.path("a"), scratch.path("b"));
    symlink("b", &a).expect("a link");
    symlink("a", &b).expect("a link");
    let result = tool::run(["build", &app, "-o", &a]);
    assert!(
        result
            .stderr
            .starts_with(&format!("error: {a}: cannot write: ")),
        "{}",
        result.stderr
    );
    assert_eq!(result.code, 2);
    let nowhere = scratch.path("nowhere");
    symlink("missing/file", &nowhere).expect("a link");
    assert_eq!(tool::run(["build", &app, "-o", &nowhere]).code, 2);
    assert!(fs::symlink_metadata(&nowhere).expect("exists").is_symlink());
}

/// The second output is a pipe without a reader, so that the first one's temporary file exists
/// when the signal arrives.
#[cfg(unix)]
#[test]
fn a_signal_leaves_no_temporary_file() {
    use std::os::unix::process::ExitStatusExt;
    let signals = [
        ("INT", 2_u32),
        ("TERM", 15),
        ("HUP", 1),
        ("QUIT", 3),
        ("ABRT", 6),
        ("ALRM", 14),
        #[cfg(target_os = "linux")]
        ("USR1", 10),
        #[cfg(target_os = "linux")]
        ("USR2", 12),
        ("XCPU", 24),
        ("VTALRM", 26),
        ("PROF", 27),
    ];
    for (name, number) in signals {
        if is_ignored(number) {
            println!("skipped: SIG{name} is ignored, and the tool inherits that");
            continue;
        }
        let scratch = Scratch::new();
        let app = scratch.module("app.wasm", MODULE);
        let (old, pipe) = (scratch.file("old", "old"), scratch.fifo("pipe"));
        let list = scratch.list();
        let mut command = tool::command();
        command.args(["build", &app, "-o", &old, "--strip", &pipe]);
        // Where a signal dumps core, the file goes there.
        let elsewhere = Scratch::new();
        command.current_dir(elsewhere.path("."));
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the tool runs");
        while scratch.list() == list {
            thread::sleep(Duration::from_millis(2));
        }
        tool::signal(&child, name);
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(number.cast_signed()), "{status}");
        assert_eq!(scratch.list(), list);
        assert_eq!(fs::read(&old).expect("read"), b"old");
    }
}

/// The option that is named is the one that writes there, whatever stdout is called.
#[cfg(target_os = "linux")]
#[test]
fn two_outputs_on_stdout_are_named() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    for option in ["--html", "--svg"] {
        for name in ["-", "/dev/stdout", "/proc/self/fd/1"] {
            let cause = format!("--json and {option} both write to stdout");
            let result = tool::run(["inspect", &app, option, name, "--json"]);
            assert_eq!(result.code, 2);
            assert!(result.stderr.contains(&cause), "{}", result.stderr);
        }
    }
}

/// Nobody reads the report, and the pipe is full: the tool, whose output is complete, waits.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_a_tool_that_waits_for_the_reader_of_its_report() {
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (out, pipe) = (scratch.path("out"), scratch.fifo("pipe"));
    let mut options = File::options();
    let mut reader = options.read(true).write(true).open(&pipe).expect("a pipe");
    // Its capacity, if nothing was changed.
    reader.write_all(&[0; 64 << 10]).expect("room");
    let writer = File::options().write(true).open(&pipe).expect("a pipe");
    let mut command = tool::command();
    command.args(["build", &app, "-o", &out]).stdout(writer);
    let mut child = command.spawn().expect("the tool runs");
    while !fs::exists(&out).expect("checked") || !tool::is_in_state(&child, 'S') {
        assert_eq!(child.try_wait().expect("a child"), None, "it waits");
        thread::sleep(Duration::from_millis(2));
    }
    tool::signal(&child, "TERM");
    let start = std::time::Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if Duration::from_secs(20) < start.elapsed() {
            child.kill().expect("killed");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(15), "{status}");
    drop(reader);
}

/// Whether this process ignores a signal, as one that was started with `nohup` or `&`.
#[cfg(unix)]
pub(crate) fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    ignored.is_some_and(|it| it >> (number - 1) & 1 == 1)
}

/// A signal that was ignored when the tool started, as with `nohup` and `&`, stays ignored.
#[cfg(target_os = "linux")]
#[test]
fn an_ignored_signal_stays_ignored() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (out, pipe) = (scratch.path("out"), scratch.fifo("pipe"));
    let list = scratch.list();
    let script = r#"trap "" INT; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_wasm-meminit")]);
    command.args(["build", &app, "-o", &out, "--strip", &pipe]);
    let mut child = command.stdout(Stdio::null()).spawn().expect("a shell");
    while scratch.list() == list {
        thread::sleep(Duration::from_millis(2));
    }
    tool::signal(&child, "INT");
    // The reader that the tool waits for.
    assert!(!fs::read(&pipe).expect("read").is_empty());
    assert!(child.wait().expect("it ends").success());
    assert!(fs::exists(&out).expect("checked"));
}
