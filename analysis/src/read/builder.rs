//! Builds a module item by item, from a parse loop or by hand.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Ordering;

use cranelift_entity::PrimaryMap;

use crate::expr::const_expr::{self, EvalError};
use crate::expr::offset_expr::OffsetExpr;
use crate::index::checked;
use crate::limits::{MAX_DATA_SEGMENTS, MAX_GLOBALS, MAX_MEMORIES};
use crate::read::error::{Limited, ParseErrorKind};
use crate::read::items::{Global, ImportName, Memory, Segment, SegmentMode};
use crate::read::module::Module;
use crate::{FuncIndex, GlobalIndex, MemoryIndex, MemoryType, ParseError, Value, ValueType};

/// A [`Module`] under construction.
///
/// An engine that already has a parse loop over `wasmparser::Payload`s passes each
/// one to [`payload`](Self::payload). A producer that has no bytes, or parses them
/// in another way, calls the other methods in the order of a module's sections.
/// Every method checks its arguments.
///
/// ```
/// use wasm_meminit_analysis::{IndexType, MemoryType, ModuleBuilder, OffsetExpr, Value};
///
/// let mut builder = ModuleBuilder::new();
/// builder.memory(MemoryType {
///     index_type: IndexType::I32,
///     shared: false,
///     page_size: Default::default(),
///     min: 1, // wasm pages
///     max: None,
/// })?;
/// builder.active_segment(0, OffsetExpr::Const(Value::I32(4096)), b"hello")?;
/// let module = builder.finish()?;
/// assert_eq!(module.segments().len(), 1);
/// # Ok::<(), wasm_meminit_analysis::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModuleBuilder<'a> {
    pub(crate) module: Module<'a>,
    /// The contents of the code section after the count.
    #[cfg(feature = "parse")]
    pub(crate) code_section: Option<&'a [u8]>,
    /// The input offset reported by errors: that of the current item.
    pub(crate) offset: u64,
}

type Result<T> = core::result::Result<T, ParseError>;

impl<'a> ModuleBuilder<'a> {
    /// Creates a builder of an empty module.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an imported memory. Imported memories precede defined ones.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::InvalidMemoryType`], [`ParseErrorKind::TooMany`], or
    /// [`ParseErrorKind::SectionOrder`] if a memory was defined before.
    pub fn import_memory(&mut self, import: ImportName<'a>, ty: MemoryType) -> Result<()> {
        let n_memories = self.module.memories.len();
        if n_memories != self.module.n_imported_memories {
            return self.fail(ParseErrorKind::SectionOrder);
        }
        self.push_memory(Memory {
            ty,
            import: Some(import),
        })?;
        self.module.n_imported_memories = n_memories.saturating_add(1);
        Ok(())
    }

    /// Adds a memory that the module defines.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::InvalidMemoryType`] or [`ParseErrorKind::TooMany`].
    pub fn memory(&mut self, ty: MemoryType) -> Result<()> {
        self.push_memory(Memory { ty, import: None })
    }

    fn push_memory(&mut self, memory: Memory<'a>) -> Result<()> {
        let n_memories = self.module.memories.len();
        if n_memories == MAX_MEMORIES {
            return self.fail(ParseErrorKind::TooMany {
                what: Limited::Memories,
            });
        }
        if !memory.ty.is_valid() {
            let memory = u32::try_from(n_memories).unwrap_or(u32::MAX);
            return self.fail(ParseErrorKind::InvalidMemoryType { memory });
        }
        self.module.memories.push(memory);
        Ok(())
    }

    /// Adds an imported global. `ty` is `None` if it is mutable or not an integer.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::TooMany`], or [`ParseErrorKind::SectionOrder`] if a global was
    /// defined before.
    pub fn import_global(&mut self, import: ImportName<'a>, ty: Option<ValueType>) -> Result<()> {
        if self.module.globals.len() != self.module.global_imports.len() {
            return self.fail(ParseErrorKind::SectionOrder);
        }
        self.push_global(ty.map_or(Global::Unusable, Global::Unknown))?;
        self.module.global_imports.push(import);
        Ok(())
    }

    /// Adds a defined immutable integer global. `init` is the binary encoding of its
    /// initialiser, `end` included.
    ///
    /// An initialiser whose stack exceeds [`MAX_EXPR_DEPTH`](crate::limits::MAX_EXPR_DEPTH)
    /// is not evaluated, and the value of the global stays unknown.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::InvalidExpr`], [`ParseErrorKind::UnknownGlobal`] if it names a
    /// global that was not added before, or [`ParseErrorKind::TooMany`].
    pub fn global(&mut self, ty: ValueType, init: &'a [u8]) -> Result<()> {
        let value = const_expr::eval(init, &|global| self.module.global_value(global));
        let global = match value {
            Ok(value) if value.ty() == ty => Global::Known(value),
            Err(EvalError::UnknownGlobal(global)) => {
                self.usable(global)?;
                Global::Unknown(ty)
            }
            // Possibly valid. No toolchain emits such an expression for an address.
            Err(EvalError::TooDeep) => Global::Unknown(ty),
            Ok(_) | Err(EvalError::Invalid) => return self.fail(ParseErrorKind::InvalidExpr),
        };
        let index = self.push_global(global)?;
        if let Global::Unknown(_) = global {
            self.module.deferred.push(index, init);
        }
        Ok(())
    }

    /// Adds a defined global that no offset expression can use: mutable, or not an
    /// integer.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::TooMany`].
    pub fn unusable_global(&mut self) -> Result<()> {
        self.push_global(Global::Unusable).map(drop)
    }

    pub(super) fn push_global(&mut self, global: Global) -> Result<GlobalIndex> {
        if self.module.globals.len() == MAX_GLOBALS {
            return self.fail(ParseErrorKind::TooMany {
                what: Limited::Globals,
            });
        }
        Ok(self.module.globals.push(global))
    }

    /// Declares that no active element segment may trap, other than those passed to `payload`;
    /// for example, because there are none. Until then, [`Module::elements_may_trap`] returns
    /// `true`.
    ///
    /// `payload` calls this for an element section and for the end of the module.
    pub fn all_elements(&mut self) {
        self.module.elements.are_known = true;
    }

    /// Adds `n` imported functions to their count, which is needed to find the start function.
    pub fn import_functions(&mut self, n: u32) {
        let all = self.module.n_imported_functions.saturating_add(n);
        self.module.n_imported_functions = all;
    }

    /// Sets the start function.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::Malformed`] for the reserved index `u32::MAX`.
    pub fn start(&mut self, function: u32) -> Result<()> {
        if function == u32::MAX {
            return self.fail(ParseErrorKind::Malformed);
        }
        self.module.start = Some(FuncIndex::from_u32(function));
        Ok(())
    }

    /// Adds an active data segment.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::UnknownMemory`], [`ParseErrorKind::UnknownGlobal`],
    /// [`ParseErrorKind::InvalidExpr`] or [`ParseErrorKind::TooMany`].
    pub fn active_segment(
        &mut self,
        memory: u32,
        offset: OffsetExpr<'a>,
        data: &'a [u8],
    ) -> Result<()> {
        let Some(memory_index) = checked::<MemoryIndex>(memory, self.module.memories.len()) else {
            let segment = u32::try_from(self.module.segments.len()).unwrap_or(u32::MAX);
            return self.fail(ParseErrorKind::UnknownMemory { segment, memory });
        };
        self.check_offset(memory_index, &offset)?;
        self.push_segment(Segment {
            data,
            mode: SegmentMode::Active {
                memory_index,
                offset,
            },
        })
    }

    /// Adds a passive data segment.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::TooMany`].
    pub fn passive_segment(&mut self, data: &'a [u8]) -> Result<()> {
        self.push_segment(Segment {
            data,
            mode: SegmentMode::Passive,
        })
    }

    fn push_segment(&mut self, segment: Segment<'a>) -> Result<()> {
        if self.module.segments.len() == MAX_DATA_SEGMENTS {
            return self.fail(ParseErrorKind::TooMany {
                what: Limited::DataSegments,
            });
        }
        self.module.segments.push(segment);
        Ok(())
    }

    fn check_offset(&self, memory: MemoryIndex, offset: &OffsetExpr<'a>) -> Result<()> {
        let Some(index_type) = self.module.memories.get(memory).map(|it| it.ty.index_type) else {
            debug_assert!(false, "a memory that was checked before");
            return self.fail(ParseErrorKind::Malformed);
        };
        if let OffsetExpr::Const(value) = offset {
            return match value.address(index_type) {
                Some(_) => Ok(()),
                None => self.fail(ParseErrorKind::InvalidExpr),
            };
        }
        offset
            .globals()
            .try_for_each(|global| self.usable(global))?;
        // Evaluated with a value for every global, to check types and stack.
        let any = |global: GlobalIndex| match self.module.globals.get(global)? {
            Global::Known(value) => Some(*value),
            Global::Unknown(ValueType::I32) => Some(Value::I32(0)),
            Global::Unknown(ValueType::I64) => Some(Value::I64(0)),
            Global::Unusable => None,
        };
        match offset.eval(index_type, &any) {
            Ok(_) => Ok(()),
            Err(EvalError::TooDeep) => self.fail(ParseErrorKind::TooMany {
                what: Limited::ExprOperands,
            }),
            Err(_) => self.fail(ParseErrorKind::InvalidExpr),
        }
    }

    /// Checks that a constant expression may name this global.
    fn usable(&self, global: GlobalIndex) -> Result<()> {
        match self.module.globals.get(global) {
            None => self.fail(ParseErrorKind::UnknownGlobal {
                global: global.as_u32(),
            }),
            Some(Global::Unusable) => self.fail(ParseErrorKind::InvalidExpr),
            Some(_) => Ok(()),
        }
    }

    /// Returns the module.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::DataCount`] if the data count section does not match the number of
    /// segments.
    pub fn finish(mut self) -> Result<Module<'a>> {
        self.module.imported_twice = imported_twice(&self.module.memories);
        let found = u32::try_from(self.module.segments.len()).unwrap_or(u32::MAX);
        match self.module.data_count {
            Some(declared) if declared != found => {
                self.fail(ParseErrorKind::DataCount { declared, found })
            }
            _ => Ok(self.module),
        }
    }

    #[cold]
    pub(crate) fn fail<T>(&self, kind: ParseErrorKind) -> Result<T> {
        Err(ParseError::new(kind, self.offset))
    }
}

/// Returns the memories that are imported under the name of another one. Computed once: names may
/// be long, and callers ask for each segment.
fn imported_twice(memories: &PrimaryMap<MemoryIndex, Memory<'_>>) -> BTreeSet<MemoryIndex> {
    let imports = memories.iter();
    let imports = imports.filter_map(|(index, it)| Some((it.import?, index)));
    let mut imports: Vec<(ImportName<'_>, MemoryIndex)> = imports.collect();
    imports.sort_unstable_by(|(a, _), (b, _)| order(*a, *b));
    let pairs = imports.windows(2).filter_map(|it| match it {
        [(a, first), (b, second)] if order(*a, *b).is_eq() => Some([*first, *second]),
        _ => None,
    });
    pairs.flatten().collect()
}

fn order(a: ImportName<'_>, b: ImportName<'_>) -> Ordering {
    // The imports of a compact group share the bytes of the module's name.
    let of_module = match core::ptr::eq(a.module, b.module) {
        true => Ordering::Equal,
        false => a.module.cmp(b.module),
    };
    of_module.then_with(|| a.name.cmp(b.name))
}
