//! A decoder of artifacts, written from `FORMAT.md` alone, without using the library.

use alloc::collections::BTreeMap;

use super::cursor::{Cursor, Result, check};

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) page_log2: u8,
    pub(crate) align_log2: u8,
    pub(crate) elements_may_trap: bool,
    pub(crate) source: Option<[u8; 32]>,
    pub(crate) stripped: Option<[u8; 32]>,
    pub(crate) tool: [String; 2],
    pub(crate) policy: Policy,
    pub(crate) assumptions: Vec<Assumption>,
    pub(crate) start: Option<Start>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) replay: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) layout: Layout,
    pub(crate) max_image: u64,
    pub(crate) fresh_imports: bool,
    pub(crate) treatment: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Single { allowed: u64 },
    Many { max_gap: u64, max_runs: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assumption {
    pub(crate) index: u32,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Global([String; 2], Value),
    Zeroed([String; 2]),
    Size([String; 2], u64),
    Start(u8),
}

impl What {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Global(..) => 0,
            Self::Zeroed(_) => 1,
            Self::Size(..) => 2,
            Self::Start(_) => 3,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    I32(i32),
    I64(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) memory: u32,
    pub(crate) flag: u64,
    pub(crate) is_done: bool,
    pub(crate) tls: Option<(u32, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) flags: u8,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) addr: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) offset: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) memory: u32,
    pub(crate) segment: u32,
    pub(crate) at: At,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Value(Value),
    Expr(Vec<u8>),
}

pub(crate) const I64: u8 = 1;
pub(crate) const SHARED: u8 = 2;
pub(crate) const IMPORTED: u8 = 4;
pub(crate) const BYTE_PAGES: u8 = 8;
pub(crate) const HAS_MAX: u8 = 16;

/// CRC-32, one byte at a time.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut nth = 0;
        while nth < 256 {
            let mut crc = nth as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            table[nth] = crc;
            nth += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (crc >> 8) ^ TABLE[(crc as u8 ^ byte) as usize]
    })
}

impl Memory {
    pub(crate) fn wasm_page(&self) -> u128 {
        if self.flags & BYTE_PAGES == 0 {
            65536
        } else {
            1
        }
    }

    pub(crate) fn bytes(&self) -> u128 {
        u128::from(self.min) * self.wasm_page()
    }

    fn check_type(&self) -> Result<()> {
        let space = 1_u128 << if self.flags & I64 == 0 { 32 } else { 64 };
        let fits = |pages: u64| u128::from(pages) * self.wasm_page() <= space;
        let max = self.max.is_none_or(|max| fits(max) && self.min <= max);
        let shared = self.flags & SHARED == 0 || self.max.is_some();
        check(
            self.flags < 32 && fits(self.min) && max && shared,
            "memory type",
        )
    }
}

fn round_up(x: u64, log2: u8) -> Option<u64> {
    Some(x.checked_add((1 << log2) - 1)? >> log2 << log2)
}

/// Decodes `bytes` with all checks of `FORMAT.md`.
pub(crate) fn decode(bytes: &[u8]) -> Result<File> {
    let mut file = Cursor(bytes);
    check(file.raw(8)? == b"\x89WMI\r\n\x1a\n", "magic")?;
    check(file.u32()? == 3, "version")?;
    let (len, checksum) = (file.u32()?, file.u32()?);
    check(file.u32()? == 0, "reserved")?;
    let header = file.raw(len as usize)?;
    check(crc32(header) == checksum, "header checksum")?;

    let mut cursor = Cursor(header);
    let (page_log2, align_log2) = (cursor.log2()?, cursor.log2()?);
    check(page_log2 <= align_log2, "alignment")?;
    let mut it = File {
        page_log2,
        align_log2,
        elements_may_trap: cursor.bool()?,
        source: cursor.option(Cursor::hash)?,
        stripped: cursor.option(Cursor::hash)?,
        tool: cursor.names()?,
        policy: cursor.policy()?,
        assumptions: Vec::new(),
        start: None,
        memories: Vec::new(),
        replay: Vec::new(),
    };
    for _ in 0..cursor.uint()? {
        it.assumptions.push(cursor.assumption()?);
    }
    let keys = || it.assumptions.iter().map(|it| (it.what.kind(), it.index));
    check(
        keys().zip(keys().skip(1)).all(|(a, b)| a < b),
        "order of assumptions",
    )?;
    it.start = cursor.option(Cursor::start)?;

    let n_memories = cursor.uint()?;
    check(n_memories <= 100, "memories")?;
    let mut end = 24 + u64::from(len);
    let mut in_runs: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..n_memories {
        let memory = memory(&mut cursor, &it, &mut end, bytes, &mut in_runs)?;
        it.memories.push(memory);
    }
    let runs = it.memories.iter().flat_map(|it| &it.runs);
    let n_bytes: u64 = runs.map(|it| it.data.len() as u64).sum();
    check(n_bytes <= it.policy.max_image, "policy")?;
    check_start(&it)?;
    check_assumptions(&it)?;
    for _ in 0..cursor.uint()? {
        it.replay.push(cursor.segment(&it.memories)?);
    }
    let mut memories = it.replay.iter().map(|it| it.memory);
    let is_other = |memory| it.start.as_ref().is_none_or(|it| it.memory != memory);
    check(memories.all(is_other), "the memory of the start function")?;
    let places = || it.replay.iter().map(|it| it.segment);
    check(
        places().zip(places().skip(1)).all(|(a, b)| a < b),
        "order of segments",
    )?;
    check(places().all(|it| it < 100_000), "index of a segment")?;
    check(cursor.0.is_empty(), "after the last segment")?;

    check(end == bytes.len() as u64, "file length")?;
    let mut at = 24 + u64::from(len);
    for (start, end) in in_runs {
        check(
            bytes[at as usize..start as usize].iter().all(|it| *it == 0),
            "padding",
        )?;
        at = end;
    }
    for memory in &it.memories {
        for run in &memory.runs {
            let past = memory
                .bytes()
                .saturating_sub(run.addr.into())
                .min(run.data.len() as u128);
            check(
                run.data[past as usize..].iter().all(|it| *it == 0),
                "past the end",
            )?;
        }
    }
    if let Some(start) = &it.start {
        let memory = &it.memories[start.memory as usize];
        let flag = (start.flag..start.flag + 4).map(|addr| memory.byte(addr));
        check(
            flag.eq([if start.is_done { 2 } else { 0 }, 0, 0, 0]),
            "flag",
        )?;
    }
    Ok(it)
}

impl Memory {
    pub(crate) fn byte(&self, addr: u64) -> u8 {
        let run = self
            .runs
            .iter()
            .find(|it| it.addr <= addr && addr - it.addr < it.data.len() as u64);
        run.map_or(0, |it| it.data[(addr - it.addr) as usize])
    }
}

fn memory(
    cursor: &mut Cursor<'_>,
    file: &File,
    end: &mut u64,
    bytes: &[u8],
    in_runs: &mut BTreeMap<u64, u64>,
) -> Result<Memory> {
    let flags = cursor.u8()?;
    let min = cursor.uint()?;
    let max = if flags & HAS_MAX == 0 {
        None
    } else {
        Some(cursor.uint()?)
    };
    let mut memory = Memory {
        flags,
        min,
        max,
        runs: Vec::new(),
    };
    memory.check_type()?;
    let n_runs = cursor.uint()?;
    let page = 1_u128 << file.page_log2;
    let limit = memory.bytes().next_multiple_of(page);
    let (mut last_end, mut last_block) = (None, None);
    let mut block_at = 0;
    for _ in 0..n_runs {
        let (addr, len, checksum) = (cursor.u64()?, cursor.u64()?, cursor.u32()?);
        let run_end = u128::from(addr) + u128::from(len);
        let is_aligned = u128::from(addr) % page == 0 && u128::from(len) % page == 0;
        check(
            is_aligned && len != 0 && run_end < 1 << 64 && run_end <= limit,
            "run",
        )?;
        check(last_end.is_none_or(|end| end < addr), "order of runs")?;
        last_end = Some(addr + len);

        let block = addr >> file.align_log2;
        let align = 1 << file.align_log2;
        block_at = match last_block {
            None => round_up(*end, file.align_log2).ok_or("offset")?,
            Some(last) if last == block => block_at,
            Some(_) => block_at + align,
        };
        let offset = block_at + addr % align;
        *end = offset.checked_add(len).ok_or("offset")?;
        let last = (addr + len - 1) >> file.align_log2;
        block_at += (last - block) << file.align_log2;
        last_block = Some(last);
        check(*end <= bytes.len() as u64, "file length")?;
        let data = &bytes[offset as usize..*end as usize];
        check(crc32(data) == checksum, "checksum of a run")?;
        in_runs.insert(offset, *end);
        memory.runs.push(Run {
            addr,
            data: data.to_vec(),
            offset,
        });
    }
    let allowed = match file.policy.layout {
        Layout::Single { .. } => 1,
        Layout::Many { max_runs, .. } => max_runs,
    };
    check(n_runs <= allowed, "policy")?;
    Ok(memory)
}

fn check_start(file: &File) -> Result<()> {
    let Some(start) = &file.start else {
        return Ok(());
    };
    let size = file
        .memories
        .get(start.memory as usize)
        .ok_or("memory")?
        .bytes();
    let is_within = u128::from(start.flag) + 4 <= size && start.flag % 4 == 0;
    let tls = start.tls.is_none_or(|(_, addr)| u128::from(addr) <= size);
    check(is_within && tls, "start")
}

fn check_assumptions(file: &File) -> Result<()> {
    let imported = |index: u32| {
        file.memories
            .get(index as usize)
            .filter(|it| it.flags & IMPORTED != 0)
    };
    for it in &file.assumptions {
        match &it.what {
            What::Global(..) => {}
            What::Zeroed(name) => {
                check(
                    imported(it.index).is_some() && file.policy.fresh_imports,
                    "zeroed",
                )?;
                let is_same = |other: &&Assumption| other.what == What::Zeroed(name.clone());
                let n_same = file.assumptions.iter().filter(is_same).count();
                check(n_same == 1, "distinct")?;
            }
            What::Size(_, bytes) => {
                let size = imported(it.index).ok_or("size")?.bytes();
                check(size == u128::from(*bytes), "size")?;
            }
            What::Start(treatment) => {
                let start = file.start.as_ref().ok_or("no start")?;
                let is = start.memory == it.index
                    && *treatment != 0
                    && *treatment == file.policy.treatment
                    && start.is_done == (*treatment != 3)
                    && (*treatment != 1 || start.tls.is_none());
                check(is, "treatment")?;
            }
        }
    }
    let has = |kind: u8, index: u32| {
        file.assumptions
            .iter()
            .any(|it| (it.what.kind(), it.index) == (kind, index))
    };
    check(
        file.start.as_ref().is_none_or(|it| has(3, it.memory)),
        "start",
    )?;
    for (index, memory) in (0..).zip(&file.memories) {
        let has_start = file.start.as_ref().is_some_and(|it| it.memory == index);
        let needs = memory.flags & IMPORTED != 0 && (has_start || !memory.runs.is_empty());
        check(!needs || has(1, index), "image of an import")?;
    }
    Ok(())
}
