//! The report on an artifact: what it was built from, what it holds, and what it assumes.

use wasm_meminit::analysis::{IndexType, MemoryIndex, MemoryInitializer, Run};
use wasm_meminit::image_builder::{Artifact, ArtifactMemory};

use crate::input::hash::hex;
use crate::report::file::{FileFacts, FileKind};
use crate::report::headline::Verdict;
use crate::report::wrap::wrapped;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, DIM, Look, paint};
use crate::text::units::{counted, grouped, size};

/// The most runs, segments and assumptions that the text lists for one artifact.
const MAX_ROWS: usize = 20;

/// The most memories that the text lists.
const MAX_MEMORIES: usize = 400;

/// A decoded artifact, or the artifacts of a bundle. Every byte was checked.
#[derive(Debug)]
pub(crate) struct ArtifactSurvey<'a> {
    pub(crate) file: FileFacts,
    /// One for each core module of a bundle; otherwise only one.
    pub(crate) parts: Vec<Part<'a>>,
}

/// One artifact of a file.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) artifact: Artifact<'a>,
}

impl Part<'_> {
    pub(crate) fn n_replayed(&self) -> u64 {
        self.artifact.replay().count() as u64
    }

    /// Returns how many bytes the images of all memories have.
    fn image_bytes(&self) -> u64 {
        let memories = 0..self.artifact.memories().len();
        memories.fold(0, |sum, nth| {
            let runs = self.runs(nth).iter();
            runs.fold(sum, |sum: u64, run| sum.saturating_add(run.len))
        })
    }

    /// Returns the runs of the memory at this position.
    pub(crate) fn runs(&self, nth: usize) -> &[Run] {
        self.artifact
            .head()
            .layout(memory_index(nth))
            .unwrap_or(&[])
    }

    /// Returns where each run of the memory at this position is in the file.
    pub(crate) fn file_offsets(&self, nth: usize) -> impl Iterator<Item = u64> + use<> {
        let memory = self.artifact.memories().get(nth);
        let base = memory.map_or(0, ArtifactMemory::file_offset);
        let base = base.saturating_add(self.offset);
        let image = self.artifact.image(memory_index(nth));
        let positions: Vec<u64> = image
            .iter()
            .flat_map(|it| it.runs_with_position().map(|it| it.0))
            .collect();
        positions.into_iter().map(move |it| base.saturating_add(it))
    }

    /// Returns the address at which a segment to replay is written, if it is a constant.
    pub(crate) fn address(&self, segment: &MemoryInitializer<'_>) -> Option<u64> {
        let memory = self.artifact.head().memory(segment.memory_index)?;
        let eval = segment.offset.eval(memory.ty().index_type, &|_| None);
        eval.ok()
    }
}

fn memory_index(nth: usize) -> MemoryIndex {
    MemoryIndex::from_u32(u32::try_from(nth).unwrap_or(0)) // an artifact has at most 100
}

impl ArtifactSurvey<'_> {
    pub(crate) fn n_replayed(&self) -> u64 {
        self.parts.iter().map(Part::n_replayed).sum()
    }

    /// Returns how many bytes the images of all memories have.
    pub(crate) fn image_bytes(&self) -> u64 {
        let parts = self.parts.iter();
        parts.fold(0, |sum, it| sum.saturating_add(it.image_bytes()))
    }

    /// Returns how many host pages the images have.
    pub(crate) fn host_pages(&self) -> u64 {
        let pages = |it: &Part<'_>| it.image_bytes() / it.artifact.page_size().bytes();
        self.parts.iter().map(pages).sum()
    }

    pub(crate) fn is_bundle(&self) -> bool {
        self.file.kind == FileKind::Bundle
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match (self.image_bytes(), self.n_replayed()) {
            (0, 0) => Verdict::None,
            (_, 0) => Verdict::Static,
            (0, _) => Verdict::Segmented,
            _ => Verdict::Hybrid,
        }
    }

    /// Returns the first figures as a sentence without a full stop.
    pub(crate) fn sentence(&self) -> String {
        let runs = |it: &Part<'_>| -> usize {
            let memories = 0..it.artifact.memories().len();
            memories.map(|nth| it.runs(nth).len()).sum()
        };
        let n_runs: usize = self.parts.iter().map(runs).sum();
        let mut text = match self.image_bytes() {
            0 => String::from("no image"),
            bytes => format!(
                "{} in {}, {}",
                counted(bytes, "image byte"),
                counted(n_runs as u64, "run"),
                counted(self.host_pages(), "host page")
            ),
        };
        let replay = self.parts.iter().flat_map(|it| it.artifact.replay());
        let bytes = replay.map(|it| it.data.len() as u64).sum();
        text.push_str(&match self.n_replayed() {
            0 => String::from("; nothing to replay"),
            n => format!(
                "; {} to replay, {}",
                counted(n, "segment"),
                counted(bytes, "byte")
            ),
        });
        text
    }
}

/// Returns the whole report.
pub(crate) fn text(survey: &ArtifactSurvey<'_>, look: Look) -> String {
    let name = paint(BOLD, printable(&survey.file.name));
    let bytes = counted(survey.file.size, "byte");
    let mut out = match survey.is_bundle() {
        true => {
            let n_parts = counted(survey.parts.len() as u64, "artifact");
            format!("{name}: bundle of {n_parts}, {bytes}")
        }
        false => format!("{name}: artifact, {bytes}"),
    };
    if let Some(part) = survey.parts.first() {
        let tool = part.artifact.tool();
        let by = format!("{} {}", look.name(tool.name), look.name(tool.version));
        if !by.trim().is_empty() {
            out.push_str(&format!(", built by {}", by.trim()));
        }
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, survey.sentence())));
    let mut n_memories = MAX_MEMORIES;
    for (nth, part) in survey.parts.iter().enumerate() {
        out.push('\n');
        if survey.is_bundle() {
            let title = paint(BOLD, format!("core module {nth}"));
            let offset = part.offset;
            out.push_str(&format!("{title}, artifact at offset {offset:#x}\n"));
        }
        facts(&mut out, &part.artifact);
        memories(&mut out, part, &mut n_memories);
        assumptions(&mut out, &part.artifact, look);
        replay(&mut out, part, look);
    }
    out
}

fn facts(out: &mut String, artifact: &Artifact<'_>) {
    let mut fact = |label: &str, text: String| {
        let label = format!("{label:<12}");
        out.push_str(&format!("{}{text}\n", paint(DIM, label)));
    };
    fact(
        "source",
        artifact.source().map_or("not recorded".to_owned(), |it| {
            format!("sha256 {}", hex(it))
        }),
    );
    if let Some(hash) = artifact.stripped() {
        fact("stripped", format!("sha256 {}", hex(hash)));
    }
    let (page, file_page) = (artifact.page_size(), artifact.file_alignment());
    fact(
        "host pages",
        format!(
            "{}; can be mapped with pages of up to {}",
            size(page.bytes()),
            size(file_page.bytes())
        ),
    );
    if artifact.elements_may_trap() {
        fact("elements", "an element segment may trap".to_owned());
    }
    if let Some(start) = artifact.start() {
        let treatment = artifact.policy().start_function();
        let memory = start.memory.as_u32();
        fact(
            "start",
            format!("memory {memory}, flag at {:#x}: {treatment}", start.flag),
        );
    }
}

fn memories(out: &mut String, part: &Part<'_>, n_left: &mut usize) {
    let mut n_rows = MAX_ROWS;
    let all = part.artifact.memories();
    let n_shown = all.len().min(*n_left);
    *n_left -= n_shown;
    for (nth, memory) in all.iter().enumerate().take(n_shown) {
        let runs = part.runs(nth);
        let bytes: u64 = runs.iter().map(|it| it.len).sum();
        let heading = paint(BOLD, format!("memory {nth}"));
        out.push_str(&format!("\n{heading}: {}\n", type_words(memory)));
        let shown = &runs[..runs.len().min(n_rows)];
        n_rows -= shown.len();
        if runs.is_empty() {
            out.push_str("  no image\n");
            continue;
        }
        let (runs_text, bytes) = (counted(runs.len() as u64, "run"), counted(bytes, "byte"));
        out.push_str(&format!("  {bytes} in {runs_text}\n"));
        for (run, file_offset) in shown.iter().zip(part.file_offsets(nth)) {
            let (start, end) = (run.addr, run.addr.saturating_add(run.len));
            let bytes = counted(run.len, "byte");
            out.push_str(&format!(
                "    {start:#x}..{end:#x}, {bytes} at offset {file_offset:#x} of the file\n"
            ));
        }
        if shown.len() < runs.len() {
            let more = grouped((runs.len() - shown.len()) as u64);
            out.push_str(&format!("    and {more} more: see --json\n"));
        }
    }
    if n_shown < all.len() {
        let more = counted((all.len() - n_shown) as u64, "memory");
        out.push_str(&format!("\nand {more} not shown\n"));
    }
}

fn type_words(memory: &ArtifactMemory) -> String {
    let ty = memory.ty();
    let mut words = Vec::new();
    words.push(match ty.min_bytes() {
        Some(bytes) => counted(bytes, "byte"),
        None => "2^64 bytes".to_owned(),
    });
    if memory.is_imported() {
        words.push("imported".to_owned());
    }
    if ty.index_type == IndexType::I64 {
        words.push("64-bit".to_owned());
    }
    if ty.shared {
        words.push("shared".to_owned());
    }
    if ty.page_size.bytes() != 65_536 {
        words.push(format!("wasm pages of {}", size(ty.page_size.bytes())));
    }
    words.join(", ")
}

fn assumptions(out: &mut String, artifact: &Artifact<'_>, look: Look) {
    let all: Vec<String> = artifact.assumptions().map(|it| it.to_string()).collect();
    if all.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, "Assumptions")));
    for text in all.iter().take(MAX_ROWS) {
        // An import's name may have megabytes.
        let cut: String = text.chars().take(400).collect();
        wrapped(out, &printable(&cut), look.columns);
    }
    if MAX_ROWS < all.len() {
        let more = grouped((all.len() - MAX_ROWS) as u64);
        out.push_str(&format!("  and {more} more: see --json\n"));
    }
}

fn replay(out: &mut String, part: &Part<'_>, look: Look) {
    let n = part.n_replayed();
    if n == 0 {
        return;
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, "To replay")));
    for it in part.artifact.replay().take(MAX_ROWS) {
        let place = match part.address(&it) {
            Some(addr) => format!("{addr:#x}"),
            None => {
                let text: String = it.offset.to_string().chars().take(200).collect();
                format!("the address {text}")
            }
        };
        let line = format!(
            "segment {} (memory {}, {}): at {place}",
            it.segment.as_u32(),
            it.memory_index.as_u32(),
            counted(it.data.len() as u64, "byte")
        );
        wrapped(out, &line, look.columns);
    }
    if let Some(more) = n.checked_sub(MAX_ROWS as u64).filter(|it| *it != 0) {
        out.push_str(&format!("  and {} more: see --json\n", grouped(more)));
    }
}
