//! The HTML page that `inspect --html` writes.

use std::fs;

use crate::tool::{self, Scratch, module_names};

#[test]
fn the_page_is_self_contained() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    for name in module_names() {
        tool::run(["inspect", &format!("{name}.wasm"), "--html", &page]).success();
        let html = fs::read_to_string(&page).expect("a page");
        assert!(html.starts_with("<!DOCTYPE html>"), "{name}");
        for external in ["http:", "https:", "src=", "href=", "url(", "@import"] {
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
    assert!(html.contains(r#"<rect class="sparse""#), "{html}");
    assert!(html.contains(r#"<rect class="replayed""#), "{html}");
    assert!(html.contains("<td>0x8000</td><td>4,096</td>"), "{html}");
    assert!(html.contains("its memory is imported (a.b)"), "{html}");
}

#[test]
fn names_are_text_and_never_markup() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    let module = scratch.module(
        "<i>.wasm",
        r#"(module $"</title><script>alert(1)</script>"
            (import "<script>" "\"x\" onload='y'&" (memory 1))
            (import "env" "<b>" (global $g i32))
            (data (i32.const 0) "x")
            (data (global.get $g) "y"))"#,
    );
    tool::run(["inspect", &module, "--html", &page]).success();
    let html = fs::read_to_string(&page).expect("a page");
    for markup in ["<script", "<b>", "<i>", "\"x\" onload"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert!(
        html.contains("&lt;script&gt;.&quot;x&quot; onload='y'&amp;"),
        "{html}"
    );
}
