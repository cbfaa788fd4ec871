//! Generated modules, for the tests of any engine.

use core::fmt::Write as _;

/// A small generator of random numbers (xorshift64*): the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// How a generated module fails if the host asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Never,
    ElementSegment,
    DataSegment,
    Start,
}

pub(crate) struct Generated {
    pub(crate) wat: String,
    pub(crate) n_memories: usize,
    pub(crate) failure: Failure,
}

/// The most memories of a module.
pub(crate) const MAX_MEMORIES: usize = 3;

/// Generates a module. Many of them have memories of the same types, with different data.
///
/// It imports a global: 0, or the value with which it fails; and a table, into which it puts a
/// function that hashes its first memory. `has_memory64`: whether other memories may be 64-bit.
pub(crate) fn generate(seed: u64, has_memory64: bool) -> Generated {
    let random = &mut Random::new(seed);
    let n_memories = match random.below(10) {
        0 => 0,
        1..7 => 1,
        7 | 8 => 2,
        _ => MAX_MEMORIES,
    };
    let failure = match random.below(8) {
        0 => Failure::ElementSegment,
        1 | 2 if n_memories != 0 => Failure::DataSegment,
        3 => Failure::Start,
        _ => Failure::Never,
    };
    let mut wat = String::from(
        r#"(module
          (import "" "table" (table 2 funcref))
          (import "" "fail" (global $fail i32))
        "#,
    );
    let mut types = Vec::new();
    for nth in 0..n_memories {
        // The hash reads the first memory with 32-bit addresses.
        let is_64 = nth != 0 && random.one_in(4) && has_memory64;
        let bits = if is_64 { 64 } else { 32 };
        let pages = 1 + random.below(3);
        types.push((bits, pages));
        let max = match random.one_in(2) {
            true => (pages + random.below(4)).to_string(),
            false => String::new(),
        };
        line(
            &mut wat,
            &format!(r#"(memory (export "{nth}") i{bits} {pages} {max})"#),
        );
    }
    let mut segments = Vec::new();
    if n_memories != 0 {
        for _ in 0..random.below(12) {
            let memory = random.below(n_memories as u64);
            let (bits, pages) = types[memory as usize];
            let text: String = (0..=random.below(40))
                .map(|_| char::from(b'a' + random.below(26) as u8))
                .collect();
            let len = text.len() as u64;
            let at = match random.below(4) {
                0 => random.below(64),
                1 => (pages << 16) - len,
                2 => random.below(pages << 4) << 12,
                _ => random.below((pages << 16) - len),
            }
            .min((pages << 16) - len);
            segments.push(format!(
                r#"(data (memory {memory}) (i{bits}.const {at}) "{text}")"#
            ));
        }
        if failure == Failure::DataSegment {
            let at = random.below(segments.len() as u64 + 1) as usize;
            let segment = r#"(data (memory 0) (global.get $fail) "dynamic")"#;
            segments.insert(at, segment.into());
        }
    }
    for segment in &segments {
        line(&mut wat, segment);
    }
    let (end, load) = match n_memories {
        0 => (0, "(i64.const 0)"),
        _ => (types[0].1 << 16, "(i64.load (local.get $at))"),
    };
    line(
        &mut wat,
        &format!(
            r#"(func $hash (result i64) (local $at i32) (local $hash i64)
              (if (i32.const {end}) (then
                (loop $next
                  (local.set $hash (i64.mul (i64.const 0x100000001b3)
                    (i64.xor (local.get $hash) {load})))
                  (local.set $at (i32.add (local.get $at) (i32.const 8)))
                  (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))))
              (local.get $hash))
            (elem (i32.const 0) $hash)"#
        ),
    );
    if failure == Failure::ElementSegment {
        line(&mut wat, "(elem (global.get $fail) $hash)");
    }
    if failure == Failure::Start || random.one_in(4) {
        let mut body = String::new();
        for (nth, (bits, _)) in types.iter().enumerate() {
            let at = random.below(60_000);
            line(
                &mut body,
                &format!("(i32.store {nth} (i{bits}.const {at}) (i32.const 0x77777777))"),
            );
        }
        if failure == Failure::Start {
            body.push_str("(if (global.get $fail) (then unreachable))");
        }
        line(&mut wat, &format!("(func $start {body}) (start $start)"));
    }
    wat.push(')');
    Generated {
        wat,
        n_memories,
        failure,
    }
}

fn line(wat: &mut String, line: &str) {
    writeln!(wat, "{line}").expect("a string");
}
