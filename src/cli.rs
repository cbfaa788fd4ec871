//! The command line. Each subcommand's own arguments stand in its file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wasm_meminit_analysis::{HostPageSize, Policy, StartFunction};

use crate::commands::{bench, build, inspect, pack, verify};
use crate::globals::KnownGlobal;
use crate::memories::KnownMemory;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wasm-meminit inspect app.wasm               what its memories hold at the start
  wasm-meminit build app.wasm -o app.meminit  an image of that, checked and mappable
  wasm-meminit verify app.wasm app.meminit    whether every byte is right
  wasm-meminit pack app.wasm -o small.wasm    the same program, a smaller download
  wasm-meminit bench app.wasm                 what starts and resets cost here

Exit codes:
  0  all is well
  1  a finding: what was verified differs
  2  bad usage, or a file that cannot be read or written";

/// Shows what a WebAssembly module writes into its linear memories at start, builds
/// images of them, and verifies such images.
#[derive(Debug, Parser)]
#[command(name = "wasm-meminit", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::InspectArgs),
    Build(build::BuildArgs),
    Pack(pack::PackArgs),
    Verify(verify::VerifyArgs),
    Bench(bench::BenchArgs),
}

/// The file that a subcommand reads.
#[derive(Args, Debug)]
pub(crate) struct ModuleArgs {
    /// A core module, a component, or either as text (.wat); - reads stdin
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) known: KnownArgs,
}

/// What is known about the host that will instantiate the module.
#[derive(Args, Debug)]
pub(crate) struct KnownArgs {
    /// The value of an imported immutable global, as in env.__memory_base=1024
    ///
    /// NAME is the import's module and name with a dot between them, or # and the global's
    /// index. VALUE is decimal or, after 0x, hexadecimal. In a component, a number and a
    /// colon before NAME say which core module is meant, as in 1:env.__memory_base=1024;
    /// without them, every one that imports it. May be given several times.
    #[arg(long = "global", value_name = "[MODULE:]NAME=VALUE")]
    pub(crate) globals: Vec<KnownGlobal>,

    /// How large an imported memory is when the module gets it, as in env.memory=16M
    ///
    /// A side module declares just enough for its own data. NAME is as for --global, BYTES
    /// a number, or one with K, M or G after it. May be given several times.
    #[arg(long = "memory", value_name = "[MODULE:]NAME=BYTES")]
    pub(crate) memories: Vec<KnownMemory>,

    /// Promise that imported memories are fresh: zero, as large as declared, no two the same
    ///
    /// A host that creates the memory itself knows this. Where the promise does not
    /// hold, the program's memory is wrong.
    #[arg(long)]
    pub(crate) assume_zeroed_imports: bool,
}

/// How images are laid out.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// How images are laid out
    #[arg(long, value_enum, default_value_t = Preset::Balanced)]
    policy: Preset,

    /// Page size of the machine that will map the image: a power of two, as in 4096 or 16K
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = page_size)]
    page_size: HostPageSize,

    /// What becomes of segments that the start function of a threaded module writes
    ///
    /// wasm-ld gives threaded modules passive segments, and a start function that writes
    /// them into the shared memory once: a flag there says whether that is done. All but
    /// the first need --assume-zeroed-imports where that memory is imported.
    #[arg(long, value_enum, default_value_t = Start::Runs)]
    start_function: Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Start {
    /// It writes them when it runs
    Runs,
    /// They are in the image; it has nothing left to write in what build --strip writes
    Emptied,
    /// They are in the image and the flag is set, so that it writes nothing
    FindsDone,
    /// The same; the host gives the first thread its own storage as it does later ones
    FindsDoneAsThread,
}

impl PolicyArgs {
    pub(crate) fn policy(&self, known: &KnownArgs) -> Policy {
        let policy = match self.policy {
            Preset::Balanced => Policy::balanced(self.page_size),
            Preset::Reference => Policy::reference(self.page_size),
            Preset::Smallest => Policy::smallest(self.page_size),
        };
        policy
            .assume_zeroed_imports(known.assume_zeroed_imports)
            .start_function(match self.start_function {
                Start::Runs => StartFunction::Runs,
                Start::Emptied => StartFunction::Emptied,
                Start::FindsDone => StartFunction::FindsDone,
                Start::FindsDoneAsThread => StartFunction::FindsDoneAsThread,
            })
    }

    /// The preset's name, as on the command line.
    pub(crate) const fn name(&self) -> &'static str {
        match self.policy {
            Preset::Balanced => "balanced",
            Preset::Reference => "reference",
            Preset::Smallest => "smallest",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Every certain byte, in few runs that leave out zero pages
    Balanced,
    /// One dense run per memory, all memories or none: the rule of wasmtime
    Reference,
    /// No zero page at all, however many runs that makes
    Smallest,
}

fn page_size(text: &str) -> Result<HostPageSize, String> {
    HostPageSize::new(units::bytes(text)?).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

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
