//! Replaces several files, all or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::identity::Identity;
use super::signals::Held;
use super::temporary::{self, Temporary, Writer};

/// A function that writes the content of one output.
pub(crate) type Content<'c> = &'c mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// How many names are tried for a backup.
const MAX_TRIES: u32 = 100;

/// Files that have been written completely under temporary names. As long as there are any,
/// signals wait.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    staged: Vec<Staged>,
    /// Dropped after the files.
    held: Option<Held>,
}

#[derive(Debug)]
struct Staged {
    temporary: Temporary,
    target: PathBuf,
}

/// A file that was replaced, and can still be restored.
struct Replaced {
    target: PathBuf,
    /// A second name of the previous file; `None` if there was none.
    backup: Option<PathBuf>,
}

impl Transaction {
    /// Writes a file under a temporary name next to its target and syncs it. It gets the
    /// permissions of the file that it will replace; until then, only its owner can read it.
    pub(super) fn stage(&mut self, target: &Path, content: &mut Content<'_>) -> io::Result<()> {
        self.stage_file(target, &mut |to| content(to))
    }

    /// As [`stage`](Self::stage), for content that is not written in order.
    pub(super) fn stage_file(
        &mut self,
        target: &Path,
        content: &mut dyn FnMut(&mut Writer<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let held = self.held.get_or_insert_with(Held::new);
        let permissions = || fs::metadata(target).ok().map(|old| old.permissions());
        let before = permissions();
        let (temporary, mut file) = Temporary::create_in(directory_of(target), before.is_some())?;
        let mut writer = Writer::new(&mut file, held);
        content(&mut writer)?;
        writer.flush()?;
        temporary::finish(file, permissions().or(before))?;
        self.staged.push(Staged {
            temporary,
            target: target.to_owned(),
        });
        Ok(())
    }

    /// Has signals end the process while the caller waits for something else.
    pub(super) fn watch_signals(&self) {
        if let Some(held) = &self.held {
            held.watch(temporary::remove_all);
        }
    }

    /// Renames every file to its target, then syncs the directories.
    ///
    /// # Errors
    ///
    /// The target whose rename failed. The targets before it are restored.
    pub(super) fn commit(mut self) -> Result<(), (PathBuf, io::Error)> {
        if let Some(held) = &self.held {
            held.check(temporary::remove_all);
        }
        let mut in_use = temporary::lock();
        let n_staged = self.staged.len();
        let mut replaced: Vec<Replaced> = Vec::new();
        let mut result = Ok(());
        for (nth, it) in self.staged.iter_mut().enumerate() {
            let is_other = is_none_of(&replaced, &it.target);
            // The last one need not be undone.
            let backup = is_other.and_then(|()| match nth + 1 < n_staged {
                true => back_up(&it.target, |from, to| fs::hard_link(from, to)),
                false => Ok(None),
            });
            let done = backup.and_then(|backup| {
                let persisted = it.temporary.persist(&it.target, &mut in_use);
                if persisted.is_err() {
                    remove_backup(backup.as_deref());
                    return persisted;
                }
                let target = it.target.clone();
                replaced.push(Replaced { target, backup });
                Ok(())
            });
            if let Err(err) = done {
                replaced.iter().rev().for_each(Replaced::undo);
                result = Err((it.target.clone(), err));
                break;
            }
        }
        if result.is_ok() {
            replaced
                .iter()
                .for_each(|it| remove_backup(it.backup.as_deref()));
        }
        // Dropping the remaining temporary files locks the list again.
        drop(in_use);
        result?;
        for it in &self.staged {
            sync_directory(directory_of(&it.target)).map_err(|err| (it.target.clone(), err))?;
        }
        Ok(())
    }
}

impl Replaced {
    /// Restores the previous file. An error here is ignored: the first failure is reported.
    fn undo(&self) {
        let _ = match &self.backup {
            Some(backup) => fs::rename(backup, &self.target),
            None => fs::remove_file(&self.target),
        };
    }
}

/// Refuses a second name of a file that was just replaced. If neither file existed before, only
/// now can the system say that it takes the names `x` and `X` for one.
fn is_none_of(replaced: &[Replaced], target: &Path) -> io::Result<()> {
    let Some(found) = Identity::of_file(target) else {
        return Ok(());
    };
    let mut others = replaced.iter().map(|it| it.target.as_path());
    match others.find(|it| Identity::of_file(it).as_ref() == Some(&found)) {
        Some(same) => {
            let same = same.display();
            let cause = format!("another output, {same}, is the same file");
            Err(io::Error::other(cause))
        }
        None => Ok(()),
    }
}

/// Gives a file a second name, so that replacing it can be undone; copies it if `link` cannot.
/// Returns `None` if there is no file.
fn back_up(
    target: &Path,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<Option<PathBuf>> {
    if !fs::exists(target)? {
        return Ok(None);
    }
    let directory = directory_of(target);
    for nth in 0..MAX_TRIES {
        let backup = directory.join(format!(".wasm-meminit-{}-{nth}.old", std::process::id()));
        match link(target, &backup) {
            Ok(()) => return Ok(Some(backup)),
            // Left over from a killed process with the same process id.
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            // Not every file system has hard links.
            Err(_) => {
                let copied = fs::copy(target, &backup);
                if copied.is_err() {
                    remove_backup(Some(&backup));
                }
                return copied.map(|_| Some(backup));
            }
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

fn remove_backup(backup: Option<&Path>) {
    if let Some(backup) = backup {
        let _ = fs::remove_file(backup);
    }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Syncs a directory, if the system can, so that a rename in it survives a power failure.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory)?.sync_all() {
        // Not every file system can sync directories.
        Err(err) if err.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let files = fs::read_dir(directory).expect("listed");
        let names = files.map(|it| it.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|it| it.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn stage(transaction: &mut Transaction, target: &Path, bytes: &[u8]) {
        let mut content: Content<'_> = &mut |to| to.write_all(bytes);
        transaction.stage(target, &mut content).expect("staged");
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("out");
        fs::write(&target, "old").expect("written");
        let mut transaction = Transaction::default();
        let mut content: Content<'_> = &mut |to| {
            to.write_all(b"half of the ne")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let result = transaction.stage(&target, &mut content);
        assert!(result.is_err());
        drop(transaction);
        assert_eq!(fs::read(&target).expect("read"), b"old");
        assert_eq!(names(directory.path()), ["out"]);

        let mut transaction = Transaction::default();
        stage(&mut transaction, &target, b"new");
        assert_eq!(fs::read(&target).expect("read"), b"old");
        transaction.commit().expect("written");
        assert_eq!(fs::read(&target).expect("read"), b"new");
        assert_eq!(names(directory.path()), ["out"]);
    }

    /// What is private is so before it is complete: the tool may be killed while it writes.
    #[cfg(unix)]
    #[test]
    fn a_private_file_is_private_while_it_is_written() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        fs::write(path("plain"), "").expect("written");
        for (name, old, written, after) in [
            ("private", Some(0o600), 0o600, 0o600),
            ("shared", Some(0o644), 0o600, 0o644),
            ("new", None, mode(&path("plain")), mode(&path("plain"))),
        ] {
            let target = path(name);
            if let Some(old) = old {
                fs::write(&target, "old").expect("written");
                fs::set_permissions(&target, fs::Permissions::from_mode(old)).expect("set");
            }
            let mut transaction = Transaction::default();
            let mut content: Content<'_> = &mut |to| {
                let names = names(directory.path());
                let temporary = names
                    .iter()
                    .find(|it| it.ends_with(".tmp"))
                    .expect("listed");
                assert_eq!(
                    mode(&path(temporary)),
                    written,
                    "{name}, while it is written"
                );
                to.write_all(b"new")
            };
            transaction.stage(&target, &mut content).expect("staged");
            transaction.commit().expect("written");
            assert_eq!(mode(&target), after, "{name}");
        }
    }

    /// On a file system without links, a backup is a copy. If it fails half-way, as on a full
    /// disk, it is removed. The memory of this process is a file that cannot be read from its
    /// beginning.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_backup_that_fails_half_way_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("out");
        let no_links = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
        std::os::unix::fs::symlink("/proc/self/mem", &target).expect("a link");
        back_up(&target, no_links).expect_err("not readable");
        assert_eq!(names(directory.path()), ["out"]);

        fs::remove_file(&target).expect("removed");
        fs::write(&target, "old").expect("written");
        let backup = back_up(&target, no_links).expect("copied").expect("a file");
        assert_eq!(fs::read(&backup).expect("read"), b"old");
        remove_backup(Some(&backup));
        assert_eq!(names(directory.path()), ["out"]);
    }

    /// The last rename fails after the others succeeded, because its target is a directory.
    #[test]
    fn replaced_files_are_restored() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a"), "old a").expect("written");
        let mut transaction = Transaction::default();
        for name in ["a", "b", "c"] {
            stage(&mut transaction, &path(name), b"new");
        }
        fs::create_dir(path("c")).expect("created");
        let (target, _) = transaction
            .commit()
            .expect_err("no file replaces a directory");
        assert_eq!(target, path("c"));
        assert_eq!(fs::read(path("a")).expect("read"), b"old a");
        assert_eq!(names(directory.path()), ["a", "c"]);

        fs::remove_dir(path("c")).expect("removed");
        let mut transaction = Transaction::default();
        for name in ["a", "b", "c"] {
            stage(&mut transaction, &path(name), b"new");
        }
        transaction.commit().expect("written");
        assert_eq!(fs::read(path("a")).expect("read"), b"new");
        assert_eq!(names(directory.path()), ["a", "b", "c"]);
    }

    /// As two names are that differ in case, where the file system ignores that.
    #[test]
    fn one_new_file_under_two_names_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("a");
        let mut transaction = Transaction::default();
        stage(&mut transaction, &target, b"one");
        stage(&mut transaction, &target, b"other");
        let (_, err) = transaction.commit().expect_err("one file");
        assert!(err.to_string().contains("is the same file"), "{err}");
        assert!(names(directory.path()).is_empty());
    }
}
