//! Measures how much of real modules is static: per module, with the reference's rule, with
//! ours, and with what a linker or an embedder knows, including start functions of wasm-ld.
//!
//! Prints the table of `docs/static-share.md`. Which bytes could be baked is counted by the
//! oracle's naive rule, so that a plan is not checked against itself.

use alloc::collections::BTreeMap;
use core::fmt;
use std::io::Write;

use wasm_meminit_analysis::{
    DataIndex, HostPageSize, Module, Plan, Policy, Reason, SegmentMode, StartFunction,
};

use crate::check::with_host_values;
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::oracle;
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::shape::Shape;

/// One module, in bytes of data.
struct Row {
    name: String,
    n_segments: usize,
    data: u64,
    reference: Share,
    balanced: Share,
    with_options: Share,
}

/// What one policy bakes in a module.
struct Share {
    baked: u64,
    /// Bytes that could be baked by the naive rule.
    certain: u64,
    /// Bytes that are not baked, by reason.
    rest: BTreeMap<&'static str, u64>,
}

impl Share {
    fn of(wasm: &[u8], policy: &Policy, knows_host: bool) -> Self {
        // As from a dynamic linker: addresses after the main program's data, in a memory that
        // is large enough.
        let host = Host::new(&[5 << 20], 1024, 0);
        let shape = Shape::of(wasm);
        let parsed = Module::parse(wasm).expect("valid");
        let module =
            with_host_values(&parsed, &shape, &host, knows_host).expect("imported integers");
        let plan = Plan::new(&module, policy);

        let mut rest: BTreeMap<&'static str, u64> = BTreeMap::new();
        for it in plan.reasons() {
            *rest.entry(kind(&it.reason)).or_default() += it.len;
        }
        let mut all = 0;
        let by_start: Vec<DataIndex> = match plan.start() {
            Ok(start) => start.writes().iter().map(|(it, _)| *it).collect(),
            Err(_) => Vec::new(),
        };
        for (index, segment) in module.segments() {
            let len = segment.data.len() as u64;
            all += len;
            if matches!(segment.mode, SegmentMode::Passive) && !by_start.contains(&index) {
                *rest.entry(kind(&Reason::Passive)).or_default() += len;
            }
        }
        rest.retain(|_, bytes| *bytes != 0);

        let replayed = oracle::replayed_segments(&shape, &host, knows_host, knows_host);
        let certain = (0..)
            .zip(&shape.data)
            .filter(|(nth, data)| data.target.is_some() && !replayed.contains(nth))
            .map(|(_, data)| data.bytes.len() as u64)
            .sum();
        let baked = all - rest.values().sum::<u64>();
        Self {
            baked,
            certain,
            rest,
        }
    }
}

fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::ImportedMemory => "imported memory",
        Reason::DynamicOffset { .. } => "dynamic offset",
        Reason::NotAConstant => "not a single constant",
        Reason::OutOfBounds { .. } => "out of bounds",
        Reason::AfterBarrier { .. } => "after a barrier",
        Reason::AlwaysTraps { .. } => "the module always traps",
        Reason::AllOrNothing { .. } => "all or nothing",
        Reason::TooSparse { .. } => "too sparse",
        Reason::PageSize { .. } => "page size",
        Reason::SizeLimit { .. } | Reason::ModuleSizeLimit { .. } => "size limit",
        Reason::TooLarge => "too large",
        Reason::Passive => "passive",
        _ => "another reason",
    }
}

impl Row {
    fn of(input: &Input) -> Self {
        let module = Module::parse(&input.wasm).expect("valid");
        let page = HostPageSize::KIB_4;
        let promise = Policy::balanced(page)
            .with_zeroed_imports(true)
            .with_start_function(StartFunction::WritesStripped);
        Self {
            name: input.name.clone(),
            n_segments: module.segments().len(),
            data: module
                .segments()
                .values()
                .map(|it| it.data.len() as u64)
                .sum(),
            reference: Share::of(&input.wasm, &Policy::reference(page), false),
            balanced: Share::of(&input.wasm, &Policy::balanced(page), false),
            with_options: Share::of(&input.wasm, &promise, true),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            self.n_segments,
            self.data,
            Cell(&self.reference, self.data),
            Cell(&self.balanced, self.data),
            Cell(&self.with_options, self.data)
        )
    }
}

/// A share of a module's data bytes, and the reasons for the rest.
struct Cell<'a>(&'a Share, u64);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(share, data) = self;
        write!(f, "{}", percent(share.baked, *data))?;
        for (reason, bytes) in &share.rest {
            write!(f, "; {bytes} {reason}")?;
        }
        Ok(())
    }
}

fn percent(part: u64, whole: u64) -> String {
    match (part * 1000).checked_div(whole) {
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "none".into(),
    }
}

#[test]
fn every_known_byte_of_real_modules_is_static() {
    let Some(corpus) = inputs::corpus() else {
        report("static share: no corpus found");
        return;
    };
    let rows: Vec<Row> = corpus
        .iter()
        .map(Row::of)
        .filter(|it| it.data != 0)
        .collect();
    for row in &rows {
        for (share, policy) in [
            (&row.balanced, "balanced"),
            (&row.with_options, "with options"),
        ] {
            assert!(
                share.certain <= share.baked,
                "{}, {policy}: {} bytes could be baked, {} are",
                row.name,
                share.certain,
                share.baked
            );
        }
        assert!(row.reference.baked <= row.balanced.baked, "{}", row.name);
        assert!(
            row.with_options.rest.is_empty(),
            "{}: {:?}",
            row.name,
            row.with_options.rest
        );
    }

    let mut out = std::io::stderr().lock();
    let _ = writeln!(
        out,
        "\n| module | segments | data bytes | reference | balanced | balanced, with options |\n\
         |---|--:|--:|---|---|---|"
    );
    for row in &rows {
        let _ = writeln!(out, "{row}");
    }
    let data: u64 = rows.iter().map(|it| it.data).sum();
    let whole = |share: fn(&Row) -> &Share| {
        let n = rows.iter().filter(|it| share(it).rest.is_empty()).count();
        let bytes = rows.iter().map(|it| share(it).baked).sum();
        format!("{n} of {}; {}", rows.len(), percent(bytes, data))
    };
    let _ = writeln!(
        out,
        "| all: fully static modules; bytes | | {data} | {} | {} | {} |",
        whole(|it| &it.reference),
        whole(|it| &it.balanced),
        whole(|it| &it.with_options)
    );
}
