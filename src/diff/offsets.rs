//! Compares addresses that are not known: two are the same if they are the same expression over
//! what the hosts supply.

use std::collections::HashMap;

use wasm_meminit::analysis::{GlobalIndex, ImportName, Module, OffsetExpr};

use crate::contents::offset::resolved;

/// The expressions of both sides, each part of which has a number and is kept once: with the
/// definitions of globals in their places, an expression can have exponential length.
#[derive(Debug)]
pub(super) struct Offsets<'c, 'a> {
    modules: [Option<&'c Module<'a>>; 2],
    /// For each side, the globals that expressions name, as parts.
    globals: [HashMap<GlobalIndex, usize>; 2],
    names: Names<'c>,
    /// Expressions that compute no single value, in an invalid module, as text.
    invalid: HashMap<String, usize>,
    parts: HashMap<Part, usize>,
}

/// A part of an expression; operands are the numbers of other parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// The number of its name: indices may have shifted.
    Import(usize),
    Global(GlobalIndex),
    I32(i64),
    I64(i64),
    /// With its name, such as `i32.add`.
    Binary([u8; 7], [usize; 2]),
    Invalid(usize),
}

/// The names of imports, each with a number.
#[derive(Debug, Default)]
struct Names<'c> {
    /// The names of modules by their addresses and lengths. The imports of a compact group share
    /// the bytes of a name, which may be long.
    places: HashMap<(usize, usize), usize>,
    modules: HashMap<&'c str, usize>,
    imports: HashMap<(usize, &'c str), usize>,
}

impl<'c> Names<'c> {
    fn number(&mut self, import: ImportName<'c>) -> usize {
        let name = import.module;
        let modules = &mut self.modules;
        let module = *self
            .places
            .entry((name.as_ptr().addr(), name.len()))
            .or_insert_with(|| {
                let n = modules.len();
                *modules.entry(name).or_insert(n)
            });
        let n = self.imports.len();
        *self.imports.entry((module, import.name)).or_insert(n)
    }
}

/// Not the number of a part.
const MISSING: usize = usize::MAX;

impl<'c, 'a> Offsets<'c, 'a> {
    /// An artifact has no module.
    pub(super) fn new(modules: [Option<&'c Module<'a>>; 2]) -> Self {
        Self {
            modules,
            globals: [HashMap::new(), HashMap::new()],
            names: Names::default(),
            invalid: HashMap::new(),
            parts: HashMap::new(),
        }
    }

    /// Returns a number that equals those of equal offsets, on both sides.
    pub(super) fn number(&mut self, side: usize, offset: &OffsetExpr<'_>) -> usize {
        match self.modules {
            [Some(_), Some(_)] => {
                self.define(side, offset);
                self.expr(side, offset)
            }
            // An artifact records no more.
            _ => {
                let offset = resolved(self.modules[side], offset);
                self.define(side, &offset);
                self.expr(side, &offset)
            }
        }
    }

    /// Numbers the globals that an expression names, and those that their definitions name.
    fn define(&mut self, side: usize, expr: &OffsetExpr<'_>) {
        let mut pending: Vec<GlobalIndex> = expr.globals().collect();
        while let Some(global) = pending.last().copied() {
            if self.globals[side].contains_key(&global) {
                pending.pop();
                continue;
            }
            let definition = self.definition(side, global);
            if let Some(expr) = &definition {
                let n = pending.len();
                let known = &self.globals[side];
                // A definition names only globals before its own.
                let is_open = |it: &GlobalIndex| *it < global && !known.contains_key(it);
                pending.extend(expr.globals().filter(is_open));
                if n < pending.len() {
                    continue;
                }
            }
            pending.pop();
            let number = match definition {
                Some(expr) => self.expr(side, &expr),
                None => self.leaf(side, global),
            };
            self.globals[side].insert(global, number);
        }
    }

    /// Returns the definition of a global, where both sides have one.
    fn definition(&self, side: usize, global: GlobalIndex) -> Option<OffsetExpr<'a>> {
        let [Some(_), Some(_)] = self.modules else {
            return None;
        };
        self.modules[side]?.global_definition(global)
    }

    fn leaf(&mut self, side: usize, global: GlobalIndex) -> usize {
        let import = match self.modules {
            [Some(_), Some(_)] => self.modules[side].and_then(|it| it.global_imports().get(global)),
            _ => None,
        };
        let part = match import {
            Some(import) => Part::Import(self.names.number(*import)),
            None => Part::Global(global),
        };
        self.part(part)
    }

    /// Returns the number of an expression whose globals are numbered.
    fn expr(&mut self, side: usize, expr: &OffsetExpr<'_>) -> usize {
        let mut operands: Vec<usize> = Vec::new();
        let text = expr.to_string();
        let mut words = text.split(' ');
        while let Some(word) = words.next() {
            let mut integer = || {
                words
                    .next()
                    .and_then(|it| it.parse::<i64>().ok())
                    .unwrap_or(0)
            };
            let number = match word {
                "i32.const" => self.part(Part::I32(integer())),
                "i64.const" => self.part(Part::I64(integer())),
                "global.get" => {
                    let global = GlobalIndex::from_u32(u32::try_from(integer()).unwrap_or(0));
                    let number = self.globals[side].get(&global).copied();
                    number.unwrap_or(MISSING)
                }
                word => {
                    let (Some(b), Some(a)) = (operands.pop(), operands.pop()) else {
                        return self.invalid(text);
                    };
                    let name = word.as_bytes().first_chunk().copied().unwrap_or_default();
                    self.part(Part::Binary(name, [a, b]))
                }
            };
            operands.push(number);
        }
        match operands[..] {
            [value] => value,
            _ => self.invalid(text),
        }
    }

    fn invalid(&mut self, text: String) -> usize {
        let n = self.invalid.len();
        let n = *self.invalid.entry(text).or_insert(n);
        self.part(Part::Invalid(n))
    }

    fn part(&mut self, part: Part) -> usize {
        let n = self.parts.len();
        *self.parts.entry(part).or_insert(n)
    }
}
