//! `--global [MODULE:]NAME=VALUE`: values of imported globals, given by the user.

use core::str::FromStr;
use std::collections::{HashMap, HashSet};

use wasm_meminit::analysis::entity::EntityRef;
use wasm_meminit::analysis::{Global, GlobalIndex, ImportName, Module, Value, ValueType};

use crate::input::import::{Import, Named};
use crate::text::units;

/// The value of an imported global.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KnownGlobal {
    pub(super) import: Import,
    /// In the range of a signed or an unsigned 64-bit integer.
    value: i128,
}

impl KnownGlobal {
    /// Converts the value to `ty`. Unsigned numbers are accepted too, since most are addresses.
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

    /// Returns the value for a global of one module, or an error if its type does not allow it.
    fn value_of(
        &self,
        module: &Module<'_>,
        index: GlobalIndex,
        nth: usize,
        only: bool,
    ) -> Result<Value, String> {
        let import = &self.import;
        let Some(ty) = module.globals().get(index).and_then(Global::ty) else {
            let unusable = "the global is mutable or not an integer";
            // Another module may import an immutable global under the same name.
            return Err(match only || import.module.is_some() {
                true => format!("--global {import}: {unusable}"),
                false => format!(
                    "--global {import}: in core module {nth}, {unusable}\nhint: select a core \
                     module, as in --global N:NAME=VALUE"
                ),
            });
        };
        self.value(ty).ok_or_else(|| {
            let ty = match ty {
                ValueType::I32 => "i32",
                ValueType::I64 => "i64",
            };
            format!("--global {import}: {} does not fit in an {ty}", self.value)
        })
    }
}

impl FromStr for KnownGlobal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .rsplit_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("expected NAME=VALUE")?;
        let import = Import::parse(name)?;
        let value = number(value).ok_or_else(|| {
            format!("{value:?} is not a 64-bit integer, such as 1024, 0x400, 1M or -1")
        })?;
        Ok(Self { import, value })
    }
}

fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    // `parse` accepts `+1`; here it is a typing error.
    if digits.contains('+') {
        return None;
    }
    // Most values are addresses, so they may have the suffix of a size.
    Some(sign * i128::from(units::bytes(digits).ok()?))
}

/// Returns the modules with the values of these globals set.
///
/// # Errors
///
/// A short message that names the option, if no module imports the global, or if its value
/// decides no address, does not fit its type, or conflicts with another option.
pub(crate) fn apply<'a>(
    mut modules: Vec<Module<'a>>,
    known: &[KnownGlobal],
) -> Result<Vec<Module<'a>>, String> {
    let only = modules.len() == 1;
    let imports = modules.iter().enumerate().flat_map(|(nth, module)| {
        let imports = module.global_imports().iter();
        imports.map(move |(index, name)| (nth, index.as_u32(), *name))
    });
    let named = Named::new(known.iter().map(|it| &it.import), imports);
    let mut given: HashMap<(usize, GlobalIndex), Value> = HashMap::new();
    let mut seen: HashSet<&KnownGlobal> = HashSet::new();
    for global in known.iter().filter(|it| seen.insert(it)) {
        let import = &global.import;
        import.check("--global", modules.len())?;
        let found = named.of(import);
        if found.is_empty() {
            let modules = modules
                .iter()
                .enumerate()
                .filter(|it| import.may_be_in(it.0));
            let names = modules.flat_map(|(_, it)| usable(it));
            return Err(import.unknown("--global", "global", names));
        }
        for &(nth, index) in found {
            let index = GlobalIndex::from_u32(index);
            let Some(module) = modules.get_mut(nth) else {
                continue;
            };
            let value = global.value_of(module, index, nth, only)?;
            match given.insert((nth, index), value) {
                None => {}
                Some(before) if before == value => continue,
                Some(before) => {
                    return Err(format!(
                        "--global {import}: conflicting values {before} and {value}"
                    ));
                }
            }
            *module = core::mem::take(module)
                .with_global(index, value)
                .map_err(|err| format!("--global {import}: {err}"))?;
        }
    }
    Ok(modules)
}

/// Returns the imports whose values can be set.
fn usable<'m>(module: &'m Module<'_>) -> impl Iterator<Item = ImportName<'m>> {
    let imports = module.global_imports().iter();
    imports
        .filter(|(index, _)| !matches!(module.globals()[*index], Global::Unusable))
        .map(|(_, name)| *name)
}

/// Returns the name of a global if it is imported.
pub(crate) fn import_name<'a>(module: &Module<'a>, global: GlobalIndex) -> Option<ImportName<'a>> {
    (global.index() < module.global_imports().len()).then(|| module.global_imports()[global])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> (String, i128) {
        let global: KnownGlobal = text.parse().expect("a global");
        (global.import.to_string(), global.value)
    }

    #[test]
    fn names_and_values() {
        assert_eq!(parsed("env.base=1024"), ("env.base".to_owned(), 1024));
        assert_eq!(parsed("1:a=b.c=-0x10"), ("1:a=b.c".to_owned(), -16));
        assert_eq!(parsed("e.b=0xffffffffffffffff").1, i128::from(u64::MAX));
        assert_eq!(parsed("e.b=64K").1, 1 << 16);
        assert_eq!(parsed("e.b=-1MiB").1, -(1 << 20));
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
            import: Import::parse("e.b").expect("an import"),
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
}
