//! Runs the commands of the pages, and compares their output.
//!
//! In a `console` block, a line that starts with `$ ` is a command, and the lines after it are
//! its output, where `…` stands for any number of lines. In an `sh` block, each line that starts
//! with `wasm-meminit` must succeed; `bench` takes too long to be run. Commands run in a folder
//! with the modules of `tests/modules`, in which `app.wasm` is a copy of `tour.wasm`. With
//! `BLESS=1`, blocks without `…` get the output of this build.

use core::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{pages, root};

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(root().join("tests/modules")).expect("a folder") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file");
        fs::copy(&path, folder.path().join(name)).expect("copied");
        if name == "tour.wasm" {
            fs::copy(&path, folder.path().join("app.wasm")).expect("copied");
        }
    }
    folder
}

/// Splits a command into words, at blanks outside of single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for char in command.chars() {
        match char {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            char => words.last_mut().expect("one").push(char),
        }
    }
    words.retain(|it| !it.is_empty());
    words
}

/// Runs the tool with arguments.
fn tool(folder: &Path, args: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-meminit"));
    command.current_dir(folder).args(args);
    for name in ["CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.output().expect("the tool runs")
}

/// A folder with the modules, and the exit code of the last command.
struct Shell {
    folder: TempDir,
    code: i32,
}

impl Shell {
    fn new() -> Self {
        Self {
            folder: folder(),
            code: 0,
        }
    }

    /// Runs a command and returns its output.
    fn run(&mut self, command: &str) -> String {
        let words = words(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["wasm-meminit", args @ ..] => {
                let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
                let output = tool(self.folder.path(), &args);
                self.code = output.status.code().expect("an exit code");
                String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
            }
            ["xxd", file] => self.dump(file, None),
            ["xxd", "-l", len, file] => self.dump(file, Some(len.parse().expect("a number"))),
            ["echo", "$?"] => format!("{}\n", self.code),
            _ => panic!("cannot run `{command}`: use an `sh` block"),
        }
    }

    /// Returns the bytes of a file as `xxd` prints them.
    fn dump(&mut self, file: &str, len: Option<usize>) -> String {
        let bytes = fs::read(self.folder.path().join(file)).expect("a file");
        let bytes = &bytes[..len.unwrap_or(bytes.len())];
        self.code = 0;
        let mut out = String::new();
        for (nth, line) in bytes.chunks(16).enumerate() {
            let hex = line.chunks(2).map(|pair| {
                let pair = pair.iter().map(|byte| format!("{byte:02x}"));
                pair.collect::<String>()
            });
            let hex = hex.collect::<Vec<_>>().join(" ");
            let text = line.iter().map(|byte| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            });
            let text = text.collect::<String>();
            let line = format!("{:08x}: {hex:<39}  {text}", nth * 16);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Whether the lines have the same words, where `…` matches any number of lines. The widths of
/// columns depend on lines that are left out.
fn matches(expected: &[&str], found: &[&str]) -> bool {
    let is_same = |a: &str, b: &str| a.split_whitespace().eq(b.split_whitespace());
    match (expected.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=found.len()).any(|n| matches(rest, &found[n..])),
        (Some((a, expected)), Some((b, found))) => is_same(a, b) && matches(expected, found),
        _ => false,
    }
}

/// Runs the blocks of a page, and returns the page with the found output, and the number of
/// commands.
fn replay(name: &str, text: &str, failures: &mut String) -> (String, usize) {
    let mut shell = Shell::new();
    let mut page = String::new();
    let mut n_commands = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let _ = writeln!(page, "{line}");
        let language = line.strip_prefix("```");
        let Some(language @ ("console" | "sh")) = language else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|it| *it != "```").collect();
        if language == "sh" {
            let runs = |it: &&&str| {
                it.starts_with("wasm-meminit ") && !it.starts_with("wasm-meminit bench ")
            };
            for line in block.iter().filter(runs) {
                let command = line.split(" # ").next().unwrap_or(line).trim();
                let output = shell.run(command);
                n_commands += 1;
                if shell.code != 0 {
                    let _ = writeln!(failures, "{name}: {command}\n{output}");
                }
            }
            block.iter().for_each(|it| page.extend([*it, "\n"]));
        } else {
            let mut rest = block.as_slice();
            while let Some((command, after)) = rest.split_first() {
                let command = command.strip_prefix("$ ").expect("a command");
                let n_output = after.iter().take_while(|it| !it.starts_with("$ ")).count();
                let (expected, after) = after.split_at(n_output);
                let output = shell.run(command);
                let found: Vec<&str> = output.lines().map(str::trim_end).collect();
                let _ = writeln!(page, "$ {command}");
                if matches(expected, &found) || expected.contains(&"…") {
                    expected.iter().for_each(|it| page.extend([*it, "\n"]));
                } else {
                    found.iter().for_each(|it| page.extend([*it, "\n"]));
                }
                if !matches(expected, &found) {
                    let _ = writeln!(failures, "{name}: $ {command}\n{output}");
                }
                n_commands += 1;
                rest = after;
            }
        }
        page.push_str("```\n");
    }
    (page, n_commands)
}

#[test]
fn commands_print_what_the_pages_show() {
    let is_bless = std::env::var_os("BLESS").is_some();
    let mut failures = String::new();
    let mut n_commands = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page");
        let name = path.display().to_string();
        let (page, n) = replay(&name, &text, &mut failures);
        n_commands += n;
        if is_bless && page != text {
            fs::write(&path, page).expect("written");
        }
    }
    assert!(
        failures.is_empty() || is_bless,
        "to update the pages: BLESS=1 cargo xtask test guide\n{failures}"
    );
    assert!(10 <= n_commands, "{n_commands} commands");
}

/// Returns the JSON report for a command that a page shows without `--json`.
pub(crate) fn json(command: &str) -> Value {
    let mut words = words(command);
    words.retain(|it| it != "wasm-meminit" && it != "inspect");
    let args: Vec<String> = ["inspect", "--json"].map(str::to_owned).to_vec();
    let output = tool(folder().path(), &[args, words].concat());
    assert!(output.status.success(), "{command}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Returns the HTML page of a module of ours under a policy.
pub(crate) fn html(module: &str, policy: &str) -> String {
    let words = ["inspect", module, "--policy", policy, "--html", "-"].map(str::to_owned);
    let output = tool(&root().join("tests/modules"), &words);
    assert!(output.status.success(), "{module}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_dump_is_that_of_xxd() {
    let mut shell = Shell::new();
    let bytes: Vec<u8> = (0x3c..0x54).collect();
    fs::write(shell.folder.path().join("a"), bytes).expect("written");
    assert_eq!(
        shell.run("xxd -l 19 a"),
        "00000000: 3c3d 3e3f 4041 4243 4445 4647 4849 4a4b  <=>?@ABCDEFGHIJK\n\
         00000010: 4c4d 4e                                  LMN\n"
    );
}

#[test]
fn a_difference_is_found() {
    let page = |output: &str| format!("```console\n$ wasm-meminit --version\n{output}```\n");
    let check = |text: &str| {
        let mut failures = String::new();
        let (page, _) = replay("page", text, &mut failures);
        (page, failures.is_empty())
    };
    let good = page(concat!("wasm-meminit ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(check(&page("")), (good.clone(), false));
    assert_eq!(check(&good), (good.clone(), true));
    assert_eq!(check(&page("…\n")), (page("…\n"), true));
    assert!(!check("```sh\nwasm-meminit inspect missing.wasm\n```\n").1);
}
