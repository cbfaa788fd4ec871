//! The picture that `--svg` draws.

use crate::tab::{DESKTOP, Tab};
use crate::tool;

/// Texts and rows neither overlap nor leave the picture.
const FINDINGS: &str = r#"(() => {
  const findings = [];
  const width = Number(document.documentElement.getAttribute("width"));
  const height = Number(document.documentElement.getAttribute("height"));
  const seen = [...document.querySelectorAll("text, svg svg")].map((it) => ({ it, box: it.getBoundingClientRect() }));
  for (const [nth, a] of seen.entries()) {
    if (a.box.left < 0 || a.box.top < 0 || width < a.box.right || height < a.box.bottom) findings.push(`outside: ${a.it.textContent}`);
    for (const b of seen.slice(nth + 1)) {
      const x = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const y = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (1 < x && 2 < y) findings.push(`overlap: ${a.it.textContent} and ${b.it.textContent}`);
    }
  }
  return findings;
})()"#;

#[test]
fn pictures_are_laid_out_and_follow_the_colour_scheme() {
    for name in [
        "tour.wasm",
        "threads.wasm",
        "multi-memory.wasm",
        "component.wasm",
        "no-memory.wasm",
    ] {
        let file = tool::module(name);
        let picture = tool::scratch().join(name.replace(".wasm", ".svg"));
        let target = picture.to_str().expect("UTF-8");
        tool::tool(&["inspect", file.to_str().expect("UTF-8"), "--svg", target]);
        let mut tab = Tab::open(&picture, DESKTOP);
        assert_eq!(tab.eval(FINDINGS), serde_json::json!([]), "{name}");
        let title = tab.text("document.querySelector('title').textContent");
        assert_eq!(title, format!("{name}: initial contents of linear memory"));
        assert!(
            !tab.text("document.querySelector('desc').textContent")
                .is_empty()
        );
        let colour = "getComputedStyle(document.querySelector('.back')).fill";
        assert_eq!(tab.text(colour), "rgb(255, 255, 255)", "{name}");
        tab.shot(&format!("svg-{name}-light"));
        tab.media("screen", "dark");
        assert_ne!(tab.text(colour), "rgb(255, 255, 255)", "{name}");
        tab.shot(&format!("svg-{name}-dark"));
        tab.is_silent();
    }
}
