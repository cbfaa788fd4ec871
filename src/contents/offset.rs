//! The offset of a segment whose address is not known: it depends on what the host supplies.

use alloc::rc::Rc;
use std::collections::HashMap;

use wasm_meminit::analysis::{GlobalIndex, ImportName, Module, OffsetExpr, ResolvedOffset};

use crate::text::printable::printable;

/// The most characters of an expression, and of a name in it, that are shown.
const MAX_SHOWN: usize = 200;
const MAX_NAME: usize = 40;

/// An offset expression, over imported globals if that is possible.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Its instructions in the text format, without the globals.
    pub(crate) shape: String,
    /// The globals that it names, in order, including repeats.
    pub(crate) globals: Vec<GlobalIndex>,
    /// The expression as shown, with the names of imports if they are known.
    pub(crate) text: String,
}

impl Offset {
    /// `imports` are the imported globals, as far as they are known.
    pub(crate) fn new(expr: &OffsetExpr<'_>, imports: &[ImportName<'_>]) -> Self {
        let mut offset = Self {
            shape: String::new(),
            globals: expr.globals().collect(),
            text: String::new(),
        };
        let mut globals = offset.globals.iter();
        let mut is_index = false;
        for word in expr.to_string().split(' ') {
            if !offset.text.is_empty() {
                offset.text.push(' ');
            }
            offset.text.push_str(word);
            if is_index {
                let global = globals.next().map_or(usize::MAX, |it| it.as_u32() as usize);
                if let Some(import) = imports.get(global) {
                    offset.text.push_str(&format!(" ({})", shown(*import)));
                }
            } else {
                offset.shape.push_str(word);
                offset.shape.push(' ');
            }
            is_index = word == "global.get";
        }
        if let Some((end, _)) = offset.text.char_indices().nth(MAX_SHOWN) {
            offset.text.truncate(end);
            offset.text.push_str("...");
        }
        offset
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

/// The offsets of one module, each of which is kept once: most segments have one of a few, and
/// resolving one takes up to a thousand steps.
#[derive(Debug, Default)]
pub(super) struct Offsets<'e>(HashMap<OffsetExpr<'e>, Rc<Offset>>);

impl<'e> Offsets<'e> {
    /// Returns the offset of a segment of this module.
    pub(super) fn of_module(
        &mut self,
        module: &Module<'_>,
        imports: &[ImportName<'_>],
        expr: OffsetExpr<'e>,
    ) -> Rc<Offset> {
        let known = self.0.entry(expr);
        let offset = known.or_insert_with_key(|expr| {
            let resolved = module.resolve_offset(expr);
            let resolved = match &resolved {
                Some(ResolvedOffset::Expr(bytes)) => OffsetExpr::decode(bytes).ok(),
                _ => None,
            };
            let expr = resolved.map_or_else(|| expr.as_ref(), |it| it.0);
            Rc::new(Offset::new(&expr, imports))
        });
        Rc::clone(offset)
    }

    /// Returns an offset of an artifact, which has resolved it, and has no names.
    pub(super) fn of_artifact(&mut self, expr: OffsetExpr<'e>) -> Rc<Offset> {
        let known = self.0.entry(expr);
        let offset = known.or_insert_with_key(|expr| Rc::new(Offset::new(expr, &[])));
        Rc::clone(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globals_are_shown_with_the_names_of_their_imports() {
        let bytes = [0x23, 1, 0x41, 4, 0x6a, 0x23, 0, 0x6a, 0x0b];
        let (expr, _) = OffsetExpr::decode(&bytes).expect("an expression");
        let long = "n".repeat(50);
        let imports = [("env", &*long), ("a\u{1b}", "b")];
        let imports = imports.map(|(module, name)| ImportName { module, name });
        let offset = Offset::new(&expr, &imports);
        assert_eq!(
            offset.shape,
            "global.get i32.const 4 i32.add global.get i32.add "
        );
        assert_eq!(offset.globals, [1, 0].map(GlobalIndex::from_u32));
        let long = "n".repeat(40);
        let shown = format!(
            "global.get 1 (a\\u{{1b}}.b) i32.const 4 i32.add global.get 0 (env.{long}...) i32.add"
        );
        assert_eq!(offset.text, shown);
        assert_eq!(Offset::new(&expr, &[]).globals, offset.globals);
    }
}
