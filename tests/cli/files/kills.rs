//! The tool is killed at random moments: every output is absent, the old file, or a whole new
//! one.
//!
//! A third of the kills come at any moment of a run, a third as soon as a destination changes, and a
//! third while a temporary file exists. `WASM_MEMINIT_KILLS` sets how many there are with
//! each of the three signals; `cargo xtask ci --all` sets 100.

use alloc::collections::BTreeMap;
use core::time::Duration;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use wasm_meminit_test_support::skips::skip_test;

use super::{Random, component, is_left_over, module, read};
use crate::signals::is_ignored;
use crate::tool::{self, Scratch};

const KILL: i32 = 9;

/// How many kills with each signal, if the environment does not say: two of each job. With 63, each
/// job was killed at each kind of moment with each kind of destination.
const DEFAULT_KILLS: usize = 14;

/// A run is repeated if it ended before its kill; not forever.
const MAX_RUNS_PER_KILL: usize = 30;

/// How often a child is looked at.
const POLL: Duration = Duration::from_micros(100);

/// A command line, with the outputs that it writes in the current directory.
struct Job {
    args: &'static [&'static str],
    outputs: &'static [&'static str],
    /// What the outputs contain after a run that nothing disturbed.
    whole: BTreeMap<&'static str, Vec<u8>>,
    /// How long a run takes until it creates a temporary file, and until it ends.
    until_writing: Duration,
    until_end: Duration,
}

const JOBS: [(&[&str], &[&str]); 7] = [
    (&["build", "in.wasm", "-o", "a.meminit"], &["a.meminit"]),
    (
        &["build", "in.wasm", "-o", "a.meminit", "--strip", "b.wasm"],
        &["a.meminit", "b.wasm"],
    ),
    (&["pack", "in.wasm", "-o", "c.wasm"], &["c.wasm"]),
    (
        &["inspect", "in.wasm", "--html", "d.html", "--svg", "d.svg"],
        &["d.html", "d.svg"],
    ),
    (
        &["extract", "in.meminit", "0", "-o", "e.image"],
        &["e.image"],
    ),
    (
        &["build", "two.wasm", "-o", "f.meminit", "--strip", "f.wasm"],
        &["f.meminit", "f.wasm"],
    ),
    (
        &[
            "build",
            "in.wasm",
            "-o",
            "g.meminit",
            "--externalize",
            "--strip",
            "g.wasm",
        ],
        &["g.meminit", "g.wasm"],
    ),
];

/// What is in the folder of the runs.
const INPUTS: [&str; 4] = ["elsewhere", "in.meminit", "in.wasm", "two.wasm"];

/// What is at the destinations before a run.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    OldFile,
    /// A link to an old file in another folder.
    Link,
}

const OLD: &[u8] = b"old";

impl Job {
    /// Runs the job undisturbed, in a folder that it then leaves without outputs.
    fn new(folder: &Scratch, args: &'static [&str], outputs: &'static [&str]) -> Self {
        let start = Instant::now();
        let mut child = spawn(folder, args);
        let mut until_writing = None;
        while child.try_wait().expect("a child").is_none() {
            thread::sleep(POLL);
            if until_writing.is_none() && has_left_over(folder) {
                until_writing = Some(start.elapsed());
            }
        }
        let until_end = start.elapsed();
        assert!(child.wait().expect("a child").success(), "{args:?}");
        let whole = outputs.iter().map(|it| (*it, read(&folder.path(it))));
        let whole = whole.collect();
        for output in outputs {
            fs::remove_file(folder.path(output)).expect("removed");
        }
        Self {
            args,
            outputs,
            whole,
            until_writing: until_writing.unwrap_or(until_end),
            until_end,
        }
    }
}

fn spawn(folder: &Scratch, args: &[&str]) -> Child {
    let mut command = tool::command();
    command.current_dir(folder.path(".")).args(args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the tool runs")
}

fn has_left_over(folder: &Scratch) -> bool {
    folder.list().iter().any(|it| is_left_over(it))
}

fn prepare(folder: &Scratch, job: &Job, before: Before) {
    for output in job.outputs {
        let path = folder.path(output);
        match before {
            Before::Nothing => {}
            Before::OldFile => fs::write(path, OLD).expect("written"),
            Before::Link => {
                fs::write(folder.path(&format!("elsewhere/{output}")), OLD).expect("written");
                symlink(format!("elsewhere/{output}"), path).expect("a link");
            }
        }
    }
}

/// Returns what identifies the outputs and their contents.
fn versions(folder: &Scratch, job: &Job) -> Vec<Option<(u64, u64)>> {
    let version = |it: &&str| {
        let metadata = fs::metadata(folder.path(it)).ok();
        metadata.map(|it| (it.ino(), it.len()))
    };
    job.outputs.iter().map(version).collect()
}

/// Returns how the run ended, and whether a temporary file was left where outputs belong.
fn disturbed(folder: &Scratch, job: &Job, signal: i32, wait: Wait) -> (ExitStatus, bool) {
    let before = versions(folder, job);
    let mut child = spawn(folder, job.args);
    let elsewhere = folder.path("elsewhere");
    let names = |path: &str| {
        let files = fs::read_dir(path).expect("a folder");
        files.filter_map(|it| it.expect("an entry").file_name().into_string().ok())
    };
    let leftover = || {
        names(&elsewhere)
            .chain(names(&folder.path(".")))
            .any(|it| is_left_over(&it))
    };
    match wait {
        Wait::For(time) => thread::sleep(time),
        Wait::ForFileAnd(time) => {
            while !leftover() && child.try_wait().expect("a child").is_none() {
                thread::sleep(POLL);
            }
            thread::sleep(time);
        }
        Wait::ForChange => {
            while versions(folder, job) == before && child.try_wait().expect("a child").is_none() {}
        }
    }
    if signal == KILL {
        child.kill().expect("killed");
    } else {
        // It may have ended, but its id is not free before `wait`.
        let args = ["-s", &signal.to_string(), &child.id().to_string()];
        let sent = Command::new("kill")
            .args(args)
            .stderr(Stdio::null())
            .status();
        sent.expect("kill");
    }
    (child.wait().expect("it ends"), leftover())
}

/// When a run is killed.
enum Wait {
    For(Duration),
    /// After a temporary file appears.
    ForFileAnd(Duration),
    /// When a destination becomes another file, or has other contents.
    ForChange,
}

/// Checks every name in the folder, and removes the outputs.
fn check(folder: &Scratch, job: &Job, before: Before, what: &str) {
    for output in job.outputs {
        let path = folder.path(output);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
        assert_eq!(is_link, matches!(before, Before::Link), "{what}: {output}");
        match fs::read(&path) {
            Ok(found) => {
                let is_old = found == OLD && !matches!(before, Before::Nothing);
                let is_new = found == job.whole[output];
                assert!(is_old || is_new, "{what}: {output} is torn");
                fs::remove_file(&path).expect("removed");
            }
            Err(_) => assert!(
                matches!(before, Before::Nothing),
                "{what}: {output} is gone"
            ),
        }
        let _ = fs::remove_file(folder.path(&format!("elsewhere/{output}")));
    }
    for name in folder.list() {
        let is_input = INPUTS.contains(&&*name);
        assert!(is_input || is_left_over(&name), "{what}: left {name}");
    }
    let elsewhere = fs::read_dir(folder.path("elsewhere")).expect("a folder");
    for file in elsewhere {
        let name = file.expect("an entry").file_name();
        assert!(
            is_left_over(name.to_str().expect("UTF-8")),
            "{what}: {name:?}"
        );
    }
}

fn remove_left_over(folder: &Scratch) {
    for place in [folder.path("."), folder.path("elsewhere")] {
        for file in fs::read_dir(place).expect("a folder") {
            let file = file.expect("an entry");
            if file.file_name().to_str().is_some_and(is_left_over) {
                fs::remove_file(file.path()).expect("removed");
            }
        }
    }
}

/// Kills as many runs as wanted; returns after how many a temporary file was left.
fn kill_runs(signal: i32) -> usize {
    let wanted = env::var("WASM_MEMINIT_KILLS").map_or(DEFAULT_KILLS, |it| {
        it.parse().expect("WASM_MEMINIT_KILLS is a number")
    });
    let folder = Scratch::new();
    let wasm = folder.file("in.wasm", module(160, 8 << 10, 1));
    folder.file(
        "two.wasm",
        component(&[1, 2].map(|seed| module(80, 8 << 10, seed))),
    );
    tool::run(["build", &wasm, "-o", &folder.path("in.meminit")]).success();
    fs::create_dir(folder.path("elsewhere")).expect("created");
    let jobs = JOBS.map(|(args, outputs)| Job::new(&folder, args, outputs));
    // What "whole" means for an artifact: it is that of this module.
    for job in &jobs[..2] {
        let artifact = folder.file("elsewhere/whole", &job.whole["a.meminit"]);
        tool::run(["verify", &wasm, &artifact]).success();
        fs::remove_file(artifact).expect("removed");
    }

    let mut random = Random::new(u64::from(signal.cast_unsigned()));
    let (mut n_kills, mut n_left, mut n_runs) = (0, 0, 0);
    while n_kills < wanted {
        n_runs += 1;
        assert!(
            n_runs <= MAX_RUNS_PER_KILL * wanted,
            "{n_runs} runs, of which {n_kills} were killed"
        );
        // All combinations of job, moment and destination, before one comes again.
        let (round, nth) = (n_kills / jobs.len(), n_kills % jobs.len());
        let job = &jobs[nth];
        let before =
            [Before::Nothing, Before::OldFile, Before::Link][(nth + round + round / 3) % 3];
        let below = |random: &mut Random, time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).expect("seconds").max(1);
            Duration::from_nanos(random.next() % nanos)
        };
        // Another signal is sent by another process, which takes longer than the replacement.
        let moment = match n_kills % 3 {
            1 if signal != KILL => 2,
            moment => moment,
        };
        let wait = match moment {
            0 => Wait::For(below(&mut random, job.until_end)),
            1 => Wait::ForChange,
            _ => {
                let time = job.until_end.saturating_sub(job.until_writing);
                Wait::ForFileAnd(below(&mut random, time))
            }
        };
        remove_left_over(&folder);
        prepare(&folder, job, before);
        let (status, left) = disturbed(&folder, job, signal, wait);
        let what = format!("run {n_runs}, {:?}, {status}", job.args);
        check(&folder, job, before, &what);
        let is_killed = status.signal() == Some(signal);
        assert!(is_killed || status.success(), "{what}");
        // A run that ended first shows nothing, and neither does one that had just finished writing.
        if signal == KILL && is_killed && (moment != 2 || left) {
            n_kills += 1;
            n_left += usize::from(left);
        } else if signal != KILL {
            assert!(!left, "{what}: a temporary file is left");
            n_kills += usize::from(is_killed);
        }
    }
    // What the last kill left does not get in the way.
    for job in &jobs {
        assert!(spawn(&folder, job.args).wait().expect("it ends").success());
        for output in job.outputs {
            assert_eq!(read(&folder.path(output)), job.whole[output]);
        }
    }
    assert_eq!(n_kills, wanted);
    println!("signal {signal}: {n_kills} kills in {n_runs} runs, {n_left} temporary files left");
    assert!(
        signal != KILL || wanted / 3 <= n_left,
        "{n_left} of {wanted}"
    );
    n_left
}

/// What a killed process leaves has a name that tells.
#[test]
fn killed_at_any_moment() {
    assert_ne!(kill_runs(KILL), 0);
}

#[test]
fn interrupted_at_any_moment() {
    if is_ignored(2) {
        skip_test("SIGINT is ignored, and the tool inherits that");
        return;
    }
    assert_eq!(kill_runs(2), 0);
}

#[test]
fn terminated_at_any_moment() {
    assert_eq!(kill_runs(15), 0);
}
