//! The controls of an address space: mouse, touch and keyboard.

use crate::tab::{DESKTOP, PHONE, Tab};
use crate::tool;

/// The addresses that a viewer shows.
fn view(tab: &mut Tab) -> (f64, f64) {
    let side = |tab: &mut Tab, name: &str| {
        tab.number(&format!(
            "Number(document.querySelector('.plot').dataset.{name})"
        ))
    };
    (side(tab, "lo"), side(tab, "hi"))
}

fn details(tab: &mut Tab) -> String {
    tab.text("document.querySelector('.details').textContent")
}

fn tour(width: u32) -> Tab {
    Tab::open(&tool::page(&tool::module("tour.wasm"), &[]), width)
}

const WHOLE: (f64, f64) = (0.0, (16 << 20) as f64);

/// Clicks a button of the first viewer.
fn click(tab: &mut Tab, action: &str) {
    tab.eval(&format!(
        "document.querySelector('.viewer [data-do={action}]').click()"
    ));
    tab.settle();
}

#[test]
fn keys_reach_everything() {
    let mut tab = tour(DESKTOP);
    // Tab goes through the page in its order.
    let mut order = Vec::new();
    for _ in 0..30 {
        tab.press("Tab");
        order.push(tab.text(
            "(() => { const it = document.activeElement; return it.dataset.do ?? (it.className || it.tagName.toLowerCase()); })()",
        ));
        if order.last().is_some_and(|it| it == "body") {
            break;
        }
    }
    let expected = [
        "pre", "plot", "left", "right", "in", "out", "whole", "extent", "before", "after", "bytes",
    ];
    assert_eq!(order[..expected.len()], expected, "{order:?}");
    assert!(
        order[expected.len()..].iter().any(|it| it == "summary"),
        "{order:?}"
    );

    tab.eval("document.querySelector('.plot').focus()");
    assert_eq!(view(&mut tab), WHOLE);
    tab.press("+");
    assert_eq!(view(&mut tab), (WHOLE.1 / 4.0, WHOLE.1 * 3.0 / 4.0));
    tab.press("ArrowLeft");
    let (lo, hi) = view(&mut tab);
    assert!(lo < WHOLE.1 / 4.0 && hi - lo == WHOLE.1 / 2.0, "{lo} {hi}");
    tab.press("ArrowRight");
    tab.press("-");
    assert_eq!(view(&mut tab), WHOLE);
    tab.press("-");
    assert_eq!(view(&mut tab), WHOLE, "no further");
    tab.press("+");
    tab.press("Home");
    assert_eq!(view(&mut tab), WHOLE);
    for _ in 0..60 {
        tab.press("+");
    }
    let (lo, hi) = view(&mut tab);
    assert_eq!(hi - lo, 16.0, "no closer");
    tab.press("0");
    assert_eq!(view(&mut tab), WHOLE);
    tab.is_silent();
}

/// The arrows select the segments by address; Enter shows contents, Escape hides them.
#[test]
fn keys_show_segments_and_contents() {
    let mut tab = tour(DESKTOP);
    tab.eval("document.querySelector('.plot').focus()");
    assert!(
        details(&mut tab).contains("6 segments, 2 runs"),
        "{}",
        details(&mut tab)
    );
    for (nth, text) in [
        "segment 0, 0x400..0x46b, 107 bytes: in the image",
        "segment 1, 0x1ff8..0x2010, 24 bytes: in the image",
        "segment 2, 0x2000..0x2008, 8 bytes: in the image",
        "segment 3, 0x10000..0x10020, 32 bytes: in the image",
    ]
    .into_iter()
    .enumerate()
    {
        tab.press("ArrowDown");
        let details = details(&mut tab);
        assert!(details.starts_with(text), "{nth}: {details}");
    }
    tab.press("ArrowUp");
    tab.press("ArrowUp");
    let selected = details(&mut tab);
    assert!(selected.starts_with("segment 1,"), "{selected}");
    assert!(
        selected.contains("host page 1, run 0x0..0x3000"),
        "{selected}"
    );
    // Zooming keeps the selected segment in view.
    for _ in 0..8 {
        tab.press("+");
    }
    let (lo, hi) = view(&mut tab);
    assert!(lo <= 8184.0 && 8184.0 < hi, "{lo} {hi}");
    assert!(hi - lo < WHOLE.1 / 200.0, "{lo} {hi}");

    let is_hidden = "document.querySelector('.bytes').hidden";
    assert_eq!(tab.eval(is_hidden), true);
    tab.press("Enter");
    assert_eq!(tab.eval(is_hidden), false);
    let title = tab.text("document.querySelector('.bytes .title').textContent");
    assert_eq!(title, "host page 1: 0x1000..0x2000");
    let rows = tab.text("document.querySelector('.bytes pre').textContent");
    assert!(
        rows.contains("00001ff0: 0000 0000 0000 0000 0100 0000 0004 0000  ................"),
        "{rows}"
    );
    tab.press("Escape");
    assert_eq!(tab.eval(is_hidden), true);
    tab.is_silent();
}

/// Every byte that the page shows is one that `dump` shows.
#[test]
fn contents_are_those_of_dump() {
    let file = tool::module("tour.wasm");
    let mut tab = tour(DESKTOP);
    click(&mut tab, "bytes");
    for page in 0..3 {
        let rows = tab.text("document.querySelector('.bytes pre').textContent");
        let addr = format!("{:#x}", page * 4096);
        let dump = tool::tool(&[
            "dump",
            file.to_str().expect("UTF-8"),
            &addr,
            "4096",
            "--color",
            "never",
        ]);
        let written = |it: &&str| {
            it.starts_with("0000") && !it.contains(": 0000 0000 0000 0000 0000 0000 0000 0000")
        };
        let expected: Vec<&str> = dump.lines().filter(written).collect();
        let shown: Vec<&str> = rows.lines().filter(written).collect();
        assert_eq!(shown, expected, "{addr}");
        assert!(!shown.is_empty(), "{addr}");
        click(&mut tab, "next");
    }
    let origins = tab.text("document.querySelector('.bytes .origins').textContent");
    assert_eq!(origins, "0x3000..0x4000  zero: nothing writes here");
    tab.is_silent();
}

#[test]
fn a_page_without_contents_says_so() {
    let page = tool::page(&tool::module("tour.wasm"), &["--contents", "426"]);
    let mut tab = Tab::open(&page, DESKTOP);
    click(&mut tab, "bytes");
    let seen = tab.eval("[...document.querySelectorAll('.bytes pre, .bytes .absent')].map((it) => it.checkVisibility())");
    assert_eq!(seen, serde_json::json!([true, false, false]));
    tab.is_silent();
}

#[test]
fn the_mouse_zooms_moves_and_selects() {
    let mut tab = tour(DESKTOP);
    let [left, top, right, bottom] = tab.place(".plot");
    let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    // The address below the pointer stays where it is.
    tab.wheel(x, y, -300.0);
    assert_eq!(view(&mut tab), (WHOLE.1 / 4.0, WHOLE.1 * 3.0 / 4.0));
    // Dragging to the right moves the view to lower addresses.
    tab.mouse("mousePressed", x, y, true);
    tab.mouse("mouseMoved", x + 20.0, y, true);
    tab.mouse("mouseMoved", x + 60.0, y, true);
    tab.mouse("mouseReleased", x + 60.0, y, false);
    let (lo, hi) = view(&mut tab);
    let moved = WHOLE.1 / 2.0 * 60.0 / (right - left);
    assert!((lo - (WHOLE.1 / 4.0 - moved)).abs() < 2.0, "{lo} {moved}");
    assert_eq!(hi - lo, WHOLE.1 / 2.0);
    tab.wheel(x, y, 900.0);
    assert_eq!(view(&mut tab), WHOLE);

    // Pointing describes a column; a click keeps the description.
    let at = left + (right - left) * 0.75 + 1.0;
    tab.mouse("mouseMoved", at, y, false);
    let hovered = details(&mut tab);
    assert!(
        hovered.contains("segment 4, 0xc00000..0xc00010, 16 bytes"),
        "{hovered}"
    );
    assert!(hovered.contains("segment 5"), "{hovered}");
    tab.mouse("mousePressed", at, y, true);
    tab.mouse("mouseReleased", at, y, false);
    tab.mouse("mouseMoved", 1.0, 1.0, false);
    let selected = details(&mut tab);
    assert!(selected.starts_with("segment 4,"), "{selected}");
    tab.is_silent();
}

/// When all is shown, the wheel scrolls the page.
#[test]
fn the_wheel_leaves_the_page_at_the_widest_view() {
    let mut tab = tour(DESKTOP);
    let [left, top, ..] = tab.place(".plot");
    tab.eval("scrollTo(0, 0)");
    let [_, again, ..] = [
        0.0,
        tab.number("document.querySelector('.plot').getBoundingClientRect().top"),
    ];
    assert!(again.is_finite() && top.is_finite());
    tab.wheel(left + 50.0, again + 10.0, 200.0);
    tab.rest();
    assert_eq!(view(&mut tab), WHOLE);
    assert!(0.0 < tab.number("scrollY"));
}

#[test]
fn fingers_zoom_and_move() {
    let mut tab = tour(PHONE);
    tab.call(
        "Emulation.setTouchEmulationEnabled",
        serde_json::json!({"enabled": true, "maxTouchPoints": 2}),
    );
    let [left, top, right, bottom] = tab.place(".plot");
    let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    tab.touch("touchStart", &[(x - 20.0, y), (x + 20.0, y)]);
    for by in [30.0, 40.0, 60.0, 80.0] {
        tab.touch("touchMove", &[(x - by, y), (x + by, y)]);
    }
    tab.touch("touchEnd", &[]);
    let (lo, hi) = view(&mut tab);
    // Four times as far apart.
    let span = hi - lo;
    assert!((span - WHOLE.1 / 4.0).abs() < WHOLE.1 / 40.0, "{lo} {hi}");
    let middle = (lo + hi) / 2.0;
    assert!((middle - WHOLE.1 / 2.0).abs() < WHOLE.1 / 20.0, "{lo} {hi}");
    tab.touch("touchStart", &[(x, y)]);
    for by in [10.0, 30.0, 50.0] {
        tab.touch("touchMove", &[(x + by, y)]);
    }
    tab.touch("touchEnd", &[]);
    let (moved, end) = view(&mut tab);
    assert!(
        moved < lo && (end - moved - span).abs() < 2.0,
        "{moved} {end}"
    );
    tab.is_silent();
}

#[test]
fn the_overview_moves_the_view() {
    let mut tab = tour(DESKTOP);
    click(&mut tab, "in");
    let [left, top, right, bottom] = tab.place(".strip");
    tab.mouse("mousePressed", right - 2.0, (top + bottom) / 2.0, true);
    tab.mouse("mouseReleased", right - 2.0, (top + bottom) / 2.0, false);
    assert_eq!(view(&mut tab), (WHOLE.1 / 2.0, WHOLE.1));
    let window = tab.place(".window");
    assert!(
        ((right - left) / 2.0 - (window[2] - window[0])).abs() < 4.0,
        "{window:?}"
    );
    tab.is_silent();
}
