//! Decides whether element segments, which run before data segments, may trap.

#[cfg(feature = "parse")]
use alloc::vec::Vec;

#[cfg(feature = "parse")]
use crate::address::fits;
#[cfg(feature = "parse")]
use crate::{GlobalIndex, IndexType, OffsetExpr, Value};

/// Tables and elements. Their sections are parsed on demand, because they can be large and
/// no memory depends on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elements<'a> {
    /// Whether all element segments that may trap are in `section`. Otherwise, any might trap.
    pub(crate) are_known: bool,
    /// Imported tables.
    #[cfg(feature = "parse")]
    pub(crate) imported_tables: Vec<Table>,
    /// The tables after those, not yet parsed.
    #[cfg(feature = "parse")]
    pub(crate) table_section: Option<wasmparser::TableSectionReader<'a>>,
    /// Element segments, not yet parsed.
    #[cfg(feature = "parse")]
    pub(crate) section: Option<wasmparser::ElementSectionReader<'a>>,
    #[cfg(not(feature = "parse"))]
    pub(crate) section: core::marker::PhantomData<&'a [u8]>,
}

/// A table: its index type and its initial size in elements.
#[cfg(feature = "parse")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) index_type: IndexType,
    pub(crate) min: u64,
}

#[cfg(feature = "parse")]
impl Elements<'_> {
    pub(crate) fn may_trap(&self, globals: &dyn Fn(GlobalIndex) -> Option<Value>) -> bool {
        use wasmparser::{ElementItems, ElementKind};

        if !self.are_known {
            return true;
        }
        let Some(section) = &self.section else {
            return false;
        };
        let tables = self.tables();
        section.clone().into_iter().any(|element| {
            // An unreadable segment is assumed to trap.
            let Ok(element) = element else { return true };
            // Tables, globals and the items of passive segments are evaluated before anything is
            // written, so if that fails, no function has leaked that could read a memory.
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
            let table = usize::try_from(table_index.unwrap_or(0)).ok();
            let Some(table) = table.and_then(|table| tables.get(table)) else {
                return true;
            };
            allocates
                || match offset.eval(table.index_type, globals) {
                    Ok(offset) => !fits(offset, n_elements.into(), table.min),
                    Err(_) => true,
                }
        })
    }

    /// Calls `visit` for each global in the offset of an active segment, including repeats.
    pub(crate) fn for_each_global(&self, visit: &mut dyn FnMut(GlobalIndex)) {
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

    /// Returns all tables. Stops at an unreadable one: a segment of a missing table is assumed
    /// to trap.
    fn tables(&self) -> Vec<Table> {
        let defined = self.table_section.clone().into_iter().flatten();
        let defined = defined.map_while(Result::ok).map(|table| Table {
            index_type: IndexType::of(table.ty.table64),
            min: table.ty.initial,
        });
        self.imported_tables
            .iter()
            .copied()
            .chain(defined)
            .collect()
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
