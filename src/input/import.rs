//! How the user names an import: `[MODULE:]NAME`, or `[MODULE:]#INDEX`.

use core::cmp::Reverse;
use core::fmt::{self, Display, Write as _};
use std::collections::HashMap;

use wasm_meminit::analysis::ImportName;

use crate::text::terminal::Look;

/// An import of one core module of the input, or of every one that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Import {
    /// The core module's number, counted from 0; `None` for all of them.
    pub(crate) module: Option<usize>,
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// The imports of one kind that options name, looked up in one pass over all core modules: both
/// may be many.
#[derive(Debug)]
pub(crate) struct Named<'o> {
    /// Core module and index of each, in this order.
    found: HashMap<&'o Name, Vec<(usize, u32)>>,
}

impl<'o> Named<'o> {
    /// `imports` yields core module, index and name of each import, in this order.
    pub(crate) fn new<'m>(
        options: impl Iterator<Item = &'o Import>,
        imports: impl Iterator<Item = (usize, u32, ImportName<'m>)>,
    ) -> Self {
        let mut dotted: HashMap<&str, &'o Name> = HashMap::new();
        let mut indices: HashMap<u32, &'o Name> = HashMap::new();
        for Import { name, .. } in options {
            match name {
                // Both names of an import may contain dots, so the text is not split at one.
                Name::Dotted(text) => dotted.insert(text, name),
                Name::Index(index) => indices.insert(*index, name),
            };
        }
        let mut found: HashMap<&Name, Vec<(usize, u32)>> = HashMap::new();
        let mut text = String::new();
        for (module, index, import) in imports {
            text.clear();
            // Writing to a `String` never fails.
            let _ = write!(text, "{}", Dotted(import));
            let names = dotted.get(text.as_str()).into_iter();
            for name in names.chain(indices.get(&index)) {
                found.entry(name).or_default().push((module, index));
            }
        }
        Self { found }
    }

    /// Returns core module and index of each import that an option names.
    pub(crate) fn of(&self, option: &Import) -> &[(usize, u32)] {
        let all = self.found.get(&option.name).map_or(&[][..], Vec::as_slice);
        let Some(module) = option.module else {
            return all;
        };
        let from = all.partition_point(|it| it.0 < module);
        let to = all.partition_point(|it| it.0 <= module);
        all.get(from..to).unwrap_or_default()
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

impl Dotted<'_> {
    /// Whether options use this text for the import.
    pub(crate) fn is(self, text: &str) -> bool {
        let rest = text.strip_prefix(self.0.module);
        rest.and_then(|it| it.strip_prefix('.')) == Some(self.0.name)
    }
}

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.module, self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

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
        let names = [("a.b", "c"), ("a", "b.c"), ("a", "b")];
        let imports = names.map(|(module, name)| ImportName { module, name });
        let imports = imports.into_iter().zip(0..).map(|(it, nth)| (0, nth, it));
        let named = Named::new([&import].into_iter(), imports);
        assert_eq!(named.of(&import), [(0, 0), (0, 1)]);
    }

    proptest! {
        /// What one pass finds is what comparing each option with each import finds.
        #[test]
        fn one_pass_finds_what_each_option_names(
            options in vec(("([0-3]:)?", "(#[0-3]|[ab]{0,2}\\.[ab.]{0,2})"), 0..6),
            names in vec(vec(("[ab.]{0,2}", "[ab.]{0,2}"), 0..4), 0..4),
        ) {
            let options = options.iter().map(|(module, name)| format!("{module}{name}"));
            let options: Vec<Import> = options.map(|it| Import::parse(&it).expect("short")).collect();
            let imports = || names.iter().enumerate().flat_map(|(nth, module)| {
                let name = |(module, name): &'_ (String, String)| (module.clone(), name.clone());
                module.iter().map(name).zip(0..).map(move |(name, index)| (nth, index, name))
            }).collect::<Vec<_>>();
            let imports = imports();
            let named = Named::new(options.iter(), imports.iter().map(|(nth, index, it)| {
                (*nth, *index, ImportName { module: &it.0, name: &it.1 })
            }));
            for option in &options {
                let is = |nth, index, it: &(String, String)| {
                    option.module.is_none_or(|it| it == nth) && match &option.name {
                        Name::Index(it) => *it == index,
                        Name::Dotted(name) => *name == format!("{}.{}", it.0, it.1),
                    }
                };
                let expected = imports.iter().filter(|it| is(it.0, it.1, &it.2));
                let expected: Vec<_> = expected.map(|it| (it.0, it.1)).collect();
                prop_assert_eq!(named.of(option), expected);
            }
        }
    }
}
