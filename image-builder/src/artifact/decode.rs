//! Decodes and checks the head of an artifact: everything but the bytes of runs.
//!
//! `FORMAT.md` is the specification.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use wasm_meminit_analysis::limits::{MAX_DATA_SEGMENTS, MAX_MEMORIES};
use wasm_meminit_analysis::{Assumption, HostPageSize, MemoryType, Run};

use crate::artifact::entry::{RUN_LEN, run_of, take_memory_type, take_segment, take_start};
use crate::artifact::error::{DecodeError, Part};
use crate::artifact::head::{ArtifactHead, ArtifactMemory};
use crate::artifact::preamble::{HEADER_AT, Preamble, truncated};
use crate::artifact::provenance::{key, take_assumption, take_policy, take_tool};
use crate::artifact::wire::Reader;
use crate::image::blocks::region;
use crate::image::provenance::SourceHash;
use crate::length::len_u64;

impl<'a> ArtifactHead<'a> {
    /// Reads preamble and header from the front of an artifact, to be passed to
    /// [`decode`](Self::decode). Reads no further, and allocates no more than what the reader
    /// supplies.
    ///
    /// # Errors
    ///
    /// Errors of the reader; and [`DecodeError`], wrapped in an error of kind `InvalidData`,
    /// if the input is not an artifact, has another version, or is truncated.
    #[cfg(feature = "std")]
    pub fn read(reader: &mut impl std::io::Read) -> std::io::Result<Vec<u8>> {
        use std::io::{Error, ErrorKind, Read as _};

        let invalid = |err: DecodeError| Error::new(ErrorKind::InvalidData, err);
        let mut head = Vec::new();
        reader
            .by_ref()
            .take(len_u64(HEADER_AT))
            .read_to_end(&mut head)?;
        let preamble = Preamble::decode(&head).map_err(invalid)?;
        let header_len = len_u64(preamble.header_len);
        reader.by_ref().take(header_len).read_to_end(&mut head)?;
        let expected = HEADER_AT.saturating_add(preamble.header_len);
        if head.len() < expected {
            return Err(invalid(truncated(expected, &head)));
        }
        Ok(head)
    }

    /// Decodes and checks the head at the front of `bytes`, which may contain just the head
    /// or the whole file.
    ///
    /// Allocates 16 bytes for each run, which takes 20 bytes in the header, plus at most
    /// 32 KiB.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the first error found, in the order of `FORMAT.md`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let preamble = Preamble::decode(bytes)?;
        let header_end = HEADER_AT.saturating_add(preamble.header_len);
        let Some(header) = bytes.get(HEADER_AT..header_end) else {
            return Err(truncated(header_end, bytes));
        };
        if crc32fast::hash(header) != preamble.header_checksum {
            return Err(DecodeError::Checksum { part: Part::Header });
        }
        let mut head = Self::front(&mut Reader::new(header), len_u64(header_end))?;
        head.take_assumptions()?;
        head.take_start()?;
        head.take_memories()?;
        head.check_start()?;
        head.check_assumptions()?;
        head.check_replay()?;
        Ok(head)
    }

    /// Decodes the fixed part of the header. Until the rest is read, `replay` points to it.
    fn front(reader: &mut Reader<'a>, header_end: u64) -> Result<Self, DecodeError> {
        let mut read = || {
            let page_size = page_size(reader.byte()?)?;
            let file_alignment = page_size_at_least(reader.byte()?, page_size)?;
            Some(Self {
                page_size,
                file_alignment,
                elements_may_trap: reader.bool()?,
                source: reader.hash()?.map(SourceHash),
                stripped: reader.hash()?.map(SourceHash),
                tool: take_tool(reader)?,
                policy: take_policy(reader, page_size)?,
                assumptions: (0, *reader),
                start: None,
                memories: Vec::new(),
                runs: Vec::new(),
                entries: Vec::new(),
                replay: (0, *reader),
                header_end,
                file_len: header_end,
            })
        };
        read().ok_or(DecodeError::Invalid { part: Part::Header })
    }

    fn take_assumptions(&mut self) -> Result<(), DecodeError> {
        let invalid = DecodeError::Invalid {
            part: Part::Assumptions,
        };
        let reader = &mut self.replay.1;
        let n = reader.uint().ok_or(invalid)?;
        self.assumptions = (n, *reader);
        let mut last = None;
        for _ in 0..n {
            let it = take_assumption(reader).ok_or(invalid)?;
            let key = key(&it);
            if key <= last {
                return Err(invalid);
            }
            last = key;
        }
        Ok(())
    }

    fn take_start(&mut self) -> Result<(), DecodeError> {
        let reader = &mut self.replay.1;
        let mut read = || {
            Some(if reader.bool()? {
                Some(take_start(reader)?)
            } else {
                None
            })
        };
        self.start = read().ok_or(DecodeError::Invalid { part: Part::Start })?;
        Ok(())
    }

    fn take_memories(&mut self) -> Result<(), DecodeError> {
        let invalid = DecodeError::Invalid { part: Part::Header };
        let n = self.replay.1.uint().and_then(|n| usize::try_from(n).ok());
        let n = n.filter(|n| *n <= MAX_MEMORIES).ok_or(invalid)?;
        self.memories.reserve_exact(n);
        self.entries.reserve_exact(n);
        for _ in 0..n {
            self.take_memory()?;
        }
        // All images together must be within the policy's limit.
        let sizes = self.runs.iter().map(|run| run.len);
        let bytes = sizes.fold(0_u64, u64::saturating_add);
        if self.policy.max_image_size() < bytes {
            return Err(DecodeError::Invalid { part: Part::Runs });
        }
        Ok(())
    }

    fn take_memory(&mut self) -> Result<(), DecodeError> {
        let reader = &mut self.replay.1;
        let (ty, imported) = take_memory_type(reader).ok_or(DecodeError::Invalid {
            part: Part::MemoryType,
        })?;
        let invalid = DecodeError::Invalid { part: Part::Runs };
        let n_runs = reader.uint().and_then(|n| usize::try_from(n).ok());
        let entries = n_runs
            .and_then(|n| n.checked_mul(RUN_LEN))
            .and_then(|len| reader.raw(len))
            .ok_or(invalid)?;
        let (entries, _) = entries.as_chunks::<RUN_LEN>();
        let first = self.runs.len();
        self.runs.reserve_exact(entries.len());
        let runs = entries.iter().map(|entry| run_of(entry).0);
        self.runs.extend(runs);
        let range = first..self.runs.len();
        let runs = self.runs.get(range.clone()).unwrap_or(&[]);
        if !check_runs(runs, self.page_size, &ty) || self.policy.max_runs() < runs.len() {
            return Err(invalid);
        }
        let (start, end) = region(runs, self.file_alignment, self.file_len).ok_or(invalid)?;
        self.memories.push(ArtifactMemory {
            ty,
            imported,
            runs: range,
            file_offset: start,
            file_end: end,
        });
        self.entries.push(entries);
        self.file_len = end;
        Ok(())
    }

    /// Checks that the start function's memory exists and that its addresses are in bounds.
    fn check_start(&self) -> Result<(), DecodeError> {
        let Some(start) = &self.start else {
            return Ok(());
        };
        let size = self.memory(start.memory).and_then(|it| it.ty.min_bytes());
        if size.is_some_and(|size| start.fits(size)) {
            Ok(())
        } else {
            Err(DecodeError::Invalid { part: Part::Start })
        }
    }

    /// Checks that every assumption is possible, and that every required one is listed.
    fn check_assumptions(&self) -> Result<(), DecodeError> {
        let mut zeroed = 0_u128;
        // A host resolves one name to one memory, so memories with one name are not distinct.
        let mut names = BTreeSet::new();
        let mut start = None;
        let holds = |it: Assumption| {
            let imported = |index| self.memory(index).filter(|it| it.imported);
            match it {
                Assumption::GlobalValue { .. } => true,
                Assumption::ZeroedMemory {
                    memory,
                    module,
                    name,
                } => {
                    zeroed |= 1_u128.checked_shl(memory.as_u32()).unwrap_or(0);
                    imported(memory).is_some()
                        && self.policy.assumes_zeroed_imports()
                        && names.insert((module, name))
                }
                Assumption::MemorySize { memory, bytes, .. } => {
                    imported(memory).is_some_and(|it| it.ty.min_bytes() == Some(bytes))
                }
                Assumption::StartFunction { memory, treatment } => {
                    let is_only = start.is_none();
                    start = Some((memory, treatment));
                    is_only
                }
                _ => false,
            }
        };
        let all_hold = self.assumptions().all(holds);
        let is_promised = |(nth, memory): (u32, &ArtifactMemory)| {
            let is_zeroed = zeroed.checked_shr(nth).is_some_and(|it| it & 1 == 1);
            let is_start = self.start.is_some_and(|it| it.memory.as_u32() == nth);
            let is_written = is_start || !memory.runs.is_empty();
            !memory.imported || !is_written || is_zeroed
        };
        let images_are_listed = (0..).zip(&self.memories).all(is_promised);
        let start_is_listed = match (&self.start, start) {
            (None, None) => true,
            (Some(baked), Some((memory, treatment))) => {
                baked.memory == memory
                    && baked.allows(treatment)
                    && treatment == self.policy.start_function()
            }
            _ => false,
        };
        if all_hold && images_are_listed && start_is_listed {
            Ok(())
        } else {
            Err(DecodeError::Invalid {
                part: Part::Assumptions,
            })
        }
    }

    /// Decodes the replay list once, so that later iterations cannot fail.
    fn check_replay(&mut self) -> Result<(), DecodeError> {
        let invalid = DecodeError::Invalid { part: Part::Replay };
        let mut reader = self.replay.1;
        let n = reader.uint().ok_or(invalid)?;
        self.replay = (n, reader);
        let mut last = None;
        for _ in 0..n {
            let it = take_segment(&mut reader, |nth| self.index_type(nth)).ok_or(invalid)?;
            let position = usize::try_from(it.segment.as_u32());
            let is_within = position.is_ok_and(|it| it < MAX_DATA_SEGMENTS);
            // It might overwrite what the start function wrote, and the image has.
            let is_of_start = self
                .start
                .is_some_and(|start| start.memory == it.memory_index);
            if !is_within || is_of_start || last.is_some_and(|last| it.segment <= last) {
                return Err(invalid);
            }
            last = Some(it.segment);
        }
        if reader.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Invalid { part: Part::Header })
        }
    }
}

fn page_size(log2: u8) -> Option<HostPageSize> {
    HostPageSize::new(1_u64.checked_shl(log2.into())?).ok()
}

fn page_size_at_least(log2: u8, least: HostPageSize) -> Option<HostPageSize> {
    page_size(log2).filter(|it| least <= *it)
}

/// Checks the invariants of [`Image`](crate::Image) for runs from a file.
fn check_runs(runs: &[Run], page_size: HostPageSize, ty: &MemoryType) -> bool {
    let aligned = |run: &Run| {
        page_size.is_aligned(run.addr)
            && page_size.is_aligned(run.len)
            && run.len != 0
            && run.addr.checked_add(run.len).is_some()
    };
    // If rounding up overflows, every aligned end below 2^64 is in bounds.
    let limit = ty
        .min_bytes()
        .map(|bytes| page_size.round_up(bytes).unwrap_or(u64::MAX));
    runs.iter().all(aligned)
        && runs.is_sorted_by(|a, b| a.end() < b.addr)
        && match (runs.last(), limit) {
            (None, _) => true,
            (Some(last), Some(limit)) => last.end() <= limit,
            (Some(_), None) => false,
        }
}
