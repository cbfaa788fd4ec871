//! Dumps artifacts as text, from the independent decoder and from the library.

use core::fmt::Write as _;

use wasm_meminit_analysis::{
    Assumption, IndexType, MemoryIndex, OffsetExpr, StartFunction, WasmPageSize,
};
use wasm_meminit_image_builder::Artifact;

use super::format::{self, At, File, Layout, What, crc32};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hash(hash: Option<[u8; 32]>) -> String {
    hash.map_or("none".into(), |it| hex(&it))
}

/// The offset and the first bytes of the non-zero data.
fn data(bytes: &[u8]) -> String {
    let first = bytes.iter().position(|it| *it != 0);
    let last = bytes.iter().rposition(|it| *it != 0);
    match first.zip(last) {
        None => "zeros".into(),
        Some((first, last)) => {
            let shown = &bytes[first..=last.min(first + 31)];
            format!(
                "+{first}: {}{}",
                hex(shown),
                if first + 31 < last { ".." } else { "" }
            )
        }
    }
}

const TREATMENTS: [&str; 4] = [
    "unchanged",
    "already-initialized",
    "already-initialized-tls",
    "writes-stripped",
];

/// Dumps the result of the independent decoder.
pub(crate) fn of_file(file: &File) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "page 2^{} alignment 2^{}",
        file.page_log2, file.align_log2
    );
    let _ = writeln!(text, "elements may trap {}", file.elements_may_trap);
    let _ = writeln!(
        text,
        "source {}\nstripped {}",
        hash(file.source),
        hash(file.stripped)
    );
    let _ = writeln!(text, "tool {:?} {:?}", file.tool[0], file.tool[1]);
    let layout = match file.policy.layout {
        Layout::Single { allowed } => format!("single {allowed}"),
        Layout::Many { max_gap, max_runs } => format!("gap {max_gap} runs {max_runs}"),
    };
    let policy = &file.policy;
    let treatment = TREATMENTS[usize::from(policy.treatment)];
    let _ = writeln!(
        text,
        "policy {layout} image {} fresh {} start {treatment}",
        policy.max_image, policy.fresh_imports
    );
    for it in &file.assumptions {
        let what = match &it.what {
            What::Global(names, value) => format!("global {} {names:?} is {value:?}", it.index),
            What::Zeroed(names) => format!("memory {} {names:?} is zero", it.index),
            What::Size(names, bytes) => format!("memory {} {names:?} has {bytes}", it.index),
            What::Start(nth) => format!(
                "memory {} start {}",
                it.index,
                TREATMENTS[usize::from(*nth)]
            ),
        };
        let _ = writeln!(text, "assumes {what}");
    }
    if let Some(it) = &file.start {
        let _ = writeln!(
            text,
            "start memory {} flag {} done {} tls {:?}",
            it.memory, it.flag, it.is_done, it.tls
        );
    }
    for (index, it) in file.memories.iter().enumerate() {
        let has = |flag| it.flags & flag != 0;
        let _ = writeln!(
            text,
            "memory {index} i64 {} shared {} imported {} byte pages {} min {} max {:?}",
            has(format::I64),
            has(format::SHARED),
            has(format::IMPORTED),
            has(format::BYTE_PAGES),
            it.min,
            it.max
        );
        for run in &it.runs {
            let (len, crc) = (run.data.len(), crc32(&run.data));
            let shown = data(&run.data);
            let _ = writeln!(
                text,
                "  run {} len {len} at {} crc {crc:08x} {shown}",
                run.addr, run.offset
            );
        }
    }
    for it in &file.replay {
        let at = match &it.at {
            At::Value(value) => format!("{value:?}"),
            At::Expr(bytes) => format!("expr {}", hex(bytes)),
        };
        let _ = writeln!(
            text,
            "replay memory {} segment {} at {at}: {}",
            it.memory,
            it.segment,
            hex(&it.data)
        );
    }
    text
}

fn treatment(start: StartFunction) -> &'static str {
    match start {
        StartFunction::Unchanged => "unchanged",
        StartFunction::AlreadyInitialized => "already-initialized",
        StartFunction::AlreadyInitializedTls => "already-initialized-tls",
        StartFunction::WritesStripped => "writes-stripped",
        _ => panic!("not in version 3"),
    }
}

fn assumption(it: &Assumption) -> String {
    match it {
        Assumption::GlobalValue {
            global,
            module,
            name,
            value,
        } => {
            format!(
                "global {} {:?} is {value:?}",
                global.as_u32(),
                [module, name]
            )
        }
        Assumption::ZeroedMemory {
            memory,
            module,
            name,
        } => {
            format!("memory {} {:?} is zero", memory.as_u32(), [module, name])
        }
        Assumption::MemorySize {
            memory,
            module,
            name,
            bytes,
        } => {
            format!(
                "memory {} {:?} has {bytes}",
                memory.as_u32(),
                [module, name]
            )
        }
        Assumption::StartFunction {
            memory,
            treatment: it,
        } => {
            format!("memory {} start {}", memory.as_u32(), treatment(*it))
        }
        _ => panic!("not in version 3"),
    }
}

/// Dumps the result of the library's decoder.
pub(crate) fn of_artifact(artifact: &Artifact<'_>) -> String {
    let mut text = String::new();
    let log2 = |it: u64| it.trailing_zeros();
    let _ = writeln!(
        text,
        "page 2^{} alignment 2^{}",
        log2(artifact.page_size().bytes()),
        log2(artifact.file_alignment().bytes())
    );
    let _ = writeln!(text, "elements may trap {}", artifact.elements_may_trap());
    let (source, stripped) = (artifact.source(), artifact.stripped());
    let _ = writeln!(
        text,
        "source {}\nstripped {}",
        hash(source.map(|it| it.0)),
        hash(stripped.map(|it| it.0))
    );
    let _ = writeln!(
        text,
        "tool {:?} {:?}",
        artifact.tool().name,
        artifact.tool().version
    );
    let policy = artifact.policy();
    let layout = match policy.max_image_size_always_allowed() {
        Some(allowed) => format!("single {allowed}"),
        None => format!(
            "gap {} runs {}",
            policy.max_gap().unwrap_or(0),
            policy.max_runs()
        ),
    };
    let _ = writeln!(
        text,
        "policy {layout} image {} fresh {} start {}",
        policy.max_image_size(),
        policy.assumes_zeroed_imports(),
        treatment(policy.start_function())
    );
    for it in artifact.assumptions() {
        let _ = writeln!(text, "assumes {}", assumption(&it));
    }
    if let Some(it) = artifact.start() {
        let tls = it.thread_local.map(|it| (it.global.as_u32(), it.addr));
        let _ = writeln!(
            text,
            "start memory {} flag {} done {} tls {tls:?}",
            it.memory.as_u32(),
            it.flag,
            it.is_done
        );
    }
    for (index, it) in (0..).zip(artifact.memories()) {
        let ty = it.ty();
        let _ = writeln!(
            text,
            "memory {index} i64 {} shared {} imported {} byte pages {} min {} max {:?}",
            ty.index_type == IndexType::I64,
            ty.shared,
            it.is_imported(),
            ty.page_size == WasmPageSize::One,
            ty.min,
            ty.max
        );
        let image = artifact
            .image(MemoryIndex::from_u32(index))
            .expect("listed");
        for (position, run) in image.runs_with_position() {
            let (len, crc) = (run.data.len(), crc32(&run.data));
            let (offset, shown) = (it.file_offset() + position, data(&run.data));
            let _ = writeln!(
                text,
                "  run {} len {len} at {offset} crc {crc:08x} {shown}",
                run.addr
            );
        }
    }
    for it in artifact.replay() {
        let at = match it.offset {
            OffsetExpr::Const(value) => format!("{value:?}"),
            OffsetExpr::Expr(expr) => format!("expr {}", hex(expr.as_bytes())),
        };
        let _ = writeln!(
            text,
            "replay memory {} segment {} at {at}: {}",
            it.memory_index.as_u32(),
            it.segment.as_u32(),
            hex(&it.data)
        );
    }
    text
}
