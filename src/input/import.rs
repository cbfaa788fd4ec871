//! How the user names an import: `[MODULE:]NAME`, or `[MODULE:]#INDEX`.

use core::cmp::Reverse;
use core::fmt::{self, Display};

use wasm_meminit::analysis::ImportName;

use crate::text::terminal::Look;

/// An import of one core module of the input, or of every one that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The core module's number, counted from 0; `None` for all of them.
    pub(crate) module: Option<usize>,
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// Module and name of the import, with a dot between them.
    Dotted(String),
    /// `#7`: its index among all of its kind.
    Index(u32),
}

impl Import {
    /// Parses the part before the equals sign.
    ///
    /// # Errors
    ///
    /// The number of the module or of the index is too large.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (module, name) = match text.split_once(':') {
            // Digits before a colon are always a module number. An import whose own name
            // begins like that must be given with its module number.
            Some((module, rest)) if is_digits(module) => {
                let module = module.parse();
                (
                    Some(module.map_err(|_| "the module number is too large")?),
                    rest,
                )
            }
            _ => (None, text),
        };
        // Names of imports contain a dot; an index does not.
        let name = match name.strip_prefix('#') {
            Some(index) if is_digits(index) => {
                let index = index.parse();
                Name::Index(index.map_err(|_| "the index is too large")?)
            }
            _ => Name::Dotted(name.to_owned()),
        };
        Ok(Self { module, name })
    }

    /// Whether this names the import with that index and name.
    pub(crate) fn is(&self, index: u32, import: &ImportName<'_>) -> bool {
        match &self.name {
            Name::Index(it) => *it == index,
            // Both names may contain dots, so the given text is not split at one.
            Name::Dotted(name) => name
                .strip_prefix(import.module)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest == import.name),
        }
    }

    pub(crate) fn may_be_in(&self, module: usize) -> bool {
        self.module.is_none_or(|it| it == module)
    }

    /// Checks that the core module exists.
    ///
    /// # Errors
    ///
    /// A message with the number of core modules.
    pub(crate) fn check(&self, option: &str, n_modules: usize) -> Result<(), String> {
        match self.module {
            Some(module) if n_modules <= module => Err(format!(
                "{option} {self}: no such core module; there are {n_modules}, counted from 0"
            )),
            _ => Ok(()),
        }
    }

    /// Returns the message for an import that no module has, with the most similar names.
    pub(crate) fn unknown<'n>(
        &self,
        option: &str,
        what: &str,
        names: impl Iterator<Item = ImportName<'n>>,
    ) -> String {
        const MAX_SHOWN: usize = 5;
        let mut names: Vec<String> = names.map(|it| short(&Dotted(it).to_string())).collect();
        names.sort();
        names.dedup();
        let more = names.len().saturating_sub(MAX_SHOWN);
        if let Name::Dotted(wanted) = &self.name {
            let wanted = short(wanted);
            names.sort_by_cached_key(|it| {
                let likeness = strsim::jaro_winkler(it, &wanted);
                Reverse((likeness * 1e6) as u32)
            });
        }
        names.truncate(MAX_SHOWN);
        let mut message = format!("{option} {self}: no such import");
        if names.is_empty() {
            message.push_str(&format!("; no imported {what} can be set"));
        } else {
            message.push_str("\nhint: available: ");
            message.push_str(&names.join(", "));
        }
        if more != 0 {
            message.push_str(&format!(" and {more} more"));
        }
        message
    }
}

/// Formats the import for messages, with long names cut.
impl Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(module) = self.module {
            write!(f, "{module}:")?;
        }
        match &self.name {
            Name::Dotted(name) => f.write_str(&short(name)),
            Name::Index(index) => write!(f, "#{index}"),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

/// Cuts a name for a message: an import's name may have megabytes.
fn short(name: &str) -> String {
    const LOOK: Look = Look {
        columns: 80,
        ascii: false,
    };
    LOOK.name(name)
}

/// An import in the form that options use: module and name joined by a dot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dotted<'a>(pub(crate) ImportName<'a>);

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.module, self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_indices() {
        let parsed = |text: &str| Import::parse(text).expect("an import");
        let dotted = |name: &str| Name::Dotted(name.to_owned());
        for (text, module, name) in [
            ("env.base", None, dotted("env.base")),
            ("12:env.base", Some(12), dotted("env.base")),
            ("0:0:env.base", Some(0), dotted("0:env.base")),
            ("wasi:io.base", None, dotted("wasi:io.base")),
            ("3:#7", Some(3), Name::Index(7)),
            ("#7", None, Name::Index(7)),
            ("#7.x", None, dotted("#7.x")),
        ] {
            assert_eq!(parsed(text), Import { module, name });
            assert_eq!(parsed(text).to_string(), text);
        }
        for bad in ["99999999999999999999:e.b", "#99999999999"] {
            assert!(Import::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn either_name_may_contain_dots() {
        let import = Import::parse("a.b.c").expect("an import");
        let is = |module, name| import.is(0, &ImportName { module, name });
        assert!(is("a.b", "c"));
        assert!(is("a", "b.c"));
        assert!(!is("a", "b"));
    }
}
