//! The rules that no compiler knows, over every file that git tracks.
//!
//! | rule | why |
//! |---|---|
//! | a `.rs` file starts with `//!` | each file says in a sentence what it is for |
//! | at most 600 lines | one idea per file |
//! | `unsafe` only under `apply/src/sys/`, and in few places that are not published | a reader of `unsafe` code knows where all of it is |
//! | `// SAFETY:` above each `unsafe` block and impl | the proof stands beside the step |
//! | no `todo!`, `unimplemented!`, `#[ignore]` | what is not done is not merged |
//! | no trailing blanks, a newline at the end | diffs show changes only |
//! | no absolute path of somebody's machine | it works on nobody else's |
//! | licence files of the crates are those of the root | each package carries them |
//! | `tests/modules/*.wasm` are what their `.wat` compile to | what is tested can be read |

mod source;

use std::path::{Path, PathBuf};

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::modules;
use crate::step::{self, Outcome};

const MAX_LINES: usize = 600;

/// Where `unsafe` may be. A line here needs a reason as good as the first.
const UNSAFE_ALLOWED: &[&str] = &[
    "apply/src/sys/",
    // One function that is unsafe to call; what it does is in `sys`.
    "apply/src/image_file.rs",
    // Bare system calls of tests and benches, which nobody publishes.
    "tests/support/src/sys/",
    // Engines ask for memories by unsafe traits.
    "tests/peers/src/memory/",
];

/// Written in two parts, or this file would break its own rule.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
];

/// Files that a tool writes.
const GENERATED: &[&str] = &["Cargo.lock"];

const NO_PROOF: &str = "`unsafe` without a comment above that begins with `SAFETY:`";

const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];
const LICENSED: &[&str] = &["analysis", "image-builder", "apply"];

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, step)
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let root = sh.current_dir();
    let files = tracked(sh)?;
    let mut findings = Vec::new();
    for file in &files {
        // Listed by git, yet deleted or a link to nothing: not there to read.
        let Ok(bytes) = std::fs::read(root.join(file)) else {
            continue;
        };
        // Not ours to format: a `.wasm`, a picture. Git asks for a NUL too; a small
        // module may well be UTF-8.
        if bytes.contains(&0) {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let name = file.to_string_lossy().replace('\\', "/");
        check(&name, &text, &mut findings);
    }
    licences(&root, &mut findings);
    findings.extend(modules::stale(&root)?);
    if !findings.is_empty() {
        bail!("{} findings\n{}", findings.len(), findings.join("\n"));
    }
    Ok(Outcome::Passed(format!("{} files", files.len())))
}

/// What git tracks; of a copy that has no `.git`, every file but what is built.
fn tracked(sh: &Shell) -> anyhow::Result<Vec<PathBuf>> {
    let list = cmd!(sh, "git ls-files -z").quiet().ignore_stderr().read();
    if let Ok(list) = list {
        return Ok(list
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .collect());
    }
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(sh.current_dir().join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                files.push(path);
            } else if entry.file_name() != "target" && entry.file_name() != ".git" {
                folders.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Appends one line per finding: `file:line: what`.
fn check(name: &str, text: &str, findings: &mut Vec<String>) {
    if GENERATED.contains(&name) {
        return;
    }
    let mut find = |line: usize, what: &str| findings.push(format!("{name}:{line}: {what}"));
    for (at, line) in text.lines().enumerate() {
        // Golden files hold what a program printed, blanks and all.
        let printed = name.contains("/expected/");
        if !printed && line.ends_with([' ', '\t', '\r']) {
            find(at + 1, "trailing blanks");
        }
        if MACHINE_PATHS.iter().any(|path| names_path(line, path)) {
            find(at + 1, "an absolute path of one machine");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        find(text.lines().count(), "no newline at the end");
    }
    if name.ends_with(".rs") {
        rust(name, text, &mut find);
    }
}

/// Whether `line` has `path` as the beginning of a path: `a/work/b` has not.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-./~*}".contains(c))
    })
}

fn rust(name: &str, text: &str, find: &mut impl FnMut(usize, &str)) {
    if !text.starts_with("//!") {
        find(1, "does not start with `//!`");
    }
    let n_lines = text.lines().count();
    if MAX_LINES < n_lines {
        find(n_lines, &format!("more than {MAX_LINES} lines"));
    }
    let code = source::code_only(text);
    let lines: Vec<(&str, &str)> = text.lines().zip(code.lines()).collect();
    for (at, &(_, code)) in lines.iter().enumerate() {
        for word in UNFINISHED {
            if code.contains(word) {
                find(at + 1, &format!("`{word}`"));
            }
        }
        let Some(what) = source::after_unsafe(code) else {
            continue;
        };
        if !UNSAFE_ALLOWED.iter().any(|folder| name.starts_with(folder)) {
            find(at + 1, "`unsafe` outside apply/src/sys/");
        }
        // An `unsafe fn` says `# Safety` in its documentation; clippy sees to that.
        let needs_proof = what.is_empty() || what.starts_with('{') || what.starts_with("impl");
        if needs_proof && !source::is_proven(&lines[..at]) {
            find(at + 1, NO_PROOF);
        }
    }
}

fn licences(root: &Path, findings: &mut Vec<String>) {
    for licence in LICENCES {
        let ours = std::fs::read(root.join(licence)).unwrap_or_default();
        for folder in LICENSED {
            let copy = std::fs::read(root.join(folder).join(licence)).unwrap_or_default();
            if copy.is_empty() || copy != ours {
                findings.push(format!("{folder}/{licence}: not the root's {licence}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let sh = Shell::new().expect("a current folder");
        sh.change_dir(crate::root());
        if let Err(err) = step(&sh) {
            panic!("{err:#}");
        }
    }

    #[track_caller]
    fn findings(name: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(name, text, &mut findings);
        findings
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(findings("a.rs", "//! A.\n"), [""; 0]);
        assert_eq!(
            findings("a.rs", "fn a() {}\n"),
            ["a.rs:1: does not start with `//!`"]
        );
        assert_eq!(findings("a.md", "A.\n"), [""; 0]);
    }

    #[test]
    fn a_file_is_not_too_long() {
        let text = |n_lines: usize| format!("//! A.\n{}", "\n".repeat(n_lines - 1));
        assert_eq!(findings("a.rs", &text(600)), [""; 0]);
        assert_eq!(
            findings("a.rs", &text(601)),
            ["a.rs:601: more than 600 lines"]
        );
    }

    #[test]
    fn blanks_and_ends() {
        assert_eq!(
            findings("a.md", "a \nb\t\n"),
            ["a.md:1: trailing blanks", "a.md:2: trailing blanks"]
        );
        assert_eq!(findings("a.md", "a\nb"), ["a.md:2: no newline at the end"]);
        assert_eq!(findings("Cargo.lock", "a \nb"), [""; 0]);
    }

    #[test]
    fn machine_paths() {
        let path = concat!("/ho", "me/me/x");
        let finding = ["a.md:1: an absolute path of one machine"];
        assert_eq!(findings("a.md", &format!("see {path}\n")), finding);
        assert_eq!(findings("a.md", &format!("see `{path}`\n")), finding);
        assert_eq!(
            findings("a.md", &format!("see https://a.org{path}\n")),
            [""; 0]
        );
    }

    #[test]
    fn unfinished_work() {
        let text = "//! A.\nfn a() { todo!() }\n#[ignore = \"slow\"]\n// todo! is only named\n";
        assert_eq!(
            findings("a.rs", text),
            ["a.rs:2: `todo!`", "a.rs:3: `#[ignore`"]
        );
    }

    #[test]
    fn unsafe_has_its_place_and_its_proof() {
        let proven = "//! A.\nfn a() {\n    // SAFETY: it is `b`,\n    // always.\n    let c =\n        unsafe { b() };\n}\n";
        assert_eq!(findings("apply/src/sys/a.rs", proven), [""; 0]);
        assert_eq!(
            findings("apply/src/a.rs", proven),
            ["apply/src/a.rs:6: `unsafe` outside apply/src/sys/"]
        );

        let finding = NO_PROOF;
        let bare = "//! A.\nfn a() {\n    let c = unsafe { b() };\n}\nunsafe impl Send for A {}\n";
        assert_eq!(
            findings("apply/src/sys/a.rs", bare),
            [
                format!("apply/src/sys/a.rs:3: {finding}"),
                format!("apply/src/sys/a.rs:5: {finding}")
            ]
        );

        // The proof of one block is not the proof of the next.
        let second = "//! A.\n// SAFETY: yes.\nlet a = unsafe { b() };\nlet c = unsafe { d() };\n";
        assert_eq!(
            findings("apply/src/sys/a.rs", second),
            [format!("apply/src/sys/a.rs:4: {finding}")]
        );

        let named =
            "//! No unsafe { here }.\n#![deny(unsafe_code)]\nconst A: &str = \"unsafe {\";\n";
        assert_eq!(findings("analysis/src/a.rs", named), [""; 0]);
    }
}
