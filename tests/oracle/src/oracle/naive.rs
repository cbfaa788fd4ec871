//! The specification, followed literally: possibly slow, but obviously correct.
//!
//! Core specification, "Instantiation": active element segments in order, then
//! active data segments in order, each checked and then written whole.

use crate::host::Host;
use crate::memory::{Memory, Outcome, Trap};
use crate::shape::{Shape, address, evaluate};

/// Instantiates without an engine. Returns `None` if a memory has 2^64 bytes.
pub fn replay(shape: &Shape<'_>, host: &Host) -> Option<Outcome> {
    let mut memories = Vec::new();
    for nth in 0..shape.memories.len() {
        let size = host.memory_bytes(shape, nth)?;
        memories.push(Memory::new(size, host.first_byte(shape, nth)));
    }
    let globals = shape.global_values(host, true);

    for element in &shape.elements {
        let table = shape.tables[element.table];
        let offset = evaluate(&element.offset, &globals).expect("validated");
        let end = u128::from(address(offset, table.table64)) + u128::from(element.n_items);
        if u128::from(table.initial) < end {
            let trap = Some(Trap::Elements);
            return Some(Outcome { memories, trap });
        }
    }

    for (nth, data) in (0..).zip(&shape.data) {
        let Some((memory, offset)) = &data.target else {
            continue;
        };
        let offset = evaluate(offset, &globals).expect("validated");
        let addr = address(offset, shape.memories[*memory].memory64);
        let memory = &mut memories[*memory];
        if !memory.fits(addr, data.bytes.len()) {
            let trap = Some(Trap::Data(Some(nth)));
            return Some(Outcome { memories, trap });
        }
        memory.write(addr, data.bytes);
    }
    Some(Outcome {
        memories,
        trap: None,
    })
}

/// Returns the data segments that cannot be baked, by the rule alone.
///
/// * Only a memory that is known to be zero is baked: not one that is imported twice.
/// * A segment that may trap is a barrier for all that follow: one whose address is
///   unknown, or which extends past the declared minimum.
/// * A module that traps in any host is not baked at all.
///
/// `knows_host`: whether the values of imported globals and the sizes of imported memories are
/// known ahead of time.
pub fn replayed_segments(
    shape: &Shape<'_>,
    host: &Host,
    knows_host: bool,
    assume_zeroed_imports: bool,
) -> Vec<u32> {
    let globals = shape.global_values(host, knows_host);
    let mut always_traps = false;
    let mut barrier = false;
    let mut active = Vec::new();
    let mut replayed = Vec::new();
    for (nth, data) in (0..).zip(&shape.data) {
        let Some((memory, offset)) = &data.target else {
            continue;
        };
        active.push(nth);
        let imported = shape.is_imported(*memory);
        let min = if knows_host {
            host.memory_bytes(shape, *memory)
        } else {
            shape.min_bytes(*memory)
        };
        let min = u128::from(min.expect("checked by the caller"));
        let end = evaluate(offset, &globals).map(|offset| {
            let addr = address(offset, shape.memories[*memory].memory64);
            u128::from(addr) + data.bytes.len() as u128
        });
        let fits = end.is_some_and(|end| end <= min);
        if end.is_some() && !fits && !imported {
            always_traps = true;
        }
        if !fits {
            barrier = true;
        }
        let is_zeroed = assume_zeroed_imports && !shape.is_imported_twice(*memory);
        if barrier || (imported && !is_zeroed) {
            replayed.push(nth);
        }
    }
    if always_traps { active } else { replayed }
}
