//! The picture that `inspect --svg` draws.

use std::env;
use std::fs;
use std::path::Path;

use crate::tool::{self, Scratch, module_names};

/// Draws a module of ours.
#[track_caller]
fn picture(args: &[&str]) -> String {
    let scratch = Scratch::new();
    let file = scratch.path("picture.svg");
    tool::run([&["inspect", "--svg", &file], args].concat()).success();
    fs::read_to_string(file).expect("a picture")
}

/// The picture of the guide. `BLESS=1` draws it anew.
#[test]
fn the_guide_has_the_picture_of_the_tour() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour.svg");
    let drawn = picture(&["tour.wasm"]);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &drawn).expect("written");
    }
    let shown = fs::read_to_string(&file).unwrap_or_default();
    assert!(shown == drawn, "run `BLESS=1 cargo xtask test cli svg`");
}

#[test]
fn pictures_have_a_title_and_load_nothing() {
    for name in module_names() {
        let svg = picture(&[&format!("{name}.wasm")]);
        assert!(
            svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
            "{svg}"
        );
        assert!(
            svg.contains(&format!("<title id=\"title\">{name}.wasm: ")),
            "{svg}"
        );
        assert!(svg.contains("<desc id=\"desc\">"), "{svg}");
        assert!(svg.contains("prefers-color-scheme: dark"), "{svg}");
        for external in ["https:", "href=", "url(", "@import", "<script", "<image"] {
            assert!(!svg.contains(external), "{name}: {external}");
        }
    }
}

/// Segments that are nowhere in the picture are named below it.
#[test]
fn segments_without_an_address_are_named() {
    let text = "not drawn: 1 replayed segment (19 bytes) at addresses not yet known";
    assert!(picture(&["tour.wasm"]).contains(text));
    let known = picture(&["tour.wasm", "--global", "host.base=0x3000"]);
    assert!(!known.contains("not drawn"), "{known}");

    // Also those that are replayed because of a segment before them.
    let scratch = Scratch::new();
    let module = scratch.module(
        "app.wasm",
        r#"(module (import "env" "base" (global i32)) (memory 1)
            (data (i32.const 0) "static")
            (data (global.get 0) "barrier") (data (global.get 0) "after"))"#,
    );
    let text = "not drawn: 2 replayed segments (12 bytes) at addresses not yet known";
    assert!(picture(&[&module]).contains(text));
}

#[test]
fn names_are_text() {
    let scratch = Scratch::new();
    // Windows has no names with `<`.
    let (name, shown) = match cfg!(windows) {
        true => ("i&.wasm", "i&amp;.wasm"),
        false => ("<i>&.wasm", "&lt;i&gt;&amp;.wasm"),
    };
    let module = scratch.module(name, "(module (memory 1) (data (i32.const 0) \"x\"))");
    let svg = picture(&[&module]);
    assert!(svg.contains(shown), "{svg}");
    assert!(!svg.contains("<i>"), "{svg}");
}

/// The number of memories that are drawn is limited, and so is the size of the picture.
#[test]
fn a_picture_stays_small() {
    let scratch = Scratch::new();
    let memories = "(memory 1)".repeat(90);
    let segments: String = (0..9000)
        .map(|nth| {
            format!(
                "(data (memory {}) (i32.const {}) \"x\")",
                nth % 90,
                nth / 90 * 600
            )
        })
        .collect();
    let module = scratch.module("many.wasm", &format!("(module {memories} {segments})"));
    let svg = picture(&[&module]);
    assert!(svg.contains("and 74 more memories with data"), "{svg}");
    assert!(svg.len() < 400_000, "{}", svg.len());
}

#[test]
fn both_files_and_only_one_stdout() {
    let scratch = Scratch::new();
    let (page, svg) = (scratch.path("p"), scratch.path("s"));
    tool::run(["inspect", "tour.wasm", "--html", &page, "--svg", &svg]).success();
    assert_eq!(scratch.list(), ["p", "s"]);
    let output = tool::run(["inspect", "tour.wasm", "--svg", "-"]);
    assert_eq!(output.stdout, fs::read_to_string(&svg).expect("a picture"));
    assert!(
        output.stderr.contains("memory 0: hybrid"),
        "{}",
        output.stderr
    );
    let same = "--svg and --html name the same file";
    for file in [page.as_str(), "-"] {
        let args = ["inspect", "tour.wasm", "--html", file, "--svg", file];
        let output = tool::run(args);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""));
        assert!(output.stderr.contains(same), "{}", output.stderr);
    }
    let output = tool::run(["inspect", "tour.wasm", "--json", "--svg", "-"]);
    assert!(
        output
            .stderr
            .contains("--json and --svg both write to stdout"),
        "{}",
        output.stderr
    );
}
