//! One check for every input: each rewrite is compared with the original, in each host.

use core::fmt;

use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, MemoryInitialization, Module, Plan, Policy,
};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, PackFor, PackOptions, RewriteError, externalize, internalize, pack,
    strip, strip_renumbered,
};

use wasm_meminit_test_oracle::generate;
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::instance::{instantiate, with_imported_globals};
use wasm_meminit_test_oracle::memory::{Outcome, Trap};
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::shape::Shape;
use wasm_meminit_test_oracle::valid::{is_valid, is_valid_rewrite};

/// What was compared.
#[derive(Default)]
pub(crate) struct Tally {
    n_modules: u64,
    n_packed: u64,
    n_smaller: u64,
    n_by_engine: u64,
    n_stripped: u64,
    n_externalized: u64,
    n_internalized: u64,
    n_bytes_saved: u64,
}

impl generate::Tally for Tally {
    fn add(&mut self, other: Self) {
        self.n_modules += other.n_modules;
        self.n_packed += other.n_packed;
        self.n_smaller += other.n_smaller;
        self.n_by_engine += other.n_by_engine;
        self.n_stripped += other.n_stripped;
        self.n_externalized += other.n_externalized;
        self.n_internalized += other.n_internalized;
        self.n_bytes_saved += other.n_bytes_saved;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} modules; {} packed and replayed ({} smaller, by {} bytes together; {} in wasmi \
             too), {} stripped, {} externalized, {} internalized",
            self.n_modules,
            self.n_packed,
            self.n_smaller,
            self.n_bytes_saved,
            self.n_by_engine,
            self.n_stripped,
            self.n_externalized,
            self.n_internalized
        )
    }
}

/// Returns the outcome in a host, without the index of the segment that trapped, which may change.
fn outcome(wasm: &[u8], host: &Host) -> Option<Outcome> {
    let mut outcome = oracle::replay(&Shape::of(wasm), host)?;
    if let Some(Trap::Data(nth)) = &mut outcome.trap {
        *nth = None;
    }
    Some(outcome)
}

fn same(what: &str, got: &Outcome, expected: &Outcome) -> Result<(), String> {
    match got.differs_from(expected) {
        Some(difference) => Err(format!("{what}: {difference}")),
        None => Ok(()),
    }
}

/// Compares all rewrites of a valid module with the original.
pub(crate) fn check(wasm: &[u8], hosts: &[Host], tally: &mut Tally) -> Result<(), String> {
    let module = Module::parse(wasm).map_err(|err| err.to_string())?;
    let shape = Shape::of(wasm);
    tally.n_modules += 1;
    // A module that imports no memory and no global cannot distinguish hosts.
    let is_alone = module.n_imported_memories() == 0 && module.global_imports().is_empty();
    let n_hosts = if is_alone { 1 } else { hosts.len() };
    for host in &hosts[..n_hosts] {
        let Some(expected) = outcome(wasm, host) else {
            continue; // a memory of 2^64 bytes
        };
        for knows_host in [false, true] {
            if knows_host && module.global_imports().is_empty() {
                continue;
            }
            let module = match knows_host {
                true => with_imported_globals(&module, &shape, host)?,
                false => module.clone(),
            };
            check_packed(wasm, &module, host, &expected, tally)
                .and_then(|()| check_stripped(wasm, &module, host, &expected, tally))
                .map_err(|err| format!("{err} (globals known: {knows_host})\n{host:?}"))?;
        }
        check_externalized(wasm, &module, host, tally)?;
        check_internalized(wasm, &module, host, tally)?;
    }
    Ok(())
}

/// Returns each objective, with and without a limit.
const PACKINGS: [(PackFor, Option<usize>); 6] = [
    (PackFor::Balanced, None),
    (PackFor::Size, None),
    (PackFor::Size, Some(2)),
    (PackFor::Compressed, None),
    (PackFor::Start, None),
    (PackFor::Start, Some(0)),
];

/// Whether wasmtime, with default settings, makes an image of all its memories.
fn has_image(module: &Module<'_>) -> bool {
    let policy = Policy::single_run(HostPageSize::KIB_4, 16 << 20);
    Plan::new(module, &policy).replay().is_empty()
}

fn check_packed(
    wasm: &[u8],
    module: &Module<'_>,
    host: &Host,
    expected: &Outcome,
    tally: &mut Tally,
) -> Result<(), String> {
    // What is right already: validating and running a large module takes long.
    let mut last = wasm.to_vec();
    let had_image = has_image(module);
    for (objective, max_segments) in PACKINGS {
        for promise in [false, true] {
            if promise && (host.fill != 0 || module.n_imported_memories() == 0) {
                continue;
            }
            let mut options = PackOptions::default()
                .with_objective(objective)
                .with_zeroed_imports(promise);
            if let Some(max_segments) = max_segments {
                options = options.with_max_segments(max_segments);
            }
            let packed = pack(module, &options).map_err(|err| err.to_string())?;
            let what = format!("packed, {options:?}");
            let (before, after) = (packed.before, packed.after);
            // If the caller asks for fewer segments, the module may grow.
            let is_limited = max_segments.is_some_and(|limit| limit < before.segments);
            let may_grow = match objective {
                PackFor::Compressed | PackFor::Start => true,
                _ => is_limited && after.segments < before.segments,
            };
            if wasm.len() < packed.wasm.len()
                && (!may_grow || wasm.len() + before.bytes < packed.wasm.len())
            {
                return Err(format!("{what}: larger"));
            }
            if objective == PackFor::Balanced && before.segments.max(1_000) < after.segments {
                return Err(format!("{what}: {} segments", after.segments));
            }
            if objective != PackFor::Size && had_image {
                let packed = Module::parse(&packed.wasm).map_err(|err| err.to_string())?;
                if !has_image(&packed) {
                    return Err(format!("{what}: lost its image"));
                }
            }
            tally.n_packed += 1;
            if packed.is_changed != (packed.wasm != wasm) {
                return Err(format!("{what}: changed, but the report says unchanged"));
            }
            if packed.wasm.len() < wasm.len() {
                tally.n_smaller += 1;
                tally.n_bytes_saved += (wasm.len() - packed.wasm.len()) as u64;
            }
            if last == packed.wasm {
                continue;
            }
            if !is_valid_rewrite(wasm, &packed.wasm) {
                return Err(format!("{what}: not valid"));
            }
            let got = outcome(&packed.wasm, host).ok_or("a memory of 2^64 bytes")?;
            same(&what, &got, expected)?;
            if let Ok(got) = oracle::instantiate(&packed.wasm, &Shape::of(&packed.wasm), host) {
                same(&format!("{what}, in wasmi"), &got, expected)?;
                tally.n_by_engine += 1;
            }
            last = packed.wasm;
        }
    }
    Ok(())
}

/// Checks the image with the stripped module on top of it.
fn check_stripped(
    original: &[u8],
    module: &Module<'_>,
    host: &Host,
    expected: &Outcome,
    tally: &mut Tally,
) -> Result<(), String> {
    if expected.trap == Some(Trap::Elements) {
        return Ok(()); // no data is written then
    }
    let shape = Shape::of(original);
    for policy in [
        Policy::balanced(HostPageSize::KIB_4),
        Policy::reference(HostPageSize::KIB_64),
        Policy::smallest(HostPageSize::KIB_4).with_zeroed_imports(true),
    ] {
        if policy == policy.with_zeroed_imports(true) && host.fill != 0 {
            continue;
        }
        let plan = Plan::new(module, &policy);
        for (name, rewrite) in STRIPS {
            let wasm = rewrite(module, &plan).map_err(|err| err.to_string())?;
            let what = format!("{name}, {policy:?}");
            if !is_valid_rewrite(original, &wasm) {
                return Err(format!("{what}: not valid"));
            }
            check_on_top(&what, &shape, module, &plan, &wasm, host, expected)?;
            tally.n_stripped += 1;
        }
    }
    Ok(())
}

/// A name, and a way to strip.
type Strip = fn(&Module<'_>, &Plan<'_>) -> Result<Vec<u8>, RewriteError>;

const STRIPS: [(&str, Strip); 2] = [
    ("stripped", strip),
    ("stripped and renumbered", strip_renumbered),
];

fn check_on_top(
    what: &str,
    shape: &Shape<'_>,
    module: &Module<'_>,
    plan: &Plan<'_>,
    wasm: &[u8],
    host: &Host,
    expected: &Outcome,
) -> Result<(), String> {
    let stripped = Module::parse(wasm).map_err(|err| err.to_string())?;
    let n_segments = stripped.segments().len();
    let n_left = plan.replay().len() + module.passive_segments().count();
    // A passive placeholder may replace segments that function bodies name.
    let right = match what.contains("renumbered") {
        true => n_left <= n_segments && n_segments <= n_left + 1,
        false => n_segments == module.segments().len(),
    };
    if !right {
        return Err(format!("{what}: {n_segments} segments"));
    }
    let image = ModuleImage::build(module, plan).map_err(|err| err.to_string())?;
    let runs = (0..).take(module.memories().len());
    let initialization = MemoryInitialization::Hybrid {
        runs: runs
            .map(|nth| {
                let image = image.image(MemoryIndex::from_u32(nth));
                image.map_or(Vec::new(), |it| it.runs().collect())
            })
            .collect(),
        replay: stripped.active_segments().collect(),
    };
    let mut got = instantiate(shape, host, &stripped, &initialization)?;
    if let Some(Trap::Data(nth)) = &mut got.trap {
        *nth = None;
    }
    same(what, &got, expected)?;
    // Baked segments are removed, since no function of these modules names them.
    let left: usize = stripped.active_segments().map(|it| it.data.len()).sum();
    let replayed: usize = plan.replay().iter().map(|it| it.data.len()).sum();
    if left != replayed {
        return Err(format!(
            "{what}: {left} bytes left, {replayed} to be replayed"
        ));
    }
    Ok(())
}

/// Checks the module in a host that supplies the memories that the module defined.
fn check_externalized(
    wasm: &[u8],
    module: &Module<'_>,
    host: &Host,
    tally: &mut Tally,
) -> Result<(), String> {
    let host = Host {
        extra_wasm_pages: 0,
        fill: 0,
        ..host.clone()
    };
    let name = |nth: MemoryIndex| format!("memory{}", nth.as_u32());
    let rewritten =
        externalize(module, DEFAULT_IMPORT_MODULE, &name).map_err(|err| err.to_string())?;
    if !is_valid(&rewritten) {
        return Err("externalized: not valid".into());
    }
    let (old, new) = (Shape::of(wasm), Shape::of(&rewritten));
    if new.n_imported_memories != new.memories.len() || new.memories != old.memories {
        return Err("externalized: memories are defined, or have different types".into());
    }
    let expected = outcome(wasm, &host).ok_or("a memory of 2^64 bytes")?;
    let got = outcome(&rewritten, &host).ok_or("a memory of 2^64 bytes")?;
    tally.n_externalized += 1;
    same("externalized", &got, &expected)
}

/// Checks the module with memories of its own, against a host that supplies the same.
fn check_internalized(
    wasm: &[u8],
    module: &Module<'_>,
    host: &Host,
    tally: &mut Tally,
) -> Result<(), String> {
    let rewritten = match internalize(module) {
        Err(RewriteError::ImportedTwice { .. }) => return Ok(()),
        result => result.map_err(|err| err.to_string())?,
    };
    if module.n_imported_memories() == 0 {
        return match rewritten == wasm {
            true => Ok(()),
            false => Err("internalized: changed without a reason".into()),
        };
    }
    if !is_valid(&rewritten) {
        return Err("internalized: not valid".into());
    }
    let (old, new) = (Shape::of(wasm), Shape::of(&rewritten));
    if new.n_imported_memories != 0 || new.memories != old.memories {
        return Err("internalized: memories are imported, or have different types".into());
    }
    let host = Host {
        extra_wasm_pages: 0,
        fill: 0,
        ..host.clone()
    };
    let expected = outcome(wasm, &host).ok_or("a memory of 2^64 bytes")?;
    let got = outcome(&rewritten, &host).ok_or("a memory of 2^64 bytes")?;
    tally.n_internalized += 1;
    same("internalized", &got, &expected)
}
