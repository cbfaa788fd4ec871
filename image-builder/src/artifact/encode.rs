//! Encodes a module's image as an artifact.
//!
//! `FORMAT.md` is the specification.

use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_analysis::{HostPageSize, MemoryInitializer, OffsetExpr};

use crate::artifact::entry::{put_memory_type, put_run, put_segment, put_start};
use crate::artifact::error::EncodeError;
use crate::artifact::preamble::{HEADER_AT, Preamble};
use crate::artifact::provenance::{put_assumption, put_policy, put_tool};
use crate::artifact::wire::Writer;
use crate::image::blocks::{Positions, region};
use crate::image::memory::ImageRef;
use crate::image::module::ModuleImage;
use crate::length::len_u64;

/// By default, files are aligned for pages of 64 KiB if that lengthens them by at most one
/// part in this many.
const MAX_FILE_ALIGNMENT_COST: u64 = 4;

/// The source of padding, so that none is allocated.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// An encoded artifact in parts, so that it can be written without copying the images:
/// first [`head`](Self::head), then every slice of [`payload`](Self::payload).
#[derive(Clone)]
pub struct EncodedArtifact<'a> {
    head: Vec<u8>,
    payload: Vec<&'a [u8]>,
}

/// Prints sizes, never bytes.
impl fmt::Debug for EncodedArtifact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_payload_bytes: usize = self.payload.iter().map(|it| it.len()).sum();
        f.debug_struct("EncodedArtifact")
            .field("n_head_bytes", &self.head.len())
            .field("n_payload_bytes", &n_payload_bytes)
            .finish()
    }
}

impl<'a> EncodedArtifact<'a> {
    /// Returns the preamble and the header.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the padding and the bytes of all runs.
    pub fn payload(&self) -> &[&'a [u8]] {
        &self.payload
    }

    /// Returns the length of the artifact in bytes.
    pub fn file_len(&self) -> u64 {
        let lengths = self.payload.iter().map(|it| len_u64(it.len()));
        lengths.fold(len_u64(self.head.len()), u64::saturating_add)
    }
}

impl ModuleImage<'_> {
    /// Encodes the artifact into one buffer. The same module and policy give the same bytes.
    ///
    /// # Errors
    ///
    /// The same as [`encode_parts`](Self::encode_parts), or if allocating the buffer fails.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let parts = self.encode_parts()?;
        let mut bytes = parts.head;
        let len = parts
            .payload
            .iter()
            .try_fold(0_usize, |sum, it| sum.checked_add(it.len()));
        bytes
            .try_reserve_exact(len.ok_or(EncodeError::OutOfMemory)?)
            .map_err(|_| EncodeError::OutOfMemory)?;
        for part in parts.payload {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }

    /// Encodes the artifact into parts that borrow the images.
    ///
    /// # Errors
    ///
    /// [`EncodeError::HeaderTooLarge`] if the segments to replay have too many bytes;
    /// [`EncodeError::OutOfMemory`] if the file would have 2⁶⁴ bytes or more, or if
    /// allocation fails; [`EncodeError::Assumption`] if the plan relies on an assumption that
    /// the format cannot express; [`EncodeError::Offset`] if the offset of a segment to
    /// replay is ill-typed.
    pub fn encode_parts(&self) -> Result<EncodedArtifact<'_>, EncodeError> {
        let alignment = self.alignment();
        let header = self.header(alignment)?;
        let mut head = Vec::new();
        head.try_reserve_exact(HEADER_AT.saturating_add(header.len()))
            .map_err(|_| EncodeError::OutOfMemory)?;
        Preamble::put(&header, &mut head).ok_or(EncodeError::HeaderTooLarge)?;
        head.extend_from_slice(&header);

        let mut parts = Parts {
            payload: Vec::new(),
            at: len_u64(head.len()),
        };
        let images = self.memories.values().map(|it| it.image.as_ref());
        for image in images.filter(|it| !it.is_empty()) {
            parts.put(&image, alignment)?;
        }
        Ok(EncodedArtifact {
            head,
            payload: parts.payload,
        })
    }

    /// Returns the requested file alignment, or the largest one that adds little padding.
    fn alignment(&self) -> HostPageSize {
        let page_size = self.page_size;
        if let Some(alignment) = self.file_alignment {
            return alignment.max(page_size);
        }
        let wide = HostPageSize::KIB_64.max(page_size);
        let (Some(small), Some(large)) = (self.payload_end(page_size), self.payload_end(wide))
        else {
            return page_size;
        };
        let allowed = small.saturating_add(small.checked_div(MAX_FILE_ALIGNMENT_COST).unwrap_or(0));
        if large <= allowed { wide } else { page_size }
    }

    /// Estimates where the file ends, assuming that the header fits in one block.
    fn payload_end(&self, alignment: HostPageSize) -> Option<u64> {
        let mut end = alignment.bytes();
        for memory in self.memories.values() {
            let (_, file_end) = region(&memory.image.runs, alignment, end)?;
            end = file_end;
        }
        Some(end)
    }

    fn header(&self, alignment: HostPageSize) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.byte(log2(self.page_size));
        writer.byte(log2(alignment));
        writer.bool(self.elements_may_trap);
        writer.hash(self.source.map(|it| it.0));
        writer.hash(self.stripped.map(|it| it.0));
        put_tool(&mut writer, &self.tool);
        put_policy(&mut writer, &self.policy, self.start_function);
        writer.uint(len_u64(self.assumptions.len()));
        for assumption in &self.assumptions {
            put_assumption(&mut writer, assumption).ok_or(EncodeError::Assumption)?;
        }
        writer.bool(self.start.is_some());
        if let Some(start) = &self.start {
            put_start(&mut writer, start);
        }
        writer.uint(len_u64(self.memories.len()));
        for memory in self.memories.values() {
            put_memory_type(&mut writer, memory.ty, memory.imported);
            writer.uint(len_u64(memory.image.runs.len()));
            let image = memory.image.as_ref();
            for (run, data) in image.layout().iter().zip(image.data()) {
                put_run(&mut writer, run, data);
            }
        }
        writer.uint(len_u64(self.replay.len()));
        for (nth, it) in self.replay.iter().enumerate() {
            self.check_offset(nth, it)?;
            let inlined = self.inlined.get(&nth).map(Vec::as_slice);
            put_segment(&mut writer, it, inlined);
        }
        Ok(writer.bytes)
    }

    /// Rejects an offset that the decoder would reject.
    fn check_offset(&self, nth: usize, it: &MemoryInitializer<'_>) -> Result<(), EncodeError> {
        let inlined = self.inlined.get(&nth);
        let inlined = inlined.map(|bytes| OffsetExpr::decode(bytes).map(|(expr, _)| expr));
        let offset = inlined.unwrap_or(Ok(it.offset.clone()));
        let index_type = self.memories.get(it.memory_index);
        let is_valid = index_type
            .zip(offset.ok())
            .is_some_and(|(memory, offset)| offset.is_well_typed(memory.ty.index_type));
        if is_valid {
            Ok(())
        } else {
            Err(EncodeError::Offset {
                segment: it.segment,
            })
        }
    }
}

fn log2(page_size: HostPageSize) -> u8 {
    // Never fails: at most 30.
    u8::try_from(page_size.bytes().trailing_zeros()).unwrap_or(0)
}

/// Parts of the payload, and the file length so far.
struct Parts<'a> {
    payload: Vec<&'a [u8]>,
    at: u64,
}

impl<'a> Parts<'a> {
    /// Appends one memory, whose image is not empty.
    fn put(&mut self, image: &ImageRef<'a>, alignment: HostPageSize) -> Result<(), EncodeError> {
        let blocks = alignment
            .round_up(self.at)
            .ok_or(EncodeError::OutOfMemory)?;
        let mut positions = Positions::new(alignment);
        for (run, data) in image.layout().iter().zip(image.data()) {
            let at = positions.place(run).and_then(|at| at.checked_add(blocks));
            self.pad_to(at.ok_or(EncodeError::OutOfMemory)?)?;
            self.push(data)?;
        }
        Ok(())
    }

    fn pad_to(&mut self, offset: u64) -> Result<(), EncodeError> {
        debug_assert!(self.at <= offset, "parts overlap");
        while self.at < offset {
            let missing = offset.saturating_sub(self.at);
            let n = usize::try_from(missing).map_or(ZEROS.len(), |it| it.min(ZEROS.len()));
            self.push(ZEROS.get(..n).unwrap_or(&ZEROS))?;
        }
        Ok(())
    }

    fn push(&mut self, part: &'a [u8]) -> Result<(), EncodeError> {
        self.payload
            .try_reserve(1)
            .map_err(|_| EncodeError::OutOfMemory)?;
        let end = self.at.checked_add(len_u64(part.len()));
        self.at = end.ok_or(EncodeError::OutOfMemory)?;
        self.payload.push(part);
        Ok(())
    }
}
