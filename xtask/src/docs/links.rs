//! Checks the relative links of Markdown files.

use alloc::collections::BTreeMap;

use pulldown_cmark::{Event, Parser, Tag};

use super::headings::{self, EXTENSIONS};

/// A link, or an image, of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// As written.
    pub(super) target: String,
    /// Where the link is, in bytes; its target is inside unless it is a reference link.
    pub(super) range: core::ops::Range<usize>,
}

/// Returns the links of a page that do not name a server.
pub(super) fn relative(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (event, range) in Parser::new_ext(text, EXTENSIONS).into_offset_iter() {
        let target = match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => dest_url,
            _ => continue,
        };
        if !target.contains("://") && !target.starts_with("mailto:") {
            links.push(Link {
                target: target.to_string(),
                range,
            });
        }
    }
    links
}

/// The page of a file in the repository, which packages link to.
const REPOSITORY: &str = "https://github.com/wasm-meminit/wasm-meminit/blob/main/";

/// Appends one line for each link to a file of the repository that does not exist, and returns
/// the number of such links.
pub(super) fn check_urls(
    files: &[String],
    name: &str,
    text: &str,
    findings: &mut Vec<String>,
) -> usize {
    let mut n_links = 0;
    for (at, _) in text.match_indices(REPOSITORY) {
        let path = &text[at + REPOSITORY.len()..];
        let is_end = |it: char| it.is_whitespace() || "#)>\"`".contains(it);
        let path = path.split(is_end).next().unwrap_or_default();
        n_links += 1;
        if !path.is_empty() && files.iter().all(|it| it != path) {
            let line = 1 + text[..at].matches('\n').count();
            findings.push(format!("{name}:{line}: no such file: {REPOSITORY}{path}"));
        }
    }
    n_links
}

/// Resolves a path against the folder of a page; `None` if it leaves the repository.
pub(super) fn resolve(page: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Appends one line for each broken link, and returns the number of relative links.
pub(super) fn check(
    files: &[String],
    pages: &BTreeMap<String, String>,
    findings: &mut Vec<String>,
) -> usize {
    let mut anchors = BTreeMap::new();
    let mut n_links = 0;
    for (page, text) in pages {
        for link in relative(text) {
            n_links += 1;
            let line = 1 + text[..link.range.start].matches('\n').count();
            let mut find = |what: &str| {
                findings.push(format!("{page}:{line}: {what}: {}", link.target));
            };
            let (path, anchor) = match link.target.split_once('#') {
                Some((path, anchor)) => (path, Some(anchor)),
                None => (link.target.as_str(), None),
            };
            let target = match path {
                "" => Some(page.clone()),
                path => resolve(page, path),
            };
            let Some(target) = target else {
                find("a link out of the repository");
                continue;
            };
            let folder = format!("{target}/");
            if !files.contains(&target) && !files.iter().any(|it| it.starts_with(&folder)) {
                find("no such file");
                continue;
            }
            let Some(anchor) = anchor else { continue };
            let known = match pages.get(&target) {
                Some(text) => anchors
                    .entry(target)
                    .or_insert_with(|| headings::anchors(text))
                    .contains(anchor),
                None => false,
            };
            if !known {
                find("no such heading");
            }
        }
    }
    n_links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn findings(text: &str) -> Vec<String> {
        let files = ["a/b.md", "a/c.md", "d/e.rs"].map(str::to_owned);
        let mut pages = BTreeMap::new();
        pages.insert("a/b.md".to_owned(), text.to_owned());
        pages.insert("a/c.md".to_owned(), "# A heading\n".to_owned());
        let mut findings = Vec::new();
        check(&files, &pages, &mut findings);
        findings
    }

    #[test]
    fn good_links() {
        let text = "# One\n[a](c.md) [a](c.md#a-heading) [a](../d/e.rs) [a](../d) [a](#one)\n\
                    ![a](c.md) [a](https://a.org/x#y) `[a](x)`\n\n| [a](c.md) |\n|---|\n";
        assert_eq!(findings(text), [""; 0]);
    }

    #[test]
    fn links_to_the_page_of_the_repository() {
        let files = ["docs/a.md".to_owned()];
        let text = format!("//! [a]({REPOSITORY}docs/a.md#b)\n//! <{REPOSITORY}docs/b.md>\n");
        let mut findings = Vec::new();
        assert_eq!(check_urls(&files, "a.rs", &text, &mut findings), 2);
        assert_eq!(
            findings,
            [format!("a.rs:2: no such file: {REPOSITORY}docs/b.md")]
        );
    }

    #[test]
    fn broken_links() {
        let text =
            "[a](x.md)\n[a](c.md#x)\n[a](../../x)\n[a](#x) ![a](x.svg)\n\n| [a](y.md) |\n|---|\n";
        assert_eq!(
            findings(text),
            [
                "a/b.md:1: no such file: x.md",
                "a/b.md:2: no such heading: c.md#x",
                "a/b.md:3: a link out of the repository: ../../x",
                "a/b.md:4: no such heading: #x",
                "a/b.md:4: no such file: x.svg",
                "a/b.md:6: no such file: y.md",
            ]
        );
    }
}
