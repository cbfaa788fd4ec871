//! `inspect --svg`: the address spaces as one picture, for pages that run no scripts.

use core::fmt::Write;
use core::ops::Range;

use maud::{Markup, PreEscaped, html};

use crate::report::decision::word;
use crate::report::map::{self, Cell, MemoryMap};
use crate::report::picture::{HEIGHT, Row, Style, first_view};
use crate::report::placed::{self, Kind, Placed};
use crate::report::survey::Survey;
use crate::text::terminal::Look;
use crate::text::units::{counted, size};

const STYLE: &str = concat!(include_str!("palette.css"), include_str!("svg.css"));

/// The most memories that are drawn.
const MAX_MEMORIES: usize = 16;

/// The most runs that are drawn on their own.
const MAX_RUNS: usize = 8;
/// How wide a run is at least, and the space between runs.
const MIN_RUN: u64 = 72;
const GAPS: u64 = 8;

// All in pixels, if the picture is not scaled.
const WIDTH: u32 = 800;
const MARGIN: u32 = 16;
const INNER: u32 = WIDTH - 2 * MARGIN;
const LINE: u32 = 20;
const ROW: u32 = 22;
const GAP: u32 = 6;
const CAPTION: u32 = LINE - GAP;
/// The width of a character, on average, in the legend.
const CHAR: u32 = 6;
const SAMPLE: u32 = 18;

const LOOK: Look = Look {
    columns: 80,
    ascii: false,
};

/// Returns the picture.
pub(crate) fn picture(survey: &Survey<'_>) -> String {
    let name = LOOK.name(survey.file.base_name());
    let sentence = survey.headline.sentence(survey.page_size);
    let mut canvas = Canvas {
        y: MARGIN + LINE / 2,
        ..Canvas::default()
    };
    canvas.text("title", MARGIN, &name);
    canvas.y += LINE;
    canvas.text("", MARGIN, &sentence);
    let mut n_left = 0;
    for (nth, module) in survey.modules.iter().enumerate() {
        let maps = map::maps(&module.module, &module.plan);
        let segments = placed::placed(module, survey.binary, &maps);
        for (index, (map, segments)) in maps.iter().zip(&segments).enumerate() {
            if !map.is_worth_drawing() && segments.is_empty() {
                continue;
            }
            if canvas.n_memories == MAX_MEMORIES {
                n_left += 1;
                continue;
            }
            let not_drawn = not_drawn(map);
            let module = survey.is_component().then(|| match module.module.name() {
                Some(name) => format!("core module {nth} {}, ", LOOK.name(name)),
                None => format!("core module {nth}, "),
            });
            canvas.memory(
                &format!("{}memory {index}", module.unwrap_or_default()),
                map,
                segments,
                survey.page_size,
            );
            if let Some(text) = not_drawn {
                canvas.y += LINE;
                canvas.text("small", MARGIN, &text);
            }
        }
    }
    if n_left != 0 {
        canvas.y += LINE;
        canvas.text(
            "small",
            MARGIN,
            &format!("and {n_left} more memories with data"),
        );
    }
    canvas.legend();
    let height = canvas.y + MARGIN;
    let description = canvas.description;
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) }
            width=(WIDTH) height=(height) role="img" aria-labelledby="title desc" {
            title id="title" { (name) ": initial contents of linear memory" }
            desc id="desc" { (sentence) "." (description) }
            style { (PreEscaped(STYLE)) }
            rect class="back" width="100%" height="100%" {}
            @for it in &canvas.parts { "\n" (it) }
        }
    };
    format!("{}\n", markup.into_string())
}

/// Names the segments of a memory whose place only the host knows.
fn not_drawn(map: &MemoryMap<'_, '_>) -> Option<String> {
    let segments = counted(map.n_unplaced, "replayed segment");
    let bytes = counted(map.unplaced_bytes, "byte");
    (map.n_unplaced != 0)
        .then(|| format!("not drawn: {segments} ({bytes}) at addresses not yet known"))
}

/// A picture that grows downwards.
#[derive(Default)]
struct Canvas {
    parts: Vec<Markup>,
    /// The base line of the last text, or the lower edge of the last row.
    y: u32,
    n_memories: usize,
    /// The styles that occur.
    styles: Vec<Style>,
    /// What is drawn, as text.
    description: String,
}

impl Canvas {
    fn text(&mut self, class: &str, x: u32, text: &str) {
        let y = self.y;
        self.parts
            .push(html! { text class=(class) x=(x) y=(y) { (text) } });
    }

    fn memory(
        &mut self,
        name: &str,
        map: &MemoryMap<'_, '_>,
        segments: &[Placed<'_>],
        page_size: u64,
    ) {
        self.n_memories += 1;
        let decision = word(map.plan.decision());
        let title = format!("{name}: {decision}, {}", size(map.size));
        // Writing to a `String` never fails.
        let _ = write!(self.description, " {title}.");
        self.y += LINE + GAP;
        self.text("", MARGIN, &title);
        self.y += GAP;
        let whole = 0..map.size;
        self.rows(map, segments, &whole, MARGIN, INNER);
        self.caption(&whole, "the whole memory");
        let runs = map.plan.runs();
        let n_bytes = map.plan.image_bytes();
        if (1..=MAX_RUNS).contains(&runs.len()) && n_bytes < map.size / 2 {
            let y = self.y + GAP;
            let room = u64::from(INNER) - GAPS * (runs.len() as u64 - 1);
            let mut x = MARGIN;
            for run in runs {
                // As wide as its share of the bytes, but never too narrow to be seen.
                let free = room - MIN_RUN * runs.len() as u64;
                let width =
                    MIN_RUN + (u128::from(free) * u128::from(run.len) / u128::from(n_bytes)) as u64;
                self.y = y;
                self.rows(map, segments, &(run.addr..run.end()), x, width as u32);
                self.y += CAPTION;
                self.text("small", x, &format!("{:#x}", run.addr));
                x += (width + GAPS) as u32;
            }
            let n_runs = counted(runs.len() as u64, "run");
            self.text(
                "small end",
                WIDTH - MARGIN,
                &format!("{n_runs}, {}", size(n_bytes)),
            );
        } else if let Some(view) = first_view(map, segments, page_size).filter(|it| *it != whole) {
            self.y += GAP;
            self.rows(map, segments, &view, MARGIN, INNER);
            self.caption(&view, "the extent");
        }
    }

    /// Draws a part of the image, and the segments below it.
    fn rows(
        &mut self,
        map: &MemoryMap<'_, '_>,
        segments: &[Placed<'_>],
        addresses: &Range<u64>,
        x: u32,
        width: u32,
    ) {
        self.row(&Row::image(map, addresses, width.into()), x, width, ROW);
        self.y += 2;
        self.row(
            &Row::segments(segments, addresses, width.into()),
            x,
            width,
            ROW / 2,
        );
    }

    fn row(&mut self, row: &Row, x: u32, width: u32, height: u32) {
        let view = format!("0 0 {} {HEIGHT}", row.n_columns.max(1));
        for (style, _) in &row.paths {
            if !self.styles.contains(style) {
                self.styles.push(*style);
            }
        }
        let y = self.y;
        self.parts.push(html! {
            svg x=(x) y=(y) width=(width) height=(height) viewBox=(view) preserveAspectRatio="none" {
                rect class="zero" width="100%" height="100%" {}
                @for (style, path) in &row.paths { path class=(style.class) d=(path) {} }
            }
        });
        self.y += height;
    }

    fn caption(&mut self, addresses: &Range<u64>, what: &str) {
        self.y += CAPTION;
        let span = size(addresses.end - addresses.start);
        self.text("small", MARGIN, &format!("{:#x}", addresses.start));
        self.text(
            "small middle",
            WIDTH / 2,
            &format!("{what}, {span}: the image, and segments below it"),
        );
        self.text(
            "small end",
            WIDTH - MARGIN,
            &format!("{:#x}", addresses.end),
        );
    }

    /// Explains the styles that occur, in as many lines as needed.
    fn legend(&mut self) {
        self.y += LINE + GAP;
        let mut x = MARGIN;
        let cells = Cell::ALL.map(Cell::style).into_iter();
        let all = cells.chain(Kind::ALL.map(Kind::style));
        let seen = core::mem::take(&mut self.styles);
        for style in all.filter(|it| seen.contains(it)) {
            let is_kind = Kind::ALL
                .iter()
                .any(|it| it.style() == style && *it != Kind::Flag);
            let of = if is_kind { "segments " } else { "" };
            let meaning = format!("{of}{}", style.meaning);
            let width = SAMPLE + GAP + CHAR * meaning.len() as u32;
            if WIDTH - MARGIN < x + width {
                (x, self.y) = (MARGIN, self.y + LINE);
            }
            let y = self.y - HEIGHT;
            self.parts.push(html! {
                g {
                    rect class="zero" x=(x) y=(y) width=(SAMPLE) height=(HEIGHT) {}
                    @for (top, bottom) in style.bands {
                        rect class=(style.class) x=(x) y=(y + top) width=(SAMPLE) height=(bottom - top) {}
                    }
                }
            });
            self.text("small", x + SAMPLE + GAP, &meaning);
            x += width + 2 * GAP;
        }
    }
}
