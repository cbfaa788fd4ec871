//! Compares the direct dependencies of the published crates with `docs/dependencies.md`.

use alloc::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::Value;
use xshell::Shell;

use crate::metadata;

const PAGE: &str = "docs/dependencies.md";

/// The crates that use each dependency.
type Users = BTreeMap<String, BTreeSet<String>>;

/// Appends a finding for each dependency without a row, row without a dependency, and row that
/// names other users.
pub(crate) fn check(sh: &Shell, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let used = used(&metadata::workspace(sh)?)?;
    compare(&used, &rows(&sh.read_file(PAGE)?), findings);
    Ok(())
}

/// Returns the dependencies that published packages have in a build, on any system and with any
/// feature, except for those within the workspace.
fn used(workspace: &Value) -> anyhow::Result<Users> {
    let mut used = Users::new();
    for package in metadata::published(workspace)? {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        let short = name.strip_prefix("wasm-meminit-").unwrap_or(name);
        let dependencies = package["dependencies"].as_array();
        for it in dependencies.context("a package without a list")? {
            let is_own = !it["path"].is_null();
            if it["kind"] != "dev" && !is_own {
                let name = it["name"].as_str().context("a dependency without a name")?;
                used.entry(name.to_owned())
                    .or_default()
                    .insert(short.to_owned());
            }
        }
    }
    Ok(used)
}

/// Returns the first two columns of each table: a crate's name in backticks, then its users.
fn rows(page: &str) -> Users {
    let mut rows = Users::new();
    for line in page.lines() {
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let mut cells = row.split('|');
        let name = cells.next().and_then(|it| it.split('`').next());
        let users = cells.next().unwrap_or_default().split(',');
        let users = users.map(|it| it.trim().to_owned());
        rows.entry(name.unwrap_or_default().to_owned())
            .or_default()
            .extend(users);
    }
    rows
}

fn compare(used: &Users, rows: &Users, findings: &mut Vec<String>) {
    for (name, users) in used {
        let users = users.iter().cloned().collect::<Vec<_>>().join(", ");
        match rows.get(name) {
            None => findings.push(format!("{PAGE}: no row for `{name}`, used by {users}")),
            Some(row) if row.iter().cloned().collect::<Vec<_>>().join(", ") != users => {
                findings.push(format!("{PAGE}: `{name}` is used by {users}"));
            }
            Some(_) => {}
        }
    }
    for name in rows.keys().filter(|it| !used.contains_key(*it)) {
        findings.push(format!("{PAGE}: no published crate uses `{name}`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(page: &str) -> Vec<String> {
        let workspace = serde_json::json!({ "packages": [
            {
                "name": "wasm-meminit-apply",
                "publish": null,
                "dependencies": [
                    { "name": "libc", "kind": null },
                    { "name": "cc", "kind": "build" },
                    { "name": "wat", "kind": "dev" },
                    { "name": "wasm-meminit-analysis", "kind": null, "path": "analysis" },
                ],
            },
            { "name": "xtask", "publish": [], "dependencies": [{ "name": "xshell", "kind": null }] },
        ]});
        let used = used(&workspace).expect("complete");
        let mut findings = Vec::new();
        compare(&used, &rows(page), &mut findings);
        findings
    }

    #[test]
    fn every_dependency_of_a_published_crate_has_a_row() {
        let page = "| crate | used by |\n|---|---|\n| `cc` 1.0 | apply |\n| `libc` 0.2 | apply |\n";
        assert_eq!(findings(page), [""; 0]);
        let changed = page.replace("| `libc` 0.2 | apply |", "| `wat` | analysis |");
        assert_eq!(
            findings(&changed),
            [
                "docs/dependencies.md: no row for `libc`, used by apply",
                "docs/dependencies.md: no published crate uses `wat`",
            ]
        );
        let changed = page.replace("0.2 | apply", "0.2 | analysis, apply");
        assert_eq!(
            findings(&changed),
            ["docs/dependencies.md: `libc` is used by apply"]
        );
    }
}
