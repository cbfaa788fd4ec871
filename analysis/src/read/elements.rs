//! Decides whether element segments, which run before data segments, may trap.

use alloc::vec::Vec;

use crate::address::fits;
use crate::expr::offset_expr::OffsetExpr;
use crate::{GlobalIndex, IndexType, Value};

/// Tables and elements. Their sections are parsed on demand, because they can be large and
/// no memory depends on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elements<'a> {
    /// Whether all element segments were supplied. Otherwise, any might trap.
    pub(crate) are_known: bool,
    /// Tables that were imported, or supplied one by one.
    pub(crate) tables: Vec<Table>,
    /// The tables after those, not yet parsed.
    #[cfg(feature = "parse")]
    pub(crate) table_section: Option<wasmparser::TableSectionReader<'a>>,
    /// Element segments, not yet parsed.
    #[cfg(feature = "parse")]
    pub(crate) section: Option<wasmparser::ElementSectionReader<'a>>,
    /// Active segments that were supplied one by one.
    pub(crate) active: Vec<ActiveElement<'a>>,
}

/// A table: its index type and its initial size in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) index_type: IndexType,
    pub(crate) min: u64,
}

/// An active element segment.
#[derive(Clone, Debug)]
pub(crate) struct ActiveElement<'a> {
    pub(crate) table: u32,
    pub(crate) offset: OffsetExpr<'a>,
    pub(crate) n_elements: u64,
}

impl Elements<'_> {
    pub(crate) fn may_trap(&self, globals: &dyn Fn(GlobalIndex) -> Option<Value>) -> bool {
        if !self.are_known {
            return true;
        }
        let defined = self.defined_tables();
        let may_trap = |it: &ActiveElement<'_>| {
            let table = usize::try_from(it.table).ok().and_then(|index| {
                let defined_index = index.checked_sub(self.tables.len());
                defined_index.map_or_else(
                    || self.tables.get(index),
                    |defined_index| defined.get(defined_index),
                )
            });
            let Some(table) = table else { return true };
            match it.offset.eval(table.index_type, globals) {
                Ok(offset) => !fits(offset, it.n_elements, table.min),
                Err(_) => true,
            }
        };
        self.active.iter().any(may_trap) || self.section_may_trap(&may_trap)
    }

    /// Calls `visit` for each global in the offset of an active segment, including repeats.
    pub(crate) fn for_each_global(&self, visit: &mut dyn FnMut(GlobalIndex)) {
        for it in &self.active {
            it.offset.globals().for_each(&mut *visit);
        }
        #[cfg(feature = "parse")]
        for element in self.section.clone().into_iter().flatten().flatten() {
            if let wasmparser::ElementKind::Active { offset_expr, .. } = element.kind {
                let mut bytes = offset_expr.get_binary_reader();
                let n_bytes = bytes.bytes_remaining();
                // An unreadable segment may trap, in which case this is not called.
                let bytes = bytes.read_bytes(n_bytes).unwrap_or_default();
                crate::expr::const_expr::globals(bytes).for_each(&mut *visit);
            }
        }
    }

    #[cfg(not(feature = "parse"))]
    const fn defined_tables(&self) -> &[Table] {
        &[]
    }

    /// Stops at an unreadable table: a segment of a missing table is assumed to trap.
    #[cfg(feature = "parse")]
    fn defined_tables(&self) -> Vec<Table> {
        let tables = self.table_section.clone().into_iter().flatten();
        tables
            .map_while(Result::ok)
            .map(|table| Table {
                index_type: IndexType::of(table.ty.table64),
                min: table.ty.initial,
            })
            .collect()
    }

    #[cfg(not(feature = "parse"))]
    fn section_may_trap(&self, _may_trap: &dyn Fn(&ActiveElement<'_>) -> bool) -> bool {
        false
    }

    #[cfg(feature = "parse")]
    fn section_may_trap(&self, may_trap: &dyn Fn(&ActiveElement<'_>) -> bool) -> bool {
        use wasmparser::{ElementItems, ElementKind};

        let Some(section) = &self.section else {
            return false;
        };
        section.clone().into_iter().any(|element| {
            // An unreadable segment is assumed to trap.
            let Ok(element) = element else { return true };
            let ElementKind::Active {
                table_index,
                offset_expr,
            } = element.kind
            else {
                return false;
            };
            let bytes = offset_expr.get_binary_reader();
            let bytes = bytes.clone().read_bytes(bytes.bytes_remaining());
            let Ok((offset, _)) =
                bytes.map_or(Err(()), |it| OffsetExpr::decode(it).map_err(|_| ()))
            else {
                return true;
            };
            // Constant expressions that allocate (GC) may trap if memory runs out.
            let (n_elements, allocates) = match element.items {
                ElementItems::Functions(items) => (items.count(), false),
                ElementItems::Expressions(_, items) => (items.count(), allocates(items)),
            };
            let table = table_index.unwrap_or(0);
            allocates
                || may_trap(&ActiveElement {
                    table,
                    offset,
                    n_elements: n_elements.into(),
                })
        })
    }
}

/// Returns whether an element expression is not just a null, a function or a global.
#[cfg(feature = "parse")]
fn allocates(items: wasmparser::SectionLimited<'_, wasmparser::ConstExpr<'_>>) -> bool {
    use wasmparser::Operator;

    items.into_iter().any(|expr| {
        expr.is_err()
            || expr.is_ok_and(|expr| {
                expr.get_operators_reader().into_iter().any(|op| {
                    !matches!(
                        op,
                        Ok(Operator::RefNull { .. }
                            | Operator::RefFunc { .. }
                            | Operator::GlobalGet { .. }
                            | Operator::End)
                    )
                })
            })
    })
}
