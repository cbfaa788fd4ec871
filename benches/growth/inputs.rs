//! Modules that several rows use.

use crate::wasm::{Wasm, i32_const, unsigned};

/// Returns a module with active segments, each given as memory, address and bytes.
pub(crate) fn active(
    n: u32,
    n_memories: u32,
    segment: fn(u32, u32) -> (u32, u32, Vec<u8>),
) -> Vec<u8> {
    Wasm::new()
        .memories(n_memories)
        .active(n, |nth| segment(nth, n))
        .finish()
}

/// Returns a module with one segment that has gaps of a few zeros.
pub(crate) fn gaps(n: u32, at: u32) -> Vec<u8> {
    let gap = |nth: u32| vec![0; 5 + (nth * 7 % 11) as usize];
    let data: Vec<u8> = (0..n)
        .flat_map(|nth| core::iter::once(1).chain(gap(nth)))
        .collect();
    let segment = |_| (0, at, data.clone());
    Wasm::new().memories(1).active(1, segment).finish()
}

/// Returns a module with segments at the values of as many imported globals; only the first
/// is known to be in bounds.
pub(crate) fn replayed(n: u32) -> Vec<u8> {
    Wasm::new()
        .imported_globals(n)
        .memories(1)
        .section(11, n, |nth, out| {
            out.extend_from_slice(&[0, 0x23]);
            unsigned(nth.into(), out);
            out.extend_from_slice(&[0x0b, 1, 1]);
        })
        .finish()
}

/// Returns a module with one segment, and globals that nothing depends on.
pub(crate) fn imported_globals(n: u32) -> Vec<u8> {
    Wasm::new()
        .imported_globals(n)
        .memories(1)
        .active(1, |_| (0, 8, vec![1]))
        .finish()
}

/// Returns a module as wasm-ld links it, with `n` segments, and functions that call each other.
pub(crate) fn start_function(n: u32, n_others: u32) -> Vec<u8> {
    const FLAG: u32 = 8;
    let mut body = vec![0];
    body.extend_from_slice(&[2, 0x40].repeat(3));
    i32_const(FLAG, &mut body);
    body.extend_from_slice(b"\x41\0\x41\x01\xfe\x48\x02\0\x0e\x02\0\x01\x02\x0b");
    for nth in 0..n {
        i32_const(64 + nth * 16, &mut body);
        body.extend_from_slice(b"\x41\0\x41\x01\xfc\x08");
        unsigned(nth.into(), &mut body);
        body.push(0);
    }
    i32_const(FLAG, &mut body);
    body.extend_from_slice(b"\x41\x02\xfe\x17\x02\0");
    i32_const(FLAG, &mut body);
    body.extend_from_slice(b"\x41\x7f\xfe\0\x02\0\x1a\x0c\x01\x0b");
    i32_const(FLAG, &mut body);
    body.extend_from_slice(b"\x41\x01\x42\x7f\xfe\x01\x02\0\x1a\x0b");
    for nth in 0..n {
        body.extend_from_slice(b"\xfc\x09");
        unsigned(nth.into(), &mut body);
    }
    body.push(0x0b);
    Wasm::new()
        .section(1, 1, |_, out| out.extend_from_slice(&[0x60, 0, 0]))
        .section(3, 1 + n_others, |_, out| out.push(0))
        .section(5, 1, |_, out| {
            out.push(3);
            unsigned(4096, out);
            unsigned(4096, out);
        })
        .number(8, 0)
        .number(12, n)
        .section(10, 1 + n_others, |nth, out| {
            if nth == 0 {
                unsigned(body.len() as u64, out);
                out.extend_from_slice(&body);
            } else {
                let mut call = vec![0, 0x10];
                unsigned(nth.into(), &mut call);
                call.push(0x0b);
                unsigned(call.len() as u64, out);
                out.extend_from_slice(&call);
            }
        })
        .section(11, n, |_, out| out.extend_from_slice(&[1, 1, 7]))
        .finish()
}

/// Returns a module of 99 memories that imports `n` globals from the module used by `externalize`.
pub(crate) fn taken_names(n: u32) -> Vec<u8> {
    Wasm::new()
        .imports(n, "meminit", |_, out| out.extend_from_slice(&[3, 0x7f, 0]))
        .memories(99)
        .finish()
}

/// Returns components within each other, 60 levels deep, with `n` modules in all.
pub(crate) fn components(n: u32) -> Vec<u8> {
    let modules = b"\x01\x08\0asm\x01\0\0\0".repeat(n as usize / 60);
    (0..60).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.extend_from_slice(&modules);
        if !inner.is_empty() {
            component.push(4);
            unsigned(inner.len() as u64, &mut component);
            component.extend_from_slice(&inner);
        }
        component
    })
}
