//! The report on an artifact: what it was built from, what it holds, and what it assumes.

use wasm_meminit::analysis::{IndexType, MemoryInitializer};
use wasm_meminit::image_builder::{Artifact, ArtifactMemory};

use crate::input::hash::hex;
use crate::report::file::FileFacts;
use crate::report::headline::Verdict;
use crate::report::wrap::wrapped;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, DIM, Look, paint};
use crate::text::units::{counted, grouped, size};

/// The most runs, segments and assumptions that the text lists for one artifact.
const MAX_ROWS: usize = 20;

/// The most memories that the text lists.
const MAX_MEMORIES: usize = 400;

/// A decoded artifact, every byte of which was checked.
#[derive(Debug)]
pub(crate) struct ArtifactSurvey<'a> {
    pub(crate) file: FileFacts,
    pub(crate) artifact: Artifact<'a>,
}

impl ArtifactSurvey<'_> {
    pub(crate) fn n_replayed(&self) -> u64 {
        self.artifact.replay().count() as u64
    }

    /// Returns how many bytes the images of all memories have.
    pub(crate) fn image_bytes(&self) -> u64 {
        let memories = 0..self.artifact.memories().len();
        memories.fold(0, |sum, nth| {
            let runs = self.runs(nth).iter();
            runs.fold(sum, |sum: u64, run| sum.saturating_add(run.len))
        })
    }

    /// Returns the runs of the memory at this position.
    pub(crate) fn runs(&self, nth: usize) -> &[wasm_meminit::analysis::Run] {
        let index = u32::try_from(nth).unwrap_or(u32::MAX);
        let index = wasm_meminit::analysis::MemoryIndex::from_u32(index);
        self.artifact.head().layout(index).unwrap_or(&[])
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
        let image_bytes = self.image_bytes();
        let page_size = self.artifact.page_size().bytes();
        let n_runs: usize = (0..self.artifact.memories().len())
            .map(|nth| self.runs(nth).len())
            .sum();
        let mut text = match image_bytes {
            0 => String::from("no image"),
            bytes => format!(
                "{} in {}, {}",
                counted(bytes, "image byte"),
                counted(n_runs as u64, "run"),
                counted(bytes / page_size, "host page")
            ),
        };
        let bytes = self.artifact.replay().map(|it| it.data.len() as u64).sum();
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

    /// Returns the address at which a segment to replay is written, if it is a constant.
    pub(crate) fn address(&self, segment: &MemoryInitializer<'_>) -> Option<u64> {
        let memory = self.artifact.head().memory(segment.memory_index)?;
        let eval = segment.offset.eval(memory.ty().index_type, &|_| None);
        eval.ok()
    }
}

/// Returns the whole report.
pub(crate) fn text(survey: &ArtifactSurvey<'_>, look: Look) -> String {
    let artifact = &survey.artifact;
    let tool = artifact.tool();
    let name = paint(BOLD, printable(&survey.file.name));
    let bytes = counted(survey.file.size, "byte");
    let mut out = format!("{name}: artifact, {bytes}");
    if !tool.name.is_empty() {
        let by = format!("{} {}", look.name(tool.name), look.name(tool.version));
        out.push_str(&format!(", built by {}", by.trim_end()));
    }
    out.push('\n');
    out.push_str(&format!("{}\n\n", paint(BOLD, survey.sentence())));

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
    memories(&mut out, survey, look);
    assumptions(&mut out, artifact, look);
    replay(&mut out, survey, look);
    out
}

fn memories(out: &mut String, survey: &ArtifactSurvey<'_>, look: Look) {
    let mut n_rows = MAX_ROWS;
    let all = survey.artifact.memories();
    for (nth, memory) in all.iter().enumerate().take(MAX_MEMORIES) {
        let runs = survey.runs(nth);
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
        for (run, file_offset) in shown.iter().zip(file_offsets(survey, nth)) {
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
    if MAX_MEMORIES < all.len() {
        let more = counted((all.len() - MAX_MEMORIES) as u64, "memory");
        out.push_str(&format!("\nand {more} not shown\n"));
    }
    let _ = look;
}

/// Returns where each run of the memory at this position is in the file.
pub(crate) fn file_offsets<'s>(
    survey: &'s ArtifactSurvey<'_>,
    nth: usize,
) -> impl Iterator<Item = u64> + 's {
    let index = wasm_meminit::analysis::MemoryIndex::from_u32(nth as u32);
    let base = survey
        .artifact
        .memories()
        .get(nth)
        .map_or(0, ArtifactMemory::file_offset);
    let image = survey.artifact.image(index);
    let positions: Vec<u64> = image
        .iter()
        .flat_map(|it| it.runs_with_position().map(|it| it.0))
        .collect();
    positions.into_iter().map(move |it| base.saturating_add(it))
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

fn replay(out: &mut String, survey: &ArtifactSurvey<'_>, look: Look) {
    let n = survey.n_replayed();
    if n == 0 {
        return;
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, "To replay")));
    for it in survey.artifact.replay().take(MAX_ROWS) {
        let place = match survey.address(&it) {
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
