//! The header is what cbindgen writes. `BLESS=1 cargo test -p wasm-meminit-c --test header`
//! renews it.

use std::env;
use std::fs;
use std::path::Path;

use cbindgen::{Builder, Config};

/// In the order of the header.
const SOURCES: &[&str] = &[
    "types.rs",
    "opaque.rs",
    "ffi/general.rs",
    "ffi/module.rs",
    "ffi/slot.rs",
    "ffi/pool.rs",
    "ffi/instance.rs",
];

fn generate(root: &Path) -> String {
    let config = Config::from_file(root.join("cbindgen.toml")).expect("a configuration");
    let builder = SOURCES
        .iter()
        .fold(Builder::new().with_config(config), |builder, source| {
            builder.with_src(root.join("src").join(source))
        });
    let mut text = Vec::new();
    builder.generate().expect("parses").write(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn the_header_is_what_cbindgen_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("include/wasm_meminit.h");
    let text = generate(root);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &text).expect("written");
    }
    let ours = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        ours == text,
        "the header is stale\nhint: BLESS=1 cargo test -p wasm-meminit-c --test header"
    );
}

/// The header lists every function that the sources export, and every one says which threads
/// may call it.
#[test]
fn every_exported_function_is_in_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = generate(root);
    let mut n_functions = 0;
    for source in fs::read_dir(root.join("src/ffi")).expect("a folder") {
        let path = source.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("UTF-8");
        for declared in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let name = declared.strip_prefix("pub unsafe extern \"C\" fn ");
            let name = name
                .and_then(|it| it.split_once('('))
                .expect("a function")
                .0;
            let at = header
                .find(&format!("{name}("))
                .unwrap_or_else(|| panic!("no {name}"));
            let comment = header[..at].rsplit("\n\n").next().unwrap_or_default();
            let says = comment.to_lowercase().contains("threads");
            assert!(says, "{name} does not say which threads may call it");
            n_functions += 1;
        }
    }
    assert!(40 < n_functions, "{n_functions} functions");
}

/// The library is installed under the versions that it has.
#[test]
fn versions_are_the_same_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("UTF-8");
    let makefile = read("Makefile");
    let value = |name: &str| {
        let line = makefile.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.strip_prefix(" = "));
        value.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    assert_eq!(value("VERSION"), env!("CARGO_PKG_VERSION"));
    let soname = format!("libwasm_meminit.so.{}\"", value("SOVERSION"));
    assert!(read("build.rs").contains(&soname), "{soname}");
}

/// All operations that the compiler cannot check are in one file.
#[test]
fn unsafe_blocks_are_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut with_blocks = Vec::new();
    for folder in [root.clone(), root.join("ffi")] {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_unsafe = |line: &str| {
                !line.trim_start().starts_with("//")
                    && ["unsafe {", "unsafe impl", "unsafe trait"]
                        .iter()
                        .any(|it| line.contains(it))
            };
            if path.is_file()
                && fs::read_to_string(&path)
                    .expect("UTF-8")
                    .lines()
                    .any(is_unsafe)
            {
                with_blocks.push(path.strip_prefix(&root).expect("inside").to_path_buf());
            }
        }
    }
    assert_eq!(with_blocks, [Path::new("ffi").join("pointer.rs")]);
}
