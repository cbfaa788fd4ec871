//! Outputs: never the input or each other, written all or none, and `-` is stdout.

use std::fs;

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
    let same = [app.clone(), scratch.path("./app.wasm")];
    let names: Vec<String> = same.into_iter().chain(links(&scratch)).collect();
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

/// A symbolic and a second hard link to the module.
#[cfg(unix)]
fn links(scratch: &Scratch) -> Vec<String> {
    let (link, hard) = (scratch.path("link"), scratch.path("hard"));
    std::os::unix::fs::symlink("app.wasm", &link).expect("a link");
    fs::hard_link(scratch.path("app.wasm"), &hard).expect("a link");
    vec![link, hard]
}

/// A hard link is another file there: its name would be replaced, and the module stay.
#[cfg(not(unix))]
fn links(_: &Scratch) -> Vec<String> {
    Vec::new()
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

/// Names that differ in case are two files, or one: the file system decides.
#[test]
fn two_outputs_that_differ_in_case() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (upper, lower) = (scratch.path("OUT"), scratch.path("out"));
    let result = tool::run(["build", &app, "-o", &upper, "--strip", &lower]);
    if fs::exists(scratch.path("APP.WASM")).expect("checked") {
        let cause = "is the same file";
        assert!(result.stderr.contains(cause), "{}", result.stderr);
        assert_eq!(result.code, 2);
        assert_eq!(scratch.list(), ["app.wasm"]);
    } else {
        result.success();
        assert_eq!(scratch.list(), ["OUT", "app.wasm", "out"]);
    }
}

/// It is replaced, or stays if the system protects it; its attributes are kept.
#[test]
fn a_read_only_output() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let old = scratch.file("old", "old");
    let set_read_only = |read_only: bool| {
        let mut permissions = fs::metadata(&old).expect("exists").permissions();
        permissions.set_readonly(read_only);
        fs::set_permissions(&old, permissions).expect("set");
    };
    set_read_only(true);
    let list = scratch.list();
    let result = tool::run(["build", &app, "-o", &old]);
    assert_eq!(scratch.list(), list);
    assert!(fs::metadata(&old).expect("exists").permissions().readonly());
    let is_old = fs::read(&old).expect("read") == b"old";
    assert_eq!(is_old, result.code == 2, "{}", result.stderr);
    // So that the folder can be removed everywhere.
    set_read_only(false);
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
    let out = scratch.path("out");
    for (output, strip, option) in [("-", &*out, "--output"), (&out, "/dev/stdout", "--strip")] {
        let args = ["build", &app, "-o", output, "--strip", strip, "--json"];
        let cause = format!("error: --json and {option} both write to stdout");
        tool::run(args).fails_with(2, &cause);
    }
}
