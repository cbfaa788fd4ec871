//! Finds the lines of a source file that are compiled for tests only. They always run, so that
//! counting them would flatter.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The lines of a file that are tests; from 1.
pub(super) enum TestLines {
    All,
    Some(Vec<usize>),
}

impl TestLines {
    pub(super) fn contains(&self, number: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(numbers) => numbers.binary_search(&number).is_ok(),
        }
    }
}

/// Returns the test code of `name`, a path from `root`.
pub(super) fn lines(root: &Path, name: &str) -> anyhow::Result<TestLines> {
    if is_test_module(root, Path::new(name)) {
        return Ok(TestLines::All);
    }
    let text = fs::read_to_string(root.join(name)).with_context(|| name.to_owned())?;
    Ok(TestLines::Some(inline(&text)))
}

/// Whether the file, or a folder that it is in, is declared as a module for tests.
fn is_test_module(root: &Path, file: &Path) -> bool {
    let mut module = file.with_extension("");
    if module.ends_with("mod") {
        module.pop();
    }
    while let (Some(folder), Some(name)) = (module.parent(), module.file_name()) {
        let declaration = format!("mod {};", name.to_string_lossy());
        let parents = [
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.with_extension("rs"),
        ];
        let is_for_tests = |parent: &PathBuf| {
            let text = fs::read_to_string(root.join(parent)).unwrap_or_default();
            declared_for_tests(&text, &declaration)
        };
        if parents.iter().any(is_for_tests) {
            return true;
        }
        module = folder.to_owned();
    }
    false
}

fn is_test_cfg(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[cfg(test)]")
        || line.starts_with("#[cfg(all(test,")
        || line.starts_with("#[cfg(shuttle)]")
        || line.starts_with("#[cfg(all(shuttle,")
}

fn declared_for_tests(text: &str, declaration: &str) -> bool {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if is_test_cfg(line) && lines.next().is_some_and(|it| it.ends_with(declaration)) {
            return true;
        }
    }
    false
}

/// Returns the lines of items that are for tests. Relies on rustfmt: an item ends at the first
/// line that is indented as its attribute is, and closes a brace or is a whole statement.
fn inline(text: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut indent = None;
    for (number, line) in (1..).zip(text.lines()) {
        let own = line.len() - line.trim_start().len();
        match indent {
            None if is_test_cfg(line) => {
                indent = Some(own);
                numbers.push(number);
            }
            None => {}
            Some(of_item) => {
                numbers.push(number);
                let ends = line.trim_start().starts_with('}') || line.ends_with(';');
                if own == of_item && ends {
                    indent = None;
                }
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_for_tests_are_found() {
        let text = "fn a() {\n    b();\n}\n\n#[cfg(test)]\nuse c;\n\n#[cfg(all(test, feature = \"d\"))]\n\
                    mod tests {\n    fn e() {\n        f();\n    }\n}\n\nfn g() {}\n";
        assert_eq!(inline(text), [5, 6, 8, 9, 10, 11, 12, 13]);
        assert!(inline("fn a() {}\n").is_empty());
    }

    #[test]
    fn modules_for_tests_are_found() {
        let root = crate::root();
        let is_test = |name: &str| is_test_module(&root, Path::new(name));
        assert!(is_test("image-builder/src/verify/independence.rs"));
        assert!(is_test("image-builder/src/rewrite/tests.rs"));
        assert!(is_test("apply/src/pool/models/explore.rs"));
        assert!(!is_test("image-builder/src/verify/overlay.rs"));
        assert!(!is_test("apply/src/pool/mod.rs"));
        let file = lines(&root, "analysis/src/page.rs").expect("a source");
        assert!(!file.contains(1));
        let n_lines = fs::read_to_string(root.join("analysis/src/page.rs")).expect("a source");
        assert!(file.contains(n_lines.lines().count()));
    }
}
