//! Shell habits: completions, manual pages, `--quiet`, `--color`, suggestions, sizes, `-`.

use std::fs;

#[cfg(unix)]
use wasm_meminit_test_support::skips::skip_test;

use crate::tool::{self, Scratch};

/// Returns the names of the subcommands, from the help text.
fn commands() -> Vec<String> {
    let help = tool::run(["--help"]).success();
    let list = help.split("Commands:\n").nth(1).expect("commands");
    let list = list.lines().take_while(|it| !it.is_empty());
    let names = list.filter(|it| it.starts_with("  ") && !it.starts_with("   "));
    let names = names.filter_map(|it| it.split_whitespace().next());
    let names: Vec<String> = names
        .filter(|it| *it != "help")
        .map(str::to_owned)
        .collect();
    assert!(9 <= names.len(), "{names:?}");
    names
}

/// Returns the long options of a subcommand, from its help text.
fn options(command: &str) -> Vec<String> {
    let help = tool::run([command, "--help"]).success();
    let lines = help.lines().filter(|it| it.trim_start().starts_with('-'));
    let words = lines.flat_map(|it| it.split([' ', ',', '=', '[']));
    let options: Vec<String> = words
        .filter(|it| it.starts_with("--"))
        .map(str::to_owned)
        .collect();
    assert!(options.contains(&"--help".to_owned()), "{help}");
    options
}

#[test]
fn completions_have_every_command_and_option() {
    let scripts = ["bash", "zsh", "fish", "powershell", "elvish"]
        .map(|shell| (shell, tool::run(["completions", shell]).success()));
    for command in commands() {
        for (shell, script) in &scripts {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        for option in options(&command) {
            // fish lists options without their dashes.
            let fish = format!("-l {}", option.trim_start_matches('-'));
            for (shell, script) in &scripts {
                let is_there = script.contains(&option) || script.contains(&fish);
                assert!(is_there, "{shell}: {command} {option}");
            }
        }
    }
}

/// Runs a shell, if it is installed, and returns what it prints.
#[cfg(unix)]
fn in_shell(shell: &str, options: &[&str], commands: &str) -> Option<String> {
    let mut shell = std::process::Command::new(shell);
    let output = shell.args(options).args(["-c", commands]).output().ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_options_and_values() {
    let script = tool::run(["completions", "bash"]).success();
    for (words, expected) in [
        ("insp", "inspect\n"),
        ("inspect --segm", "--segments\n"),
        ("inspect --policy sma", "smallest\n"),
        ("build --start-function writes", "writes-stripped\n"),
        ("inspect --require no", "no-replay\n"),
    ] {
        let (before, last) = words.rsplit_once(' ').unwrap_or(("", words));
        let previous = before.rsplit(' ').next().filter(|it| !it.is_empty());
        let previous = previous.unwrap_or("wasm-meminit");
        let n_words = words.split(' ').count();
        let ask = format!(
            "COMP_WORDS=(wasm-meminit {words}); COMP_CWORD={n_words}; \
             _wasm__meminit wasm-meminit {last} {previous}; echo \"${{COMPREPLY[@]}}\""
        );
        let Some(answer) = in_shell("bash", &["--norc"], &format!("{script}\n{ask}")) else {
            return skip_test("bash is not installed");
        };
        assert_eq!(answer, expected, "{words}");
    }
}

#[cfg(unix)]
#[test]
fn fish_completes_commands_options_and_values() {
    let script = tool::run(["completions", "fish"]).success();
    for (line, expected) in [
        ("insp", "inspect"),
        ("inspect --segm", "--segments"),
        ("inspect --policy sma", "smallest"),
    ] {
        let ask = format!("{script}\ncomplete --do-complete 'wasm-meminit {line}'");
        let Some(answer) = in_shell("fish", &["--no-config"], &ask) else {
            return skip_test("fish is not installed");
        };
        let word = answer.split_whitespace().next();
        assert_eq!(word, Some(expected), "{line}: {answer}");
    }
}

/// A colon ends the name of a value, unless it is escaped: zsh would run the rest as a command.
#[cfg(unix)]
#[test]
fn names_of_values_are_escaped_for_zsh() {
    let script = tool::run(["completions", "zsh"]).success();
    assert!(!script.contains("[MODULE:]"));
    assert!(script.contains(r":[MODULE\:]NAME=VALUE:"), "{script}");
    let file = Scratch::new();
    let path = file.path("_wasm-meminit");
    fs::write(&path, script).expect("written");
    // Only parses it.
    let check = format!("zsh -f -n {path}");
    if in_shell("zsh", &["-f"], &check).is_none() {
        skip_test("zsh is not installed");
    }
}

#[test]
fn manual_pages_have_every_command_and_option() {
    let page = |args: &[&str]| {
        let page = tool::run([&["man"], args].concat()).success();
        page.replace("\\-", "-")
    };
    let tool_page = page(&[]);
    assert!(tool_page.contains(".TH wasm-meminit 1"), "{tool_page}");
    for command in commands() {
        assert!(
            tool_page.contains(&format!("wasm-meminit-{command}(1)")),
            "{command}"
        );
        let page = page(&[&command]);
        assert!(
            page.contains(&format!(".TH wasm-meminit-{command} 1")),
            "{page}"
        );
        for option in options(&command) {
            assert!(page.contains(&option), "{command} {option}: {page}");
        }
    }
    let diff = page(&["diff"]);
    assert!(
        diff.contains(".SH EXAMPLES\n.nf\n  wasm-meminit diff"),
        "{diff}"
    );
    assert!(diff.contains("\n.fi\n.SH VERSION\n"), "{diff}");
    let result = tool::run(["man", "frobnicate"]);
    result.fails_with(
        2,
        "error: there is no command \"frobnicate\"\nhint: available: inspect, build, pack, \
         verify, bench, dump, extract, diff, completions, man",
    );
}

/// `--quiet` leaves data, findings and errors.
#[test]
fn quiet() {
    let scratch = Scratch::new();
    let (artifact, small, raw) = (scratch.path("a"), scratch.path("s"), scratch.path("r"));
    for args in [
        &["build", "tour.wasm", "-o", &artifact][..],
        &["pack", "tour.wasm", "-o", &small],
        &["verify", "tour.wasm", &artifact],
        &["extract", &artifact, "0", "-o", &raw],
        &["inspect", "tour.wasm"],
        &["diff", "tour.wasm", &artifact],
    ] {
        for quiet in ["--quiet", "-q"] {
            let stdout = tool::run([args, &[quiet]].concat()).success();
            assert_eq!(stdout, "", "{args:?}");
            let stdout = tool::run([&[quiet], args].concat()).success();
            assert_eq!(stdout, "", "{args:?}");
        }
    }
    let result = tool::run(["diff", "tour.wasm", "hello.wasm", "-q"]);
    result.fails_with(1, "");
    let result = tool::run(["verify", "hello.wasm", &artifact, "-q"]);
    assert_eq!((result.code, result.stdout.as_str()), (1, ""));
    assert!(
        result.stderr.starts_with("difference: "),
        "{}",
        result.stderr
    );
    let stdout = tool::run(["inspect", "-q", "tour.wasm", "--json"]).success();
    let loud = tool::run(["inspect", "tour.wasm", "--json"]).success();
    // The hint repeats the command.
    assert_eq!(stdout.replace("inspect -q", "inspect"), loud);
    let stdout = tool::run(["dump", "-q", "tour.wasm", "0"]).success();
    assert!(stdout.contains("00000000: "), "{stdout}");
    // On stdout there is nothing but the artifact, and on stderr nothing at all.
    let output = tool::command()
        .args(["build", "-q", "tour.wasm", "-o", "-"])
        .output();
    let output = output.expect("the tool runs");
    assert_eq!(output.stdout, fs::read(&artifact).expect("read"));
    assert!(output.stderr.is_empty());
}

#[test]
fn colours_as_chosen() {
    let run = |args: &[&str], name: &str| {
        let output = tool::command().args(args).env(name, "1").output();
        let output = output.expect("the tool runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).expect("UTF-8").contains('\u{1b}')
    };
    for args in [
        &["inspect", "tour.wasm"][..],
        &["dump", "tour.wasm", "0"],
        &["diff", "tour.wasm", "hello.wasm"],
        &["inspect", "missing.wasm"],
        &["inspect", "--frobnicate"],
        &["build", "--help"],
    ] {
        let with = |choice: &[&str], name| run(&[args, choice].concat(), name);
        assert!(with(&["--color", "always"], "NO_COLOR"), "{args:?}");
        assert!(with(&["--color=always"], "NO_COLOR"), "{args:?}");
        assert!(!with(&["--color", "never"], "CLICOLOR_FORCE"), "{args:?}");
        assert!(with(&[], "CLICOLOR_FORCE"), "{args:?}");
        assert!(!with(&["--color", "auto"], "NO_COLOR"), "{args:?}");
    }
    assert_eq!(
        tool::run(["inspect", "tour.wasm", "--color", "pink"]).code,
        2
    );
}

#[test]
fn misspelt_words_have_suggestions() {
    for (args, similar) in [
        (&["inspct", "tour.wasm"][..], "'inspect'"),
        (
            &["inspect", "tour.wasm", "--polcy", "smallest"],
            "'--policy'",
        ),
        (&["build", "tour.wasm", "--otput", "x"], "'--output'"),
        (
            &["inspect", "tour.wasm", "--policy", "smalest"],
            "'smallest'",
        ),
        (
            &["app.wasm"],
            "tip: to see what it holds: wasm-meminit inspect app.wasm",
        ),
        (&["my app.wat"], "wasm-meminit inspect 'my app.wat'"),
        (&["completions", "bsh"], "'bash'"),
        (
            &["inspect", "tour.wasm", "--global", "host.bsae=1"],
            "host.base",
        ),
    ] {
        let result = tool::run(args);
        assert!(result.stderr.contains(similar), "{}", result.stderr);
        assert_eq!(result.code, 2);
    }
}

/// Wherever a number of bytes is expected, K, M and G are understood.
#[test]
fn sizes_have_units() {
    // The hint repeats the command.
    let report = |args: &[&str]| {
        let report = tool::run(args).success();
        let lines = report
            .lines()
            .filter(|it| !it.contains("wasm-meminit inspect"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let page = |size| report(&["inspect", "tour.wasm", "--page-size", size]);
    assert_eq!(page("64K"), page("65536"));
    assert_eq!(page("2M"), page("2097152"));
    let dump = |addr, len| report(&["dump", "tour.wasm", addr, len]);
    assert_eq!(dump("1K", "0x100"), dump("1024", "256"));
    let known = |value: &str| {
        report(&[
            "inspect",
            "tour.wasm",
            "--json",
            "--global",
            &format!("host.base={value}"),
        ])
    };
    assert_eq!(known("4K"), known("0x1000"));
}

/// Every command that reads one module or artifact reads it from stdin too.
#[test]
fn stdin_everywhere() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    tool::run(["build", "tour.wasm", "-o", &artifact]).success();
    let wasm = fs::read(tool::modules().join("tour.wasm")).expect("read");
    let bytes = fs::read(&artifact).expect("read");
    let out = scratch.path("out");
    for args in [
        &["inspect", "-"][..],
        &["build", "-", "-o", &out],
        &["pack", "-", "-o", &out],
        &["verify", "-", &artifact],
        &["dump", "-", "0"],
        &["diff", "-", "tour.wasm"],
        &["bench", "-", "--time", "1", "--pages", "0"],
    ] {
        let report = tool::run_with_stdin(args, &wasm).success();
        assert!(!report.is_empty(), "{args:?}");
    }
    for args in [
        &["verify", "tour.wasm", "-"][..],
        &["dump", "-", "0"],
        &["extract", "-", "0", "-o", &out],
        &["diff", "tour.wasm", "-"],
    ] {
        tool::run_with_stdin(args, &bytes).success();
    }
}

/// A folder that does not exist is not taken for a file.
#[test]
fn a_path_that_ends_with_a_slash() {
    let scratch = Scratch::new();
    let out = scratch.path("missing/");
    let cause = "no such directory; a path that ends with a slash cannot name a file";
    let line = format!("error: {out}: cannot write: {cause}");
    tool::run(["build", "tour.wasm", "-o", &out]).fails_with(2, &line);
    tool::run(["pack", "tour.wasm", "-o", &out]).fails_with(2, &line);
    assert!(scratch.list().is_empty());
}
