//! The data of the page's script, as JSON within the page.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use core::ops::Range;

use data_encoding::BASE64;
use serde::{Serialize, Serializer};
use wasm_meminit::analysis::Run;

use crate::report::map::{Cell, MemoryMap};
use crate::report::picture::{Bands, HEIGHT, Style};
use crate::report::placed::{Kind, Placed};
use crate::text::printable::{self, printable};

/// A number that the script shows exactly: hexadecimal digits where a float would not.
struct Exact(u64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const MAX_SAFE: u64 = (1 << f64::MANTISSA_DIGITS) - 1;
        match self.0 {
            0..=MAX_SAFE => to.serialize_u64(self.0),
            large => to.collect_str(&format_args!("{large:#x}")),
        }
    }
}

/// Everything that the script knows.
#[derive(Serialize)]
pub(super) struct Data<'s> {
    page_size: Exact,
    height: u32,
    /// How each class is drawn, and what it means.
    styles: BTreeMap<&'static str, (Bands, &'static str)>,
    kinds: Vec<&'static str>,
    memories: Vec<Memory<'s>>,
}

/// One memory whose address space is drawn.
#[derive(Serialize)]
struct Memory<'s> {
    size: Exact,
    /// What is shown first.
    view: [Exact; 2],
    /// Whether bytes that nothing writes are known to be zero.
    zeroed: bool,
    /// Start and length of each run, in order.
    runs: Vec<Exact>,
    /// Index, address and length of each segment, in the order of the writes; what becomes of
    /// it as a digit, its place in `kinds`.
    index: Vec<Option<u32>>,
    addr: Vec<Exact>,
    len: Vec<u64>,
    kind: String,
    /// The names that segments have, by their place in these lists.
    names: BTreeMap<usize, Cow<'s, str>>,
    /// The bytes of all segments in base64, if the page has them.
    bytes: Option<String>,
}

impl<'s> Data<'s> {
    pub(super) fn new(page_size: u64) -> Self {
        let cells = Cell::ALL.map(Cell::style);
        let kinds = Kind::ALL.map(Kind::style);
        let styles = cells.into_iter().chain(kinds);
        Self {
            page_size: Exact(page_size),
            height: HEIGHT,
            styles: styles
                .map(
                    |Style {
                         class,
                         bands,
                         meaning,
                     }| (class, (bands, meaning)),
                )
                .collect(),
            kinds: kinds.map(|it| it.class).to_vec(),
            memories: Vec::new(),
        }
    }

    /// Adds a memory and returns its place in the list.
    pub(super) fn add(
        &mut self,
        map: &MemoryMap<'_, '_>,
        view: Range<u64>,
        is_zeroed: bool,
        segments: &[Placed<'s>],
        has_bytes: bool,
    ) -> usize {
        let run = |it: &Run| [Exact(it.addr), Exact(it.len)];
        let kind = |it: &Placed<'_>| {
            let place = Kind::ALL.iter().position(|kind| *kind == it.kind);
            place.and_then(|it| char::from_digit(it as u32, 10))
        };
        let names = segments.iter().enumerate();
        let names = names.filter_map(|(nth, it)| Some((nth, printable(it.name?))));
        self.memories.push(Memory {
            size: Exact(map.size),
            view: [Exact(view.start), Exact(view.end)],
            zeroed: is_zeroed,
            runs: map.plan.runs().iter().flat_map(run).collect(),
            index: segments.iter().map(|it| it.index).collect(),
            addr: segments.iter().map(|it| Exact(it.addr)).collect(),
            len: segments.iter().map(|it| it.data.len() as u64).collect(),
            kind: segments.iter().filter_map(kind).collect(),
            names: names.collect(),
            bytes: has_bytes.then(|| base64(segments)),
        });
        self.memories.len() - 1
    }

    /// Returns the JSON for a `script` element. No text in it ends the element.
    pub(super) fn json(&self) -> String {
        // Numbers and text are never refused.
        let json = serde_json::to_string(self).unwrap_or_default();
        printable::json(json).replace('<', "\\u003c")
    }
}

fn base64(segments: &[Placed<'_>]) -> String {
    let bytes: Vec<u8> = segments.iter().flat_map(|it| &*it.data).copied().collect();
    BASE64.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let json = |it: u64| serde_json::to_string(&Exact(it)).expect("a number");
        assert_eq!(json(1 << 52), "4503599627370496");
        assert_eq!(json((1 << 53) - 1), "9007199254740991");
        assert_eq!(json((1 << 53) + 1), "\"0x20000000000001\"");
    }
}
