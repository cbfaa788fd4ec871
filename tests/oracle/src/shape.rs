//! What the tests read from a module, with wasmparser and none of our code.
//!
//! The naive replay, the rewriting for the engine and the sizes of a host's memories use this,
//! so that none of them can repeat a mistake of the analysis.

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, MemoryType, Operator, Parser, Payload,
    TableType, TypeRef, ValType,
};

use crate::host::Host;

/// The parts of a module that determine the contents of its memories.
#[derive(Default)]
pub struct Shape<'a> {
    /// Imported memories come first, as in the module.
    pub memories: Vec<MemoryType>,
    pub n_imported_memories: usize,
    /// Module and name of each imported memory.
    memory_imports: Vec<[&'a str; 2]>,
    /// A host gives an imported table exactly its minimum size.
    pub tables: Vec<TableType>,
    pub globals: Vec<Global<'a>>,
    pub n_functions: u32,
    pub n_imported_functions: u32,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<Data<'a>>,
}

pub struct Global<'a> {
    pub ty: ValType,
    pub mutable: bool,
    /// The name that it is imported under, without the module name.
    pub import: Option<&'a str>,
    /// `None` for an imported global.
    pub init: Option<ConstExpr<'a>>,
}

/// An active element segment.
pub struct Element<'a> {
    pub table: usize,
    pub offset: ConstExpr<'a>,
    pub n_items: u64,
}

/// A data segment; passive ones have no target.
pub struct Data<'a> {
    pub target: Option<(usize, ConstExpr<'a>)>,
    pub bytes: &'a [u8],
}

impl<'a> Shape<'a> {
    /// Reads a module that wasmparser has validated.
    pub fn of(wasm: &'a [u8]) -> Self {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            shape
                .payload(payload.expect("validated"))
                .expect("validated");
        }
        shape
    }

    fn payload(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Memory(ty) => {
                            self.memories.push(ty);
                            self.n_imported_memories += 1;
                            self.memory_imports.push([import.module, import.name]);
                        }
                        TypeRef::Table(ty) => self.tables.push(ty),
                        TypeRef::Global(ty) => self.globals.push(Global {
                            ty: ty.content_type,
                            mutable: ty.mutable,
                            import: Some(import.name),
                            init: None,
                        }),
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.n_imported_functions += 1,
                        TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(section) => self.n_functions = section.count(),
            Payload::TableSection(section) => {
                for table in section {
                    self.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    self.globals.push(Global {
                        ty: global.ty.content_type,
                        mutable: global.ty.mutable,
                        import: None,
                        init: Some(global.init_expr),
                    });
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    let n_items = match element.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    if let ElementKind::Active {
                        table_index,
                        offset_expr,
                    } = element.kind
                    {
                        self.elements.push(Element {
                            table: index(table_index.unwrap_or(0)),
                            offset: offset_expr,
                            n_items: n_items.into(),
                        });
                    }
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let target = match data.kind {
                        DataKind::Passive => None,
                        DataKind::Active {
                            memory_index,
                            offset_expr,
                        } => Some((index(memory_index), offset_expr)),
                    };
                    self.data.push(Data {
                        target,
                        bytes: data.data,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn is_imported(&self, memory: usize) -> bool {
        memory < self.n_imported_memories
    }

    /// Returns whether another memory is imported under the same name: one host memory is both.
    pub fn is_imported_twice(&self, memory: usize) -> bool {
        let Some(import) = self.memory_imports.get(memory) else {
            return false;
        };
        1 < self
            .memory_imports
            .iter()
            .filter(|it| *it == import)
            .count()
    }

    /// Returns the declared minimum of a memory in bytes; `None` for 2^64.
    pub fn min_bytes(&self, memory: usize) -> Option<u64> {
        let ty = self.memories[memory];
        ty.initial.checked_mul(page_bytes(&ty))
    }

    /// Whether an address can depend on what the host provides.
    pub fn imports_integers(&self) -> bool {
        self.globals
            .iter()
            .any(|it| it.init.is_none() && is_usable(it))
    }

    /// Returns the value of every global that an address can refer to; `knows_host` is whether the
    /// values of imported globals are known.
    pub fn global_values(&self, host: &Host, knows_host: bool) -> Vec<Option<i64>> {
        let mut values = Vec::with_capacity(self.globals.len());
        for (nth, global) in self.globals.iter().enumerate() {
            let value = match &global.init {
                _ if !is_usable(global) => None,
                None => knows_host.then(|| match global.ty {
                    ValType::I32 => i64::from(host.global(self, nth) as i32),
                    _ => host.global(self, nth),
                }),
                Some(init) => evaluate(init, &values),
            };
            values.push(value);
        }
        values
    }
}

pub fn page_bytes(ty: &MemoryType) -> u64 {
    1 << ty.page_size_log2.unwrap_or(16)
}

fn is_usable(global: &Global<'_>) -> bool {
    !global.mutable && matches!(global.ty, ValType::I32 | ValType::I64)
}

fn index(index: u32) -> usize {
    index.try_into().expect("fits this machine")
}

/// Returns the value of an integer expression, or `None` if that of a global is not known.
pub fn evaluate(expr: &ConstExpr<'_>, globals: &[Option<i64>]) -> Option<i64> {
    let mut stack = Vec::new();
    for op in expr.get_operators_reader() {
        let op = op.expect("validated");
        match op {
            Operator::I32Const { value } => stack.push(i64::from(value)),
            Operator::I64Const { value } => stack.push(value),
            Operator::GlobalGet { global_index } => stack.push(globals[index(global_index)]?),
            Operator::End => break,
            _ => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                stack.push(match op {
                    Operator::I32Add => i64::from((left as i32).wrapping_add(right as i32)),
                    Operator::I32Sub => i64::from((left as i32).wrapping_sub(right as i32)),
                    Operator::I32Mul => i64::from((left as i32).wrapping_mul(right as i32)),
                    Operator::I64Add => left.wrapping_add(right),
                    Operator::I64Sub => left.wrapping_sub(right),
                    Operator::I64Mul => left.wrapping_mul(right),
                    _ => return None,
                });
            }
        }
    }
    stack.pop()
}

/// Converts a value to an address of a memory or table with that index type.
pub fn address(value: i64, is_64: bool) -> u64 {
    if is_64 {
        value as u64
    } else {
        u64::from(value as u32)
    }
}
