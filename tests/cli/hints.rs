//! Hints, options about the host, and names that are made to mislead.

use std::fs;

use serde_json::Value;

use crate::tool::{self, Scratch};

/// Returns the line after the headline: the command.
#[track_caller]
fn command(result: &str) -> String {
    let mut lines = result.lines().skip_while(|it| !it.contains(" in images"));
    let line = lines.find(|it| it.starts_with(COMMAND));
    line.unwrap_or_else(|| panic!("no command in {result}"))
        .trim()
        .to_owned()
}

/// The beginning of the line that is to be pasted.
const COMMAND: &str = "  wasm-meminit ";

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&tool::run(args).success()).expect("JSON")
}

/// Runs a command in a shell whose `PATH` contains the tool.
#[cfg(unix)]
fn paste(scratch: &Scratch, command: &str) -> String {
    let (bin, name) = (scratch.path("bin"), scratch.path("bin/wasm-meminit"));
    let _ = fs::create_dir(bin);
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wasm-meminit"), name);
    let path = format!(
        "{}:{}",
        scratch.path("bin"),
        std::env::var("PATH").expect("a path")
    );
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", command])
        .env("PATH", path)
        .current_dir(scratch.path("."));
    let output = shell.output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn one_command_has_all_options() {
    for (file, options) in [
        (
            "threads.wasm",
            "--assume-zeroed-imports --start-function writes-stripped",
        ),
        ("imported.wasm", "--assume-zeroed-imports"),
        ("tour.wasm", "--global host.base=VALUE"),
        (
            "threads-pic.wasm",
            "--global env.__memory_base=VALUE --assume-zeroed-imports --start-function writes-stripped",
        ),
    ] {
        let expected = format!("wasm-meminit inspect {file} {options}");
        assert_eq!(command(&tool::run(["inspect", file]).success()), expected);
        let report = json(&["inspect", file, "--json"]);
        let in_json = format!("wasm-meminit inspect {file} --json {options}");
        assert_eq!(report["hint"]["command"], in_json);
        let scratch = Scratch::new();
        let page = scratch.path("page.html");
        tool::run(["inspect", file, "--html", &page]).success();
        let html = fs::read_to_string(&page).expect("a page");
        assert!(html.contains(&format!("{options}</code>")), "{html}");
        // `build` prints the hint too, and its command is complete.
        let artifact = scratch.path("artifact");
        let result = tool::run(["build", file, "-o", &artifact]).success();
        assert!(command(&result).ends_with(options), "{result}");
        // With these options, there is no further hint.
        let options = options.replace("VALUE", "1024");
        let result = tool::run(["inspect", file].into_iter().chain(options.split(' '))).success();
        assert!(!result.contains(COMMAND), "{result}");
    }
    for file in ["hello.wasm", "trap.wasm", "multi-memory.wasm"] {
        let result = tool::run(["inspect", file]).success();
        assert!(!result.contains(COMMAND), "{file}");
    }
}

/// The hint's number of bytes is the number that is baked once the options are given.
#[test]
fn threaded_modules_count_the_same_bytes() {
    let report = json(&["inspect", "threads.wasm", "--json"]);
    assert_eq!(report["hint"]["data_bytes"], 49);
    let options = [
        "--assume-zeroed-imports",
        "--start-function",
        "writes-stripped",
    ];
    let args: Vec<&str> = ["inspect", "threads.wasm", "--json"]
        .into_iter()
        .chain(options)
        .collect();
    let report = json(&args);
    let memory = &report["modules"][0]["memories"][0];
    assert_eq!(memory["data_bytes"], 49, "{memory}");
    assert_eq!(memory["baked"], 3, "{memory}");
    assert_ne!(memory["image_bytes"], 0, "{memory}");
    let result = tool::run(["inspect", "threads.wasm"].into_iter().chain(options)).success();
    let line = result
        .lines()
        .find(|it| it.starts_with("  data bytes"))
        .expect("a line");
    assert_eq!(line.split_whitespace().nth(2), Some("49"), "{line}");
    assert_eq!(report["headline"]["in_images"], 49, "{report}");
}

/// Names with which a module could inject something into the pasted command.
#[cfg(unix)]
#[test]
fn pasted_names_are_quoted_and_never_cut() {
    let long = "l".repeat(200);
    for name in [
        "$(touch pwned)",
        "`touch pwned`",
        "x; touch pwned #",
        "it's",
        "a b",
        "--help",
        "%s\\n",
        "\u{1b}[31mred\u{202e}",
        "line\nbreak",
        "*",
        "~",
        "!",
        "7:x",
        "é",
        &long,
    ] {
        let scratch = Scratch::new();
        let wat_name: String = name.bytes().map(|it| format!("\\{it:02x}")).collect();
        let text = format!(
            r#"(module (import "e" "{wat_name}" (global i32)) (memory 1) (data (global.get 0) "x"))"#
        );
        let module = scratch.module("app.wasm", &text);
        let result = tool::run(["inspect", &module]).success();
        assert!(!result.contains(['\u{1b}', '\u{202e}']), "{result}");
        let pasted = command(&result).replacen("VALUE", "0x10", 1);
        let result = paste(&scratch, &pasted);
        assert!(
            result.contains("1 active data segment, all in images"),
            "{name:?}: {result}"
        );
        assert_eq!(scratch.list(), ["app.wasm", "bin"], "{name:?}");
    }
}

/// Regressions: a name that begins with a dash was taken for an option, and a memory whose size was
/// given was asked for once more, which is a conflict.
#[cfg(unix)]
#[test]
fn a_pasted_command_is_accepted() {
    let scratch = Scratch::new();
    let dashes = r#"(module (import "-m" "-n" (memory 1)) (import "-x" "-y" (global $b i32))
                      (data (global.get $b) "hello") (data (i32.const 65536) "far"))"#;
    scratch.module("dashes.wasm", dashes);
    let result = tool::run(["inspect", &scratch.path("dashes.wasm")]).success();
    let hint = command(&result);
    assert!(hint.contains(" --global=-x.-y=VALUE "), "{hint}");
    assert!(hint.contains(" --memory=-m.-n=BYTES "), "{hint}");
    let filled = hint.replace("VALUE", "0").replace("BYTES", "2M");
    let result = paste(&scratch, &filled);
    assert!(
        result.contains("8 of 8 data bytes (100 %) in images"),
        "{result}"
    );

    let side = r#"(module (import "env" "memory" (memory 1))
                    (import "env" "__memory_base" (global $b i32)) (data (global.get $b) "hello"))"#;
    let side = scratch.module("side.wasm", side);
    let mut args = vec!["inspect", &side, "--global", "env.__memory_base=1M"];
    args.extend(["--memory", "env.memory=128K"]);
    let text = tool::run(args).stdout;
    assert_eq!(text.matches("env.memory=").count(), 0, "{text}");
    let mut args = vec!["inspect", &side, "--global", "env.__memory_base=1M"];
    args.extend(["--memory", "env.memory=64K"]);
    let text = tool::run(args).stdout;
    assert_eq!(
        text.matches("env.memory=").count(),
        0,
        "as declared: {text}"
    );
}

/// An option that may be given once replaces the one that was given.
#[test]
fn a_suggested_option_is_given_once() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    for given in [
        vec!["inspect", "threads.wasm", "--start-function", "unchanged"],
        vec!["inspect", "--start-function=unchanged", "threads.wasm"],
        vec![
            "inspect",
            "--start-function",
            "unchanged",
            "--",
            "threads.wasm",
        ],
        vec![
            "build",
            "--start-function",
            "unchanged",
            "threads.wasm",
            "-o",
            &out,
        ],
    ] {
        let hint = command(&tool::run(&given).success());
        assert_eq!(hint.matches("--start-function").count(), 1, "{hint}");
        let result = tool::run(hint.split(' ').skip(1)).success();
        assert!(result.contains("49 of 49 data bytes"), "{hint}: {result}");
    }
}

/// Regressions: of several globals in one address, only the first was asked for, and none for an
/// address that a global of the module decides.
#[test]
fn an_address_of_several_globals_needs_one_command() {
    let scratch = Scratch::new();
    let text = r#"(module (import "e" "a" (global $a i32)) (import "e" "b" (global $b i32))
        (import "e" "c" (global $c i32)) (import "e" "unused" (global i32))
        (global $d i32 (i32.add (global.get $c) (i32.const 8))) (memory 1)
        (data (i32.add (global.get $a) (global.get $b)) "hello") (data (global.get $d) "world"))"#;
    let module = scratch.module("app.wasm", text);
    let hint = command(&tool::run(["inspect", &module]).success());
    let options = "--global e.a=VALUE --global e.b=VALUE --global e.c=VALUE";
    assert!(hint.ends_with(options), "{hint}");
    let filled = hint.replace("VALUE", "64");
    let report = tool::run(filled.split(' ').skip(1)).success();
    assert!(report.contains("10 of 10 data bytes"), "{report}");
    let args = [
        "inspect", &*module, "--global", "e.a=8", "--global", "e.c=8",
    ];
    let hint = command(&tool::run(args).success());
    assert!(
        hint.ends_with(" --global e.c=8 --global e.b=VALUE"),
        "{hint}"
    );
}

/// Regression: module and name of two imports may be one text with the dot between them, so that
/// an option for one was about both.
#[test]
fn imports_that_share_a_text_are_given_by_index() {
    let scratch = Scratch::new();
    let text = r#"(module
        (import "a.b" "c" (global $x i32)) (import "a" "b.c" (global $y (mut i32)))
        (import "m.n" "o" (memory 1)) (import "m" "n.o" (memory 1))
        (data (global.get $x) "hello") (data (memory 1) (i32.const 65536) "far"))"#;
    let module = scratch.module("app.wasm", text);
    let hint = command(&tool::run(["inspect", &module]).success());
    let options = "--global '#0=VALUE' --memory '#0=BYTES' --memory '#1=BYTES'";
    assert!(hint.contains(options), "{hint}");
    let options = ["--global=#0=0", "--memory=#0=1M", "--memory=#1=2M"];
    let args = ["inspect", &*module, "--assume-zeroed-imports"];
    let report = tool::run(args.into_iter().chain(options)).success();
    assert!(report.contains("8 of 8 data bytes (100 %)"), "{report}");

    // One name that is imported twice has one value.
    let text = r#"(module (import "e" "b" (global $a i32)) (import "e" "b" (global $b i32))
        (memory 1) (data (global.get $a) "x") (data (global.get $b) "y"))"#;
    let module = scratch.module("twice.wasm", text);
    let hint = command(&tool::run(["inspect", &module]).success());
    assert!(hint.ends_with("twice.wasm --global e.b=VALUE"), "{hint}");
}

/// Regression: the size of the memory was asked for only once the base was known, by a second hint.
#[test]
fn a_side_module_needs_one_command() {
    let side = r#"(module (import "env" "memory" (memory 1))
                    (import "env" "__memory_base" (global $b i32)) (data (global.get $b) "hello"))"#;
    let scratch = Scratch::new();
    let side = scratch.module("side.wasm", side);
    let hint = command(&tool::run(["inspect", &side]).success());
    let options = "--global env.__memory_base=VALUE --memory env.memory=BYTES";
    assert!(hint.contains(options), "{hint}");
    let filled = hint.replace("VALUE", "1M").replace("BYTES", "2M");
    let report = tool::run(filled.split(' ').skip(1)).success();
    assert!(report.contains("5 of 5 data bytes"), "{report}");
    assert!(!report.contains(COMMAND), "{report}");
}

/// Regression: a size was asked for that no 32-bit memory can have.
#[test]
fn an_address_beyond_any_memory_needs_no_size() {
    let side = r#"(module (import "env" "memory" (memory 1))
                    (import "env" "base" (global $b i32)) (data (global.get $b) "hello"))"#;
    let scratch = Scratch::new();
    let side = scratch.module("side.wasm", side);
    let with = |base: &str| tool::run(["inspect", &side, "--global", &format!("env.base={base}")]);
    assert!(command(&with("0xfffffffb").success()).contains("--memory env.memory=BYTES"));
    let report = with("0xfffffffc").success();
    assert!(!report.contains(COMMAND), "{report}");
}

/// Regression: an import of the same name, but of another type, in a module that is not selected
/// was an error.
#[test]
fn options_are_about_the_selected_module() {
    let scratch = Scratch::new();
    let both = scratch.module("both.wasm", SIDES);
    let out = scratch.path("out");
    let value = "env.__memory_base=1024";
    let args = [
        "build", &both, "-o", &out, "--global", value, "--module", "1",
    ];
    let report = tool::run(args).success();
    assert!(report.contains("6 of 6 data bytes"), "{report}");
    let args = ["build", &both, "-o", &out, "--global", value];
    assert_eq!(tool::run(args).code, 2);
}

/// A command line cannot contain a NUL, so the global is named by its index.
#[test]
fn a_name_with_a_nul_is_given_by_index() {
    let scratch = Scratch::new();
    let text = r#"(module (import "e" "a\00b" (global i32)) (memory 1) (data (global.get 0) "x"))"#;
    let module = scratch.module("app.wasm", text);
    let result = tool::run(["inspect", &module]).success();
    assert!(
        command(&result).ends_with(" --global '#0=VALUE'"),
        "{result}"
    );
    let result = tool::run(["inspect", &module, "--global", "#0=16"]).success();
    assert!(
        result.contains("1 active data segment, all in images"),
        "{result}"
    );
}

/// JSON preserves every character of a name, and no format contains control characters.
#[test]
fn names_are_preserved_and_escaped() {
    let name = "a\u{0}\u{1b}\u{7f}\u{9b}\u{202e}\u{61c}\u{200b}\u{feff}\u{ad}\n\"\\é🦀\u{e0041}z";
    let scratch = Scratch::new();
    let escaped: String = name.bytes().map(|it| format!("\\{it:02x}")).collect();
    let text = format!(
        r#"(module (@name "{escaped}") (import "{escaped}" "{escaped}" (memory 1))
            (data (i32.const 0) "x"))"#
    );
    let module = scratch.module("app.wasm", &text);
    let page = scratch.path("page.html");
    let text = tool::run(["inspect", &module, "--json", "--html", &page]).success();
    let html = fs::read_to_string(&page).expect("a page");
    let report = tool::run(["inspect", &module]).success();
    let controls = [
        '\u{0}', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{61c}', '\u{200b}',
    ];
    for shown in [&text, &html, &report] {
        assert!(!shown.contains(controls), "{shown}");
        assert!(
            !shown.contains(['\u{feff}', '\u{ad}', '\u{e0041}']),
            "{shown}"
        );
    }
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["modules"][0]["name"], name);
    assert_eq!(json["modules"][0]["imports"][0]["module"], name);
    assert_eq!(
        json["modules"][0]["imports"][0]["memories"][0]["name"],
        name
    );
}

/// Two side modules with the same import, as in dynamic linking.
const SIDES: &str = r#"(component
    (core module (import "env" "__memory_base" (global i32)) (memory 1)
        (data (global.get 0) "first"))
    (core module (import "env" "__memory_base" (global i32)) (memory 1)
        (data (global.get 0) "second"))
    (core module (import "env" "__memory_base" (global (mut i32))) (memory 1)))"#;

#[test]
fn a_value_can_select_its_module() {
    let scratch = Scratch::new();
    let both = scratch.module("both.wasm", SIDES);
    let result = tool::run(["inspect", &both]).success();
    let options = "--global 0:env.__memory_base=VALUE --global 1:env.__memory_base=VALUE";
    assert!(command(&result).ends_with(options), "{result}");
    let extents = |args: &[&str]| {
        let args: Vec<&str> = ["inspect", "--json", &*both]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let report = json(&args);
        [0, 1].map(|nth| report["modules"][nth]["memories"][0]["extent"]["min"].clone())
    };
    let of = |module: &str, value: &str| format!("{module}:env.__memory_base={value}");
    let args = ["--global", &of("0", "1024"), "--global", &of("1", "0x800")];
    assert_eq!(extents(&args), [1024, 2048]);
    assert_eq!(
        extents(&["--global", &of("1", "64")]),
        [Value::Null, 64.into()]
    );
    assert_eq!(extents(&["--global", "1:#0=64"]), [Value::Null, 64.into()]);

    let refused = |args: &[&str], cause: &str| {
        let args: Vec<&str> = ["inspect", &*both].iter().chain(args).copied().collect();
        tool::run(args).fails_with(2, &format!("error: {both}: {cause}"));
    };
    refused(
        &["--global", "env.__memory_base=1024"],
        "--global env.__memory_base: in core module 2, the global is mutable or not an integer\n\
         hint: select a core module, as in --global N:NAME=VALUE",
    );
    refused(
        &["--global", &of("2", "1")],
        "--global 2:env.__memory_base: the global is mutable or not an integer",
    );
    let cause = "--global 3:env.__memory_base: no such core module; there are 3, counted from 0";
    refused(&["--global", &of("3", "1")], cause);
    let twice = ["--global", &of("0", "1"), "--global", &of("0", "2")];
    refused(
        &twice,
        "--global 0:env.__memory_base: conflicting values 1 and 2",
    );
    let same = ["--global", &of("0", "1"), "--global", &of("0", "0x1")];
    assert_eq!(extents(&same), [1.into(), Value::Null]);
}

/// With long names on both sides, the message stays short and lists similar names first.
#[test]
fn the_message_for_an_unknown_name_is_short() {
    let scratch = Scratch::new();
    let imports: String = (0..50)
        .map(|nth| format!(r#"(import "e" "{nth}{}" (global i32))"#, "n".repeat(5000)))
        .collect();
    let text = format!(r#"(module {imports} (import "env" "__memory_base" (global i32)))"#);
    let module = scratch.module("app.wasm", &text);
    let result = tool::run(["inspect", &module, "--global", "env.memory_base=1"]);
    let list = "--global env.memory_base: no such import\nhint: available: env.__memory_base, ";
    assert!(result.stderr.contains(list), "{}", result.stderr);
    assert!(result.stderr.len() < 600, "{}", result.stderr);
    let wanted = format!("{}=1", "w".repeat(30_000));
    let result = tool::run(["inspect", &module, "--global", &wanted]);
    assert!(result.stderr.len() < 600, "{}", result.stderr);
    assert_eq!(result.code, 2);
}

/// Object files are refused. Sections kept by `--emit-relocs` allow an image, with a warning,
/// but not stripping.
#[test]
fn modules_with_relocations() {
    let scratch = Scratch::new();
    let object = scratch.module(
        "object.o",
        r#"(module (import "env" "__linear_memory" (memory 1)) (data (i32.const 0) "x")
            (@custom "linking" "\02") (@custom "reloc.DATA" "\0b\00"))"#,
    );
    let kept = scratch.module(
        "kept.wasm",
        r#"(module (memory 1) (data (i32.const 0) "x") (@custom "reloc.DATA" "\0b\00"))"#,
    );
    let (out, stripped) = (scratch.path("out"), scratch.path("stripped"));
    let result = tool::run(["build", &object, "--assume-zeroed-imports", "-o", &out]);
    let cause = "this is an object file; its data segments are not relocated yet";
    let hint = "hint: link it first, then build from the linker's output";
    assert_eq!(result.stderr, format!("error: {object}: {cause}\n{hint}\n"));
    assert_eq!(result.code, 2);

    let result = tool::run(["build", &kept, "-o", &out, "--strip", &stripped]);
    assert!(
        result
            .stderr
            .contains("custom section reloc.DATA refers to bytes"),
        "{}",
        result.stderr
    );
    assert_eq!(result.code, 2);
    assert_eq!(scratch.list(), ["kept.wasm", "object.o"]);
    let result = tool::run(["build", &kept, "-o", &out]);
    assert!(result.stderr.starts_with("warning: "), "{}", result.stderr);
    assert_eq!(result.code, 0);
}

/// A host resolves one name to one memory, so no promise makes two imports of it distinct.
#[test]
fn memories_with_one_name_are_not_promised_to_be_distinct() {
    let scratch = Scratch::new();
    let text = r#"(module (import "env" "m" (memory $a 1)) (import "env" "m" (memory $b 1))
        (import "env" "base" (global $base i32))
        (data (memory $a) (i32.const 0) "aaaa")
        (data (memory $b) (i32.const 0) "bbbb")
        (data (memory $a) (i32.const 2) "cc") LAST)"#;
    for last in ["", r#"(data (memory $a) (global.get $base) "dd")"#] {
        let module = scratch.module("twice.wasm", &text.replace("LAST", last));
        assert_eq!(json(&["inspect", "--json", &module])["hint"], Value::Null);
        let result = tool::run(["dump", &module, "0", "16", "--assume-zeroed-imports"]);
        let warning = format!(
            "warning: {module}: --assume-zeroed-imports does not apply to memory 0 of core module \
             0: another memory is imported under its name\n"
        );
        assert_eq!((result.code, result.stderr), (0, warning));
        assert!(result.stdout.contains("??"), "{}", result.stdout);
    }
}

#[test]
fn stripping_a_component_writes_the_core_module() {
    let scratch = Scratch::new();
    let (out, stripped) = (scratch.path("out"), scratch.path("stripped.wasm"));
    let args = [
        "build",
        "component.wasm",
        "--module",
        "1",
        "-o",
        &out,
        "--strip",
        &stripped,
    ];
    let result = tool::run(args).success();
    let line = result
        .lines()
        .find(|it| it.starts_with(&stripped))
        .expect("a line");
    assert!(
        line.ends_with(" bytes, only core module 1 of the component"),
        "{line}"
    );
    let result = tool::run(["inspect", &stripped]).success();
    assert!(result.contains(": core module"), "{result}");
}
