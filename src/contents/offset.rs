//! The offset of a segment whose address is not known: it depends on what the host supplies.

use core::fmt::{self, Write};

use wasm_meminit::analysis::{ImportName, Module, OffsetExpr, ResolvedOffset};

use crate::text::printable::printable;

/// The most characters of an expression, and of a name in it, that are shown.
const MAX_SHOWN: usize = 200;
const MAX_NAME: usize = 40;

/// Returns the offset as an artifact of the module records it: over imported globals if that is
/// possible. An artifact, which is no module, has resolved its own.
pub(crate) fn resolved<'e>(
    module: Option<&Module<'_>>,
    offset: &'e OffsetExpr<'_>,
) -> OffsetExpr<'e> {
    let bytes = match module.and_then(|it| it.resolve_offset(offset)) {
        Some(ResolvedOffset::Expr(bytes)) => bytes,
        _ => return offset.as_ref(),
    };
    match OffsetExpr::decode(&bytes) {
        Ok((expr, _)) => expr.into_owned(),
        Err(_) => offset.as_ref(),
    }
}

/// Returns the offset as shown, with the names of imports if they are known.
pub(crate) fn text(module: Option<&Module<'_>>, offset: &OffsetExpr<'_>) -> String {
    let mut expr = Beginning::default();
    // An error says that the rest is not needed.
    let _ = write!(expr, "{}", resolved(module, offset));
    let mut text = String::new();
    let mut is_index = false;
    for word in expr.0.split(' ') {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
        if is_index && let Some(import) = import(module, word) {
            text.push_str(&format!(" ({})", shown(import)));
        }
        if let Some((end, _)) = text.char_indices().nth(MAX_SHOWN) {
            text.truncate(end);
            text.push_str("...");
            break;
        }
        is_index = word == "global.get";
    }
    text
}

fn import<'m>(module: Option<&'m Module<'_>>, index: &str) -> Option<ImportName<'m>> {
    let imports = module?.global_imports();
    imports
        .values()
        .as_slice()
        .get(index.parse::<usize>().ok()?)
        .copied()
}

/// As much of an expression as can be shown, and one more character if there is one.
#[derive(Default)]
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // An expression is ASCII.
        let room = MAX_SHOWN + 1 - self.0.len();
        self.0.push_str(text.get(..room).unwrap_or(text));
        match self.0.len() <= MAX_SHOWN {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// Formats the names of an import, each of which is cut: a report names an import more than once.
pub(crate) fn shown(import: ImportName<'_>) -> String {
    let [module, name] = [import.module, import.name].map(cut);
    format!("{module}.{name}")
}

fn cut(name: &str) -> String {
    let end = name.char_indices().nth(MAX_NAME).map(|it| it.0);
    match end.and_then(|end| name.get(..end)) {
        Some(start) => format!("{}...", printable(start)),
        None => printable(name).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wasm_meminit::analysis::{ModuleBuilder, ValueType};

    use super::*;

    #[test]
    fn globals_are_shown_with_the_names_of_their_imports() {
        let bytes = [0x23, 1, 0x41, 4, 0x6a, 0x23, 0, 0x6a, 0x0b];
        let (expr, _) = OffsetExpr::decode(&bytes).expect("an expression");
        let long = "n".repeat(50);
        let mut builder = ModuleBuilder::new();
        for (module, name) in [("env", &*long), ("a\u{1b}", "b")] {
            let import = ImportName { module, name };
            let added = builder.import_global(import, Some(ValueType::I32));
            added.expect("few");
        }
        let module = builder.finish().expect("consistent");
        let long = "n".repeat(40);
        let shown = format!(
            "global.get 1 (a\\u{{1b}}.b) i32.const 4 i32.add global.get 0 (env.{long}...) i32.add"
        );
        assert_eq!(text(Some(&module), &expr), shown);
        let plain = "global.get 1 i32.const 4 i32.add global.get 0 i32.add";
        assert_eq!(text(None, &expr), plain);
    }

    #[test]
    fn a_long_offset_is_cut() {
        let sum = |n: usize| [&[0x23, 0][..], &[0x23, 0, 0x6a].repeat(n), &[0x0b]].concat();
        // 12 characters, and 21 for each term.
        let [short, long] = [sum(8), sum(9)];
        let text = |bytes: &[u8]| text(None, &OffsetExpr::decode(bytes).expect("a sum").0);
        assert_eq!(text(&short).len(), 12 + 8 * 21);
        assert_eq!(text(&long), text(&sum(1000)));
        assert!(text(&long).ends_with("..."));
        assert_eq!(text(&long).len(), MAX_SHOWN + 3);
    }
}
