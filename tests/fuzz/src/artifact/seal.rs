//! Corrects the lengths and checksums of artifacts, as far as their headers can be read.
//! Otherwise a fuzzer would get no further than the first checksum.

use super::cursor::{Cursor, Result};
use super::format::{BYTE_PAGES, HAS_MAX, I64, Memory, crc32};

/// The length of what precedes the header.
const PREAMBLE: usize = 24;

const MAGIC: &[u8; 8] = b"\x89WMI\r\n\x1a\n";

/// The largest file that is made, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// A run in a header.
struct Run {
    /// The position of its checksum in the header.
    at: usize,
    addr: u64,
    len: u64,
}

struct Header {
    align_log2: u8,
    /// For each memory its size in bytes, and its runs.
    memories: Vec<(u128, Vec<Run>)>,
    /// The flag of a baked start function: its memory, its address, and its value.
    flag: Option<(u32, u64, u8)>,
    /// The length in bytes.
    len: usize,
}

impl Header {
    /// Reads a header without checking it.
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor(bytes);
        let (_, align_log2) = (cursor.log2()?, cursor.log2()?);
        cursor.bool()?;
        for _ in 0..2 {
            cursor.option(Cursor::hash)?;
        }
        cursor.names()?;
        cursor.policy()?;
        for _ in 0..cursor.uint()? {
            cursor.assumption()?;
        }
        let start = cursor.option(Cursor::start)?;
        let mut memories = Vec::new();
        let mut types = Vec::new();
        for _ in 0..cursor.uint()? {
            let flags = cursor.u8()?;
            let min = cursor.uint()?;
            if flags & HAS_MAX != 0 {
                cursor.uint()?;
            }
            let mut runs = Vec::new();
            for _ in 0..cursor.uint()? {
                let (addr, len) = (cursor.u64()?, cursor.u64()?);
                let at = bytes.len() - cursor.0.len();
                cursor.u32()?;
                runs.push(Run { at, addr, len });
            }
            let page = if flags & BYTE_PAGES == 0 { 65_536 } else { 1 };
            memories.push((u128::from(min) * page, runs));
            types.push(Memory {
                flags: flags & I64,
                min,
                max: None,
                runs: Vec::new(),
            });
        }
        for _ in 0..cursor.uint()? {
            cursor.segment(&types)?;
        }
        Ok(Self {
            align_log2,
            memories,
            flag: start.map(|it| (it.memory, it.flag, if it.is_done { 2 } else { 0 })),
            len: bytes.len() - cursor.0.len(),
        })
    }

    /// Returns the offset of each run in the file, and the length of the file.
    fn place(&self) -> Option<(Vec<u64>, u64)> {
        let align = 1_u64.checked_shl(self.align_log2.into())?;
        let mut offsets = Vec::new();
        let mut end = u64::try_from(PREAMBLE + self.len).ok()?;
        for (_, runs) in &self.memories {
            let (mut block_at, mut last_block) = (0_u64, None);
            for run in runs {
                let block = run.addr >> self.align_log2;
                block_at = match last_block {
                    None => end.checked_next_multiple_of(align)?,
                    Some(last) if last == block => block_at,
                    Some(_) => block_at.checked_add(align)?,
                };
                let offset = block_at.checked_add(run.addr % align)?;
                end = offset.checked_add(run.len)?;
                offsets.push(offset);
                let last = run.addr.checked_add(run.len)?.checked_sub(1)? >> self.align_log2;
                block_at = block_at.checked_add(last.checked_sub(block)? << self.align_log2)?;
                last_block = Some(last);
            }
        }
        Some((offsets, end))
    }

    /// Writes the checksums of all runs that are in the file, and that of the header.
    fn seal(&self, file: &mut [u8]) {
        let Some((offsets, _)) = self.place() else {
            return;
        };
        let runs = self.memories.iter().flat_map(|(_, runs)| runs);
        for (run, offset) in runs.zip(offsets) {
            let range = offset..offset.saturating_add(run.len);
            let [start, end] = [range.start, range.end].map(|it| usize::try_from(it).ok());
            let data = start.zip(end).and_then(|(start, end)| file.get(start..end));
            let Some(checksum) = data.map(crc32) else {
                continue;
            };
            let at = PREAMBLE + run.at;
            file[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

/// Returns the file with right checksums, if it has a header at all.
pub(super) fn in_place(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut file = bytes.to_vec();
    let len = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    let len = usize::try_from(len).ok()?;
    let header = bytes.get(PREAMBLE..)?.get(..len)?;
    if let Ok(header) = Header::read(header) {
        header.seal(&mut file);
    }
    file[..8].copy_from_slice(MAGIC);
    let checksum = crc32(&file[PREAMBLE..PREAMBLE + len]);
    file[16..20].copy_from_slice(&checksum.to_le_bytes());
    Some(file)
}

/// Where the index of a bundle begins, and the size of an entry.
const INDEX_AT: usize = 24;
const ENTRY_LEN: usize = 16;

/// As many artifacts of a bundle are given right checksums.
const MAX_PARTS: usize = 16;

/// Returns the bundle with right checksums, and its artifacts as far as they are in the file.
pub(super) fn bundle(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut file = bytes.to_vec();
    let n = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    let n = usize::try_from(n).ok()?.min(MAX_PARTS);
    let index = bytes.get(INDEX_AT..INDEX_AT + n * ENTRY_LEN)?;
    let mut parts = Vec::new();
    for entry in index.chunks_exact(ENTRY_LEN) {
        let number = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("8 bytes"));
        let [start, len] = [number(0), number(8)].map(usize::try_from);
        let start = start.unwrap_or(usize::MAX).min(bytes.len());
        let end = start
            .saturating_add(len.unwrap_or(usize::MAX))
            .min(bytes.len());
        let part = in_place(&bytes[start..end]).unwrap_or_else(|| bytes[start..end].to_vec());
        // Entries may overlap the index.
        if INDEX_AT + index.len() <= start {
            file[start..end].copy_from_slice(&part);
        }
        parts.push(part);
    }
    file[..8].copy_from_slice(b"\x89WMB\r\n\x1a\n");
    file[16..20].copy_from_slice(&crc32(index).to_le_bytes());
    Some((file, parts))
}

/// Returns a file with this header, and runs of bytes that depend on their place.
pub(super) fn completed(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = Header::read(bytes).ok()?;
    let (offsets, len) = header.place().filter(|(_, len)| *len <= MAX_FILE)?;
    let mut file = vec![0; usize::try_from(len).ok()?];
    let mut offsets = offsets.into_iter();
    for (nth, (size, runs)) in (0..).zip(&header.memories) {
        for (run, offset) in runs.iter().zip(&mut offsets) {
            let start = usize::try_from(offset).ok()?;
            // Bytes past the end of a memory are zero.
            let within = size.saturating_sub(run.addr.into()).min(run.len.into());
            let end = start.checked_add(usize::try_from(within).ok()?)?;
            let data = file.get_mut(start..end)?;
            // The last byte may be at the highest address.
            for (at, byte) in data.iter_mut().enumerate().step_by(7) {
                let at = run.addr.wrapping_add(u64::try_from(at).ok()?);
                *byte = (at % 251).try_into().expect("a byte");
            }
            if let Some((memory, flag, value)) = header.flag
                && memory == nth
                && let Some(at) = flag.checked_sub(run.addr)
                && let Ok(at) = usize::try_from(at)
                && let Some(word) = at.checked_add(4).and_then(|end| data.get_mut(at..end))
            {
                word.copy_from_slice(&[value, 0, 0, 0]);
            }
        }
    }
    file[..8].copy_from_slice(MAGIC);
    file[8..12].copy_from_slice(&3_u32.to_le_bytes());
    let header_len = u32::try_from(header.len).ok()?;
    file[12..16].copy_from_slice(&header_len.to_le_bytes());
    file[PREAMBLE..PREAMBLE + header.len].copy_from_slice(&bytes[..header.len]);
    header.seal(&mut file);
    let checksum = crc32(&file[PREAMBLE..PREAMBLE + header.len]);
    file[16..20].copy_from_slice(&checksum.to_le_bytes());
    Some(file)
}

/// Returns the header of a file, if it is small.
pub(super) fn header_of(file: &[u8]) -> Option<Vec<u8>> {
    let header = Header::read(file.get(PREAMBLE..)?).ok()?;
    (header.len <= 1024).then(|| file[PREAMBLE..PREAMBLE + header.len].to_vec())
}
