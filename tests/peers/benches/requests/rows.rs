//! What is requested: a module, and the calls of one request.

use anyhow::Result;
use wasm_meminit_peers::{Corpus, Guest, Program, REQUESTS};

use crate::runtimes;

/// Where a module comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Corpus(&'static str),
    /// A file of the folder of components, without its extension.
    Component(&'static str),
    Text(&'static str),
}

/// The calls of a request.
#[derive(Clone, Copy, Debug)]
enum Calls {
    Program(&'static Program),
    /// One request of a component.
    Respond,
    /// One call of an exported function.
    One(&'static str, &'static [u32]),
}

/// A program and its calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    name: &'static str,
    source: Source,
    calls: Calls,
}

/// A guest that grows its memory by 1 MiB and writes to every page of it.
const GROWS: &str = r#"(module
  (memory (export "memory") 16)
  (data (i32.const 4096) "\01\02\03\04")
  (func (export "grow_and_write") (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.mul (memory.grow (i32.const 16)) (i32.const 65536)))
    (local.set $end (i32.mul (memory.size) (i32.const 65536)))
    (loop $pages
      (i32.store (local.get $at) (i32.load (i32.const 4096)))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $pages (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $at)))"#;

/// Returns all rows, large requests first.
pub(crate) fn rows() -> Vec<Row> {
    let programs = REQUESTS.iter().map(|program| Row {
        name: program.name,
        source: Source::Corpus(program.file),
        calls: Calls::Program(program),
    });
    let one = |name, source, export, args| Row {
        name,
        source,
        calls: Calls::One(export, args),
    };
    let single = [
        one(
            "growing guest, 1 MiB",
            Source::Text(GROWS),
            "grow_and_write",
            &[],
        ),
        one(
            "zig fmt, alloc (grows)",
            Source::Corpus("zig_fmt.wasm"),
            "alloc",
            &[1000],
        ),
        one(
            "Oniguruma, malloc",
            Source::Corpus("oniguruma.wasm"),
            "malloc",
            &[1000],
        ),
        one(
            "QuickJS, malloc",
            Source::Corpus("quickjs.wasm"),
            "wasm_malloc",
            &[1000],
        ),
        one(
            "SQLite, malloc",
            Source::Corpus("sqlite-official.wasm"),
            "malloc",
            &[1000],
        ),
    ];
    let components = [
        ("JavaScript component", "js"),
        ("Python component", "py-no-imports"),
    ];
    let components = components.map(|(name, file)| Row {
        name,
        source: Source::Component(file),
        calls: Calls::Respond,
    });
    programs.chain(components).chain(single).collect()
}

impl Row {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the module takes long to compile.
    pub(crate) fn is_large(&self) -> bool {
        matches!(
            self.source,
            Source::Corpus("astro.wasm") | Source::Component(_)
        )
    }

    pub(crate) fn is_component(&self) -> bool {
        matches!(self.source, Source::Component(_))
    }

    /// Says where the module comes from.
    pub(crate) fn source(&self) -> String {
        match self.source {
            Source::Corpus(file) => format!("{file} is not in the corpus (`cargo xtask corpus`)"),
            Source::Component(file) => format!(
                "no {file}.wasm in the folder that {} names (`engines/wasmtime/tests/guests/build.sh`)",
                runtimes::DIRECTORY
            ),
            Source::Text(_) => "part of the bench".to_owned(),
        }
    }

    /// Whether wasmi is measured: not in rows that would take it seconds.
    pub(crate) fn suits_wasmi(&self) -> bool {
        !self.is_large() && self.name != "SQLite"
    }

    /// Returns the module, or `None` if it has not been fetched.
    pub(crate) fn wasm(&self, corpus: &Corpus) -> Result<Option<Vec<u8>>> {
        match self.source {
            Source::Corpus(file) => corpus.module(file),
            Source::Component(file) => {
                let mut programs = runtimes::programs().unwrap_or_default().into_iter();
                Ok(programs.find(|it| it.name == file).map(|it| it.wasm))
            }
            Source::Text(text) => Ok(Some(wat::parse_str(text)?)),
        }
    }

    /// Makes the calls, and returns the program's output.
    pub(crate) fn run(&self, guest: &mut dyn Guest) -> Result<Vec<u8>> {
        match self.calls {
            Calls::Program(program) => (program.run)(guest),
            Calls::Respond => anyhow::bail!("a component is no core module"),
            Calls::One(export, args) => Ok(guest.run(export, args)?.to_string().into_bytes()),
        }
    }

    /// Whether the output shows that the program worked.
    pub(crate) fn expects(&self, output: &[u8]) -> bool {
        match self.calls {
            Calls::Program(program) => program.expects(output),
            Calls::Respond => !output.is_empty(),
            // An address.
            Calls::One(..) => output != b"0",
        }
    }
}
