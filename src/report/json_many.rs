//! `inspect --json` of several files: one row for each, and the totals.

use serde::Serialize;

use crate::error::Error;
use crate::report::json::{FORMAT, Headline};
use crate::report::json_file::{self, File, Finding, TOOL, Tool};
use crate::report::many::{Row, Totals};

#[derive(Serialize)]
struct Report<'s> {
    format: u32,
    tool: Tool<'static>,
    files: Vec<FileRow<'s>>,
    total: Total,
    failed: Vec<Failure<'s>>,
    policy: &'s str,
    host_page_size: u64,
}

#[derive(Serialize)]
struct FileRow<'s> {
    file: File<'s>,
    verdict: &'static str,
    data: Option<Headline>,
    image_bytes: u64,
    replayed: u64,
    findings: Vec<Finding<'s>>,
}

#[derive(Serialize)]
struct Total {
    files: u64,
    data_bytes: u64,
    in_images: u64,
    image_bytes: u64,
    replayed: u64,
}

/// A file that could not be read, and why.
#[derive(Serialize)]
struct Failure<'s> {
    file: Option<&'s str>,
    error: String,
}

/// Returns the report, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(
    rows: &[Row],
    failed: &[Error],
    policy: &str,
    page_size: u64,
) -> serde_json::Result<String> {
    let totals = Totals::of(rows);
    let row = |it| file_row(it, page_size);
    json_file::document(&Report {
        format: FORMAT,
        tool: TOOL,
        files: rows.iter().map(row).collect(),
        total: Total {
            files: totals.n_files,
            data_bytes: totals.data.data_bytes,
            in_images: totals.data.in_images,
            image_bytes: totals.image_bytes,
            replayed: totals.n_replayed,
        },
        failed: failed.iter().map(failure).collect(),
        policy,
        host_page_size: page_size,
    })
}

fn failure(err: &Error) -> Failure<'_> {
    Failure {
        file: err.subject(),
        error: err.to_string(),
    }
}

fn file_row(row: &Row, page_size: u64) -> FileRow<'_> {
    FileRow {
        file: File::new(&row.file),
        verdict: row.verdict.word(),
        data: row.data.map(|it| Headline::new(&it, page_size)),
        image_bytes: row.image_bytes,
        replayed: row.n_replayed,
        findings: Finding::list(&row.findings),
    }
}
