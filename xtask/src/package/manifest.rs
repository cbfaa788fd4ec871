//! What the registry and docs.rs show of a package.

use std::fs;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::list::Package;

/// The registry's limits.
const MAX_KEYWORDS: usize = 5;
const MAX_KEYWORD: usize = 20;
const MAX_CATEGORIES: usize = 5;

/// Checks what `cargo publish` only warns of, or what nobody sees before it is too late.
pub(super) fn check(packages: &[Package]) -> anyhow::Result<()> {
    for package in packages {
        check_one(package).with_context(|| format!("Cargo.toml of {}", package.name))?;
    }
    Ok(())
}

fn check_one(package: &Package) -> anyhow::Result<()> {
    let json = &package.json;
    for key in [
        "description",
        "license",
        "repository",
        "rust_version",
        "readme",
    ] {
        ensure!(json[key].is_string(), "no {key}");
    }
    let list = |key: &str| -> Vec<&str> {
        let list = json[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).collect()
    };
    let keywords = list("keywords");
    ensure!(
        (1..=MAX_KEYWORDS).contains(&keywords.len()),
        "1 to {MAX_KEYWORDS} keywords"
    );
    for word in keywords {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_+".contains(it);
        ensure!(
            word.len() <= MAX_KEYWORD && word.chars().all(is_plain),
            "the registry does not accept the keyword `{word}`"
        );
    }
    let n_categories = list("categories").len();
    ensure!(
        (1..=MAX_CATEGORIES).contains(&n_categories),
        "1 to {MAX_CATEGORIES} categories"
    );
    ensure!(
        json["metadata"]["docs"]["rs"].is_object(),
        "no [package.metadata.docs.rs]: docs.rs would omit optional features"
    );
    for file in ["README.md", "CHANGELOG.md"] {
        ensure!(package.dir.join(file).is_file(), "no {file}");
    }
    let readme = fs::read_to_string(package.dir.join("README.md"))?;
    // A user of the registry has no clone.
    let first = first_command(&readme);
    ensure!(
        !first.is_some_and(|it| it.starts_with("cargo xtask")),
        "the README's first command needs a clone"
    );
    Ok(())
}

/// Returns the first line of the first block of commands.
fn first_command(readme: &str) -> Option<&str> {
    let (_, block) = readme.split_once("```sh\n")?;
    block.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_of_a_page() {
        assert_eq!(
            first_command("a\n```sh\ncargo add b\nc\n```\n"),
            Some("cargo add b")
        );
        assert_eq!(first_command("a\n```rust\nlet b;\n```\n"), None);
    }
}
