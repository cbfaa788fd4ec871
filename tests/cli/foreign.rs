//! Files of other formats: named, with the command that helps.

#[cfg(unix)]
use wasm_meminit_test_support::skips::skip_test;

use crate::tool::{self, Scratch};

#[track_caller]
fn refused(file: &str, cause: &str) {
    for args in [
        &["inspect", file][..],
        &["dump", file, "0"],
        &["verify", "tour.wasm", file],
    ] {
        tool::run(args).fails_with(2, &format!("error: {file}: {cause}"));
    }
}

/// The path of a scratch file as a shell takes it: with quotes where a backslash separates folders.
fn as_word(path: &str) -> String {
    match path.contains('\\') {
        true => format!("'{path}'"),
        false => path.to_owned(),
    }
}

#[test]
fn other_formats_are_named() {
    let scratch = Scratch::new();
    let source = "pass the WebAssembly module that it was compiled from, or compile for a wasm \
                  target, such as wasm32-wasip1";
    let download = "a download may have failed and saved a message instead: look at the file";
    for (content, what, hint) in [
        (
            &b"\x7fELF\x02\x01\x01"[..],
            "an ELF file with machine code",
            source,
        ),
        (
            b"MZ\x90\0",
            "a Windows executable with machine code",
            source,
        ),
        (
            b"\xcf\xfa\xed\xfe\x07",
            "a Mach-O file with machine code",
            source,
        ),
        (b"<!DOCTYPE html>\n<html>", "an HTML page", download),
        (b"{\"message\": \"Not Found\"}", "a JSON document", download),
        (
            b"BC\xc0\xde",
            "LLVM bitcode",
            "compile and link it for a wasm target first",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not the file itself",
            "git lfs pull",
        ),
    ] {
        let file = scratch.file("file", content);
        refused(&file, &format!("this is {what}\nhint: {hint}"));
    }
    let file = scratch.file("a.zip", b"PK\x03\x04\x14");
    let word = as_word(&file);
    refused(
        &file,
        &format!("this is a ZIP archive\nhint: unpack the module from it: unzip -l {word}"),
    );
    for (magic, name, command) in [
        (&b"\x28\xb5\x2f\xfd"[..], "zstd", "zstd"),
        (b"\xfd7zXZ\0", "xz", "xz"),
        (b"BZh9", "bzip2", "bzip2"),
    ] {
        let file = scratch.file("app.wasm.packed", magic);
        let word = as_word(&file);
        let hint = format!("decompress it first: {command} -dc {word} > app.wasm");
        refused(&file, &format!("this is {name} data\nhint: {hint}"));
    }
}

/// The command of the hint, pasted into a shell, gives a module.
#[cfg(unix)]
#[test]
fn the_hint_works() {
    let scratch = Scratch::new();
    let file = scratch.path("it's.wasm.gz");
    let script = "gzip -c < tour.wasm > \"$1\"";
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(tool::modules())
        .args(["-c", script, "sh", &file]);
    if !shell.status().expect("a shell").success() {
        skip_test("there is no gzip");
        return;
    }
    let result = tool::run(["inspect", &file]);
    let hint = "hint: decompress it first: ";
    let command = result
        .stderr
        .lines()
        .find_map(|it| it.strip_prefix(hint))
        .expect("a hint");
    let directory = scratch.path("");
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(&directory).args(["-c", command]);
    assert!(shell.status().expect("a shell").success(), "{command}");
    tool::run(["inspect", &scratch.path("it's.wasm")]).success();
}
