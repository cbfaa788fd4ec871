//! The core modules of an input, and the choice of one of them.

use wasm_meminit::analysis::Module;

use super::args::KnownArgs;
use super::file::Binary;
use super::source::Source;
use super::{globals, memories};
use crate::error::{Error, Result};

/// Parses the core modules of a file, in file order, and sets what is known about their
/// imported globals and memories. If only one is `wanted`, an option that names no core module
/// is about that one.
///
/// # Errors
///
/// The file does not parse, or no module imports a given global or memory.
pub(crate) fn parse<'a>(
    source: Source<'_>,
    binary: &'a Binary,
    known: &KnownArgs,
    wanted: Option<usize>,
) -> Result<Vec<Module<'a>>> {
    let modules = Module::parse_all(&binary.bytes).map_err(|err| Error::of(&source, err))?;
    let fail = |err| Error::of(&source, err);
    // A number that is too large is an error of its own option.
    let wanted = wanted.filter(|it| *it < modules.len() && 1 < modules.len());
    let known = known.about(wanted);
    let modules = globals::apply(modules, &known.globals).map_err(fail)?;
    memories::apply(modules, &known.memories).map_err(fail)
}

/// Returns the numbers of the modules that define a memory or write to an imported one.
pub(crate) fn with_memory(modules: &[Module<'_>]) -> Vec<usize> {
    let has_memory = |it: &Module<'_>| {
        it.n_imported_memories() < it.memories().len() || it.active_segments().next().is_some()
    };
    let modules = modules.iter().enumerate();
    modules
        .filter(|it| has_memory(it.1))
        .map(|it| it.0)
        .collect()
}

/// Returns the core module to work on, and its number: the `wanted` one, or the only one that
/// defines a memory or writes to an imported one.
///
/// # Errors
///
/// There is no such module, or more than one.
pub(crate) fn select<'a>(
    source: Source<'_>,
    mut modules: Vec<Module<'a>>,
    wanted: Option<usize>,
) -> Result<(usize, Module<'a>)> {
    let n_modules = modules.len();
    if let Some(wanted) = wanted {
        if n_modules <= wanted {
            let there = match n_modules {
                0 => "the file has no core module".to_owned(),
                1 => "the file has only core module 0".to_owned(),
                _ => format!("the file has core modules 0 to {}", n_modules - 1),
            };
            return Err(Error::of(
                &source,
                format_args!("--module {wanted}: {there}"),
            ));
        }
        return Ok((wanted, modules.swap_remove(wanted)));
    }
    if n_modules == 1 {
        return Ok((0, modules.swap_remove(0)));
    }
    let with_memory = with_memory(&modules);
    match with_memory[..] {
        [] => Err(Error::of(
            &source,
            "no core module of this component defines or initialises a memory",
        )),
        [only] => Ok((only, modules.swap_remove(only))),
        [first, second, ..] => Err(Error::of(
            &source,
            format_args!(
                "{} core modules of this component define or initialise a memory (module {first}, \
                 module {second}{})\nhint: select one with --module",
                with_memory.len(),
                if with_memory.len() == 2 { "" } else { ", ..." },
            ),
        )),
    }
}
