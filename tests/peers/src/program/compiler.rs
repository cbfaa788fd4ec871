//! Astro's compiler, a Go program: starts, and offers its functions to the host.

use anyhow::Result;

use super::Program;
use crate::guest::Guest;

pub(super) const ASTRO: Program = Program {
    name: "Go program, start (Astro)",
    file: "astro.wasm",
    // The name of a function that it offers.
    marker: b"convertToTSX",
    lines: &["transform", "parse", "convertToTSX"],
    run,
};

/// Where Go expects its arguments: after the page that it never uses.
const ARGS: u32 = 4096;

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    guest.memory().write(ARGS, b"js\0\0\0\0\0\0")?;
    // One argument; then the ends of the lists of arguments and of environment variables.
    let mut lists = [0; 24];
    lists[..4].copy_from_slice(&ARGS.to_le_bytes());
    guest.memory().write(ARGS + 8, &lists)?;
    guest.run("run", &[1, ARGS + 8])?;
    guest.host().go().properties("@astrojs/compiler")
}
