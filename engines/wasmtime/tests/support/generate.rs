//! Generated modules, and what they must do.

use core::fmt::Write as _;

use wasmtime::{
    Engine, Error, Global, GlobalType, Instance, Linker, Mutability, Ref, RefType, Store, Table,
    TableType, Val, ValType,
};

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
/// function that hashes its first memory.
pub(crate) fn generate(seed: u64) -> Generated {
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
        let bits = if nth != 0 && random.one_in(4) { 64 } else { 32 };
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

/// The state of a store: the table through which a failed instance can be observed.
pub(crate) struct World {
    pub(crate) store: Store<()>,
    pub(crate) linker: Linker<()>,
    table: Table,
}

impl World {
    pub(crate) fn new(engine: &Engine, fails: bool) -> Self {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let ty = TableType::new(RefType::FUNCREF, 2, None);
        let table = Table::new(&mut store, ty, Ref::Func(None)).expect("room");
        linker.define(&store, "", "table", table).expect("new");
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let value = Val::I32(if fails { -2 } else { 0 });
        let global = Global::new(&mut store, ty, value).expect("valid");
        linker.define(&store, "", "fail", global).expect("new");
        Self {
            store,
            linker,
            table,
        }
    }

    /// Returns the hash of the first memory, also of an instance that failed.
    pub(crate) fn hash(&mut self) -> i64 {
        let function = self.table.get(&mut self.store, 0).expect("in bounds");
        let function = function.as_func().expect("a function").expect("not null");
        let hash = function.typed::<(), i64>(&self.store).expect("the type");
        hash.call(&mut self.store, ()).expect("no trap")
    }
}

/// What an instantiation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The contents of all memories.
    Started(Vec<Vec<u8>>),
    /// The trap, and the hash of the first memory.
    Failed(String, i64),
}

impl Outcome {
    /// Describes what an instantiation did.
    pub(crate) fn of(
        world: &mut World,
        instance: Result<Instance, Error>,
        n_memories: usize,
    ) -> Self {
        match instance {
            Ok(instance) => {
                let contents = |nth: usize| {
                    let memory = instance.get_memory(&mut world.store, &nth.to_string());
                    memory.expect("exported").data(&world.store).to_vec()
                };
                Self::Started((0..n_memories).map(contents).collect())
            }
            Err(err) => {
                let trap = err.downcast_ref::<wasmtime::Trap>();
                let trap = trap.unwrap_or_else(|| panic!("{err:?}"));
                Self::Failed(trap.to_string(), world.hash())
            }
        }
    }
}
