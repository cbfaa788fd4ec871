//! One check for every input: all ways leave the same memory as the oracle.

use alloc::collections::BTreeMap;
use core::fmt;

use wasm_meminit_analysis::{Decision, MemoryIndex, Module, ModuleBuilder, Plan, Policy, Reason};
use wasm_meminit_image_builder::{Image, ModuleImage};
use wasmparser::Parser;

use super::ways::{NamedPolicy, Subject, WAYS, Way};
use wasm_meminit_test_oracle::generate::{self, Tally as _};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::instance::with_imported_globals;
use wasm_meminit_test_oracle::memory::{Outcome, Trap};
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::shape::Shape;

/// What was compared, and what was skipped and why.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) n_modules: u64,
    n_hosts: u64,
    n_by_engine: u64,
    n_data_traps: u64,
    n_element_traps: u64,
    n_plans: u64,
    n_comparisons: u64,
    n_bytes: u64,
    decisions: [u64; 4],
    /// Compared with the naive replay instead of the engine, by reason.
    naive_only: BTreeMap<String, u64>,
    /// Outcomes compared, by way.
    by_way: BTreeMap<String, u64>,
    /// Not run in real memory, which would be too large, by way.
    too_large: BTreeMap<String, u64>,
    /// Not compared at all, by reason.
    left_out: BTreeMap<String, u64>,
}

impl generate::Tally for Tally {
    fn skip(&mut self, reason: &str) {
        *self.left_out.entry(reason.into()).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.n_modules += other.n_modules;
        self.n_hosts += other.n_hosts;
        self.n_by_engine += other.n_by_engine;
        self.n_data_traps += other.n_data_traps;
        self.n_element_traps += other.n_element_traps;
        self.n_plans += other.n_plans;
        self.n_comparisons += other.n_comparisons;
        self.n_bytes += other.n_bytes;
        for (mine, theirs) in self.decisions.iter_mut().zip(other.decisions) {
            *mine += theirs;
        }
        for (reason, n) in other.naive_only {
            *self.naive_only.entry(reason).or_default() += n;
        }
        for (reason, n) in other.left_out {
            *self.left_out.entry(reason).or_default() += n;
        }
        for (way, n) in other.by_way {
            *self.by_way.entry(way).or_default() += n;
        }
        for (way, n) in other.too_large {
            *self.too_large.entry(way).or_default() += n;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [none, static_, hybrid, segmented] = self.decisions;
        writeln!(
            f,
            "{} modules, {} instantiations: {} by wasmi and by the naive replay; \
             {} trapped in data, {} in elements",
            self.n_modules, self.n_hosts, self.n_by_engine, self.n_data_traps, self.n_element_traps
        )?;
        writeln!(
            f,
            "  {} plans (memories: {static_} static, {hybrid} hybrid, {segmented} segmented, \
             {none} without data), {} outcomes compared, with {} bytes in pages written",
            self.n_plans, self.n_comparisons, self.n_bytes
        )?;
        for (reason, n) in &self.naive_only {
            writeln!(f, "  {n} with the naive replay only: {reason}")?;
        }
        for (way, n) in &self.by_way {
            let too_large = self.too_large.get(way).copied().unwrap_or_default();
            writeln!(f, "  {n} {way}; {too_large} skipped, memory too large")?;
        }
        for (reason, n) in &self.left_out {
            writeln!(f, "  {n} skipped: {reason}")?;
        }
        Ok(())
    }
}

/// Larger memories are not captured.
const CAPTURED_BYTES: u64 = 1 << 20;

/// Compares all ways with the oracle, in each host. `wasm` must be valid.
///
/// Each host sees one in `one_in` policies, and as many hosts in a row see all of them; modules
/// differ in which come first.
pub(crate) fn check(
    wasm: &[u8],
    hosts: &[Host],
    policies: &[NamedPolicy],
    one_in: usize,
    tally: &mut Tally,
) -> Result<(), String> {
    let shape = Shape::of(wasm);
    let module = Module::parse(wasm).map_err(|err| format!("a valid module is refused: {err}"))?;
    check_fed(wasm, &module)?;
    tally.n_modules += 1;
    for (nth_host, host) in hosts.iter().enumerate() {
        let Some(expected) = expect(wasm, &shape, host, tally)? else {
            tally.skip("a memory of 2^64 bytes, which no host can provide");
            continue;
        };
        if expected.trap == Some(Trap::Elements) {
            if !module.elements_may_trap() {
                return Err("an element segment trapped although the analysis ruled it out".into());
            }
            // In that case no data is written; the ways start after the elements.
            continue;
        }
        for knows_host in [false, true] {
            if knows_host && !shape.imports_integers() && shape.n_imported_memories == 0 {
                continue;
            }
            let module = with_host_values(&module, &shape, host, knows_host)?;
            check_captured(&shape, host, &module, &expected)?;
            for (nth, policy) in policies.iter().enumerate() {
                let is_void = policy.assume_zeroed_imports
                    && (host.fill != 0 || shape.n_imported_memories == 0);
                if is_void || !(nth + nth_host + wasm.len()).is_multiple_of(one_in) {
                    continue;
                }
                check_policy(&shape, host, &module, knows_host, policy, &expected, tally).map_err(
                    |err| {
                        format!(
                            "{} (globals known: {knows_host}): {err}\n{host:?}",
                            policy.name
                        )
                    },
                )?;
            }
        }
    }
    Ok(())
}

/// Checks that a module fed payload by payload, bodies included, is the same.
fn check_fed(wasm: &[u8], parsed: &Module<'_>) -> Result<(), String> {
    let mut builder = ModuleBuilder::new();
    for payload in Parser::new(0).parse_all(wasm) {
        builder
            .payload(&payload.expect("validated"))
            .map_err(|err| format!("fed: {err}"))?;
    }
    let fed = builder.finish().map_err(|err| format!("fed: {err}"))?;
    let same = fed.memories() == parsed.memories()
        && fed.segments() == parsed.segments()
        && fed.globals() == parsed.globals()
        && fed.global_imports() == parsed.global_imports()
        && fed.start() == parsed.start()
        && fed.data_count() == parsed.data_count()
        && fed.elements_may_trap() == parsed.elements_may_trap();
    if same {
        Ok(())
    } else {
        Err("the fed module differs from the parsed one".into())
    }
}

/// Checks that capturing a live memory gives the image that was built for it.
fn check_captured(
    shape: &Shape<'_>,
    host: &Host,
    module: &Module<'_>,
    expected: &Outcome,
) -> Result<(), String> {
    let policy = Policy::default().with_zeroed_imports(host.fill == 0);
    let plan = Plan::new(module, &policy);
    if expected.trap.is_some() || !plan.replay().is_empty() {
        return Ok(());
    }
    let built = ModuleImage::build(module, &plan).map_err(|err| err.to_string())?;
    for (nth, memory) in expected.memories.iter().enumerate() {
        if CAPTURED_BYTES < memory.size() || host.first_byte(shape, nth) != 0 {
            continue;
        }
        let captured = Image::capture(&memory.to_bytes()).map_err(|err| err.to_string())?;
        let index = MemoryIndex::from_u32(u32::try_from(nth).expect("few"));
        if built.image(index) != Some(captured.as_ref()) {
            return Err(format!("memory {nth}: the captured image differs"));
        }
    }
    Ok(())
}

/// Returns the expected outcome, from both oracles if both can run the module.
fn expect(
    wasm: &[u8],
    shape: &Shape<'_>,
    host: &Host,
    tally: &mut Tally,
) -> Result<Option<Outcome>, String> {
    let Some(naive) = oracle::replay(shape, host) else {
        return Ok(None);
    };
    tally.n_hosts += 1;
    match naive.trap {
        Some(Trap::Elements) => tally.n_element_traps += 1,
        Some(Trap::Data(_)) => tally.n_data_traps += 1,
        None => {}
    }
    match oracle::instantiate(wasm, shape, host) {
        Ok(engine) => {
            if let Some(difference) = naive.differs_from(&engine) {
                return Err(format!("the naive replay differs from wasmi: {difference}"));
            }
            tally.n_by_engine += 1;
        }
        Err(refused) => *tally.naive_only.entry(refused).or_default() += 1,
    }
    // It equals the engine's, and also names the segment that trapped.
    Ok(Some(naive))
}

/// Returns the module, with the values of imported globals and the sizes of imported memories
/// set if `knows_host`.
pub(crate) fn with_host_values<'a>(
    module: &Module<'a>,
    shape: &Shape<'_>,
    host: &Host,
    knows_host: bool,
) -> Result<Module<'a>, String> {
    if !knows_host {
        return Ok(module.clone());
    }
    let mut module = with_imported_globals(module, shape, host)?;
    for nth in 0..shape.n_imported_memories {
        let bytes = host.memory_bytes(shape, nth).ok_or("2^64 bytes")?;
        let index = MemoryIndex::from_u32(u32::try_from(nth).expect("few"));
        module = module
            .with_memory_size(index, bytes)
            .map_err(|err| err.to_string())?;
    }
    Ok(module)
}

fn check_policy(
    shape: &Shape<'_>,
    host: &Host,
    module: &Module<'_>,
    knows_host: bool,
    policy: &NamedPolicy,
    expected: &Outcome,
    tally: &mut Tally,
) -> Result<(), String> {
    let plan = Plan::new(module, &policy.policy);
    let subject = Subject::new(shape, host, module, &plan)?;
    tally.n_plans += 1;
    for memory in plan.memories().values() {
        tally.decisions[match memory.decision() {
            Decision::None => 0,
            Decision::Static => 1,
            Decision::Hybrid => 2,
            Decision::Segmented => 3,
        }] += 1;
    }
    for Way { name, every, run } in WAYS {
        if !tally.n_plans.is_multiple_of(*every) {
            continue;
        }
        let got = run(&subject).map_err(|err| format!("{name}: {err}"))?;
        let Some(got) = got else {
            *tally.too_large.entry((*name).into()).or_default() += 1;
            continue;
        };
        *tally.by_way.entry((*name).into()).or_default() += 1;
        if let Some(difference) = got.differs_from(expected) {
            return Err(format!("{name}: {difference}"));
        }
        tally.n_comparisons += 1;
        tally.n_bytes += got.n_bytes();
    }
    if !policy.stores_zero_pages && subject.stores_zero_page() {
        return Err("the image stores a page of zeros".into());
    }
    let replayed: Vec<u32> = plan.replay().iter().map(|it| it.segment.as_u32()).collect();
    let least = oracle::replayed_segments(shape, host, knows_host, policy.assume_zeroed_imports);
    // The one exception: an image that ends at 2^64, which a run cannot represent.
    let past_the_end = plan
        .reasons()
        .iter()
        .any(|it| it.reason == Reason::TooLarge);
    if past_the_end && !reaches_the_last_page(shape, host, &plan) {
        return Err("an image is rejected as too large, but is not".into());
    }
    let too_large = plan.reasons().iter().any(|it| match it.reason {
        Reason::SizeLimit { image_bytes, limit }
        | Reason::ModuleSizeLimit { image_bytes, limit } => {
            limit < image_bytes && 16 << 20 <= limit
        }
        _ => past_the_end,
    });
    if policy.bakes_all && !too_large && replayed != least {
        return Err(format!(
            "segments {replayed:?} are replayed, expected {least:?}"
        ));
    }
    if plan.reasons().len() != replayed.len() {
        return Err("expected one reason for each replayed segment".into());
    }
    Ok(())
}

/// Whether a memory has addresses in the last host page below 2^64.
fn reaches_the_last_page(shape: &Shape<'_>, host: &Host, plan: &Plan<'_>) -> bool {
    let last_page = u64::MAX - plan.page_size().bytes() + 1;
    let reaches = |nth| {
        host.memory_bytes(shape, nth)
            .is_some_and(|size| last_page < size)
    };
    (0..shape.memories.len()).any(reaches)
}
