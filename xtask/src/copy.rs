//! Copies the project, for tasks that change its code.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Shell, cmd};

/// Copies every file of the project in its current state, and deletes those that it no longer has.
/// Unchanged files are kept, so that cargo need not compile them again.
pub(crate) fn files(sh: &Shell, root: &Path, copy: &Path) -> anyhow::Result<()> {
    let list = cmd!(sh, "git ls-files -z --cached --others --exclude-standard");
    let list = list.quiet().read()?;
    let mut kept = HashSet::new();
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        // Listed by git but deleted.
        let Ok(bytes) = fs::read(&from) else {
            continue;
        };
        kept.insert(to.clone());
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent();
        fs::create_dir_all(folder.with_context(|| format!("{name} is in no folder"))?)?;
        fs::write(&to, bytes)?;
    }
    delete_others(copy, &kept)
}

/// Deletes every file in a folder that is not to be kept, except what cargo has built.
fn delete_others(folder: &Path, kept: &HashSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            if !kept.contains(&path) {
                fs::remove_file(&path)?;
            }
        } else if entry.file_name() != "target" {
            delete_others(&path, kept)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: a module that had become a folder was there twice, and nothing compiled.
    #[test]
    fn what_the_project_no_longer_has_is_deleted() {
        let sh = Shell::new().expect("a shell");
        let folder = sh.create_temp_dir().expect("a folder");
        let [kept, old, built] = ["a/kept.rs", "a/b/old.rs", "target/built"].map(|name| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("room");
            fs::write(&path, name).expect("room");
            path
        });
        let all = HashSet::from([kept.clone()]);
        delete_others(folder.path(), &all).expect("our own files");
        assert!(kept.exists() && built.exists() && !old.exists());
    }
}
