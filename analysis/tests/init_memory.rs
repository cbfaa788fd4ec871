//! `init_memory`, with an engine that lacks or refuses something.

extern crate alloc;

use alloc::borrow::Cow;

use wasm_meminit_analysis::{
    DataIndex, InitError, InitErrorKind, InitMemory, MemoryIndex, MemoryInitialization,
    MemoryInitializer, OffsetExpr, SizeOverflow, StaticMemoryInitializer, Value,
};

fn memory() -> MemoryIndex {
    MemoryIndex::from_u32(0)
}

/// A memory, and what it denies.
struct State {
    size: Result<u64, SizeOverflow>,
    knows_offsets: bool,
    /// How many writes it accepts.
    n_writes: usize,
    written: Vec<(u64, Vec<u8>)>,
}

impl State {
    const fn of_size(size: u64) -> Self {
        Self {
            size: Ok(size),
            knows_offsets: true,
            n_writes: usize::MAX,
            written: Vec::new(),
        }
    }
}

impl InitMemory for State {
    fn memory_size_in_bytes(&mut self, memory_index: MemoryIndex) -> Result<u64, SizeOverflow> {
        assert_eq!(memory_index, memory());
        self.size
    }

    fn eval_offset(&mut self, _: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        match offset {
            OffsetExpr::Const(Value::I32(addr)) if self.knows_offsets => {
                Some(u64::from(addr.cast_unsigned()))
            }
            _ => None,
        }
    }

    fn write(&mut self, _: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        let accepts = self.written.len() < self.n_writes;
        if accepts {
            self.written.push((init.addr, init.data.to_vec()));
        }
        accepts
    }
}

fn run(addr: u64, data: &'static str) -> StaticMemoryInitializer<'static> {
    StaticMemoryInitializer {
        addr,
        data: Cow::Borrowed(data.as_bytes()),
    }
}

fn segment(nth: u32, addr: i32, data: &'static str) -> MemoryInitializer<'static> {
    MemoryInitializer {
        memory_index: memory(),
        segment: DataIndex::from_u32(nth),
        offset: OffsetExpr::Const(Value::I32(addr)),
        data: Cow::Borrowed(data.as_bytes()),
    }
}

/// Two runs, then two segments.
fn hybrid() -> MemoryInitialization<'static> {
    MemoryInitialization::Hybrid {
        runs: [vec![run(0, "abc"), run(8, "def")]].into_iter().collect(),
        replay: vec![segment(3, 1, "x"), segment(5, 10, "yz")],
    }
}

#[track_caller]
fn fails(mut state: State, segment: Option<u32>, kind: InitErrorKind, n_written: usize) {
    let error = InitError {
        kind,
        memory_index: memory(),
        segment: segment.map(DataIndex::from_u32),
    };
    assert_eq!(hybrid().init_memory(&mut state), Err(error));
    let is_trap = matches!(kind, InitErrorKind::OutOfBounds { .. });
    assert_eq!(error.is_trap(), is_trap);
    assert_eq!(state.written.len(), n_written);
}

#[test]
fn runs_are_written_before_segments() {
    let mut state = State::of_size(12);
    assert_eq!(hybrid().init_memory(&mut state), Ok(()));
    let written = state.written.iter();
    let written: Vec<_> = written.map(|(addr, data)| (*addr, &data[..])).collect();
    assert_eq!(
        written,
        [(0, &b"abc"[..]), (8, b"def"), (1, b"x"), (10, b"yz")]
    );
}

/// With custom page sizes, a memory can end inside an image's last page.
#[test]
fn a_run_is_cut_at_the_end_of_the_memory_and_a_segment_is_not() {
    for (size, cut) in [(11, "def"), (10, "de"), (8, "")] {
        let map = [Some(run(8, "def"))].into_iter().collect();
        let mut state = State::of_size(size);
        let fixed = MemoryInitialization::Static { map };
        assert_eq!(fixed.init_memory(&mut state), Ok(()));
        assert_eq!(state.written, [(8, cut.as_bytes().to_vec())]);
    }
    let too_far = |addr, len, size| InitErrorKind::OutOfBounds { addr, len, size };
    fails(State::of_size(7), None, too_far(8, 3, 7), 1);
    fails(State::of_size(11), Some(5), too_far(10, 2, 11), 3);
}

#[test]
fn what_the_engine_does_not_supply_is_named() {
    let unsized_memory = State {
        size: Err(SizeOverflow),
        ..State::of_size(0)
    };
    fails(unsized_memory, None, InitErrorKind::SizeOverflow, 0);
    let unknown = State {
        knows_offsets: false,
        ..State::of_size(12)
    };
    fails(unknown, Some(3), InitErrorKind::UnknownOffset, 2);
    for (n_writes, at) in [(0, None), (1, None), (2, Some(3)), (3, Some(5))] {
        let refusing = State {
            n_writes,
            ..State::of_size(12)
        };
        fails(refusing, at, InitErrorKind::Refused, n_writes);
    }
    // A segment alone, as an engine writes it that stores its own.
    let mut unsized_memory = State {
        size: Err(SizeOverflow),
        ..State::of_size(0)
    };
    let error = segment(4, 0, "x").replay(&mut unsized_memory);
    assert_eq!(
        error.map_err(|it| it.to_string()),
        Err("data segment 4 of memory 0: the memory's size does not fit in 64 bits".to_owned())
    );
}
