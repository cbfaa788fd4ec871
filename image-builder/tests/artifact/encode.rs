//! The matching encoder. It encodes any content with correct lengths and checksums, so that
//! forged artifacts are wrong only in their content.

use super::format::{At, File, Layout, Value, What, crc32};

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn uint(&mut self, mut value: u64) {
        while 127 < value {
            self.0.push(value as u8 | 128);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn names(&mut self, names: &[String; 2]) {
        names.iter().for_each(|it| self.bytes(it.as_bytes()));
    }

    fn value(&mut self, value: Value) {
        match value {
            Value::I32(value) => {
                self.0.push(0x7f);
                self.0.extend(value.to_le_bytes());
            }
            Value::I64(value) => {
                self.0.push(0x7e);
                self.0.extend(value.to_le_bytes());
            }
        }
    }
}

fn header(file: &File) -> Vec<u8> {
    let mut it = Writer::default();
    it.0.extend([
        file.page_log2,
        file.align_log2,
        file.elements_may_trap.into(),
    ]);
    for hash in [file.source, file.stripped] {
        it.0.push(hash.is_some().into());
        it.0.extend(hash.into_iter().flatten());
    }
    it.names(&file.tool);
    match file.policy.layout {
        Layout::Single { allowed } => {
            it.0.push(0);
            it.uint(allowed);
        }
        Layout::Many { max_gap, max_runs } => {
            it.0.push(1);
            it.uint(max_gap);
            it.uint(max_runs);
        }
    }
    it.uint(file.policy.max_image);
    it.0.extend([file.policy.fresh_imports.into(), file.policy.treatment]);
    it.uint(file.assumptions.len() as u64);
    for assumption in &file.assumptions {
        it.0.push(assumption.what.kind());
        it.uint(assumption.index.into());
        match &assumption.what {
            What::Global(names, value) => {
                it.names(names);
                it.value(*value);
            }
            What::Zeroed(names) => it.names(names),
            What::Size(names, bytes) => {
                it.names(names);
                it.uint(*bytes);
            }
            What::Start(treatment) => it.0.push(*treatment),
        }
    }
    it.0.push(file.start.is_some().into());
    if let Some(start) = &file.start {
        it.uint(start.memory.into());
        it.uint(start.flag);
        it.0.extend([u8::from(start.is_done), u8::from(start.tls.is_some())]);
        if let Some((global, addr)) = start.tls {
            it.uint(global.into());
            it.uint(addr);
        }
    }
    it.uint(file.memories.len() as u64);
    for memory in &file.memories {
        it.0.push(memory.flags);
        it.uint(memory.min);
        memory.max.into_iter().for_each(|max| it.uint(max));
        it.uint(memory.runs.len() as u64);
        for run in &memory.runs {
            it.0.extend(run.addr.to_le_bytes());
            it.0.extend((run.data.len() as u64).to_le_bytes());
            it.0.extend(crc32(&run.data).to_le_bytes());
        }
    }
    it.uint(file.replay.len() as u64);
    for segment in &file.replay {
        it.uint(segment.memory.into());
        it.uint(segment.segment.into());
        match &segment.at {
            At::Value(value) => it.value(*value),
            At::Expr(bytes) => {
                it.0.push(0);
                it.bytes(bytes);
            }
        }
        it.bytes(&segment.data);
    }
    it.0
}

/// Writes a file with this header, its length and its checksum.
pub(crate) fn with_header(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89WMI\r\n\x1a\n\x03\0\0\0".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(crc32(header).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(header);
    bytes.extend(payload);
    bytes
}

/// Returns `None` if the blocks would not fit in the address space or in a test's memory.
pub(crate) fn encode(file: &File) -> Option<Vec<u8>> {
    let mut bytes = with_header(&header(file), &[]);
    let align = 1_u64 << file.align_log2;
    for memory in &file.memories {
        let (mut last, mut block_at) = (None, bytes.len() as u64);
        for run in &memory.runs {
            let block = run.addr / align;
            match last {
                None => block_at = block_at.next_multiple_of(align),
                Some(last) if last == block => {}
                Some(_) => block_at += align,
            }
            let end = block_at + run.addr % align;
            if 64 << 20 < end || end < bytes.len() as u64 {
                return None;
            }
            bytes.resize(end as usize, 0);
            bytes.extend(&run.data);
            let last_addr = run
                .addr
                .checked_add(run.data.len() as u64)?
                .checked_sub(1)?;
            last = Some(last_addr / align);
            block_at += (last_addr / align).checked_sub(block)? * align;
        }
    }
    Some(bytes)
}
