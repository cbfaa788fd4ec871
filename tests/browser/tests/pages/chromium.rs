//! Drives Chromium with its DevTools protocol, through a pipe.
//!
//! Chromium reads messages from descriptor 3 and writes to descriptor 4; each ends with a NUL.
//! It exits when the pipe is closed, so also when a test process is killed.

use core::time::Duration;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// How long Chromium may take for one answer. Not a measurement: a test that hangs must end.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// Connects descriptors 3 and 4 to our ends of the pipes.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;

/// The pages are our own, so the sandbox, which root cannot have, is off. Nothing is fetched.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-device-scale-factor=1",
    "--font-render-hinting=none",
    "--hide-scrollbars",
];

/// A running browser.
pub(crate) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    n_sent: u64,
    /// Messages that nobody has waited for yet.
    events: Vec<Value>,
}

/// Returns the browser that all tests share, one after another.
pub(crate) fn chromium() -> MutexGuard<'static, Chromium> {
    static CHROMIUM: LazyLock<Mutex<Chromium>> = LazyLock::new(|| Mutex::new(Chromium::start()));
    // After a failed test, each further test still opens a tab of its own.
    CHROMIUM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a variable that `cargo xtask browser` sets.
pub(crate) fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: use `cargo xtask browser`"))
}

impl Chromium {
    fn start() -> Self {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
        let _ = fs::remove_dir_all(&profile); // of the last run, if any
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, &setting("WASM_MEMINIT_CHROMIUM")])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = child.stdin.take().expect("a pipe");
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, from) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while reader.read_until(0, &mut bytes).is_ok_and(|n| n != 0) {
                let message = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
                let message = serde_json::from_slice(message).expect("JSON");
                bytes.clear();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            to,
            from,
            n_sent: 0,
            events: Vec::new(),
        }
    }

    fn receive(&mut self, what: &str) -> Value {
        match self.from.recv_timeout(ANSWER_TIMEOUT) {
            Ok(message) => message,
            Err(err) => {
                let status = self.child.try_wait();
                panic!("{what}: no answer from Chromium: {err}; status {status:?}");
            }
        }
    }

    /// Calls a method and returns its result.
    #[track_caller]
    pub(crate) fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.n_sent += 1;
        let id = self.n_sent;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("Chromium runs");
        loop {
            let mut message = self.receive(method);
            if message["id"] != id {
                self.events.push(message);
                continue;
            }
            let error = &message["error"];
            assert!(error.is_null(), "{method} {params}: {error}");
            return message["result"].take();
        }
    }

    /// Returns the messages of a tab that arrived since the last call.
    pub(crate) fn take_events(&mut self, session: &str) -> Vec<Value> {
        let is_wanted = |it: &mut Value| it["sessionId"] == session;
        self.events.extract_if(.., is_wanted).collect()
    }

    /// Waits for an event of a tab.
    pub(crate) fn wait(&mut self, session: &str, method: &str) {
        let is_wanted = |it: &Value| it["sessionId"] == session && it["method"] == method;
        while !self.events.iter().any(is_wanted) {
            let message = self.receive(method);
            self.events.push(message);
        }
    }
}
