//! Astro's compiler, a Go program: compiles a component to JavaScript.

use anyhow::Result;

use super::Program;
use crate::guest::Guest;

pub(super) const ASTRO: Program = Program {
    name: "Astro compiler (Go)",
    file: "astro.wasm",
    // A name that the output imports.
    marker: b"maybeRenderHead",
    lines: &["  maybeRenderHead as $$maybeRenderHead,"],
    run,
};

const SOURCE: &str = r#"---
const { name, items = [] } = Astro.props;
const shown = items.filter((it) => it.shown);
---
<html lang="en">
  <head><title>{name}</title></head>
  <body>
    <h1 class:list={["a", { b: shown.length }]}>Hello {name}</h1>
    <ul>{shown.map((it) => <li data-id={it.id}>{it.text}</li>)}</ul>
  </body>
</html>
<style>
  h1 { color: red; }
  ul > li { margin: 0; }
</style>
"#;

/// Where Go expects its arguments: after the page that it never uses.
const ARGS: u32 = 4096;

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    guest.memory().write(ARGS, b"js\0\0\0\0\0\0")?;
    // One argument; then the ends of the lists of arguments and of environment variables.
    let mut lists = [0; 24];
    lists[..4].copy_from_slice(&ARGS.to_le_bytes());
    guest.memory().write(ARGS + 8, &lists)?;
    guest.run("run", &[1, ARGS + 8])?;
    let go = guest.host().go();
    go.queue("@astrojs/compiler", "transform", SOURCE)?;
    while guest.host().go().next_call() {
        guest.run("resume", &[])?;
    }
    Ok(guest.host().go().resolved("code")?.to_vec())
}
