//! A tab with one of our pages.

use core::time::Duration;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::MutexGuard;

use serde_json::{Value, json};

use crate::chromium::{Chromium, chromium};

/// Widths of the window, in pixels.
pub(crate) const DESKTOP: u32 = 1280;
pub(crate) const PHONE: u32 = 360;

const HEIGHT: u32 = 800;

/// An open page. The other tests wait until it is closed.
pub(crate) struct Tab {
    chromium: MutexGuard<'static, Chromium>,
    session: String,
    target: String,
}

impl Tab {
    /// Opens a file in a window of this width.
    pub(crate) fn open(file: &Path, width: u32) -> Self {
        let mut chromium = chromium();
        let target = chromium.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let target = target["targetId"].as_str().expect("a tab").to_owned();
        let attach = json!({"targetId": target, "flatten": true});
        let session = chromium.call(None, "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().expect("a tab").to_owned();
        let mut tab = Self {
            chromium,
            session,
            target,
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.resize(width);
        tab.media("screen", "light");
        tab.call(
            "Page.navigate",
            json!({"url": format!("file://{}", file.display())}),
        );
        tab.chromium.wait(&tab.session, "Page.loadEventFired");
        tab.settle();
        tab
    }

    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.chromium.call(Some(&self.session), method, params)
    }

    pub(crate) fn resize(&mut self, width: u32) {
        let size =
            json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.settle();
    }

    /// Emulates a medium, `screen` or `print`, and a colour scheme.
    pub(crate) fn media(&mut self, medium: &str, scheme: &str) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = json!({"media": medium, "features": scheme});
        self.call("Emulation.setEmulatedMedia", media);
        self.settle();
    }

    /// Waits until what was requested has been drawn.
    pub(crate) fn settle(&mut self) {
        self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(null)))))");
    }

    /// Evaluates an expression, or awaits a promise.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut found = self.call("Runtime.evaluate", params);
        let thrown = &found["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        found["result"]["value"].take()
    }

    #[track_caller]
    pub(crate) fn text(&mut self, expression: &str) -> String {
        let value = self.eval(expression);
        let text = value
            .as_str()
            .unwrap_or_else(|| panic!("{expression}: {value}"));
        text.to_owned()
    }

    #[track_caller]
    pub(crate) fn number(&mut self, expression: &str) -> f64 {
        let value = self.eval(expression);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{expression}: {value}"))
    }

    /// Presses a key, as a keyboard does.
    pub(crate) fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let down = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        for kind in [down, "keyUp"] {
            let text = if kind == "keyUp" { "" } else { text };
            let event =
                json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", event);
        }
        self.settle();
    }

    /// Sends one event of the mouse, with its left button if that is down.
    pub(crate) fn mouse(&mut self, kind: &str, x: f64, y: f64, is_down: bool) {
        let button = if is_down || kind == "mouseReleased" {
            "left"
        } else {
            "none"
        };
        let event = json!({"type": kind, "x": x, "y": y, "button": button,
                           "buttons": u32::from(is_down), "clickCount": 1});
        self.call("Input.dispatchMouseEvent", event);
        self.settle();
    }

    pub(crate) fn wheel(&mut self, x: f64, y: f64, by: f64) {
        let event = json!({"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by});
        self.call("Input.dispatchMouseEvent", event);
        self.settle();
    }

    pub(crate) fn touch(&mut self, kind: &str, points: &[(f64, f64)]) {
        let points: Vec<Value> = points
            .iter()
            .zip(0..)
            .map(|((x, y), id)| json!({"x": x, "y": y, "id": id}))
            .collect();
        let event = json!({"type": kind, "touchPoints": points});
        self.call("Input.dispatchTouchEvent", event);
        self.settle();
    }

    /// Returns left, top, right and bottom of an element in the window.
    #[track_caller]
    pub(crate) fn place(&mut self, selector: &str) -> [f64; 4] {
        let selector = Value::from(selector);
        let found = self.eval(&format!(
            "(() => {{ const it = document.querySelector({selector}); it.scrollIntoView({{block: 'center'}}); \
             const b = it.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }})()"
        ));
        core::array::from_fn(|at| found[at].as_f64().expect("a number"))
    }

    /// Saves what the whole page looks like, if a folder for that is set.
    pub(crate) fn shot(&mut self, name: &str) {
        let Ok(folder) = env::var("WASM_MEMINIT_SHOTS") else {
            return;
        };
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", params);
        let file = Path::new(&folder).join(format!("{name}.base64"));
        fs::write(&file, picture["data"].as_str().expect("base64")).expect("written");
        let decoded = fs::File::create(file.with_extension("png")).expect("created");
        let status = Command::new("base64")
            .arg("--decode")
            .arg(&file)
            .stdout(Stdio::from(decoded))
            .status();
        assert!(status.expect("base64 is installed").success());
        fs::remove_file(file).expect("removed");
    }

    /// Checks that the page has reported nothing and has requested nothing but itself.
    #[track_caller]
    pub(crate) fn is_silent(&mut self) {
        self.settle();
        let events = self.chromium.take_events(&self.session);
        for event in &events {
            let method = event["method"].as_str().unwrap_or_default();
            let reports = [
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
                "Log.entryAdded",
            ];
            assert!(!reports.contains(&method), "{event}");
            if method == "Network.requestWillBeSent" {
                let url = event["params"]["request"]["url"]
                    .as_str()
                    .unwrap_or_default();
                assert!(url.starts_with("file://"), "{url}");
            }
        }
    }

    /// Waits a moment for what is not drawn, such as a scrolled page.
    pub(crate) fn rest(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
        self.settle();
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let target = json!({"targetId": self.target});
            self.chromium.call(None, "Target.closeTarget", target);
        }
    }
}
