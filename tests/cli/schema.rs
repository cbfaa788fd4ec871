//! The JSON of each command is what `docs/schema/` documents.

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;
use wasm_meminit_test_support::skips::skip_test;

use crate::tool::{self, RunOutput, Scratch, module_names};

const COMMANDS: [&str; 8] = [
    "inspect", "build", "pack", "verify", "bench", "diff", "dump", "extract",
];

fn schema(command: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/schema")
        .join(format!("{command}.schema.json"));
    let text = fs::read_to_string(file).expect("a schema");
    serde_json::from_str(&text).expect("JSON")
}

/// Checks outputs of one command.
struct Checker {
    validator: Validator,
}

impl Checker {
    fn new(command: &str) -> Self {
        let schema = schema(command);
        jsonschema::meta::validate(&schema).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        Self { validator }
    }

    /// Checks what a run printed, and returns it.
    #[track_caller]
    fn check(&self, output: &RunOutput) -> Value {
        let value: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|err| panic!("{err}: {}{}", output.stdout, output.stderr));
        let errors: Vec<String> = self
            .validator
            .iter_errors(&value)
            .map(|it| format!("{}: {it}", it.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{}", output.stdout);
        value
    }

    /// Checks that the schema notices any field that is missing or not documented, in any
    /// object of a valid document.
    #[track_caller]
    fn notices(&self, valid: &Value) {
        assert!(self.validator.is_valid(valid));
        for path in objects(valid, String::new()) {
            let mut more = valid.clone();
            let object = more.pointer_mut(&path).and_then(Value::as_object_mut);
            object
                .expect("an object")
                .insert("undocumented".to_owned(), 1.into());
            assert!(!self.validator.is_valid(&more), "more at {path}");
            let keys = valid.pointer(&path).and_then(Value::as_object);
            for key in keys.expect("an object").keys() {
                let mut fewer = valid.clone();
                let object = fewer.pointer_mut(&path).and_then(Value::as_object_mut);
                object.expect("an object").remove(key);
                // The list that only `--segments` adds is the only optional field.
                let is_optional = key == "segments"
                    && valid
                        .pointer(&path)
                        .is_some_and(|it| it["counts"].is_object());
                assert_eq!(self.validator.is_valid(&fewer), is_optional, "{path}/{key}");
                let mut other = valid.clone();
                let object = other.pointer_mut(&path).and_then(Value::as_object_mut);
                object
                    .expect("an object")
                    .insert(key.clone(), serde_json::json!([[true]]));
                assert!(
                    !self.validator.is_valid(&other),
                    "{path}/{key} of another type"
                );
            }
        }
    }
}

/// Returns the paths of all objects in a value.
fn objects(value: &Value, path: String) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let nested = fields
                .iter()
                .flat_map(|(key, it)| objects(it, format!("{path}/{key}")));
            let nested: Vec<String> = nested.collect();
            core::iter::once(path).chain(nested).collect()
        }
        Value::Array(list) => {
            let nested = list.iter().enumerate();
            nested
                .flat_map(|(nth, it)| objects(it, format!("{path}/{nth}")))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn run(line: &str) -> RunOutput {
    tool::run(line.split(' '))
}

#[test]
fn inspect_of_every_module() {
    let checker = Checker::new("inspect");
    for name in module_names() {
        for options in [
            "",
            " --segments",
            " --policy reference",
            " --policy smallest --page-size 64K",
            " --assume-zeroed-imports",
            " --start-function writes-stripped --assume-zeroed-imports",
            " --start-function already-initialized --assume-zeroed-imports",
            " --start-function already-initialized-tls --assume-zeroed-imports",
        ] {
            checker.check(&run(&format!("inspect --json {name}.wasm{options}")));
        }
        checker.check(&run(&format!("inspect --json {name}.wat")));
    }
}

#[test]
fn the_schema_of_inspect_notices_changes() {
    let checker = Checker::new("inspect");
    let scratch = Scratch::new();
    let artifact = scratch.path("app.meminit");
    for line in [
        "inspect --json tour.wasm --segments --require static".to_owned(),
        "inspect --json threads.wasm".to_owned(),
        "inspect --json component.wasm".to_owned(),
        "inspect --json tour.wasm missing.wasm --require static".to_owned(),
    ] {
        checker.notices(&checker.check(&run(&line)));
    }
    for line in [
        "tour.wasm",
        "threads.wasm --assume-zeroed-imports --start-function already-initialized-tls",
        "component.wasm",
    ] {
        run(&format!("build {line} -o {artifact}")).success();
        let report = checker.check(&run(&format!("inspect --json {artifact}")));
        checker.notices(&report);
        checker.check(&run(&format!("inspect --json {artifact} hello.wasm")));
    }
}

#[test]
fn diff_of_every_module() {
    let checker = Checker::new("diff");
    for name in module_names() {
        for other in ["tour.wasm", "threads.wat", "component.wasm"] {
            let report = checker.check(&run(&format!("diff --json {name}.wasm {other}")));
            if name == "extended-const" {
                checker.notices(&report);
            }
        }
    }
    checker.check(&run("diff --json tour.wasm --with-policy reference"));
}

/// What `dump` prints of a module, of its artifact, and of a memory of the host.
#[test]
fn dump_of_every_module() {
    let checker = Checker::new("dump");
    let scratch = Scratch::new();
    let artifact = scratch.path("app.meminit");
    for name in module_names() {
        let select = if name == "component" {
            " --module 1"
        } else {
            ""
        };
        let module = format!("{name}.wasm");
        let output = run(&format!("dump --json {module} 0 1{select}"));
        if output.stderr.contains("has no memory") {
            continue;
        }
        assert_eq!(checker.check(&output)["length"], 1, "{name}");
        run(&format!("build {module} -o {artifact}")).success();
        let of_artifact = checker.check(&run(&format!("dump --json {artifact} 0 1{select}")));
        assert_eq!(of_artifact["memory"]["index"], 0, "{name}");
    }
    let report = checker.check(&run("dump --json tour.wasm 0 12M"));
    checker.notices(&report);
    let ranges = report["ranges"].as_array().expect("a list");
    let mut at = 0;
    for range in ranges {
        let number = |key: &str| range[key].as_u64().expect("a number");
        assert_eq!(number("address"), at);
        at += number("length");
        if let Some(digits) = range["bytes"].as_str() {
            assert_eq!(digits.len() as u64, 2 * number("length"));
        }
    }
    assert_eq!(at, 12 << 20);
    // The text form shows the same bytes.
    let first = ranges.iter().find(|it| it["bytes"].is_string());
    let first = first.expect("a segment");
    let (addr, digits) = (&first["address"], first["bytes"].as_str().expect("digits"));
    let text = run(&format!("dump tour.wasm {addr} 2")).success();
    let row = text.lines().nth(2).expect("a row");
    assert_eq!(row.split(' ').nth(1), Some(&digits[..4]));
}

#[test]
fn extract_describes_the_file() {
    let checker = Checker::new("extract");
    let scratch = Scratch::new();
    let (artifact, raw) = (scratch.path("app.meminit"), scratch.path("raw"));
    run(&format!("build tour.wasm -o {artifact}")).success();
    let report = checker.check(&run(&format!("extract --json {artifact} 0 -o {raw}")));
    checker.notices(&report);
    assert_eq!(report["output"]["name"], *raw);
    let written = fs::metadata(&raw).expect("written").len();
    assert_eq!(report["output"]["size"], written);
    assert_eq!(report["replayed"], 1);
}

/// `build`, `pack` and `verify` describe the files that they read and wrote.
#[test]
fn commands_that_write_files() {
    let [_, build, pack, verify, ..] = COMMANDS.map(Checker::new);
    let scratch = Scratch::new();
    let (out, stripped) = (scratch.path("app.meminit"), scratch.path("stripped.wasm"));
    let packed = scratch.path("packed.wasm");
    let names = module_names().into_iter().map(|name| (name, 2));
    for (name, n_modules) in names.chain([("component".to_owned(), 1)]) {
        let module = format!("{name}.wasm");
        // Once with the bundle of a component, once with one of its artifacts.
        let selected = match name.as_str() {
            "component" if n_modules == 1 => " --module 1",
            _ => "",
        };
        let line = format!("build --json {module}{selected} -o {out} --strip {stripped}");
        let built = build.check(&run(&line));
        let line = format!("verify --json {module}{selected} {out}");
        let verified = verify.check(&run(&line));
        let line = format!("pack --json {module} -o {packed}");
        let rewritten = pack.check(&run(&line));
        assert_eq!(verified["correct"], true, "{name}");
        assert_eq!(verified["module"], built["input"], "{name}");
        assert_eq!(verified["artifact"], built["outputs"][0]["file"], "{name}");
        let list = |it: &Value| it["modules"].as_array().expect("a list").clone();
        assert_eq!(list(&verified).len(), list(&built).len(), "{name}");
        for (compared, built) in list(&verified).iter().zip(list(&built)) {
            assert_eq!(compared["source_sha256"], built["sha256"], "{name}");
            assert_eq!(compared["index"], built["index"], "{name}");
        }
        let line = format!("verify --json {stripped} {out}");
        let verified = verify.check(&run(&line));
        assert_eq!(verified["module"], built["outputs"][1]["file"], "{name}");
        let written = fs::read(&packed).expect("written");
        assert_eq!(rewritten["output"]["size"], written.len(), "{name}");
        assert_eq!(rewritten["input"], built["input"], "{name}");
        // What was written is what `inspect` reads.
        let inspected = run(&format!("inspect --json {packed}"));
        let inspected: Value = serde_json::from_str(&inspected.stdout).expect("JSON");
        assert_eq!(rewritten["output"], inspected["file"], "{name}");
        if name == "tour" {
            build.notices(&built);
            pack.notices(&rewritten);
            verify.notices(&verified);
        }
    }
    let threads = "threads.wasm --assume-zeroed-imports --start-function already-initialized-tls";
    let built = build.check(&run(&format!("build --json {threads} -o {out}")));
    build.notices(&built);
    let verified = verify.check(&run(&format!("verify --json threads.wasm {out}")));
    assert_eq!(verified["modules"][0]["stripped"], false);
    verify.notices(&verified);
}

#[test]
fn a_difference_is_in_the_json_too() {
    let verify = Checker::new("verify");
    let scratch = Scratch::new();
    let out = scratch.path("app.meminit");
    run(&format!("build hello.wasm -o {out}")).success();
    let result = run(&format!("verify --json tour.wasm {out}"));
    let report = verify.check(&result);
    assert_eq!((result.code, &report["correct"]), (1, &false.into()));
    let finding = report["modules"][0]["finding"].as_str().expect("a text");
    assert!(result.stderr.contains(finding), "{}", result.stderr);
    verify.notices(&report);
}

#[test]
fn json_and_an_output_cannot_share_stdout() {
    for line in [
        "build --json hello.wasm -o -",
        "pack --json hello.wasm -o -",
        "extract --json hello.meminit 0 -o -",
    ] {
        let result = run(line);
        assert_eq!((result.code, &*result.stdout), (2, ""), "{line}");
        assert!(
            result.stderr.contains("both write to stdout"),
            "{}",
            result.stderr
        );
    }
}

#[test]
fn measurements() {
    let bench = Checker::new("bench");
    let report = bench.check(&run("bench --json --time 1 hello.wasm"));
    bench.notices(&report);
    bench.check(&run("bench --json --time 1 multi-memory.wasm"));
}

/// Each schema defines what it shares with others in the same words.
#[test]
fn schemas_agree() {
    let schemas = COMMANDS.map(|it| (it, schema(it)));
    for (command, schema) in &schemas {
        let id = format!("/docs/schema/{command}.schema.json");
        assert!(schema["$id"].as_str().is_some_and(|it| it.ends_with(&id)));
        for (name, definition) in schema["$defs"].as_object().expect("definitions") {
            for (other, schema) in &schemas {
                let there = &schema["$defs"][name];
                let is_own = matches!(
                    name.as_str(),
                    "artifact" | "module" | "memory" | "range" | "segment"
                );
                assert!(
                    is_own || there.is_null() || there == definition,
                    "{name} of {command} and {other}"
                );
            }
        }
    }
    let listed = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema"));
    assert!(listed.expect("a directory").count() >= COMMANDS.len());
}

#[test]
fn reports_of_the_corpus() {
    let Some(folder) = std::env::var_os("WASM_MEMINIT_CORPUS") else {
        skip_test("WASM_MEMINIT_CORPUS is not set");
        return;
    };
    let checker = Checker::new("inspect");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let summary = tool::run([Path::new("inspect"), Path::new("--json"), &folder]);
    let summary = checker.check(&summary);
    let files = summary["files"].as_array().expect("a list");
    assert!(!files.is_empty());
    for file in files {
        let name = file["file"]["name"].as_str().expect("a name");
        let report = checker.check(&tool::run(["inspect", "--json", "--segments", name]));
        assert_eq!(report["headline"], file["data"], "{name}");
        let number = |key: &str| report["headline"][key].as_u64().expect("a number");
        assert!(number("in_images") <= number("data_bytes"), "{name}");
        let text = tool::run(["inspect", name]).success();
        let modules = report["modules"].as_array().expect("a list");
        let is_single = modules.len() == 1
            && modules[0]["memories"]
                .as_array()
                .is_some_and(|it| it.len() == 1);
        let rows = |it: &str| it.chars().count().div_ceil(80).max(1);
        let n_rows: usize = text.lines().map(rows).sum();
        assert!(!is_single || n_rows < 24, "{name}: {n_rows} lines\n{text}");
    }
}
