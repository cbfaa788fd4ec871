//! Builds the guide with mdBook, and checks the links of the result.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::links;
use crate::installed::has;
use crate::metadata;
use crate::step::Outcome;

/// Where the pages of the guide are, in the repository.
const GUIDE: &str = "docs/";

/// Where readers of the guide find the other files.
const REPOSITORY: &str = "https://github.com/wasm-meminit/wasm-meminit/tree/main/";

/// Builds the guide in cargo's target directory.
pub(super) fn build(sh: &Shell) -> anyhow::Result<Outcome> {
    if !has(sh, &["mdbook"]) {
        let how = "no mdbook (cargo install mdbook --locked): the guide was checked, not built";
        return Ok(Outcome::Skipped(how.to_owned()));
    }
    let folder = metadata::target_directory(sh)?.join("guide");
    cmd!(sh, "mdbook build {GUIDE} --dest-dir {folder}").run()?;
    let mut findings = Vec::new();
    let n_pages = check(&folder, &folder, &mut findings)?;
    if n_pages == 0 {
        bail!("mdbook wrote no page to {}", folder.display());
    }
    if !findings.is_empty() {
        bail!("{} broken links\n{}", findings.len(), findings.join("\n"));
    }
    let index = folder.join("index.html");
    Ok(Outcome::Passed(format!(
        "{n_pages} pages: {}",
        index.display()
    )))
}

/// Appends one line for each relative link in `folder` that leads nowhere, and returns the
/// number of pages.
fn check(book: &Path, folder: &Path, findings: &mut Vec<String>) -> anyhow::Result<usize> {
    let mut n_pages = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            n_pages += check(book, &path, findings)?;
        }
        if path.extension().is_none_or(|it| it != "html") {
            continue;
        }
        n_pages += 1;
        let html = fs::read_to_string(&path)?;
        // The page for missing pages has links from the root of a server.
        if path.file_name().is_some_and(|it| it == "404.html") {
            continue;
        }
        for target in targets(&html) {
            let file = target.split(['#', '?']).next().unwrap_or_default();
            let is_local = !file.contains(':') && !file.is_empty();
            if is_local && !folder.join(file).exists() {
                let page = path.strip_prefix(book).unwrap_or(&path);
                findings.push(format!("{}: {target}", page.display()));
            }
        }
    }
    Ok(n_pages)
}

/// Returns the values of all `href` and `src` attributes.
fn targets(html: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for attribute in [" href=\"", " src=\""] {
        let values = html.split(attribute).skip(1);
        targets.extend(values.filter_map(|it| it.split('"').next()));
    }
    targets
}

/// Acts as a preprocessor of mdBook: links from the guide to other files of the repository
/// become links to the repository's page, and those to a `README.md` to an `index.md`.
pub(super) fn preprocess(args: &[String]) -> anyhow::Result<()> {
    if args.first().is_some_and(|it| it == "supports") {
        return Ok(());
    }
    // `[context, book]`
    let mut input: [Value; 2] = serde_json::from_reader(io::stdin().lock())?;
    rewrite_chapters(&mut input[1])?;
    serde_json::to_writer(io::stdout().lock(), &input[1])?;
    Ok(())
}

/// Rewrites every chapter in a value, at any depth.
fn rewrite_chapters(value: &mut Value) -> anyhow::Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(rewrite_chapters),
        Value::Object(fields) => {
            let path = fields.get("source_path").and_then(Value::as_str);
            if let Some(path) = path.map(|it| format!("{GUIDE}{it}")) {
                let content = fields
                    .get_mut("content")
                    .context("a chapter without content")?;
                let text = content.as_str().context("content that is not text")?;
                *content = rewrite(&path, text)?.into();
            }
            fields.values_mut().try_for_each(rewrite_chapters)
        }
        _ => Ok(()),
    }
}

fn rewrite(page: &str, text: &str) -> anyhow::Result<String> {
    let mut out = text.to_owned();
    // From the last to the first, so that positions stay valid.
    for link in links::relative(text).into_iter().rev() {
        let (path, anchor) = match link.target.split_once('#') {
            Some((path, anchor)) => (path, format!("#{anchor}")),
            None => (link.target.as_str(), String::new()),
        };
        let resolved = links::resolve(page, path);
        let resolved = resolved.with_context(|| format!("{page}: {}", link.target))?;
        let target = if path.is_empty() {
            continue;
        } else if !resolved.starts_with(GUIDE) {
            format!("{REPOSITORY}{resolved}{anchor}")
        } else if let Some(folder) = path.strip_suffix("README.md") {
            // mdBook renames these pages, but not the links to them.
            format!("{folder}index.md{anchor}")
        } else {
            continue;
        };
        let at = out[link.range.clone()].rfind(&link.target);
        let at = at.with_context(|| format!("{page}: a reference link: {}", link.target))?;
        let start = link.range.start + at;
        out.replace_range(start..start + link.target.len(), &target);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_guide_lead_to_the_repository() {
        let text = "[b](b.md) [c](#c) [`d`](../../apply/README.md#d) `[e](../../e)`\n";
        let expected =
            format!("[b](b.md) [c](#c) [`d`]({REPOSITORY}apply/README.md#d) `[e](../../e)`\n");
        let found = rewrite("docs/engines/a.md", text);
        assert_eq!(found.expect("resolved"), expected);
        let found = rewrite("docs/a.md", "[a](b/README.md#c) [a](README.md)\n");
        let expected = "[a](b/index.md#c) [a](index.md)\n";
        assert_eq!(found.expect("resolved"), expected);
        let text = "[a](../src/lib.rs)\n";
        let expected = format!("[a]({REPOSITORY}src/lib.rs)\n");
        assert_eq!(rewrite("docs/a.md", text).expect("resolved"), expected);
    }

    #[test]
    fn chapters_are_found_at_any_depth() {
        let chapter = |path: &str, sub_items: Value| {
            serde_json::json!({"Chapter": {
                "source_path": path, "content": "[a](../a)", "sub_items": sub_items,
            }})
        };
        let inner = chapter("b.md", Value::Array(Vec::new()));
        let mut book = serde_json::json!({"items": ["Separator", chapter("a.md", inner)]});
        rewrite_chapters(&mut book).expect("rewritten");
        let text = book.to_string();
        assert_eq!(
            text.matches(&format!("[a]({REPOSITORY}a)")).count(),
            2,
            "{text}"
        );
    }

    #[test]
    fn targets_of_a_page() {
        let html = r##"<a href="b.html#c">b</a> <img alt="" src="d.svg"> <a class="x" href="#e">"##;
        assert_eq!(targets(html), ["b.html#c", "#e", "d.svg"]);
    }
}
