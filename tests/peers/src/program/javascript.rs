//! QuickJS: runs a script that makes its heap grow, and a small one.

use anyhow::{Result, bail};

use super::Program;
use crate::guest::Guest;

pub(super) const QUICKJS: Program = Program {
    name: "QuickJS",
    file: "quickjs.wasm",
    // The name of a method that the script calls.
    marker: b"toISOString",
    lines: &[
        "circle: 12.566; square: 9.000",
        "29.02.2024, 31.12.1999",
        FACTORIAL_60,
    ],
    run,
};

const FACTORIAL_60: &str =
    "8320987112741390144276341183223364380754172606361245952449277696409600000000000000";

const SCRIPT: &str = r#"
class Shape {
    constructor(name) { this.name = name; }
    area() { return 0; }
    toString() { return `${this.name}: ${this.area().toFixed(3)}`; }
}
class Circle extends Shape {
    constructor(r) { super("circle"); this.r = r; }
    area() { return Math.PI * this.r ** 2; }
}
class Square extends Shape {
    constructor(a) { super("square"); this.a = a; }
    area() { return this.a * this.a; }
}
function* primes() {
    const found = [];
    for (let n = 2; ; n++) {
        if (found.every(p => n % p)) { found.push(n); yield n; }
    }
}
const out = [];
out.push([new Circle(2), new Square(3)].join("; "));
const firstPrimes = [];
for (const p of primes()) { if (60 < firstPrimes.push(p)) break; }
out.push(firstPrimes.join());
let factorial = 1n;
for (let n = 1n; n <= 60n; n++) factorial *= n;
out.push(String(factorial));
const words = "the quick brown fox jumps over the lazy dog and the cat".split(" ");
const counts = words.reduce((m, w) => m.set(w, (m.get(w) ?? 0) + 1), new Map());
out.push(JSON.stringify([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))));
out.push("2024-02-29, 1999-12-31".replace(/(\d+)-(\d+)-(\d+)/g, "$3.$2.$1"));
out.push(new Date(0).toISOString(), new Date().toISOString());
const big = Array.from({ length: 60000 }, (_, i) => ({ i, text: `item ${i * 7919 % 60000}` }));
big.sort((a, b) => a.text < b.text ? -1 : 1);
out.push(big.filter((_, i) => i % 7000 === 0).map(o => o.text + "@" + o.i).join());
out.push([0.1 + 0.2, 1 / 3, 1e21, -0, NaN].map(String).join());
try { null.x } catch (e) { out.push(`${e.name}: ${e.message}`); }
out.join("\n");
"#;

/// A script of the size that a request runs.
pub(super) const SMALL: Program = Program {
    name: "QuickJS, a small script",
    lines: &[r#"{"total":"61.50","items":"tea, cup, pot","seen":"2024"}"#],
    run: run_small,
    ..QUICKJS
};

const SMALL_SCRIPT: &str = r#"
const order = JSON.parse(`{"date": "2024-02-29", "lines": [
    {"item": "tea", "price": 4.5, "n": 3}, {"item": "cup", "price": 12, "n": 2},
    {"item": "pot", "price": 24, "n": 1}]}`);
const total = order.lines.reduce((sum, { price, n }) => sum + price * n, 0);
const items = order.lines.map(it => it.item).join(", ");
const seen = order.date.replace(/(\d+)-(\d+)-(\d+)/, "$1");
JSON.stringify({ total: total.toFixed(2), items, seen });
"#;

fn run_small(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    evaluate(guest, SMALL_SCRIPT)
}

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    let bytes_at_start = guest.memory_bytes();
    let text = evaluate(guest, SCRIPT)?;
    if guest.memory_bytes() == bytes_at_start {
        bail!("the heap did not grow: the script is too small");
    }
    Ok(text)
}

/// Returns the value of a script as text.
fn evaluate(guest: &mut dyn Guest, script: &str) -> Result<Vec<u8>> {
    let len = u32::try_from(script.len())?;
    guest.run("_initialize", &[])?;
    if guest.run("qjs_init", &[])? != 0 {
        bail!("qjs_init failed");
    }
    let script = guest.place("wasm_malloc", script.as_bytes())?;
    let file = guest.place("wasm_malloc", b"script.js")?;
    let value = guest.run("qjs_eval", &[script, len, file, 0])?;
    let is_exception = guest.run("qjs_is_exception", &[value])? != 0;
    let shown = if is_exception {
        guest.run("qjs_get_exception", &[])?
    } else {
        value
    };
    let text = guest.run("qjs_get_string", &[shown])?;
    let text = guest.memory().read_c_str(text)?;
    if is_exception {
        bail!("the script threw {}", String::from_utf8_lossy(&text));
    }
    Ok(text)
}
