//! `--global [MODULE:]NAME=VALUE`: imported globals whose values the user knows.

use alloc::collections::BTreeMap;
use core::fmt::{self, Display};
use core::str::FromStr;

use wasm_meminit_analysis::entity::EntityRef;
use wasm_meminit_analysis::{Global, GlobalIndex, ImportName, Module, Value, ValueType};

use crate::terminal::Look;

/// The value of an imported global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownGlobal {
    /// Which core module imports it, counted from 0; every one that does where it is not
    /// said.
    module: Option<usize>,
    global: GlobalName,
    /// Within the values of a signed or unsigned 64-bit integer.
    value: i128,
}

/// How the user names a global.
#[derive(Clone, Debug, PartialEq, Eq)]
enum GlobalName {
    /// Module and name of the import, with a dot between them.
    Import(String),
    /// `#7`: its index.
    Index(u32),
}

impl KnownGlobal {
    fn is(&self, index: GlobalIndex, import: &ImportName<'_>) -> bool {
        match &self.global {
            GlobalName::Index(it) => *it == index.as_u32(),
            // Names may have dots themselves, so they are joined and not split.
            GlobalName::Import(name) => name
                .strip_prefix(import.module)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest == import.name),
        }
    }

    /// As a value of that type. Unsigned numbers are taken too: they are addresses.
    fn value(&self, ty: ValueType) -> Option<Value> {
        Some(match ty {
            ValueType::I32 => {
                let signed = i32::try_from(self.value);
                let unsigned = u32::try_from(self.value).map(u32::cast_signed);
                Value::I32(signed.or(unsigned).ok()?)
            }
            ValueType::I64 => {
                let signed = i64::try_from(self.value);
                let unsigned = u64::try_from(self.value).map(u64::cast_signed);
                Value::I64(signed.or(unsigned).ok()?)
            }
        })
    }

    /// The option as messages show it: short, whatever the user wrote.
    fn shown(&self) -> String {
        let name = match &self.global {
            GlobalName::Import(name) => short(name),
            GlobalName::Index(index) => format!("#{index}"),
        };
        match self.module {
            Some(module) => format!("--global {module}:{name}"),
            None => format!("--global {name}"),
        }
    }
}

impl FromStr for KnownGlobal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.rsplit_once('=').ok_or("not of the form NAME=VALUE")?;
        let (module, name) = match name.split_once(':') {
            // Digits before a colon are always a module: an import whose own name begins
            // like that is given with its module before it.
            Some((module, rest)) if is_digits(module) => {
                let module = module.parse();
                (Some(module.map_err(|_| "no file has that many modules")?), rest)
            }
            _ => (None, name),
        };
        // Names of imports have a dot in them: these have none.
        let global = match name.strip_prefix('#') {
            Some(index) if is_digits(index) => GlobalName::Index(
                index.parse().map_err(|_| "no module has that many globals")?,
            ),
            _ => GlobalName::Import(name.to_owned()),
        };
        let value = number(value).ok_or_else(|| format!("{value:?} is no integer of 64 bits"))?;
        Ok(Self {
            module,
            global,
            value,
        })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    // `+1` parses as a number; here it is a slip.
    if digits.contains('+') {
        return None;
    }
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some(sign * i128::from(number.ok()?))
}

/// The modules with those values known.
///
/// # Errors
///
/// One short line that names the option: no module imports the global, its value decides
/// no address, does not fit its type, or is contradicted by another option.
pub(crate) fn apply<'a>(
    mut modules: Vec<Module<'a>>,
    known: &[KnownGlobal],
) -> Result<Vec<Module<'a>>, String> {
    let mut given: BTreeMap<(usize, GlobalIndex), Value> = BTreeMap::new();
    for global in known {
        let mut found = false;
        let n_modules = modules.len();
        if global.module.is_some_and(|it| n_modules <= it) {
            return Err(format!(
                "{}: there are {n_modules} core modules, counted from 0",
                global.shown()
            ));
        }
        for (nth, module) in modules.iter_mut().enumerate() {
            if global.module.is_some_and(|it| it != nth) {
                continue;
            }
            for index in imports(module, global) {
                found = true;
                let value = value_of(module, index, global, n_modules, nth)?;
                match given.insert((nth, index), value) {
                    None => {}
                    Some(before) if before == value => continue,
                    Some(before) => {
                        return Err(format!(
                            "{}: contradictory values: {} and {}",
                            global.shown(),
                            decimal(before),
                            decimal(value)
                        ));
                    }
                }
                *module = core::mem::take(module)
                    .with_global(index, value)
                    .map_err(|err| format!("{}: {err}", global.shown()))?;
            }
        }
        if !found {
            return Err(unknown(&modules, global));
        }
    }
    Ok(modules)
}

fn decimal(value: Value) -> i64 {
    match value {
        Value::I32(it) => it.into(),
        Value::I64(it) => it,
    }
}

fn imports(module: &Module<'_>, global: &KnownGlobal) -> Vec<GlobalIndex> {
    let imports = module.global_imports().iter();
    imports
        .filter(|(index, import)| global.is(*index, import))
        .map(|(index, _)| index)
        .collect()
}

fn value_of(
    module: &Module<'_>,
    index: GlobalIndex,
    global: &KnownGlobal,
    n_modules: usize,
    nth: usize,
) -> Result<Value, String> {
    let ty = match module.globals().get(index) {
        Some(Global::Known(value)) => value.ty(),
        Some(Global::Unknown(ty)) => *ty,
        _ => {
            let shown = global.shown();
            // Another module may import the same name as an immutable global.
            return Err(match (n_modules, global.module) {
                (0 | 1, _) | (_, Some(_)) => format!("{shown}: it is mutable or not an integer"),
                (_, None) => format!(
                    "{shown}: in core module {nth} it is mutable or not an integer; name the \
                     module that is meant, as in --global N:NAME=VALUE"
                ),
            });
        }
    };
    global.value(ty).ok_or_else(|| {
        let ty = match ty {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
        };
        format!("{}: {} does not fit an {ty}", global.shown(), global.value)
    })
}

fn unknown(modules: &[Module<'_>], global: &KnownGlobal) -> String {
    const MAX_SHOWN: usize = 5;
    let mut names: Vec<String> = Vec::new();
    for (nth, module) in modules.iter().enumerate() {
        if global.module.is_some_and(|it| it != nth) {
            continue;
        }
        let usable = module
            .global_imports()
            .iter()
            .filter(|(index, _)| !matches!(module.globals()[*index], Global::Unusable));
        names.extend(usable.map(|(_, name)| short(&Dotted(name.to_owned()).to_string())));
    }
    names.sort();
    names.dedup();
    let mut message = format!("{}: no such import", global.shown());
    let more = names.len().saturating_sub(MAX_SHOWN);
    if let GlobalName::Import(wanted) = &global.global {
        // What looks most like it comes first.
        let wanted = short(wanted);
        names.sort_by_cached_key(|it| {
            let likeness = strsim::jaro_winkler(it, &wanted);
            core::cmp::Reverse((likeness * 1e6) as u32)
        });
    }
    names.truncate(MAX_SHOWN);
    if names.is_empty() {
        message.push_str("; there is no global whose value could be given");
    } else {
        message.push_str("; there is ");
        message.push_str(&names.join(", "));
    }
    if more != 0 {
        message.push_str(&format!(" and {more} more"));
    }
    message
}

/// A name in a message: an import's may have megabytes.
fn short(name: &str) -> String {
    const LOOK: Look = Look {
        columns: 80,
        ascii: false,
    };
    LOOK.name(name)
}

/// An import as `--global` names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dotted<'a>(pub(crate) ImportName<'a>);

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.module, self.0.name)
    }
}

/// The name of an imported global.
pub(crate) fn import_name<'a>(module: &Module<'a>, global: GlobalIndex) -> Option<ImportName<'a>> {
    (global.index() < module.global_imports().len()).then(|| module.global_imports()[global])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> (String, i128) {
        let global: KnownGlobal = text.parse().expect("a global");
        assert_eq!(global.module, None);
        match global.global {
            GlobalName::Import(name) => (name, global.value),
            GlobalName::Index(index) => panic!("an index: {index}"),
        }
    }

    #[test]
    fn modules_and_indices() {
        let parsed = |text: &str| -> KnownGlobal { text.parse().expect("a global") };
        let import = |name: &str| GlobalName::Import(name.to_owned());
        let it = parsed("12:env.base=1");
        assert_eq!((it.module, it.global), (Some(12), import("env.base")));
        let it = parsed("0:0:env.base=1");
        assert_eq!((it.module, it.global), (Some(0), import("0:env.base")));
        let it = parsed("wasi:io.base=1");
        assert_eq!((it.module, it.global), (None, import("wasi:io.base")));
        let it = parsed("3:#7=0x10");
        assert_eq!((it.module, it.global), (Some(3), GlobalName::Index(7)));
        let it = parsed("#7.x=1");
        assert_eq!((it.module, it.global), (None, import("#7.x")));
        for bad in ["99999999999999999999:e.b=1", "#99999999999=1"] {
            assert!(bad.parse::<KnownGlobal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_values() {
        assert_eq!(parsed("env.base=1024"), ("env.base".to_owned(), 1024));
        assert_eq!(parsed("a=b.c=-0x10"), ("a=b.c".to_owned(), -16));
        assert_eq!(parsed("e.b=0xffffffffffffffff").1, i128::from(u64::MAX));
        for bad in [
            "env.base",
            "env.base=",
            "e.b=x",
            "e.b=1.5",
            "e.b=+1",
            "e.b=-+1",
            "e.b=0x+1",
        ] {
            assert!(bad.parse::<KnownGlobal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn values_take_the_type_of_the_global() {
        let value = |value| KnownGlobal {
            module: None,
            global: GlobalName::Index(0),
            value,
        };
        let max = i128::from(u32::MAX);
        assert_eq!(value(max).value(ValueType::I32), Some(Value::I32(-1)));
        assert_eq!(
            value(max).value(ValueType::I64),
            Some(Value::I64(0xffff_ffff))
        );
        assert_eq!(value(max + 1).value(ValueType::I32), None);
        assert_eq!(value(-1).value(ValueType::I64), Some(Value::I64(-1)));
        assert_eq!(value(i128::from(i64::MIN) - 1).value(ValueType::I64), None);
    }

    #[test]
    fn dots_may_be_part_of_either_name() {
        let global: KnownGlobal = "a.b.c=0".parse().expect("a global");
        let is = |module, name| global.is(GlobalIndex::from_u32(0), &ImportName { module, name });
        assert!(is("a.b", "c"));
        assert!(is("a", "b.c"));
        assert!(!is("a", "b"));
    }
}
