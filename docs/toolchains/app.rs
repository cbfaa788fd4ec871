//! A table, a mutable table, and what the standard library has for a map and for printing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

static TABLE: [u32; 512] = {
    let mut table = [0; 512];
    let mut at = 0;
    while at < 512 {
        table[at] = (at as u32).wrapping_mul(2_654_435_761) + 1;
        at += 1;
    }
    table
};
static COUNT: AtomicU32 = AtomicU32::new(7);

#[unsafe(no_mangle)]
pub extern "C" fn handle(request: u32) -> u32 {
    let mut map = HashMap::new();
    map.insert(request, format!("{:?}", TABLE[request as usize % 512]));
    COUNT.fetch_add(map[&request].len() as u32, Ordering::Relaxed)
}

#[cfg(not(library))]
fn main() {
    println!("{}", handle(3));
}
