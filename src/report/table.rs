//! The table of memories: one column per memory and one row per fact, in as many blocks as
//! the terminal's width requires. For a single memory: its facts, in two columns if they fit.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;
use wasm_meminit::analysis::{Extent, IndexType, MemoryIndex};

use crate::input::import::Dotted;
use crate::report::decision::{style, word};
use crate::report::map::MemoryMap;
use crate::report::module::ModuleSurvey;
use crate::text::terminal::{BOLD, DIM, Look, paint, right as right_aligned};
use crate::text::units::{grouped, percent, size};

/// The space between columns.
const GAP: &str = "   ";

/// One fact of one memory; the label is the same for all memories.
struct Fact {
    label: String,
    text: String,
    style: Style,
    /// A row is omitted if no memory of the module has a notable value in it.
    is_notable: bool,
}

impl Fact {
    fn new(label: &str, text: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            text: text.into(),
            style: Style::new(),
            is_notable: true,
        }
    }

    /// A number that deserves a row only if it is not 0 for some memory.
    fn unless_zero(label: &str, number: u64) -> Self {
        Self {
            is_notable: number != 0,
            ..Self::new(label, grouped(number))
        }
    }

    /// A fact that deserves a row only if it is not the usual one for some memory.
    fn unless(label: &str, text: impl Into<String>, usual: &str) -> Self {
        let fact = Self::new(label, text);
        Self {
            is_notable: fact.text != usual,
            ..fact
        }
    }

    fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Returns the table of a module's memories.
pub(crate) fn text(survey: &ModuleSurvey<'_>, maps: &[MemoryMap<'_, '_>], look: Look) -> String {
    let columns: Vec<Vec<Fact>> = (0..)
        .zip(maps)
        .map(|(index, map)| facts(survey, MemoryIndex::from_u32(index), map, look))
        .collect();
    let Some(first) = columns.first() else {
        return String::new();
    };
    let rows: Vec<usize> = (0..first.len())
        .filter(|&row| {
            columns
                .iter()
                .any(|facts| facts.get(row).is_some_and(|it| it.is_notable))
        })
        .collect();
    let labels = first.iter().map(|it| it.label.width()).max().unwrap_or(0);

    let mut out = String::new();
    let mut rest = &columns[..];
    while !rest.is_empty() {
        let (block, after) = rest.split_at(n_fitting(rest, look.columns - labels));
        if !out.is_empty() {
            out.push('\n');
        }
        draw(&mut out, block, &rows, labels, look);
        rest = after;
    }
    out
}

/// Returns the facts of the only memory of a module.
pub(crate) fn single(survey: &ModuleSurvey<'_>, map: &MemoryMap<'_, '_>, look: Look) -> String {
    let facts = facts(survey, MemoryIndex::from_u32(0), map, look);
    let facts: Vec<Fact> = facts.into_iter().filter(|it| it.is_notable).collect();
    // The first two facts, the index and the decision, are the heading.
    let [index, decision, facts @ ..] = &facts[..] else {
        return String::new();
    };
    let heading = format!("memory {}:", index.text);
    let mut out = format!(
        "{} {}\n",
        paint(BOLD, heading),
        paint(decision.style, &decision.text)
    );
    // An indented fact stays below the one that it belongs to.
    let is_split = |it: &usize| facts.get(*it).is_none_or(|it| !it.label.starts_with(' '));
    let half = (facts.len() / 2..).find(is_split).unwrap_or(facts.len());
    let (left, right) = facts.split_at(half);
    let lines = |facts: &[Fact]| -> Vec<String> {
        let labels = facts.iter().map(|it| it.label.width()).max().unwrap_or(0);
        let texts = width(facts);
        let line = |fact: &Fact| {
            let pad = " ".repeat(labels - fact.label.width());
            let text = right_aligned(&fact.text, texts);
            format!(
                "  {}{pad}  {}",
                paint(DIM, &fact.label),
                paint(fact.style, text)
            )
        };
        facts.iter().map(line).collect()
    };
    let room = |facts: &[Fact]| {
        let labels = facts.iter().map(|it| it.label.width()).max().unwrap_or(0);
        2 + labels + 2 + width(facts)
    };
    if look.columns < room(left) + 2 + room(right) {
        for line in lines(facts) {
            out.push_str(&format!("{line}\n"));
        }
        return out;
    }
    // The left half may be the longer or the shorter one.
    let (left_room, left, right) = (room(left), lines(left), lines(right));
    for nth in 0..left.len().max(right.len()) {
        let line = |lines: &[String]| lines.get(nth).cloned().unwrap_or_default();
        let (left, right) = (line(&left), line(&right));
        let pad = if left.is_empty() { left_room } else { 0 };
        out.push_str(format!("{left}{}  {right}", " ".repeat(pad)).trim_end());
        out.push('\n');
    }
    out
}

/// Returns how many columns fit next to each other; at least one.
fn n_fitting(columns: &[Vec<Fact>], room: usize) -> usize {
    let mut used = 0;
    let fits = |facts: &&Vec<Fact>| {
        used += GAP.len() + width(facts);
        used <= room
    };
    columns.iter().take_while(fits).count().max(1)
}

fn width(facts: &[Fact]) -> usize {
    facts.iter().map(|it| it.text.width()).max().unwrap_or(0)
}

fn draw(out: &mut String, block: &[Vec<Fact>], rows: &[usize], labels: usize, look: Look) {
    for (nth, &row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, facts) in block.iter().enumerate() {
            let Some(fact) = facts.get(row) else { continue };
            if column == 0 {
                let pad = " ".repeat(labels - fact.label.width());
                let label = if nth == 0 { BOLD } else { DIM };
                line.push_str(&format!("{}{pad}", paint(label, &fact.label)));
            }
            let text = right_aligned(&fact.text, width(facts));
            line.push_str(&format!("{GAP}{}", paint(fact.style, text)));
        }
        out.push_str(&format!("{line}\n"));
        if nth == 0 {
            let all: usize = block.iter().map(|facts| GAP.len() + width(facts)).sum();
            let rule = look.either("─", "-").repeat(labels + all);
            out.push_str(&format!("{}\n", paint(DIM, rule)));
        }
    }
}

fn facts(
    survey: &ModuleSurvey<'_>,
    index: MemoryIndex,
    map: &MemoryMap<'_, '_>,
    look: Look,
) -> Vec<Fact> {
    let mut facts = Vec::from(type_facts(survey, index, map, look));
    facts.extend(content_facts(survey, index, map, look));
    facts
}

/// What the module declares.
fn type_facts(
    survey: &ModuleSurvey<'_>,
    index: MemoryIndex,
    map: &MemoryMap<'_, '_>,
    look: Look,
) -> [Fact; 7] {
    let ty = map.plan.ty();
    let decision = map.plan.decision();
    let import = survey.module.memories()[index].import;
    let imported = import.map_or("no".to_owned(), |it| look.name(&Dotted(it).to_string()));
    let bits = match ty.index_type {
        IndexType::I32 => "32-bit",
        IndexType::I64 => "64-bit",
    };
    let min_bytes = ty.min_bytes().map_or("2^64".to_owned(), grouped);
    [
        Fact::new("memory", index.as_u32().to_string()).styled(BOLD),
        Fact::new("decision", word(decision)).styled(style(decision)),
        Fact::unless("imported", imported, "no"),
        Fact::unless("addresses", bits, "32-bit"),
        Fact::unless("shared", if ty.shared { "yes" } else { "no" }, "no"),
        Fact::unless("wasm page", size(ty.page_size.bytes()), "64 KiB"),
        Fact::new("initial bytes", min_bytes),
    ]
}

/// What its segments write, and how they are initialised.
fn content_facts(
    survey: &ModuleSurvey<'_>,
    index: MemoryIndex,
    map: &MemoryMap<'_, '_>,
    look: Look,
) -> [Fact; 12] {
    let plan = map.plan;
    let page_size = survey.plan.page_size().bytes();
    let nothing = || look.either("–", "-").to_owned();
    let extent = map.extent();
    let extent = extent.map_or_else(nothing, |it| format!("{:#x}..{:#x}", it.start, it.end));
    let host_pages = format!("  host pages of {}", size(page_size));
    let of_extent = |number: fn(Extent) -> u64| plan.extent().map_or(0, number);
    [
        Fact::new("data bytes", grouped(map.data_bytes)),
        Fact::unless_zero("start function copies", survey.left_to_start(index)),
        Fact::new("extent", extent),
        Fact::new("  density", map.density().map_or_else(nothing, percent)),
        Fact::new("  nonzero pages", grouped(plan.n_nonzero_pages())),
        Fact::new("image bytes", grouped(plan.image_bytes())),
        Fact::new("  runs", grouped(plan.runs().len() as u64)),
        Fact::new(&host_pages, grouped(plan.image_bytes() / page_size)),
        Fact::new(
            "segments in image",
            grouped(plan.n_baked() + plan.n_baked_passive()),
        ),
        Fact::new("segments replayed", grouped(plan.n_replayed())),
        Fact::unless_zero("  overlapping", of_extent(|it| it.n_overlapping)),
        Fact::unless_zero("  out of order", of_extent(|it| it.n_out_of_order)),
    ]
}
