//! Copies the project, for tasks that change its code.

use std::fs;
use std::path::Path;

use anyhow::Context;
use xshell::{Shell, cmd};

/// Copies every file of the project in its current state. Unchanged files are kept, so that
/// cargo need not compile them again.
pub(crate) fn files(sh: &Shell, root: &Path, copy: &Path) -> anyhow::Result<()> {
    let list = cmd!(sh, "git ls-files -z --cached --others --exclude-standard");
    let list = list.quiet().read()?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        // Listed by git but deleted.
        let Ok(bytes) = fs::read(&from) else {
            let _ = fs::remove_file(&to);
            continue;
        };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent();
        fs::create_dir_all(folder.with_context(|| format!("{name} is in no folder"))?)?;
        fs::write(&to, bytes)?;
    }
    Ok(())
}
