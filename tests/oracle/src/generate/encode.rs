//! Encodes a [`Spec`] as a module. Every spec gives a valid module.

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use super::strategy::{Anchor, ElementOffset, Form, GlobalInit, GlobalSpec, MemorySpec, Spec};

/// The imported table has 2 elements, the defined one 3.
const TABLES: [u64; 2] = [2, 3];

impl Spec {
    pub fn encode(&self) -> Vec<u8> {
        let spec = self.in_index_order();
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        module.section(&types);
        module.section(&spec.imports());
        module.section(FunctionSection::new().function(0));
        module.section(TableSection::new().table(table(TABLES[1])));
        let mut memories = MemorySection::new();
        for memory in spec.memories.iter().filter(|it| !it.imported) {
            memories.memory(memory_type(memory));
        }
        module.section(&memories);
        module.section(&spec.globals());
        module.section(&spec.elements());
        if spec.data_count {
            let count = u32::try_from(spec.data.len()).expect("few");
            module.section(&DataCountSection { count });
        }
        let mut body = Function::new([]);
        body.instructions().end();
        module.section(CodeSection::new().function(&body));
        module.section(&spec.data());
        module.finish()
    }

    /// Orders imports before definitions; a global refers only to earlier ones.
    fn in_index_order(&self) -> Self {
        let mut spec = self.clone();
        spec.memories.sort_by_key(|it| !it.imported);
        spec.globals
            .sort_by_key(|it| !matches!(it.init, GlobalInit::Imported));
        spec
    }

    fn imports(&self) -> ImportSection {
        let mut imports = ImportSection::new();
        imports.import("env", "table", EntityType::Table(table(TABLES[0])));
        for (nth, memory) in self.memories.iter().filter(|it| it.imported).enumerate() {
            imports.import("env", &format!("memory{nth}"), memory_type(memory));
        }
        for (nth, global) in self.globals.iter().enumerate() {
            if matches!(global.init, GlobalInit::Imported) {
                imports.import("env", &format!("global{nth}"), global_type(global));
            }
        }
        imports
    }

    fn globals(&self) -> GlobalSection {
        let mut globals = GlobalSection::new();
        for (nth, global) in self.globals.iter().enumerate() {
            let ops = Ops {
                is_64: global.is_64,
            };
            let init = match global.init {
                GlobalInit::Imported => continue,
                GlobalInit::Const(value) => ops.constant(value),
                GlobalInit::Sum(other, plus) => {
                    match self.global_of_type(other, global.is_64, nth) {
                        None => ops.constant(plus),
                        Some((other, _)) => {
                            ops.add(vec![Instruction::GlobalGet(other)], ops.constant(plus))
                        }
                    }
                }
            };
            globals.global(global_type(global), &ConstExpr::extended(init));
        }
        globals
    }

    fn elements(&self) -> ElementSection {
        let mut elements = ElementSection::new();
        for element in &self.elements {
            let offset = match element.offset {
                ElementOffset::Const(at) => ConstExpr::i32_const(at.into()),
                ElementOffset::Global(nth) => {
                    match self.global_of_type(nth, false, self.globals.len()) {
                        Some((global, _)) => ConstExpr::global_get(global),
                        None => ConstExpr::i32_const(1),
                    }
                }
            };
            let functions = vec![0; element.n_functions.into()];
            let table = u32::from(!element.imported_table);
            elements.active(Some(table), &offset, Elements::Functions(functions.into()));
        }
        elements
    }

    fn data(&self) -> DataSection {
        let mut section = DataSection::new();
        for data in &self.data {
            let bytes = data.bytes.to_vec();
            let Some(target) = &data.target else {
                section.passive(bytes);
                continue;
            };
            let nth = target.memory % self.memories.len();
            let memory = &self.memories[nth];
            let end_of = |pages: u64| i128::from(pages) << if memory.page_of_1 { 0 } else { 16 };
            let anchor = match target.addr.anchor {
                Anchor::Zero => 0,
                Anchor::Page(page) => i128::from(page) % (end_of(memory.min) / 4096 + 1) * 4096,
                Anchor::Min => end_of(memory.min),
                Anchor::Actual => end_of(memory.min.saturating_add(self.host.extra_wasm_pages)),
                Anchor::Space32 => 1 << 32,
                Anchor::Space64 => 1 << 64,
            };
            let back = if target.addr.end {
                bytes.len() as i128
            } else {
                0
            };
            let addr = anchor + i128::from(target.addr.delta) - back;
            // Make most segments fit; otherwise almost every module would trap.
            let last = end_of(memory.min) - bytes.len() as i128;
            let addr = match target.addr.anchor {
                Anchor::Zero | Anchor::Page(_) if 0 <= last => addr.clamp(0, last),
                _ => addr,
            };
            let addr = addr as i64; // modulo 2^64
            let offset = self.offset(addr, target.form, memory.is_64);
            section.active(u32::try_from(nth).expect("few"), &offset, bytes);
        }
        section
    }

    fn offset(&self, addr: i64, form: Form, is_64: bool) -> ConstExpr {
        let ops = Ops { is_64 };
        let global = |nth| self.global_of_type(nth, is_64, self.globals.len());
        ConstExpr::extended(match form {
            Form::Const => ops.constant(addr),
            Form::Sum(part) => ops.add(ops.constant(addr.wrapping_sub(part)), ops.constant(part)),
            Form::Difference(part) => {
                ops.sub(ops.constant(addr.wrapping_add(part)), ops.constant(part))
            }
            Form::Product(part) => ops.add(
                ops.mul(ops.constant(addr), ops.constant(1)),
                ops.mul(ops.constant(part), ops.constant(0)),
            ),
            Form::Global(nth) => match global(nth) {
                Some((global, value)) => ops.add(
                    vec![Instruction::GlobalGet(global)],
                    ops.constant(addr.wrapping_sub(value)),
                ),
                None => ops.constant(addr),
            },
            Form::BareGlobal(nth) => match global(nth) {
                Some((global, _)) => vec![Instruction::GlobalGet(global)],
                None => ops.constant(addr),
            },
        })
    }

    /// Returns a global of that type before `end`, and its value in this host.
    fn global_of_type(&self, nth: usize, is_64: bool, end: usize) -> Option<(u32, i64)> {
        let of_type: Vec<usize> = (0..end)
            .filter(|&it| self.globals[it].is_64 == is_64)
            .collect();
        let global = *of_type.get(nth % of_type.len().max(1))?;
        let value = match self.globals[global].init {
            GlobalInit::Imported => self.host.globals[global % self.host.globals.len()],
            GlobalInit::Const(value) => value,
            GlobalInit::Sum(other, plus) => self
                .global_of_type(other, is_64, global)
                .map_or(plus, |(_, value)| value.wrapping_add(plus)),
        };
        Some((u32::try_from(global).expect("few"), value))
    }
}

fn table(minimum: u64) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        minimum,
        maximum: None,
        table64: false,
        shared: false,
    }
}

fn memory_type(memory: &MemorySpec) -> MemoryType {
    let most = match (memory.is_64, memory.page_of_1) {
        (false, false) => 1 << 16,
        (false, true) => u32::MAX.into(),
        (true, false) => 1 << 48,
        (true, true) => u64::MAX,
    };
    // Shared memories need a maximum.
    let room = memory.room.or(memory.shared.then_some(1));
    MemoryType {
        minimum: memory.min,
        maximum: room.map(|room| memory.min.saturating_add(room).min(most)),
        memory64: memory.is_64,
        shared: memory.shared,
        page_size_log2: memory.page_of_1.then_some(0),
    }
}

fn global_type(global: &GlobalSpec) -> GlobalType {
    GlobalType {
        val_type: if global.is_64 {
            ValType::I64
        } else {
            ValType::I32
        },
        mutable: false,
        shared: false,
    }
}

/// Instructions of a constant expression for one integer type.
#[derive(Clone, Copy)]
struct Ops {
    is_64: bool,
}

type Expr = Vec<Instruction<'static>>;

impl Ops {
    fn constant(self, value: i64) -> Expr {
        vec![if self.is_64 {
            Instruction::I64Const(value)
        } else {
            Instruction::I32Const(value as i32)
        }]
    }

    fn add(self, left: Expr, right: Expr) -> Expr {
        self.binary(left, right, Instruction::I32Add, Instruction::I64Add)
    }

    fn sub(self, left: Expr, right: Expr) -> Expr {
        self.binary(left, right, Instruction::I32Sub, Instruction::I64Sub)
    }

    fn mul(self, left: Expr, right: Expr) -> Expr {
        self.binary(left, right, Instruction::I32Mul, Instruction::I64Mul)
    }

    fn binary(
        self,
        left: Expr,
        right: Expr,
        op32: Instruction<'static>,
        op64: Instruction<'static>,
    ) -> Expr {
        let op = if self.is_64 { op64 } else { op32 };
        [left, right, vec![op]].concat()
    }
}
