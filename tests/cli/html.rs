//! The HTML page that `inspect --html` writes.

use std::fs;

use serde_json::{Value, json};

use crate::tool::{self, Scratch, module_names};

#[test]
fn the_page_is_self_contained() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    for name in module_names() {
        tool::run(["inspect", &format!("{name}.wasm"), "--html", &page]).success();
        let html = fs::read_to_string(&page).expect("a page");
        assert!(html.starts_with("<!DOCTYPE html>"), "{name}");
        // Links are followed only by a reader; nothing is loaded.
        let repository = r#"href="https://github.com/wasm-meminit/wasm-meminit/blob/main"#;
        let html = html.replace(repository, "").replace(r##"href="#m"##, "");
        let html = html.replace("http://www.w3.org/2000/svg", "");
        for external in [
            "http:", "https:", "src=", "href=", "url(", "@import", "fetch(",
        ] {
            assert!(!html.contains(external), "{name}: {external}");
        }
    }
}

#[test]
fn a_run_and_a_replayed_segment_are_drawn() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    let module = scratch.module(
        "two.wasm",
        r#"(module (import "a" "b" (memory 1)) (memory 1)
            (data (memory 1) (i32.const 0x8000) "here")
            (data (memory 0) (i32.const 0x4000) "there"))"#,
    );
    tool::run(["inspect", &module, "--html", &page]).success();
    let html = fs::read_to_string(&page).expect("a page");
    assert!(html.contains(r#"<path class="sparse""#), "{html}");
    assert!(html.contains(r#"<path class="replayed""#), "{html}");
    assert!(html.contains("<td>0x8000</td><td>4,096</td>"), "{html}");
    assert!(html.contains("its memory is imported (a.b)"), "{html}");
}

#[test]
fn names_are_text_and_never_markup() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    let module = scratch.module(
        // Windows has no such names.
        if cfg!(windows) { "i.wasm" } else { "<i>.wasm" },
        r#"(module $"</title><script>alert(1)</script>"
            (import "<script>" "\"x\" onload='y'&" (memory 1))
            (import "env" "<b>" (global $g i32))
            (data (i32.const 0) "x")
            (data (global.get $g) "y"))"#,
    );
    tool::run(["inspect", &module, "--html", &page]).success();
    let html = fs::read_to_string(&page).expect("a page");
    for markup in ["<script>alert", "<b>", "<i>", "\"x\" onload"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert_eq!(html.matches("</script").count(), 2, "data and scripts");
    assert!(
        html.contains("&lt;script&gt;.&quot;x&quot; onload='y'&amp;"),
        "{html}"
    );
}

/// Returns the data of the page's script.
#[track_caller]
fn data(args: &[&str]) -> Value {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    tool::run([&["inspect", "--html", &page], args].concat()).success();
    let html = fs::read_to_string(&page).expect("a page");
    let (_, data) = html.split_once(r#"id="data">"#).expect("data");
    let (data, _) = data.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn contents_are_there_up_to_a_limit() {
    let has = |args: &[&str]| {
        let data = data(&[&["tour.wasm"], args].concat());
        data["memories"][0]["bytes"].is_string()
    };
    assert!(has(&[]));
    assert!(has(&["--contents", "427"]));
    assert!(!has(&["--contents", "426"]));
    assert!(!has(&["--contents", "0"]));
    assert!(has(&["--contents", "1G"]));
    let usage = tool::run(["inspect", "tour.wasm", "--contents", "1"]);
    assert_eq!(usage.code, 2);
}

#[test]
fn data_has_the_segments_at_known_addresses() {
    let memory = |args: &[&str]| data(args)["memories"][0].clone();
    let tour = memory(&["tour.wasm"]);
    assert_eq!(tour["index"], json!([0, 1, 2, 3, 4, 5]));
    assert_eq!(tour["addr"][5], 0xc0_0010);
    assert_eq!(tour["kind"], "000000");
    assert_eq!(tour["runs"], json!([0, 0x3000, 0xc0_0000, 0x1000]));
    let threads = memory(&["threads.wasm"]);
    assert_eq!(threads["kind"], "444");
    assert_eq!(threads["names"]["0"], "rodata");
    let options = [
        "--assume-zeroed-imports",
        "--start-function",
        "already-initialized-tls",
    ];
    let baked = memory(&[&["threads.wasm"], &options[..]].concat());
    assert_eq!(baked["kind"], "1112");
    // The flag, 02 00 00 00, says that the data is there.
    assert_eq!(baked["len"][3], 4);
    let bytes = baked["bytes"].as_str().expect("contents");
    assert!(bytes.ends_with("AAIAAAA="), "{bytes}");
}
