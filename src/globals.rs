//! `--global NAME=VALUE`: imported globals whose values the user knows.

use core::fmt::{self, Display};
use core::str::FromStr;

use wasm_meminit_analysis::entity::EntityRef;
use wasm_meminit_analysis::{Global, GlobalIndex, ImportName, Module, Value, ValueType};

/// The value of the imported globals of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownGlobal {
    /// Module and name of the import, with a dot between them.
    name: String,
    /// Within the values of a signed or unsigned 64-bit integer.
    value: i128,
}

impl KnownGlobal {
    fn is(&self, import: &ImportName<'_>) -> bool {
        // Names may have dots themselves, so they are joined and not split.
        self.name
            .strip_prefix(import.module)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest == import.name)
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
}

impl FromStr for KnownGlobal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.rsplit_once('=').ok_or("not of the form NAME=VALUE")?;
        let (sign, digits) = match value.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, value),
        };
        let number = match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        match number {
            // `+1` parses as a number; here it is a slip.
            Ok(number) if !digits.contains('+') => Ok(Self {
                name: name.to_owned(),
                value: sign * i128::from(number),
            }),
            _ => Err(format!("{value:?} is no integer of 64 bits")),
        }
    }
}

/// The modules with those values known.
///
/// # Errors
///
/// One line that names the global: no module imports it, its value decides no
/// address, or does not fit its type.
pub(crate) fn apply<'a>(
    mut modules: Vec<Module<'a>>,
    known: &[KnownGlobal],
) -> Result<Vec<Module<'a>>, String> {
    for global in known {
        let mut found = false;
        for module in &mut modules {
            for index in imports(module, global) {
                found = true;
                let value = value_of(module, index, global)?;
                *module = core::mem::take(module)
                    .with_global(index, value)
                    .map_err(|err| format!("--global {}: {err}", global.name))?;
            }
        }
        if !found {
            return Err(unknown(&modules, global));
        }
    }
    Ok(modules)
}

fn imports(module: &Module<'_>, global: &KnownGlobal) -> Vec<GlobalIndex> {
    let imports = module.global_imports().iter();
    imports
        .filter(|(_, import)| global.is(import))
        .map(|(index, _)| index)
        .collect()
}

fn value_of(
    module: &Module<'_>,
    index: GlobalIndex,
    global: &KnownGlobal,
) -> Result<Value, String> {
    let ty = match module.globals().get(index) {
        Some(Global::Known(value)) => value.ty(),
        Some(Global::Unknown(ty)) => *ty,
        _ => {
            return Err(format!(
                "--global {}: it is mutable or not an integer",
                global.name
            ));
        }
    };
    global.value(ty).ok_or_else(|| {
        let ty = match ty {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
        };
        format!(
            "--global {}: {} does not fit an {ty}",
            global.name, global.value
        )
    })
}

fn unknown(modules: &[Module<'_>], global: &KnownGlobal) -> String {
    const MAX_SHOWN: usize = 5;
    let imports = modules.iter().flat_map(|module| {
        let usable = |index: GlobalIndex| !matches!(module.globals()[index], Global::Unusable);
        module
            .global_imports()
            .iter()
            .filter(move |(index, _)| usable(*index))
    });
    let mut names: Vec<String> = imports.map(|(_, name)| Dotted(*name).to_string()).collect();
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(MAX_SHOWN);
    names.truncate(MAX_SHOWN);
    let mut message = format!("--global {}: no such import", global.name);
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
        (global.name, global.value)
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
            name: String::new(),
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
        assert!(global.is(&ImportName {
            module: "a.b",
            name: "c"
        }));
        assert!(global.is(&ImportName {
            module: "a",
            name: "b.c"
        }));
        assert!(!global.is(&ImportName {
            module: "a",
            name: "b"
        }));
    }
}
