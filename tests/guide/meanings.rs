//! The sentences that explain decisions and reasons in the page of `inspect --html` are the guide's,
//! and their links lead to headings of the guide.

use alloc::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::console;
use crate::{page, root};

const POLICIES: [&str; 3] = ["balanced", "reference", "smallest"];

/// Returns the text without marks and line breaks.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('`', "")
}

/// Returns the anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|it| it.starts_with('#'));
    let slug = |it: &str| {
        let kept = |it: &char| it.is_alphanumeric() || [' ', '-', '_'].contains(it);
        let text: String = it
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(kept)
            .collect();
        text.to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}

/// Returns what a page of the tool explains: each word with its sentence and its link.
fn meanings(html: &str) -> Vec<(String, String, String)> {
    let Some((_, list)) = html.split_once("What the words mean") else {
        return Vec::new();
    };
    let between = |text: &str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from).expect("a mark");
        rest.split_once(to).expect("an end").0.to_owned()
    };
    let entries = list.split("<dt>").skip(1);
    entries
        .map(|it| {
            let word = it.split_once("</dt>").expect("a word").0.to_owned();
            let sentence = between(it, "<dd>", " <a");
            (word, sentence, between(it, "href=\"", "\""))
        })
        .collect()
}

#[test]
fn sentences_are_those_of_the_guide() {
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    let modules = fs::read_dir(root().join("tests/modules")).expect("a folder");
    let names = modules.map(|it| it.expect("readable").file_name());
    for name in names.filter_map(|it| it.into_string().ok()) {
        if name.ends_with(".wasm") {
            for policy in POLICIES {
                let html = console::html(&name, policy);
                for (word, sentence, link) in meanings(&html) {
                    found.insert(word, (sentence, link));
                }
            }
        }
    }
    for (word, (sentence, link)) in &found {
        let (_, target) = link.split_once("/blob/main/").expect("a page of ours");
        let (file, anchor) = target.split_once('#').expect("a heading");
        let text = page(file);
        assert!(plain(&text).contains(sentence), "{word}: {sentence}");
        assert!(anchors(&text).contains(anchor), "{word}: {link}");
    }
    // Those that no module of ours shows are in `docs/not-static.md` as samples only.
    let unseen = ["too_sparse", "size_limit", "module_size_limit", "too_large"];
    let source = fs::read_to_string(root().join("src/report/meaning.rs")).expect("a source");
    for word in unseen {
        assert!(source.contains(&format!("\"{word}\"")), "{word}");
    }
    let reasons = crate::table(&page("docs/not-static.md"), "reason")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .filter(|it| !unseen.contains(&it.as_str()))
        .collect::<Vec<_>>();
    for reason in reasons {
        // The page shows words, not the identifiers of JSON.
        let word = reason.replace('_', " ");
        assert!(found.contains_key(&word), "{reason}: no sentence");
    }
}
