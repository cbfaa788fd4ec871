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
    imports: HashMap<ImportName<'c>, usize>,
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
    Operation(Operation, [usize; 2]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    /// With its name, such as `i32.add`.
    Binary([u8; 7]),
    /// An operand that is left over or missing, in an invalid module.
    Surplus,
}

/// Not the number of a part.
const MISSING: usize = usize::MAX;

impl<'c, 'a> Offsets<'c, 'a> {
    /// An artifact has no module.
    pub(super) fn new(modules: [Option<&'c Module<'a>>; 2]) -> Self {
        Self {
            modules,
            globals: [HashMap::new(), HashMap::new()],
            imports: HashMap::new(),
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
            Some(import) => {
                let n = self.imports.len();
                Part::Import(*self.imports.entry(*import).or_insert(n))
            }
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
                    let mut pop = || operands.pop().unwrap_or(MISSING);
                    let both = [pop(), pop()];
                    let name = word.as_bytes().first_chunk().copied().unwrap_or_default();
                    self.part(Part::Operation(Operation::Binary(name), both))
                }
            };
            operands.push(number);
        }
        let all = operands.into_iter();
        all.reduce(|a, b| self.part(Part::Operation(Operation::Surplus, [a, b])))
            .unwrap_or(MISSING)
    }

    fn part(&mut self, part: Part) -> usize {
        let n = self.parts.len();
        *self.parts.entry(part).or_insert(n)
    }
}
