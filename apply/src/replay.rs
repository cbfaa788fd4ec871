//! Initialises memories as the specification says: segment after segment, each
//! bounds-checked.

use wasm_meminit_image_builder::analysis::{
    GlobalIndex, IndexType, InitError, InitErrorKind, InitMemory, MemoryIndex,
    MemoryInitialization, OffsetExpr, SizeOverflow, StaticMemoryInitializer, Value,
};

/// Initialises memories by writing their runs and replaying their segments.
///
/// Writes the runs first, if any, then every segment to replay, in order, each checked
/// against its memory's size and written whole (core specification, "Instantiation").
///
/// `memories` are all memories of the module, imported ones first, each with the type of
/// its addresses; those that the module defines must be zero. `globals` returns the
/// values of the globals that offsets refer to.
///
/// An engine whose memories are not slices implements [`InitMemory`] and calls
/// [`MemoryInitialization::init_memory`] instead.
///
/// ```
/// use wasm_meminit_analysis::{Module, Plan, Policy};
/// use wasm_meminit_apply::{IndexType, Value, replay};
/// use wasm_meminit_image_builder::ModuleImage;
///
/// let wasm = wat::parse_str(
///     r#"(module
///          (import "env" "base" (global $base i32))
///          (memory 1)
///          (data (i32.const 8) "baked")
///          (data (global.get $base) "replayed"))"#,
/// )?;
/// let module = Module::parse(&wasm)?;
/// let image = ModuleImage::build(&module, &Plan::new(&module, &Policy::default()))?;
///
/// let mut memories = [(IndexType::I32, vec![0; 65536])];
/// let globals = |_| Some(Value::I32(100));
/// replay(&image.initialization(), &mut memories, &globals)?;
/// assert_eq!(memories[0].1[8..13], *b"baked");
/// assert_eq!(memories[0].1[100..108], *b"replayed");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`InitError`] names the segment. If [`is_trap`](InitError::is_trap), the program sees
/// a trap, and what was written before stays written. A missing memory is reported as
/// [`InitErrorKind::Refused`] before anything is written.
pub fn replay<M: AsMut<[u8]>>(
    initialization: &MemoryInitialization<'_>,
    memories: &mut [(IndexType, M)],
    globals: &dyn Fn(GlobalIndex) -> Option<Value>,
) -> Result<(), InitError> {
    refuse_missing(initialization, memories.len())?;
    initialization.init_memory(&mut Memories { memories, globals })
}

/// Memories as slices, and globals as a function.
struct Memories<'a, M> {
    memories: &'a mut [(IndexType, M)],
    globals: &'a dyn Fn(GlobalIndex) -> Option<Value>,
}

impl<M: AsMut<[u8]>> InitMemory for Memories<'_, M> {
    fn memory_size_in_bytes(&mut self, memory_index: MemoryIndex) -> Result<u64, SizeOverflow> {
        let (_, memory) = &mut self.memories[position(memory_index)];
        u64::try_from(memory.as_mut().len()).map_err(|_| SizeOverflow)
    }

    fn eval_offset(&mut self, memory_index: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        let (index_type, _) = self.memories[position(memory_index)];
        offset.eval(index_type, self.globals).ok()
    }

    fn write(&mut self, memory_index: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        let (_, memory) = &mut self.memories[position(memory_index)];
        write(memory.as_mut(), init)
    }
}

/// Writes a run or segment to a memory, and returns whether it is in bounds. It always is:
/// the driver has compared both ends with the size.
pub(crate) fn write(memory: &mut [u8], init: &StaticMemoryInitializer<'_>) -> bool {
    let target = usize::try_from(init.addr).ok().and_then(|at| {
        let end = at.checked_add(init.data.len())?;
        memory.get_mut(at..end)
    });
    target.is_some_and(|target| {
        target.copy_from_slice(&init.data);
        true
    })
}

/// Returns the position of a memory among those of its module.
pub(crate) fn position(memory_index: MemoryIndex) -> usize {
    usize::try_from(memory_index.as_u32()).unwrap_or(usize::MAX)
}

fn refuse_missing(init: &MemoryInitialization<'_>, n_memories: usize) -> Result<(), InitError> {
    let missing = |memory_index: MemoryIndex, segment| {
        let err = InitError {
            kind: InitErrorKind::Refused,
            memory_index,
            segment,
        };
        if position(memory_index) < n_memories {
            Ok(())
        } else {
            Err(err)
        }
    };
    match init {
        MemoryInitialization::Static { map } => {
            for (index, _) in map.iter().filter(|(_, run)| run.is_some()) {
                missing(index, None)?;
            }
        }
        MemoryInitialization::Hybrid { runs, .. } => {
            for (index, _) in runs.iter().filter(|(_, runs)| !runs.is_empty()) {
                missing(index, None)?;
            }
        }
        _ => {}
    }
    for it in init.replay() {
        missing(it.memory_index, Some(it.segment))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use wasm_meminit_image_builder::analysis::{DataIndex, MemoryInitializer};

    use super::*;

    fn segment<'a>(memory: u32, nth: u32, at: Value, data: &'a [u8]) -> MemoryInitializer<'a> {
        MemoryInitializer {
            memory_index: MemoryIndex::from_u32(memory),
            segment: DataIndex::from_u32(nth),
            offset: OffsetExpr::Const(at),
            data: data.into(),
        }
    }

    fn run(
        segments: Vec<MemoryInitializer<'_>>,
        memories: &mut [(IndexType, Vec<u8>)],
    ) -> Result<(), InitError> {
        replay(
            &MemoryInitialization::Segmented(segments),
            memories,
            &|_| None,
        )
    }

    #[test]
    fn portable_a_trap_names_its_segment_and_keeps_what_was_written() {
        let mut memories = [(IndexType::I32, vec![0; 8]), (IndexType::I64, vec![0; 4])];
        let segments = vec![
            segment(0, 0, Value::I32(0), b"ab"),
            segment(1, 3, Value::I64(4), b""),
            segment(0, 4, Value::I32(1), b"c"),
            segment(1, 7, Value::I64(3), b"xy"),
            segment(0, 9, Value::I32(0), b"never"),
        ];
        let err = run(segments, &mut memories).expect_err("out of bounds");
        assert!(err.is_trap());
        assert_eq!(err.segment, Some(DataIndex::from_u32(7)));
        assert_eq!(err.memory_index, MemoryIndex::from_u32(1));
        assert_eq!(memories[0].1, b"ac\0\0\0\0\0\0");
        assert_eq!(memories[1].1, [0; 4]);
    }

    #[test]
    fn portable_an_empty_segment_may_be_at_the_end_but_not_past_it() {
        let mut memories = [(IndexType::I32, vec![0; 4])];
        run(vec![segment(0, 0, Value::I32(4), b"")], &mut memories).expect("at the end");
        let err = run(vec![segment(0, 0, Value::I32(5), b"")], &mut memories);
        assert!(err.expect_err("past the end").is_trap());
    }

    #[test]
    fn portable_a_32_bit_offset_is_zero_extended() {
        let mut memories = [(IndexType::I32, vec![0; 4])];
        let err = run(vec![segment(0, 0, Value::I32(-1), b"a")], &mut memories);
        let InitErrorKind::OutOfBounds { addr, .. } = err.expect_err("no such address").kind else {
            panic!("{err:?}");
        };
        assert_eq!(addr, 0xffff_ffff);
    }

    #[test]
    fn portable_a_missing_memory_is_refused_before_anything_is_written() {
        let mut memories = [(IndexType::I32, vec![0; 4])];
        let segments = vec![
            segment(0, 0, Value::I32(0), b"a"),
            segment(1, 1, Value::I32(0), b"b"),
        ];
        let err = run(segments, &mut memories).expect_err("one memory only");
        assert_eq!(err.kind, InitErrorKind::Refused);
        assert_eq!(err.segment, Some(DataIndex::from_u32(1)));
        assert_eq!(memories[0].1, [0; 4]);
    }

    /// An image for a memory that is not there. One without bytes needs none.
    #[test]
    fn portable_runs_of_a_missing_memory_are_refused_before_anything_is_written() {
        let write = |data| StaticMemoryInitializer { addr: 0, data };
        for (lens, refused) in [([1, 0], None), ([1, 1], Some(1)), ([0, 1], Some(1))] {
            let runs = lens.map(|len| (len != 0).then(|| write(b"a"[..].into())));
            let fixed = MemoryInitialization::Static {
                map: runs.clone().into_iter().collect(),
            };
            let hybrid = MemoryInitialization::Hybrid {
                runs: runs
                    .map(|it| it.into_iter().collect())
                    .into_iter()
                    .collect(),
                replay: vec![segment(0, 0, Value::I32(1), b"b")],
            };
            for (init, written) in [(fixed, &b"a\0"[..]), (hybrid, b"ab")] {
                let mut memories = [(IndexType::I32, vec![0; 2])];
                let result = replay(&init, &mut memories, &|_| None);
                let found = result.map_err(|err| (err.kind, err.memory_index.as_u32()));
                match refused {
                    Some(memory) => {
                        assert_eq!(found, Err((InitErrorKind::Refused, memory)));
                        assert_eq!(memories[0].1, [0; 2]);
                    }
                    None => {
                        assert_eq!(found, Ok(()));
                        assert_eq!(memories[0].1, written);
                    }
                }
            }
        }
    }
}
