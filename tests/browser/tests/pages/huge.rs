//! Modules with very many segments: what is drawn depends on the window, not on the module.

use core::fmt::Write;

use crate::layout;
use crate::tab::{DESKTOP, Tab};
use crate::tool;

/// As many as engines accept.
const N_SEGMENTS: usize = 100_000;

/// What one view may have: a few elements and some bytes of paths for each column of pixels.
const MAX_ELEMENTS: f64 = 1500.0;
const MAX_PATH: f64 = 50_000.0;

#[test]
fn a_hundred_thousand_segments() {
    let mut text = String::from("(module (memory 65536)\n");
    for nth in 0..N_SEGMENTS {
        let _ = writeln!(text, "(data (i32.const {}) \"{nth}\")", nth as u64 * 40_000);
    }
    text.push(')');
    let file = tool::write("huge.wat", &text);
    let mut tab = Tab::open(&tool::page(&file, &[]), DESKTOP);
    tab.eval("document.querySelector('.plot').focus()");
    let mut n_views = 0;
    for _ in 0..32 {
        let n_elements = tab.number("document.querySelectorAll('.viewer *').length");
        assert!(n_elements < MAX_ELEMENTS, "{n_elements}");
        let longest = tab.number("Math.max(...[...document.querySelectorAll('.viewer path')].map((it) => it.getAttribute('d').length))");
        assert!(longest < MAX_PATH, "{longest}");
        tab.press("+");
        n_views += 1;
    }
    let span = tab.number("(({ lo, hi }) => hi - lo)(document.querySelector('.plot').dataset)");
    assert_eq!((n_views, span), (32, 16.0));
    tab.press("0");
    // Events that arrive faster than frames are drawn once for each frame.
    let n_drawn = tab.number(
        r#"(async () => {
          let n = 0;
          const observer = new MutationObserver(() => n++);
          const plot = document.querySelector(".plot");
          observer.observe(plot, { attributes: true, attributeFilter: ["data-lo"] });
          for (let nth = 0; nth < 200; nth++) plot.dispatchEvent(new KeyboardEvent("keydown", { key: nth % 2 ? "-" : "+" }));
          plot.dispatchEvent(new KeyboardEvent("keydown", { key: "+" }));
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return n;
        })()"#,
    );
    assert_eq!(n_drawn, 1.0);
    // The next segment of a hundred thousand, and the bytes of its page.
    tab.press("0");
    tab.press("ArrowDown");
    tab.press("ArrowDown");
    tab.press("Enter");
    let details = tab.text("document.querySelector('.details').textContent");
    assert!(
        details.starts_with("segment 1, 0x9c40..0x9c41, 1 byte"),
        "{details}"
    );
    let rows = tab.text("document.querySelector('.bytes pre').textContent");
    assert!(rows.contains("00009c40: 31"), "{rows}");
    tab.shot("huge-1280-light");
    layout::check(&mut tab, "huge");
    tab.is_silent();
}
