//! Runs the run-time crate's tests under a sanitizer: `thread` for data races, `address` for
//! accesses outside allocations.

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use crate::installed::has_nightly_sources;
use crate::metadata;
use crate::step::Outcome;

const PACKAGE: &str = "wasm-meminit-apply";

/// The sanitizers intercept the C library's `mmap` and `munmap`. Of system calls made without it,
/// the ThreadSanitizer knows nothing: two threads that are given the same address one after the
/// other would be reported as a race.
const FEATURES: &str = "fault-injection,rustix/use-libc";

/// The only targets that both sanitizers support and that the slots have all paths for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

struct Sanitizer {
    name: &'static str,
    /// Its options: see its documentation.
    options: (&'static str, &'static str),
    suites: Suites,
    /// Whether the standard library must be built with it, too.
    builds_std: bool,
    /// Names of tests that cannot work under it, and why.
    skipped: &'static [(&'static str, &'static str)],
}

enum Suites {
    Only(&'static [&'static str]),
    /// Names of suites that cannot work under it, and why.
    AllBut(&'static [(&'static str, &'static str)]),
}

/// The sanitizers replace `mlock` by a function that does nothing.
const IGNORES_MLOCK: (&str, &str) = (
    "a_batch_continues_after_a_refused_range",
    "it locks pages, which a sanitizer ignores",
);

const SANITIZERS: &[Sanitizer] = &[
    Sanitizer {
        name: "thread",
        options: ("TSAN_OPTIONS", "halt_on_error=1"),
        // What several threads use.
        suites: Suites::Only(&[
            "attack_pool",
            "pool",
            "pool_faults",
            "pool_images",
            "pool_model",
            "pool_order",
            "pool_refusals",
            "pool_security",
            "pool_threads",
        ]),
        // A race between a std that is not instrumented and ours would be reported wrongly.
        builds_std: true,
        skipped: &[IGNORES_MLOCK],
    },
    Sanitizer {
        name: "address",
        // Some tests leak on purpose.
        options: (
            "ASAN_OPTIONS",
            "detect_stack_use_after_return=1:detect_leaks=0",
        ),
        suites: Suites::AllBut(&[
            (
                "hostile_system",
                "it limits the address space, of which the sanitizer reserves terabytes",
            ),
            (
                "limits",
                "it limits the address space, of which the sanitizer reserves terabytes",
            ),
            (
                "pool_address_space",
                "it fills the address space, of which the sanitizer reserves terabytes",
            ),
            (
                "late",
                "its seccomp filter answers the sanitizer's own calls",
            ),
            (
                "pool_no_alloc",
                "it counts allocations with its own allocator",
            ),
            (
                "prepared_allocations",
                "it counts allocations with its own allocator",
            ),
            ("accounting", "the sanitizer's shadow is resident, too"),
            ("locked_memory", "it locks pages, which a sanitizer ignores"),
        ]),
        builds_std: false,
        skipped: &[
            IGNORES_MLOCK,
            (
                "memories_smaller_than_a_table_keep_the_limit",
                "it counts page tables, and the sanitizer's shadow has some, too",
            ),
            (
                "growing_uses_find_their_pages_in_place",
                "it counts page faults, and the sanitizer's shadow has some, too",
            ),
            (
                "pages_that_each_use_fills_with_zeros_stay",
                "it counts page faults, and the sanitizer's shadow has some, too",
            ),
            (
                "reports_of_growing_memories_match_the_kernel",
                "the sanitizer's shadow is resident, too",
            ),
        ],
    },
];

/// Arguments: the name of a sanitizer, and test suites instead of its own.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let usage = "usage: cargo xtask sanitize thread|address [SUITE]...";
    let Some((name, suites)) = args.split_first() else {
        bail!(usage);
    };
    let Some(sanitizer) = SANITIZERS.iter().find(|it| it.name == name) else {
        bail!("no sanitizer `{name}`\n{usage}");
    };
    println!("{}", run(sh, sanitizer, suites)?);
    Ok(())
}

fn run(sh: &Shell, sanitizer: &Sanitizer, suites: &[String]) -> anyhow::Result<Outcome> {
    if let Some(reason) = unavailable(sh, sanitizer.builds_std) {
        return Ok(Outcome::Skipped(reason));
    }
    let suites = if suites.is_empty() {
        own_suites(sh, sanitizer)?
    } else {
        suites.to_vec()
    };
    let suites_args = suites.iter().flat_map(|it| ["--test", it]);
    let build_std = sanitizer.builds_std.then_some("-Zbuild-std");
    for (test, why) in sanitizer.skipped {
        println!("not run: test {test}: {why}");
    }
    let skipped = sanitizer
        .skipped
        .iter()
        .flat_map(|(test, _)| ["--skip", *test]);
    let (variable, options) = sanitizer.options;
    let name = sanitizer.name;
    let target_dir = metadata::target_directory(sh)?.join(format!("sanitize-{name}"));
    // `--target`, so that build scripts and macros are built without the sanitizer.
    cmd!(
        sh,
        "cargo +nightly test --package {PACKAGE} --features {FEATURES} --target {TARGET}
            {build_std...} --no-fail-fast --lib {suites_args...} -- {skipped...}"
    )
    .env("RUSTFLAGS", format!("-Zsanitizer={name}"))
    .env("CARGO_TARGET_DIR", target_dir)
    .env(variable, options)
    .run()?;
    Ok(Outcome::Passed(format!(
        "{name}: the library's unit tests and {} suites",
        suites.len()
    )))
}

/// Returns the names of the suites that run, and prints why others do not.
fn own_suites(sh: &Shell, sanitizer: &Sanitizer) -> anyhow::Result<Vec<String>> {
    let packages = metadata::packages(sh)?;
    let all = packages.iter().find(|it| it.name == PACKAGE);
    let all = all.map(|it| it.tests.as_slice()).unwrap_or_default();
    let is_known = |suite: &str| all.iter().any(|it| it == suite);
    match sanitizer.suites {
        Suites::Only(names) => {
            for name in names {
                ensure!(is_known(name), "{PACKAGE} has no suite `{name}`");
            }
            Ok(names.iter().map(ToString::to_string).collect())
        }
        Suites::AllBut(excluded) => {
            for (name, why) in excluded {
                ensure!(is_known(name), "{PACKAGE} has no suite `{name}`");
                println!("not run: suite {name}: {why}");
            }
            let is_excluded = |suite: &String| excluded.iter().any(|(name, _)| name == suite);
            Ok(all.iter().filter(|it| !is_excluded(it)).cloned().collect())
        }
    }
}

/// Returns why the sanitizer cannot run here, or `None` if it can.
fn unavailable(sh: &Shell, builds_std: bool) -> Option<String> {
    let version = cmd!(sh, "rustc +nightly --version --verbose").quiet();
    let Ok(version) = version.ignore_stderr().read() else {
        return Some("no nightly toolchain is installed".to_owned());
    };
    if !version.contains(&format!("host: {TARGET}")) {
        return Some(format!("only on {TARGET}"));
    }
    (builds_std && !has_nightly_sources(sh))
        .then(|| "nightly's component rust-src is not installed".to_owned())
}
