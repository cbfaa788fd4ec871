//! The arguments that several subcommands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wasm_meminit::analysis::{HostPageSize, Policy, StartFunction};

use crate::input::globals::KnownGlobal;
use crate::input::memories::KnownMemory;
use crate::text::units;

// No documentation comments on these: it would replace what the subcommand says about itself.

// The input file of a subcommand.
#[derive(Args, Debug)]
pub(crate) struct ModuleArgs {
    /// A core module or component, binary or text (.wat); - reads stdin
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) known: KnownArgs,
}

// What is known about the host that will instantiate the module.
#[derive(Args, Clone, Debug)]
pub(crate) struct KnownArgs {
    /// Set the value of an imported immutable global, as in env.__memory_base=1024
    ///
    /// NAME is the import's module and name joined by a dot, or # followed by the global's
    /// index. VALUE is decimal, with an optional suffix K, M or G, or hexadecimal with a 0x
    /// prefix. In a component, a number and a colon before NAME select a core module, as in
    /// 1:env.__memory_base=1024; without them, the value applies to every core module that
    /// imports NAME. May be repeated.
    #[arg(long = "global", value_name = "[MODULE:]NAME=VALUE")]
    pub(crate) globals: Vec<KnownGlobal>,

    /// Set the size of an imported memory at instantiation, as in env.memory=16M
    ///
    /// A side module declares only enough memory for its own data, but receives the memory
    /// of the whole program. NAME is as for --global; BYTES is a number with an optional
    /// suffix K, M or G. May be repeated.
    #[arg(long = "memory", value_name = "[MODULE:]NAME=BYTES")]
    pub(crate) memories: Vec<KnownMemory>,

    /// Promise that imported memories are zeroed, distinct, and of their declared size
    ///
    /// A host that creates the memories itself can make this promise. If it does not hold,
    /// the program's memory contents are wrong. It does not apply to core modules that a
    /// component instantiates or passes on: other instances supply their memories.
    #[arg(long)]
    pub(crate) assume_zeroed_imports: bool,
}

// How images are laid out.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// Choose how images are laid out
    #[arg(long, value_enum, default_value_t = Preset::Balanced)]
    policy: Preset,

    /// Set the page size of the machine that maps the image: a power of two, as in 4096 or 16K
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = page_size)]
    page_size: HostPageSize,

    /// Choose how to treat data that the start function of a threaded module copies
    ///
    /// wasm-ld gives threaded modules passive segments and a start function that copies them
    /// into the shared memory once; a flag in that memory records that this is done. If the
    /// memory is imported, every value except unchanged needs --assume-zeroed-imports.
    #[arg(long, value_enum, value_name = "TREATMENT", default_value_t = Start::Unchanged)]
    start_function: Start,
}

/// The values of `--start-function`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Start {
    /// Let the function copy its segments when it runs
    Unchanged,
    /// Put the data in the image; build --strip leaves the function nothing to copy
    WritesStripped,
    /// Put the data in the image and set the flag, so that the function copies nothing
    AlreadyInitialized,
    /// Like already-initialized, for hosts that set up thread-local storage for every thread,
    /// the first included
    AlreadyInitializedTls,
}

impl KnownArgs {
    /// Returns these options, with this core module for those that name none.
    pub(crate) fn about(&self, module: Option<usize>) -> Self {
        let mut known = self.clone();
        let globals = known.globals.iter_mut().map(|it| &mut it.import);
        let memories = known.memories.iter_mut().map(|it| &mut it.import);
        for import in globals.chain(memories) {
            import.module = import.module.or(module);
        }
        known
    }

    /// Whether no option is given.
    pub(crate) fn is_default(&self) -> bool {
        self.globals.is_empty() && self.memories.is_empty() && !self.assume_zeroed_imports
    }
}

impl PolicyArgs {
    pub(crate) fn policy(&self, known: &KnownArgs) -> Policy {
        let policy = match self.policy {
            Preset::Balanced => Policy::balanced(self.page_size),
            Preset::Reference => Policy::reference(self.page_size),
            Preset::Smallest => Policy::smallest(self.page_size),
        };
        policy
            .with_zeroed_imports(known.assume_zeroed_imports)
            .with_start_function(match self.start_function {
                Start::Unchanged => StartFunction::Unchanged,
                Start::WritesStripped => StartFunction::WritesStripped,
                Start::AlreadyInitialized => StartFunction::AlreadyInitialized,
                Start::AlreadyInitializedTls => StartFunction::AlreadyInitializedTls,
            })
    }

    /// Whether every option has its default.
    pub(crate) fn is_default(&self) -> bool {
        self.changed().is_none()
    }

    /// Returns the first option that does not have its default.
    pub(crate) fn changed(&self) -> Option<&'static str> {
        match () {
            () if self.policy != Preset::Balanced => Some("--policy"),
            () if self.page_size != HostPageSize::KIB_4 => Some("--page-size"),
            () if self.start_function != Start::Unchanged => Some("--start-function"),
            () => None,
        }
    }

    /// Returns these options with another preset or treatment of the start function.
    pub(crate) fn with(&self, policy: Option<Preset>, start: Option<Start>) -> Self {
        Self {
            policy: policy.unwrap_or(self.policy),
            page_size: self.page_size,
            start_function: start.unwrap_or(self.start_function),
        }
    }

    /// Returns the treatment of the start function, as on the command line.
    pub(crate) const fn start_name(&self) -> &'static str {
        match self.start_function {
            Start::Unchanged => "unchanged",
            Start::WritesStripped => "writes-stripped",
            Start::AlreadyInitialized => "already-initialized",
            Start::AlreadyInitializedTls => "already-initialized-tls",
        }
    }

    /// Returns the preset's name, as on the command line.
    pub(crate) const fn name(&self) -> &'static str {
        self.policy.name()
    }

    /// Returns every preset's name and policy, with the other options as given.
    pub(crate) fn all(&self, known: &KnownArgs) -> Vec<(&'static str, Policy)> {
        let presets = Preset::value_variants().iter();
        presets
            .map(|it| (it.name(), self.with(Some(*it), None).policy(known)))
            .collect()
    }
}

/// The values of `--policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Bake all data known ahead of time, in few runs that leave out zero pages
    Balanced,
    /// Follow wasmtime's rule: one dense run per memory, for all memories or none
    Reference,
    /// Leave out every zero page, however many runs that takes
    Smallest,
}

impl Preset {
    const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Reference => "reference",
            Self::Smallest => "smallest",
        }
    }
}

fn page_size(text: &str) -> Result<HostPageSize, String> {
    HostPageSize::new(units::bytes(text)?).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes() {
        assert_eq!(page_size("4096"), Ok(HostPageSize::KIB_4));
        assert_eq!(page_size("16K"), Ok(HostPageSize::KIB_16));
        assert_eq!(page_size("64KiB"), Ok(HostPageSize::KIB_64));
        assert_eq!(page_size("2M").map(HostPageSize::bytes), Ok(2 << 20));
        for bad in ["", "K", "5000", "0", "-1", "18446744073709551615K", "4 K"] {
            assert!(page_size(bad).is_err(), "{bad}");
        }
    }
}
