//! Rewrites a threaded module for an engine without threads: the same start function on
//! unshared memories.
//!
//! Every memory becomes an import, so that the host can fill it before and read it after; no
//! index changes. Atomic instructions become calls of functions that do the same for a single
//! thread, and trap if it would wait forever. The bodies of functions that the start function
//! does not call become `unreachable`.

use alloc::collections::BTreeSet;

use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemArg, MemArgTarget, MemoryType, RawSection, SectionId, StartSection,
    TypeSection, ValType,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

/// Why a module cannot be rewritten.
pub(crate) type Unsupported = String;

/// Returns the module for the engine.
pub(crate) fn emulate(wasm: &[u8]) -> Result<Vec<u8>, Unsupported> {
    let parts = Parts::read(wasm).map_err(|err| err.to_string())?;
    parts.write(wasm).map_err(|err| match err {
        Error::UserError(err) => err,
        other => other.to_string(),
    })
}

#[derive(Default)]
struct Parts<'a> {
    payloads: Vec<Payload<'a>>,
    memories: Vec<wasmparser::MemoryType>,
    imports: Vec<TypeRef>,
    n_imported_functions: u32,
    n_globals: u32,
    /// Defined globals that the start function may set.
    mutable_globals: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
    start: Option<u32>,
}

impl<'a> Parts<'a> {
    fn read(wasm: &'a [u8]) -> wasmparser::Result<Self> {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports() {
                        let ty = import?.ty;
                        match ty {
                            TypeRef::Memory(ty) => parts.memories.push(ty),
                            TypeRef::Func(_) => parts.n_imported_functions += 1,
                            TypeRef::Global(_) => parts.n_globals += 1,
                            _ => {}
                        }
                        parts.imports.push(ty);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section.clone() {
                        parts.memories.push(memory?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section.clone() {
                        if global?.ty.mutable {
                            parts.mutable_globals.push(parts.n_globals);
                        }
                        parts.n_globals += 1;
                    }
                }
                Payload::StartSection { func, .. } => parts.start = Some(*func),
                Payload::CodeSectionEntry(body) => parts.bodies.push(body.clone()),
                _ => {}
            }
            parts.payloads.push(payload);
        }
        Ok(parts)
    }

    fn is_64(&self) -> bool {
        self.memories.first().is_some_and(|it| it.memory64)
    }

    /// Returns the functions that the start function may call.
    fn called(&self) -> Result<BTreeSet<u32>, Error<Unsupported>> {
        let mut called = BTreeSet::new();
        let mut left: Vec<u32> = self.start.into_iter().collect();
        while let Some(function) = left.pop() {
            let Some(nth) = function.checked_sub(self.n_imported_functions) else {
                continue;
            };
            if !called.insert(function) {
                continue;
            }
            for op in self.bodies[nth as usize].get_operators_reader()? {
                if let Operator::Call { function_index } = op? {
                    left.push(function_index);
                }
            }
        }
        Ok(called)
    }

    fn write(&self, wasm: &[u8]) -> Result<Vec<u8>, Error<Unsupported>> {
        let n_functions =
            self.n_imported_functions + u32::try_from(self.bodies.len()).expect("few");
        let mut module = wasm_encoder::Module::new();
        let mut helper_types = 0;
        let (mut imported, mut exported) = (false, false);
        for payload in &self.payloads {
            let is_before = matches!(
                payload,
                Payload::Version { .. } | Payload::TypeSection(_) | Payload::CustomSection(_)
            );
            if !imported && !is_before {
                imported = true;
                module.section(&self.imports()?);
            }
            let is_after_exports = matches!(
                payload,
                Payload::DataCountSection { .. } | Payload::CodeSectionStart { .. }
            );
            if !exported && is_after_exports {
                exported = true;
                module.section(&self.exports());
                if let Some(function_index) = self.start {
                    module.section(&StartSection { function_index });
                }
            }
            let (id, range) = match payload {
                Payload::TypeSection(section) => {
                    let mut types = TypeSection::new();
                    RoundtripReencoder
                        .parse_type_section(&mut types, section.clone())
                        .map_err(|err| Error::UserError(err.to_string()))?;
                    helper_types = types.len();
                    helpers(self.is_64()).for_each(|it| {
                        types.ty().function(it.params, it.results);
                    });
                    module.section(&types);
                    continue;
                }
                Payload::FunctionSection(section) => {
                    let mut functions = FunctionSection::new();
                    for ty in section.clone() {
                        functions.function(ty?);
                    }
                    for (nth, _) in (0..).zip(helpers(self.is_64())) {
                        functions.function(helper_types + nth);
                    }
                    module.section(&functions);
                    continue;
                }
                Payload::TableSection(it) => (SectionId::Table, it.range()),
                Payload::GlobalSection(it) => (SectionId::Global, it.range()),
                Payload::DataCountSection { range, .. } => (SectionId::DataCount, range.clone()),
                Payload::DataSection(it) => (SectionId::Data, it.range()),
                Payload::CodeSectionStart { .. } => {
                    module.section(&self.code(n_functions)?);
                    continue;
                }
                _ => continue,
            };
            module.section(&RawSection {
                id: id.into(),
                data: slice(wasm, range),
            });
        }
        Ok(module.finish())
    }

    fn imports(&self) -> Result<ImportSection, Error<Unsupported>> {
        let mut section = ImportSection::new();
        let others = self
            .imports
            .iter()
            .filter(|it| !matches!(it, TypeRef::Memory(_)));
        for (nth, ty) in others.enumerate() {
            let ty: EntityType = RoundtripReencoder
                .entity_type(*ty)
                .map_err(|err| Error::UserError(err.to_string()))?;
            section.import("other", &nth.to_string(), ty);
        }
        for (nth, ty) in self.memories.iter().enumerate() {
            section.import(
                "memory",
                &nth.to_string(),
                MemoryType {
                    minimum: ty.initial,
                    maximum: ty.maximum,
                    memory64: ty.memory64,
                    shared: false,
                    page_size_log2: ty.page_size_log2,
                },
            );
        }
        Ok(section)
    }

    fn exports(&self) -> ExportSection {
        let mut section = ExportSection::new();
        for global in &self.mutable_globals {
            section.export(&global.to_string(), ExportKind::Global, *global);
        }
        section
    }

    fn code(&self, helpers_start: u32) -> Result<CodeSection, Error<Unsupported>> {
        let called = self.called()?;
        let mut code = CodeSection::new();
        for (function, body) in (self.n_imported_functions..).zip(&self.bodies) {
            if called.contains(&function) {
                Emulated { helpers_start }.parse_function_body(&mut code, body.clone())?;
            } else {
                let mut body = Function::new([]);
                body.instructions().unreachable().end();
                code.function(&body);
            }
        }
        for helper in helpers(self.is_64()) {
            code.function(&(helper.body)(self.is_64()));
        }
        Ok(code)
    }
}

fn slice(wasm: &[u8], range: core::ops::Range<u64>) -> &[u8] {
    let position = |at: u64| usize::try_from(at).expect("in the module");
    &wasm[position(range.start)..position(range.end)]
}

/// Replaces the atomic instructions of wasm-ld's start functions.
struct Emulated {
    helpers_start: u32,
}

impl Reencode for Emulated {
    type Error = Unsupported;

    fn instruction<'a>(&mut self, op: Operator<'a>) -> Result<Instruction<'a>, Error<Unsupported>> {
        let (nth, memarg) = match &op {
            Operator::I32AtomicRmwCmpxchg { memarg } => (0, memarg),
            Operator::I32AtomicStore { memarg } => (1, memarg),
            Operator::MemoryAtomicNotify { memarg } => (2, memarg),
            Operator::MemoryAtomicWait32 { memarg } => (3, memarg),
            _ => return wasm_encoder::reencode::utils::instruction(self, op),
        };
        let is_plain = memarg.offset == 0
            && memarg.ordering.is_none()
            && matches!(memarg.target, wasmparser::MemArgTarget::Memory(0));
        if is_plain {
            Ok(Instruction::Call(self.helpers_start + nth))
        } else {
            Err(Error::UserError(
                "an atomic access outside the start function".into(),
            ))
        }
    }
}

/// A function that emulates an atomic instruction for a single thread.
struct Helper {
    params: Vec<ValType>,
    results: Vec<ValType>,
    body: fn(bool) -> Function,
}

fn helpers(is_64: bool) -> impl Iterator<Item = Helper> {
    let address = address_type(is_64);
    let helper = |params: &[ValType], results: &[ValType], body| Helper {
        params: [&[address], params].concat(),
        results: results.to_vec(),
        body,
    };
    [
        helper(
            &[ValType::I32; 2],
            &[ValType::I32],
            compare_exchange as fn(bool) -> Function,
        ),
        helper(&[ValType::I32], &[], store),
        helper(&[ValType::I32], &[ValType::I32], notify),
        helper(&[ValType::I32, ValType::I64], &[ValType::I32], wait),
    ]
    .into_iter()
}

fn address_type(is_64: bool) -> ValType {
    if is_64 { ValType::I64 } else { ValType::I32 }
}

const MEMARG: MemArg = MemArg {
    offset: 0,
    align: 2,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// `[old]`: loads the value at an aligned address into the local after the parameters.
fn load(is_64: bool, n_params: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(0);
    if is_64 {
        code.i32_wrap_i64();
    }
    code.i32_const(3).i32_and();
    code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    code.local_get(0).i32_load(MEMARG).local_set(n_params);
    function
}

fn compare_exchange(is_64: bool) -> Function {
    let mut function = load(is_64, 3);
    let mut code = function.instructions();
    code.local_get(3).local_get(1).i32_eq();
    code.if_(wasm_encoder::BlockType::Empty);
    code.local_get(0).local_get(2).i32_store(MEMARG).end();
    code.local_get(3).end();
    function
}

fn store(is_64: bool) -> Function {
    let mut function = load(is_64, 2);
    function
        .instructions()
        .local_get(0)
        .local_get(1)
        .i32_store(MEMARG)
        .end();
    function
}

/// No thread is waiting.
fn notify(is_64: bool) -> Function {
    let mut function = load(is_64, 2);
    function.instructions().i32_const(0).end();
    function
}

/// Returns 1, "not equal"; otherwise it traps, since it would wait forever.
fn wait(is_64: bool) -> Function {
    let mut function = load(is_64, 3);
    let mut code = function.instructions();
    code.local_get(3).local_get(1).i32_eq();
    code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    code.i32_const(1).end();
    function
}
