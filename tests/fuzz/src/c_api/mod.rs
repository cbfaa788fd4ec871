//! The C API: any functions in any order, with objects of any kind, valid pointers and any
//! numbers. Each call gives a status; AddressSanitizer finds what it does wrong.

#![allow(unsafe_code, reason = "the functions of a C API are unsafe")]

/// Calls an exported function. The fuzz target obeys the rules of `wasm_meminit_c::ffi`.
macro_rules! c {
    ($name:ident($($arg:expr),* $(,)?)) => {
        // SAFETY: the caller's rules: pointers are null, misaligned, or valid; see `world.rs`.
        unsafe { wasm_meminit_c::ffi::$name($($arg),*) }
    };
}

mod calls;
mod world;

use arbitrary::{Result, Unstructured};

use self::world::World;

/// Returns whether a pool served a slot, or a module was instantiated.
pub(crate) fn run(input: &[u8]) -> bool {
    let mut world = World::new();
    let _ = sequence(&mut world, &mut Unstructured::new(input));
    world.has_started
}

fn sequence(world: &mut World, u: &mut Unstructured<'_>) -> Result<()> {
    if u.ratio(3, 4)? {
        world.furnish();
    }
    while !u.is_empty() {
        world.call(u)?;
        world.touch_memories();
    }
    Ok(())
}
