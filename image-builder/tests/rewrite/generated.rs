//! Generated modules of any size: worst cases for `pack` and the other rewrites.

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, EntityType, Function, FunctionSection,
    ImportSection, Instruction, MemArg, MemorySection, MemoryType, Module, StartSection,
    TypeSection,
};

fn memory(pages: u64, shared: bool) -> MemoryType {
    MemoryType {
        minimum: pages,
        maximum: shared.then_some(pages),
        memory64: false,
        shared,
        page_size_log2: None,
    }
}

/// A module with segments given by memory and address, in memories of 4 GiB each.
pub(crate) fn segments(
    n_memories: u32,
    segments: impl IntoIterator<Item = (u32, u32, Vec<u8>)>,
) -> Vec<u8> {
    let mut memories = MemorySection::new();
    for _ in 0..n_memories {
        memories.memory(memory(65_536, false));
    }
    let mut data = DataSection::new();
    for (memory, addr, bytes) in segments {
        data.active(memory, &ConstExpr::i32_const(addr.cast_signed()), bytes);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    module.finish()
}

/// A threaded module whose start function writes `n` passive segments, as wasm-ld emits it.
pub(crate) fn start_function(n: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(memory(4096, true));
    let mut body = Function::new([]);
    start_body(&mut body, n);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut data = DataSection::new();
    for _ in 0..n {
        data.passive([7]);
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories);
    module.section(&StartSection { function_index: 0 });
    module.section(&DataCountSection { count: n });
    module.section(&code).section(&data);
    module.finish()
}

fn start_body(body: &mut Function, n: u32) {
    use wasm_encoder::BlockType::Empty;
    let at = MemArg {
        offset: 0,
        align: 2,
        target: wasm_encoder::MemArgTarget::Memory(0),
        ordering: None,
    };
    let flag = Instruction::I32Const(8);
    let mut put = |it: &Instruction<'_>| {
        body.instruction(it);
    };
    (0..3).for_each(|_| put(&Instruction::Block(Empty)));
    put(&flag);
    put(&Instruction::I32Const(0));
    put(&Instruction::I32Const(1));
    put(&Instruction::I32AtomicRmwCmpxchg(at));
    put(&Instruction::BrTable([0, 1][..].into(), 2));
    put(&Instruction::End);
    for nth in 0..n {
        put(&Instruction::I32Const(64 + 16 * nth.cast_signed()));
        put(&Instruction::I32Const(0));
        put(&Instruction::I32Const(1));
        put(&Instruction::MemoryInit {
            mem: 0,
            data_index: nth,
        });
    }
    put(&flag);
    put(&Instruction::I32Const(2));
    put(&Instruction::I32AtomicStore(at));
    put(&flag);
    put(&Instruction::I32Const(-1));
    put(&Instruction::MemoryAtomicNotify(at));
    put(&Instruction::Drop);
    put(&Instruction::Br(1));
    put(&Instruction::End);
    put(&flag);
    put(&Instruction::I32Const(1));
    put(&Instruction::I64Const(-1));
    put(&Instruction::MemoryAtomicWait32(at));
    put(&Instruction::Drop);
    put(&Instruction::End);
    for nth in 0..n {
        put(&Instruction::DataDrop(nth));
    }
    put(&Instruction::End);
}

/// A module of 99 memories that imports `n` globals from the module used by `externalize`.
pub(crate) fn imports(n: u32) -> Vec<u8> {
    let mut imports = ImportSection::new();
    let global = wasm_encoder::GlobalType {
        val_type: wasm_encoder::ValType::I32,
        mutable: false,
        shared: false,
    };
    for nth in 0..n {
        imports.import("meminit", &format!("g{nth}"), EntityType::Global(global));
    }
    let mut memories = MemorySection::new();
    for _ in 0..99 {
        memories.memory(memory(1, false));
    }
    let mut module = Module::new();
    module.section(&imports).section(&memories);
    module.finish()
}
