//! The anchors that GitHub and mdBook give to the headings of a page.

use alloc::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Tables are the only extension that the pages use and in which a link can stand.
pub(super) const EXTENSIONS: Options = Options::ENABLE_TABLES;

/// Returns the anchors of a page's headings.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, EXTENSIONS) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let n_uses = uses.entry(slug.clone()).or_default();
                anchors.insert(match *n_uses {
                    0 => slug,
                    n => format!("{slug}-{n}"),
                });
                *n_uses += 1;
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = |it: &char| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_');
    let kept = heading.trim().chars().filter(kept);
    let kept = kept.flat_map(char::to_lowercase);
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        let page =
            "# What `inspect` prints\n\n## A, b: c-d\n\n## A, b: c-d\n\n```sh\n# not one\n```\n";
        let anchors = anchors(page);
        let anchors: Vec<&str> = anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["a-b-c-d", "a-b-c-d-1", "what-inspect-prints"]);
    }
}
