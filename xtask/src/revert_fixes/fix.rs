//! One fix, and the tests that notice its absence.

use alloc::collections::BTreeSet;

use anyhow::{Context, ensure};

use super::suites::{Suites, Test};

/// A few lines that keep a promise.
#[derive(Debug)]
pub(super) struct Fix {
    /// The promise.
    pub(super) what: &'static str,
    pub(super) file: &'static str,
    /// Occurs exactly once in the file, and is replaced by `put` in the copy.
    pub(super) take: &'static str,
    pub(super) put: &'static str,
    /// Each by its suite and its name. The suite is `lib`, `bin`, a bench, or one of `tests/`, of
    /// the file's own package or, if that has none of the name, of another; `PACKAGE/SUITE` where
    /// several have one, or where the package needs an engine. With `@portable` or `@unix`, on the
    /// code path for another system.
    pub(super) tests: &'static [&'static str],
}

/// The folders of packages, and the packages' names.
const PACKAGES: &[(&str, &str)] = &[
    ("analysis/", "wasm-meminit-analysis"),
    ("image-builder/", "wasm-meminit-image-builder"),
    ("apply/", "wasm-meminit-apply"),
    ("engines/wasmtime/", "wasm-meminit-wasmtime"),
    ("src/", "wasm-meminit"),
    ("xtask/", "xtask"),
];

impl Fix {
    /// Returns the file's text without the fix.
    pub(super) fn without(&self, text: &str) -> anyhow::Result<String> {
        let n = text.matches(self.take).count();
        ensure!(n == 1, "{}: found {n} times: {}", self.file, self.take);
        Ok(text.replacen(self.take, self.put, 1))
    }

    /// Returns the package that the file belongs to.
    pub(super) fn package(&self) -> &'static str {
        let own = PACKAGES.iter().find(|it| self.file.starts_with(it.0));
        own.map_or("", |it| it.1)
    }

    pub(super) fn tests(&self, suites: &Suites) -> anyhow::Result<BTreeSet<Test>> {
        let test = |spec: &&'static str| {
            let (suite, name) = spec.split_once(' ').context("a suite and a test")?;
            let (suite, path) = match suite.split_once('@') {
                Some((suite, path)) => (suite, Some(path)),
                None => (suite, None),
            };
            let suite = suites
                .find(self.package(), suite)
                .with_context(|| format!("no suite {suite}"))?;
            Ok(Test { suite, path, name })
        };
        self.tests.iter().map(test).collect()
    }
}
