//! `cargo xtask docs`: checks the links of all pages, and builds the guide with mdBook.

mod book;
mod headings;
mod links;
mod summary;

use alloc::collections::BTreeMap;

use anyhow::bail;
use xshell::Shell;

use crate::step::{self, Outcome};
use crate::tidy;

const HELP: &str = "\
usage: cargo xtask docs

Checks every relative link and anchor in the repository's Markdown files, links to the
repository's own page, and that
docs/SUMMARY.md lists each page of the guide once. Then builds the guide in cargo's target
directory, if mdBook is installed: cargo install mdbook --locked
";

/// Longer pages are not read to the end.
const MAX_PAGE_LINES: usize = 250;

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    match args {
        [] => {
            step::alone(sh, step)?;
            println!("{}", book::build(sh)?);
            Ok(())
        }
        [help] if matches!(help.as_str(), "help" | "-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
        // mdBook calls this; see `docs/book.toml`.
        [name, rest @ ..] if name == "preprocess" => book::preprocess(rest),
        _ => bail!("unknown arguments\n\n{HELP}"),
    }
}

/// The part that needs no tool.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let root = sh.current_dir();
    let mut files = Vec::new();
    let mut pages = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for file in tidy::tracked(sh)? {
        let name = file.to_string_lossy().replace('\\', "/");
        // Listed by git, but deleted.
        if !root.join(&file).exists() {
            continue;
        }
        if name.ends_with(".md") {
            pages.insert(name.clone(), std::fs::read_to_string(root.join(&file))?);
        } else if name.ends_with(".rs") {
            sources.insert(name.clone(), std::fs::read_to_string(root.join(&file))?);
        }
        files.push(name);
    }
    let mut findings = Vec::new();
    let mut n_links = links::check(&files, &pages, &mut findings);
    for (name, text) in pages.iter().chain(&sources) {
        n_links += links::check_urls(&files, name, text, &mut findings);
    }
    let n_pages = summary::check(&pages, &mut findings);
    for (name, text) in &pages {
        let n_lines = text.lines().count();
        if name.starts_with("docs/") && MAX_PAGE_LINES < n_lines {
            findings.push(format!("{name}: {n_lines} lines; split it"));
        }
    }
    if !findings.is_empty() {
        bail!("{} findings\n{}", findings.len(), findings.join("\n"));
    }
    Ok(Outcome::Passed(format!(
        "{n_links} links in {} pages and {} sources, {n_pages} pages in the guide",
        pages.len(),
        sources.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_resolve_and_the_summary_is_complete() {
        let sh = Shell::new().expect("a current folder");
        sh.change_dir(crate::root());
        if let Err(err) = step(&sh) {
            panic!("{err:#}");
        }
    }
}
