//! Checks that the table of contents of the guide lists each page once.

use alloc::collections::BTreeMap;

use super::links;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Appends one line for each finding, and returns the number of pages.
pub(super) fn check(pages: &BTreeMap<String, String>, findings: &mut Vec<String>) -> usize {
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    let summary = pages.get(SUMMARY).map_or("", String::as_str);
    for link in links::relative(summary) {
        // One that does not resolve is reported with the other links.
        if let Some(page) = links::resolve(SUMMARY, &link.target) {
            *listed.entry(page).or_default() += 1;
        }
    }
    let is_page = |it: &&String| it.starts_with("docs/") && *it != SUMMARY;
    for page in pages.keys().filter(is_page) {
        match listed.get(page) {
            Some(1) => {}
            Some(n) => findings.push(format!("{SUMMARY}: lists {page} {n} times")),
            None => findings.push(format!("{SUMMARY}: does not list {page}")),
        }
    }
    listed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_is_listed_once() {
        let page = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let pages = BTreeMap::from([
            page("README.md", ""),
            page("docs/a.md", ""),
            page("docs/b.md", ""),
            page("docs/c/d.md", ""),
            page(SUMMARY, "* [a](a.md)\n  * [d](c/d.md)\n* [a](./a.md)\n"),
        ]);
        let mut findings = Vec::new();
        assert_eq!(check(&pages, &mut findings), 2);
        assert_eq!(
            findings,
            [
                "docs/SUMMARY.md: lists docs/a.md 2 times",
                "docs/SUMMARY.md: does not list docs/b.md",
            ]
        );
    }
}
