//! Whether a page is laid out well: judged by the boxes of its elements.

use serde_json::Value;

use crate::tab::Tab;

/// Lists what is wrong: a page that scrolls sideways, elements beyond its edges, numbers on two
/// lines, elements with text that overlap. What lies in a box of its own that scrolls may be wider than the window,
/// and names of segments lie on their picture.
const FINDINGS: &str = r#"(() => {
  const findings = [];
  const width = document.documentElement.clientWidth;
  if (width < document.documentElement.scrollWidth) findings.push(`${document.documentElement.scrollWidth} wide in ${width}`);
  const seen = [...document.querySelectorAll("h1, h2, h3, p, li, dt, dd, button, svg, figcaption span, .axis span, .lane > span, .legend div > span, caption, summary, td, th")]
    .map((it) => ({ it, box: it.getBoundingClientRect(), scrolls: it.closest(".scroll, pre") }))
    .filter(({ it, box }) => it.checkVisibility() && box.width !== 0 && box.height !== 0);
  const named = ({ it, box }) => `<${it.tagName} ${it.className.baseVal ?? it.className}> ${it.textContent.slice(0, 30)} at ${box.left.toFixed(0)},${box.top.toFixed(0)}..${box.right.toFixed(0)},${box.bottom.toFixed(0)}`;
  for (const one of seen) {
    if (one.scrolls === null && (one.box.left < -0.5 || width + 0.5 < one.box.right) && !one.it.closest(".axis")) findings.push(`beyond the edge: ${named(one)}`);
    if (one.it.tagName === "BUTTON" && one.it.scrollWidth > one.it.clientWidth + 1) findings.push(`cut: ${named(one)}`);
    if (/^(DD|TD)$/.test(one.it.tagName) && /^[\d,]+$/.test(one.it.textContent)) {
      const text = document.createRange();
      text.selectNodeContents(one.it);
      if (1 < text.getClientRects().length) findings.push(`broken: ${named(one)}`);
    }
  }
  const some = seen.slice(0, 600);
  for (const [nth, a] of some.entries()) {
    for (const b of some.slice(nth + 1)) {
      if (a.it.contains(b.it) || b.it.contains(a.it)) continue;
      const x = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const y = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      // Lines of inline text share a pixel.
      if (1 < x && 1.5 < y) findings.push(`overlap: ${named(a)} and ${named(b)}`);
    }
  }
  return findings.slice(0, 10);
})()"#;

/// Checks the page as it is now.
#[track_caller]
pub(crate) fn check(tab: &mut Tab, what: &str) {
    let findings = tab.eval(FINDINGS);
    assert_eq!(findings, Value::Array(Vec::new()), "{what}");
}

/// Checks that the parts of the first address space are below each other, and equally wide.
#[track_caller]
pub(crate) fn check_viewer(tab: &mut Tab) {
    let boxes = tab.eval(
        r#"[".strip svg", ".lane:nth-child(1) svg", ".lane:nth-child(2) svg", ".axis"].map((it) => {
          const box = document.querySelector(`.viewer ${it}`).getBoundingClientRect();
          return [box.left, box.top, box.right, box.bottom];
        })"#,
    );
    let boxes = boxes.as_array().expect("boxes");
    let side = |it: &Value, nth: usize| it[nth].as_f64().expect("a number");
    for pair in boxes.windows(2) {
        assert!(side(&pair[0], 3) <= side(&pair[1], 1) + 0.5, "{pair:?}");
        for edge in [0, 2] {
            assert!(
                (side(&pair[0], edge) - side(&pair[1], edge)).abs() <= 2.0,
                "{pair:?}"
            );
        }
    }
    for it in boxes {
        assert!(100.0 < side(it, 2) - side(it, 0), "{it}");
    }
}

/// Checks that text can be read: its contrast with the background is at least 4.5 to 1.
#[track_caller]
pub(crate) fn check_contrast(tab: &mut Tab, is_dark: bool) {
    let lights = tab.eval(
        r#"(() => {
          const light = (colour) => {
            const parts = colour.match(/[\d.]+/g).slice(0, 3).map((it) => it / 255);
            const [r, g, b] = parts.map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const colour = (it) => light(getComputedStyle(it).color);
          const back = light(getComputedStyle(document.body).backgroundColor);
          return [back, ...[...document.querySelectorAll("h1, .dim, dt, figcaption, a")].map(colour)];
        })()"#,
    );
    let lights: Vec<f64> = lights
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it.as_f64().expect("a number"))
        .collect();
    let (back, texts) = lights.split_first().expect("a background");
    assert_eq!(*back < 0.2, is_dark, "{lights:?}");
    for text in texts {
        let contrast = (text.max(*back) + 0.05) / (text.min(*back) + 0.05);
        assert!(4.5 <= contrast, "{lights:?}");
    }
}
