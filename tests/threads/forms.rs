//! Generates start functions as wasm-ld does, for a program's parts: segments, zero-initialised
//! data, thread-local storage, 32-bit or 64-bit addresses, position-independent or not.

use core::fmt::Write;

use proptest::prelude::*;

/// A threaded program.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) is_64: bool,
    /// The value of `__memory_base` if the code is position-independent.
    pub(crate) base: Option<u32>,
    /// Whether globals are relocated first, so that the start function calls two functions.
    pub(crate) is_called: bool,
    /// Whether the relocations are inlined into the function, as by an optimiser.
    pub(crate) is_inlined: bool,
    pub(crate) is_imported: bool,
    pub(crate) flag: u32,
    pub(crate) parts: Vec<Part>,
    /// The index of the thread-local part.
    pub(crate) thread_local: Option<usize>,
}

/// A part of the program's memory.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) address: u32,
    pub(crate) len: u32,
    /// Whether it is filled with zeros instead of from a segment.
    pub(crate) is_zero: bool,
}

/// The size of the memory in wasm pages.
pub(crate) const WASM_PAGES: u32 = 2;

impl Form {
    /// Whether wasm-ld could have written it: everything in bounds, and no overlaps.
    pub(crate) fn is_sound(&self) -> bool {
        let base = u64::from(self.base.unwrap_or(0));
        let flag = u64::from(self.flag) + base;
        let mut taken = vec![false; (WASM_PAGES << 16) as usize];
        let mut take = |address: u64, len: u64| {
            let range = address as usize..(address + len) as usize;
            let free = taken
                .get(range.clone())
                .is_some_and(|it| !it.contains(&true));
            if free {
                taken[range].fill(true);
            }
            free
        };
        flag.is_multiple_of(4)
            && take(flag, 4)
            && self
                .parts
                .iter()
                .all(|it| take(u64::from(it.address) + base, it.len.into()))
    }

    pub(crate) fn wasm(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|err| panic!("{err}\n{text}"))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string");
        text
    }

    fn write(&self, out: &mut String) -> core::fmt::Result {
        let width = if self.is_64 { "i64" } else { "i32" };
        let memory = format!("{width} {WASM_PAGES} {WASM_PAGES} shared");
        writeln!(out, "(module")?;
        if self.is_imported {
            writeln!(out, r#"  (import "env" "memory" (memory {memory}))"#)?;
        }
        if self.base.is_some() {
            writeln!(
                out,
                r#"  (import "env" "__memory_base" (global $base {width}))"#
            )?;
        }
        if !self.is_imported {
            writeln!(out, "  (memory {memory})")?;
        }
        writeln!(out, "  (global $tls (mut {width}) ({width}.const 0))")?;
        writeln!(out, "  (global $got (mut {width}) ({width}.const 0))")?;
        for (nth, part) in self.segments() {
            writeln!(out, "  (data $part{nth} \"{}\")", bytes(nth, part.len))?;
        }
        self.write_relocations(out, width)?;
        self.write_init(out, width)?;
        if self.is_called {
            writeln!(
                out,
                "  (func $start call $relocate call $init)\n  (start $start))"
            )
        } else {
            writeln!(out, "  (start $init))")
        }
    }

    fn segments(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().filter(|(_, it)| !it.is_zero)
    }

    fn write_relocations(&self, out: &mut String, width: &str) -> core::fmt::Result {
        let base = match self.base {
            Some(_) => "global.get $base".into(),
            None => format!("{width}.const 7"),
        };
        writeln!(out, "  (func $relocate")?;
        writeln!(
            out,
            "    {base} {width}.const 16 {width}.add global.set $got)"
        )
    }

    fn write_init(&self, out: &mut String, width: &str) -> core::fmt::Result {
        let flag = match self.base {
            Some(_) => "local.get 0".into(),
            None => format!("{width}.const {}", self.flag),
        };
        writeln!(out, "  (func $init")?;
        if self.base.is_some() {
            writeln!(out, "    (local {width} {width})")?;
        }
        if self.is_inlined {
            writeln!(out, "    {width}.const 16 global.set $got call $relocate")?;
        }
        if self.base.is_some() {
            writeln!(out, "    global.get $base {width}.const {}", self.flag)?;
            writeln!(out, "    {width}.add local.set 0")?;
        }
        writeln!(out, "    block block block")?;
        writeln!(
            out,
            "      {flag} i32.const 0 i32.const 1 i32.atomic.rmw.cmpxchg"
        )?;
        writeln!(out, "      br_table 0 1 2 end")?;
        for (nth, part) in self.parts.iter().enumerate() {
            self.write_part(out, width, nth, part)?;
        }
        writeln!(out, "    {flag} i32.const 2 i32.atomic.store")?;
        writeln!(
            out,
            "    {flag} i32.const -1 memory.atomic.notify drop br 1 end"
        )?;
        writeln!(
            out,
            "    {flag} i32.const 1 i64.const -1 memory.atomic.wait32 drop end"
        )?;
        for (nth, _) in self.segments() {
            writeln!(out, "    data.drop $part{nth}")?;
        }
        writeln!(out, "  )")
    }

    fn write_part(
        &self,
        out: &mut String,
        width: &str,
        nth: usize,
        part: &Part,
    ) -> core::fmt::Result {
        write!(out, "      {width}.const {}", part.address)?;
        if self.base.is_some() {
            write!(out, " global.get $base {width}.add")?;
        }
        if self.thread_local == Some(nth) {
            match self.base {
                Some(_) => write!(out, " local.tee 1 global.set $tls local.get 1")?,
                None => write!(out, " global.set $tls {width}.const {}", part.address)?,
            }
        }
        if part.is_zero {
            writeln!(out, " i32.const 0 {width}.const {} memory.fill", part.len)
        } else {
            writeln!(
                out,
                " i32.const 0 i32.const {} memory.init $part{nth}",
                part.len
            )
        }
    }
}

/// Returns bytes that differ from those of every other part.
fn bytes(nth: usize, len: u32) -> String {
    (0..len as usize)
        .map(|at| format!("\\{:02x}", (at * 7 + nth * 31 + 1) % 255 + 1))
        .collect()
}

/// Mostly forms that a linker writes, sometimes with parts that overlap or are out of bounds.
pub(crate) fn form() -> impl Strategy<Value = Form> {
    let part = (0..600_u32, 0..300_u32, prop::bool::weighted(0.25));
    (
        any::<[bool; 4]>(),
        prop::option::of(prop::sample::select(vec![0_u32, 1024, 65_536, 100_000])),
        prop::collection::vec(part, 0..6),
        prop::option::of(0..6_usize),
        prop_oneof![8 => Just(0_i32), 1 => -40..40_i32, 1 => Just(200_000)],
    )
        .prop_map(
            |([is_64, is_called, is_inlined, is_imported], base, parts, thread_local, shift)| {
                let mut end = 64;
                let mut parts: Vec<Part> = parts
                    .into_iter()
                    .map(|(gap, len, is_zero)| {
                        let address = end + gap;
                        end = address + len;
                        Part {
                            address,
                            len,
                            is_zero,
                        }
                    })
                    .collect();
                if let Some(last) = parts.last_mut() {
                    last.address = last.address.saturating_add_signed(shift);
                }
                // A module without segments is not checked.
                parts.push(Part {
                    address: end + 4,
                    len: 5,
                    is_zero: false,
                });
                let flag = (end + 9).next_multiple_of(4);
                let thread_local = thread_local.filter(|nth| *nth < parts.len());
                Form {
                    is_64,
                    base,
                    is_called,
                    is_inlined,
                    is_imported,
                    flag,
                    parts,
                    thread_local,
                }
            },
        )
}

/// Returns forms with every feature, for tests that change their bytes.
pub(crate) fn full() -> Vec<Form> {
    let part = |address, len, is_zero| Part {
        address,
        len,
        is_zero,
    };
    let mut forms = Vec::new();
    for is_64 in [false, true] {
        for base in [None, Some(4096)] {
            for thread_local in [None, Some(0)] {
                forms.push(Form {
                    is_64,
                    base,
                    is_called: base.is_some(),
                    is_inlined: thread_local.is_some(),
                    is_imported: is_64 || base.is_some(),
                    flag: 512,
                    parts: vec![
                        part(64, 20, false),
                        part(200, 9, false),
                        part(300, 130, true),
                    ],
                    thread_local,
                });
            }
        }
    }
    forms
}
