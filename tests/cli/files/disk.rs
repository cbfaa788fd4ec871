//! Disks that are full and folders that are read-only: one error, the old files, nothing else.
//!
//! The file system is mounted in a namespace of its own. Where that is not permitted, the test
//! says so; a limit on file sizes (`linux.rs`) makes writes fail on every machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use wasm_meminit_test_support::skips::skip_test;

use super::module;
use crate::tool::{self, Scratch};

/// Mounts a file system with these options at a folder, puts two old files and a link to one
/// there, runs the tool in it, and lists names and contents.
const SCRIPT: &str = r#"
    mount -t tmpfs -o "$1" none "$2" || exit 99
    cd "$2" || exit 99
    printf old >a; printf old >b; ln -s b link
    [ -z "$3" ] || mount -o "remount,$3" "$2" || exit 99
    shift 3
    "$@" >/dev/null
    code=$?
    ls -A
    cat a b
    exit $code
"#;

/// Returns the arguments of `unshare` that allow mounting; `None` if nothing does.
fn namespace() -> Option<&'static [&'static str]> {
    const KINDS: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    KINDS.into_iter().find(|args| {
        let mut command = Command::new("unshare");
        command.args(*args);
        command.args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        command.output().is_ok_and(|it| it.status.success())
    })
}

/// The command lines, each with the output that cannot be written.
const RUNS: [(&[&str], &str); 9] = [
    (&["build", "WASM", "-o", "a"], "a"),
    (&["build", "WASM", "-o", "new"], "new"),
    (&["build", "WASM", "-o", "link"], "link"),
    (&["build", "WASM", "-o", "a", "--strip", "b"], "a"),
    (&["build", "WASM", "-o", "b", "--strip", "a"], "b"),
    (&["pack", "WASM", "-o", "a"], "a"),
    (&["inspect", "WASM", "--html", "a"], "a"),
    (&["inspect", "WASM", "--svg", "a"], "a"),
    (&["extract", "ARTIFACT", "0", "-o", "a"], "a"),
];

/// Checks that every command line fails with this error on a file system with these mount options.
#[track_caller]
fn refused(options: &str, remount: &str, cause: &str, wasm: &[u8]) {
    let Some(namespace) = namespace() else {
        return skip_test("mounting a file system is not permitted");
    };
    let scratch = Scratch::new();
    let wasm = scratch.file("in.wasm", wasm);
    let artifact = scratch.path("in.meminit");
    tool::run(["build", &wasm, "-o", &artifact]).success();
    let place = scratch.path("disk");
    fs::create_dir(&place).expect("created");
    for (args, output) in RUNS {
        let args = args.iter().map(|arg| match *arg {
            "WASM" => wasm.as_str(),
            "ARTIFACT" => artifact.as_str(),
            arg => arg,
        });
        let mut command = Command::new("unshare");
        command.args(namespace).args(["sh", "-c", SCRIPT, "sh"]);
        command.args([options, &place, remount]);
        command
            .arg(env!("CARGO_BIN_EXE_wasm-meminit"))
            .args(args.clone());
        let done = command.output().expect("a shell");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let what = args.collect::<Vec<_>>().join(" ");
        let expected = format!("error: {output}: cannot write: {cause}\n");
        assert_eq!(text(done.stderr), expected, "{what}");
        assert_eq!(text(done.stdout), "a\nb\nlink\noldold", "{what}");
        assert_eq!(done.status.code(), Some(2), "{what}");
    }
}

/// A picture has a few KiB, and other outputs more: there is room for 4.
#[test]
fn a_full_disk() {
    let cause = "No space left on device (os error 28)";
    let wasm = module(700, 256, 1);
    refused("size=12k", "", cause, &wasm);
}

/// The root folder, the two files and the link are all that the disk has room for.
#[test]
fn a_disk_with_no_room_for_another_file() {
    let cause = "No space left on device (os error 28)";
    refused("nr_inodes=4", "", cause, &module(2, 16, 1));
}

#[test]
fn a_read_only_file_system() {
    let cause = "Read-only file system (os error 30)";
    refused("size=1m", "ro", cause, &module(2, 16, 1));
}

/// No file is replaced where none can be created next to it: it would be torn by a failure.
#[test]
fn a_read_only_folder() {
    let scratch = Scratch::new();
    let wasm = scratch.file("in.wasm", module(2, 16, 1));
    let artifact = scratch.path("in.meminit");
    tool::run(["build", &wasm, "-o", &artifact]).success();
    fs::create_dir(scratch.path("folder")).expect("created");
    let old = scratch.file("folder/old", "old");
    let mode = |mode| fs::set_permissions(scratch.path("folder"), Permissions::from_mode(mode));
    mode(0o555).expect("set");
    // In a namespace that has no users, root is bound by permissions too.
    let runs = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("--user").args(args);
        command.output().expect("unshare")
    };
    let is_bound = runs(&["sh", "-c", r#"! touch "$0""#, &scratch.path("folder/new")]);
    let is_run = runs(&[env!("CARGO_BIN_EXE_wasm-meminit"), "--version"]);
    if !is_bound.status.success() || !is_run.status.success() {
        skip_test("permissions do not bind this user, or namespaces are not permitted");
        mode(0o755).expect("set");
        return;
    }
    let mut n_refused = 0;
    for args in [
        &["build", &wasm, "-o", &old][..],
        &["build", &wasm, "-o", "-", "--strip", &old],
        &["pack", &wasm, "-o", &old],
        &["inspect", &wasm, "--html", &old],
        &["inspect", &wasm, "--svg", &old],
        &["extract", &artifact, "0", "-o", &old],
    ] {
        let tool = env!("CARGO_BIN_EXE_wasm-meminit");
        let done = runs(&[&[tool], args].concat());
        let expected = format!("error: {old}: cannot write: Permission denied (os error 13)\n");
        assert_eq!(String::from_utf8(done.stderr).expect("UTF-8"), expected);
        assert_eq!(done.status.code(), Some(2));
        n_refused += 1;
    }
    mode(0o755).expect("set");
    assert_eq!(n_refused, 6);
    assert_eq!(fs::read(&old).expect("read"), b"old");
    let names = fs::read_dir(scratch.path("folder")).expect("a folder");
    assert_eq!(names.count(), 1);
}
