//! Names that try to become markup, a script, or the end of the data.

use crate::tab::{DESKTOP, PHONE, Tab};
use crate::{layout, tool};

const NAMES: &str = r#"(module $"</title><script>document.title = 'bad'</script>"
  (import "<img src=x onerror=alert(1)>" "\"><script>alert(1)</script>" (memory 1))
  (import "env" "</script><script>alert(1)</script>" (global $g i32))
  (data $"</script><script>document.title = 'bad'</script>" (i32.const 0) "0123456789abcdef</script>")
  (data $"<!--<script>" (i32.const 32) "0123456789abcdef")
  (data $"\e2\80\ae\e2\80\a8`${alert(1)}`" (i32.const 64) "0123456789abcdef")
  (data (global.get $g) "y"))"#;

#[test]
fn names_stay_text() {
    let file = tool::write("<img src=x onerror=alert(1)>.wat", NAMES);
    for width in [DESKTOP, PHONE] {
        let mut tab = Tab::open(&tool::page(&file, &["--assume-zeroed-imports"]), width);
        assert_eq!(tab.number("document.scripts.length"), 2.0);
        assert_eq!(tab.number("document.images.length"), 0.0);
        let title = tab.text("document.title");
        assert_eq!(
            title,
            "<img src=x onerror=alert(1)>.wat: initial contents of linear memory"
        );
        tab.eval("document.querySelector('.plot').focus()");
        tab.press("ArrowDown");
        let details = tab.text("document.querySelector('.details').textContent");
        let name = "</script><script>document.title = 'bad'</script>";
        assert!(
            details.contains(&format!("segment 0 ({name}), 0x0..0x19")),
            "{details}"
        );
        tab.press("ArrowDown");
        tab.press("ArrowDown");
        let details = tab.text("document.querySelector('.details').textContent");
        assert!(
            details.contains(r"\u{202e}\u{2028}`${alert(1)}`"),
            "{details}"
        );
        tab.press("Enter");
        let rows = tab.text("document.querySelector('.bytes pre').textContent");
        assert!(rows.contains("</script>") || width == PHONE, "{rows}");
        layout::check(&mut tab, &format!("{width} pixels"));
        tab.is_silent();
    }
}

/// The policy of the page refuses every script but its own.
#[test]
fn no_other_script_runs() {
    let page = tool::page(&tool::module("hello.wasm"), &[]);
    let text = std::fs::read_to_string(&page).expect("a page");
    let altered = text.replace("</main>", "<script>document.title = 'bad'</script></main>");
    assert_ne!(altered, text);
    let page = tool::write("altered.html", &altered);
    let mut tab = Tab::open(&page, DESKTOP);
    assert_ne!(tab.text("document.title"), "bad");
    // The page itself works as before.
    assert_eq!(tab.number("document.querySelectorAll('.live').length"), 1.0);
}

/// Addresses that a float cannot hold.
#[test]
fn the_largest_addresses_are_exact() {
    let file = tool::write(
        "large.wat",
        r#"(module (memory i64 0x1_0000_0000_0000) (data (i64.const 0xffff_ffff_ffff_fff1) "the end"))"#,
    );
    let mut tab = Tab::open(&tool::page(&file, &[]), DESKTOP);
    tab.eval("document.querySelector('.plot').focus()");
    tab.press("ArrowDown");
    let details = tab.text("document.querySelector('.details').textContent");
    assert!(
        details.contains("0xfffffffffffffff1..0xfffffffffffffff8, 7 bytes"),
        "{details}"
    );
    for _ in 0..60 {
        tab.press("+");
    }
    layout::check(&mut tab, "the closest view");
    tab.is_silent();
}
