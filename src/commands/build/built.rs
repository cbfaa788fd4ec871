//! Writes what was built, and reports it.

use core::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use wasm_meminit::analysis::{Plan, StartReason};

use super::args::BuildArgs;
use crate::error::{Error, Outcome, Result};
use crate::input::{Binary, Source};
use crate::output::{Content, Outputs};
use crate::progress::Progress;
use crate::report::decision::word;
use crate::report::file::{FileFacts, FileKind};
use crate::report::headline::Headline;
use crate::report::hint::Hint;
use crate::report::json_build;
use crate::report::module::ModuleSurvey;
use crate::text::terminal::{self, Look};
use crate::text::units::{counted, grouped};

/// What was built.
pub(super) struct Built<'s, 'a> {
    pub(super) args: &'s BuildArgs,
    pub(super) binary: &'s Binary,
    /// Those of the modules that were built, and the number of the first one in the file.
    pub(super) surveys: &'s [ModuleSurvey<'a>],
    pub(super) first: usize,
    pub(super) hint: Option<Hint>,
    pub(super) files: Vec<BuiltFile<'s>>,
    /// The report as text, without the headline.
    pub(super) text: String,
}

/// A file to be written, in parts.
pub(super) struct BuiltFile<'s> {
    /// The option that names it.
    pub(super) option: &'static str,
    pub(super) path: &'s Path,
    pub(super) parts: Vec<&'s [u8]>,
    pub(super) kind: FileKind,
}

impl BuiltFile<'_> {
    /// Returns its size in bytes.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|it| it.len()).sum()
    }
}

impl Built<'_, '_> {
    /// Writes all files, and then the report.
    pub(super) fn finish(self, outputs: &Outputs, progress: &Progress) -> Result<Outcome> {
        let n_bytes = self.files.iter().map(BuiltFile::len).sum();
        progress.phase("writing", Some(n_bytes));
        let write = |file| move |to: &mut dyn Write| write(to, file, progress);
        let mut contents: Vec<_> = self.files.iter().map(write).collect();
        let mut contents: Vec<Content<'_>> =
            contents.iter_mut().map(|it| it as Content<'_>).collect();
        outputs.write(&mut contents)?;
        drop(contents);

        let options = self.args.options();
        let modules: Vec<_> = (self.first..).zip(self.surveys).collect();
        let hint = self.hint.as_ref();
        let headline = Headline::of(self.surveys);
        let page_size = options.policy.page_size().bytes();
        if !self.args.json {
            progress.finish();
            let mut text = self.text;
            headline.text(&mut text, page_size, hint, Look::detect(false));
            outputs.report(&text)?;
            return Ok(Outcome::Fine);
        }
        let source = Source(&self.args.module.file);
        let output = |it: &BuiltFile<'_>| {
            let facts = FileFacts::of_output(it.path, &it.parts, it.kind, progress);
            (it.option, facts)
        };
        let report = json_build::report(&json_build::Built {
            input: &FileFacts::of_module(source, self.binary, true, progress),
            modules: &modules,
            page_size,
            policy: self.args.policy.name(),
            headline: &headline,
            hint,
            outputs: &self.files.iter().map(output).collect::<Vec<_>>(),
        });
        progress.finish();
        terminal::print_data(&report.map_err(|err| Error::of(&source, err))?)?;
        Ok(Outcome::Fine)
    }
}

fn write(to: &mut dyn Write, file: &BuiltFile<'_>, progress: &Progress) -> std::io::Result<()> {
    for piece in file.parts.iter().flat_map(|it| it.chunks(1 << 20)) {
        to.write_all(piece)?;
        progress.advance(piece.len());
    }
    Ok(())
}

/// Returns what became of each memory, one per line.
pub(super) fn plan_text(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    for (index, memory) in plan.memories() {
        // Writing to a `String` never fails.
        let _ = write!(
            text,
            "  memory {}: {}",
            index.as_u32(),
            word(memory.decision())
        );
        let n_baked = memory.n_baked() + memory.n_baked_passive();
        if n_baked != 0 {
            let segments = counted(n_baked, "segment");
            let runs = counted(memory.runs().len() as u64, "run");
            let bytes = counted(memory.image_bytes(), "byte");
            let _ = write!(text, ", {segments} in {runs}, {bytes}");
        }
        if memory.n_replayed() != 0 {
            let _ = write!(text, ", {} to replay", grouped(memory.n_replayed()));
        }
        text.push('\n');
    }
    if let Err(why) = plan.start()
        && !matches!(why, StartReason::NotAsked | StartReason::Nothing)
    {
        let _ = writeln!(
            text,
            "  the start function still copies its segments: {why}"
        );
    }
    text
}
