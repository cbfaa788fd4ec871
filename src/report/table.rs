//! The table of memories: one column each, so that every fact has a full line, in as
//! many blocks as the terminal's width needs.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;
use wasm_meminit_analysis::{IndexType, MemoryIndex};

use crate::globals::Dotted;
use crate::map::MemoryMap;
use crate::report::{style, word};
use crate::survey::ModuleSurvey;
use crate::terminal::{BOLD, DIM, Look, paint, right};
use crate::units::{grouped, percent, size};

/// Between columns.
const GAP: &str = "   ";

const PLAIN: Style = Style::new();

/// One fact of one memory; the label is the same for all memories.
struct Fact {
    label: String,
    text: String,
    style: Style,
    /// Left out where no memory of the module has something to say.
    is_news: bool,
}

/// All memories of a module.
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
                .any(|facts| facts.get(row).is_some_and(|it| it.is_news))
        })
        .collect();
    let labels = first.iter().map(|it| it.label.width()).max().unwrap_or(0);

    let mut out = String::new();
    let mut rest = &columns[..];
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(n_fitting(rest, look.columns - labels));
        if !out.is_empty() {
            out.push('\n');
        }
        draw(&mut out, block, &rows, labels, look);
        rest = behind;
    }
    out
}

/// How many columns stand side by side; at least one.
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
            let text = right(&fact.text, width(facts));
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
    let plan = map.plan;
    let ty = plan.ty();
    let page_size = survey.plan.page_size().bytes();
    let import = survey.module.memories()[index].import;
    let nothing = look.either("–", "-");
    let mut facts = Vec::new();
    let mut fact = |label: &str, text: String, style, is_news| {
        facts.push(Fact {
            label: label.to_owned(),
            text,
            style,
            is_news,
        });
    };

    fact("memory", index.as_u32().to_string(), BOLD, true);
    fact(
        "decision",
        word(plan.decision()).to_owned(),
        style(plan.decision()),
        true,
    );
    let imported = import.map_or("no".to_owned(), |it| look.name(&Dotted(it).to_string()));
    fact("imported", imported, PLAIN, true);
    let bits = match ty.index_type {
        IndexType::I32 => "32-bit",
        IndexType::I64 => "64-bit",
    };
    fact("addresses", bits.to_owned(), PLAIN, true);
    fact(
        "shared",
        if ty.shared { "yes" } else { "no" }.to_owned(),
        PLAIN,
        true,
    );
    fact("wasm page", size(ty.page_size.bytes()), PLAIN, true);
    let min_bytes = ty.min_bytes().map_or("2^64".to_owned(), grouped);
    fact("bytes at start", min_bytes, PLAIN, true);
    fact("data bytes", grouped(map.data_bytes), PLAIN, true);
    let extent = map
        .extent()
        .map(|it| format!("{:#x}..{:#x}", it.start, it.end));
    fact("extent", extent.unwrap_or(nothing.to_owned()), PLAIN, true);
    let density = map.density().map(percent);
    fact(
        "  density",
        density.unwrap_or(nothing.to_owned()),
        PLAIN,
        true,
    );
    fact("image bytes", grouped(plan.image_bytes()), PLAIN, true);
    fact("  runs", grouped(plan.runs().len() as u64), PLAIN, true);
    let pages = format!("  host pages of {}", size(page_size));
    fact(&pages, grouped(plan.image_bytes() / page_size), PLAIN, true);
    fact(
        "  not all zero",
        grouped(plan.n_nonzero_pages()),
        PLAIN,
        true,
    );

    let (baked, replayed) = (plan.n_baked(), plan.n_replayed());
    fact("segments in image", grouped(baked), PLAIN, true);
    fact("segments replayed", grouped(replayed), PLAIN, true);
    let (overlapping, out_of_order) = plan
        .extent()
        .map_or((0, 0), |it| (it.n_overlapping, it.n_out_of_order));
    fact(
        "  overlapping",
        grouped(overlapping),
        PLAIN,
        overlapping != 0,
    );
    fact(
        "  out of order",
        grouped(out_of_order),
        PLAIN,
        out_of_order != 0,
    );
    facts
}
