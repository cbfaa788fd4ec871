//! The files that a command line names: files, stdin, and what folders contain.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The endings of the files that are read from a folder.
const ENDINGS: [&str; 3] = ["wasm", "wat", "meminit"];

/// What the arguments name, in their order; the files of a folder are sorted.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The files, or why a folder cannot be read.
    pub(crate) files: Vec<Result<PathBuf, Error>>,
    /// Whether a folder was among the arguments.
    pub(crate) has_folder: bool,
}

/// Replaces each folder by its modules and artifacts, at any depth.
///
/// In a folder, links to files are followed. Links to folders are not, so that no file is read
/// twice and no loop is endless.
pub(crate) fn listing(paths: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for path in paths {
        if path.as_os_str() == "-" || !path.is_dir() {
            listing.files.push(Ok(path.clone()));
            continue;
        }
        listing.has_folder = true;
        let from = listing.files.len();
        add_folder(path, &mut listing.files);
        let found = listing.files.get_mut(from..).unwrap_or_default();
        found.sort_by(|a, b| a.as_ref().ok().cmp(&b.as_ref().ok()));
        if found.is_empty() {
            let cause = "no file in this folder ends with .wasm, .wat or .meminit";
            listing.files.push(Err(Error::of(&path.display(), cause)));
        }
    }
    listing
}

fn add_folder(folder: &Path, files: &mut Vec<Result<PathBuf, Error>>) {
    // A list of what is left to do, because folders can be nested more deeply than calls.
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(err) => {
                files.push(Err(Error::of(&folder.display(), err)));
                continue;
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(err) => {
                    files.push(Err(Error::of(&folder.display(), err)));
                    continue;
                }
            };
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir());
            if is_folder {
                folders.push(path);
            } else if is_wanted(&path) {
                files.push(Ok(path));
            }
        }
    }
}

/// Whether it is a file with one of the endings. A link that leads nowhere is one, so that it
/// is reported; a pipe is not, because reading it might never end.
fn is_wanted(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    ending.is_some_and(|it| ENDINGS.contains(&it))
        && fs::metadata(path).map_or(true, |it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_loops_are_not_followed() {
        let scratch = tempfile::tempdir().expect("a directory");
        let root = scratch.path();
        fs::create_dir_all(root.join("b/deep")).expect("created");
        fs::create_dir(root.join("folder.wasm")).expect("created");
        for name in [
            "z.wasm",
            "b/deep/a.wat",
            "b/x.meminit",
            "b/no.txt",
            "wasm",
            "folder.wasm/y.wasm",
        ] {
            fs::write(root.join(name), "").expect("written");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink(root, root.join("b/up")).expect("linked");
            symlink(root.join("b/no.txt"), root.join("link.wasm")).expect("linked");
            symlink(root.join("missing"), root.join("dangling.wasm")).expect("linked");
        }
        let one = root.join("z.wasm");
        let listing = listing(&[one.clone(), root.to_owned(), PathBuf::from("-")]);
        assert!(listing.has_folder);
        let names: Vec<PathBuf> = listing
            .files
            .into_iter()
            .map(|it| it.expect("a file"))
            .collect();
        let (first, rest) = names.split_first().expect("files");
        let (last, rest) = rest.split_last().expect("files");
        assert_eq!((first, last), (&one, &PathBuf::from("-")));
        let mut expected = vec![
            "b/deep/a.wat",
            "b/x.meminit",
            "folder.wasm/y.wasm",
            "z.wasm",
        ];
        if cfg!(unix) {
            expected.extend(["dangling.wasm", "link.wasm"]);
        }
        let mut expected: Vec<PathBuf> = expected.iter().map(|it| root.join(it)).collect();
        expected.sort();
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_folder_without_modules_is_an_error() {
        let scratch = tempfile::tempdir().expect("a directory");
        let listing = listing(&[scratch.path().to_owned()]);
        assert!(matches!(&listing.files[..], [Err(_)]));
    }
}
